"""Being root, which the network tests need for namespaces of their own."""

import os
import sys

import pytest

from harness.daemon import MCASTCTL, MCASTD


def run_as_root(config):
    """For pytest_configure(): for an ordinary user, starts pytest again in a user namespace."""
    if os.geteuid() != 0:
        config.pluginmanager.getplugin("capturemanager").stop_global_capturing()
        os.execvp("unshare", ["unshare", "-Urnm", sys.executable, "-m", "pytest", *config.invocation_params.args])
    for program in (MCASTD, MCASTCTL):
        if not os.access(program, os.X_OK):
            raise pytest.UsageError(f"there is no {program}: run make, or set MCASTD and MCASTCTL")
