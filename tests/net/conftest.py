"""Fixtures of the network tests: python3 -m pytest tests/net, with the binaries in MCASTD and MCASTCTL.

Everything happens in network namespaces that the tests make (topology.py), so that they need root. For an ordinary
user, who is root in a user namespace of their own, pytest starts again in one.
"""

import os
import shutil
import subprocess
import sys

import pytest

from harness import topology
from harness.daemon import MCASTCTL, MCASTD, ROOT, Daemon
from harness.programs import Programs


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if os.geteuid() != 0:
        config.pluginmanager.getplugin("capturemanager").stop_global_capturing()
        os.execvp("unshare", ["unshare", "-Urnm", sys.executable, "-m", "pytest", *config.invocation_params.args])
    for program in (MCASTD, MCASTCTL):
        if not os.access(program, os.X_OK):
            raise pytest.UsageError(f"there is no {program}: run make, or set MCASTD and MCASTCTL")


@pytest.fixture(scope="module")
def net():
    """Four hosts on two networks, see topology.py."""
    with topology.topology() as net:
        yield net


@pytest.fixture(scope="module")
def daemon(net, request):
    """One daemon for all tests of a module, with the module's CONFIG. Each test has its own groups in it."""
    with Daemon(net.host, request.module.CONFIG) as daemon:
        yield daemon


@pytest.fixture
def start(net):
    """Starts daemons for one test only, on the host unless told otherwise, and stops them after it."""
    daemons = []

    def start(config="", host=None, **options):
        daemons.append(Daemon(host or net.host, config, **options))
        return daemons[-1]

    yield start
    failures = []
    for daemon in reversed(daemons):
        try:
            daemon.finish()
        except AssertionError as failure:
            failures.append(failure)
        finally:
            daemon.kill()
    if failures:
        raise failures[0]


@pytest.fixture(autouse=True)
def accounting():
    """After every test, every datagram of every daemon is accounted for. pytest shows the logs of failed tests."""
    yield
    for daemon in Daemon.running:
        print(daemon.new_log(), end="")
        daemon.assert_balanced()


@pytest.fixture(scope="session")
def release():
    """The daemon as it is installed, as time and memory of a sanitized one say nothing."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    build = os.path.join(os.path.dirname(MCASTD), "release")
    subprocess.run(["make", "-j2", "-C", ROOT, "all", f"BUILD={build}", "SANITIZE="], check=True, env=environment,
                   stdout=subprocess.DEVNULL)
    return os.path.join(build, "mcastd")


@pytest.fixture(scope="module")
def programs():
    """See Programs."""
    if any(os.stat(path).st_uid != 0 for path in ("/", "/run", "/usr/bin")):
        pytest.skip("needs to be root outside of a user namespace: here root's directories belong to nobody")
    programs = Programs()
    yield programs
    shutil.rmtree(programs.directory)
