"""Fixtures of the network tests: python3 -m pytest tests/net, with the binaries in MCASTD and MCASTCTL.

Everything happens in network namespaces that the tests make (topology.py), so that they need root. For an ordinary
user, who is root in a user namespace of their own, pytest starts again in one.
"""

import os
import shutil

import pytest

from harness import topology
from harness.daemon import Daemon
from harness.programs import Programs
from harness.root import run_as_root


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    run_as_root(config)


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


@pytest.fixture
def directory(tmp_path):
    """For a daemon whose directory is looked at, or used by another one, when it has ended."""
    return str(tmp_path)


@pytest.fixture(autouse=True)
def accounting():
    """After every test, every datagram of every daemon is accounted for. pytest shows the logs of failed tests."""
    yield
    for daemon in Daemon.running:
        print(daemon.new_log(), end="")
        daemon.assert_balanced()


@pytest.fixture(scope="module")
def programs():
    """See Programs."""
    if any(os.stat(path).st_uid != 0 for path in ("/", "/run", "/usr/bin")):
        pytest.skip("needs to be root outside of a user namespace: here root's directories belong to nobody")
    programs = Programs()
    yield programs
    shutil.rmtree(programs.directory)
