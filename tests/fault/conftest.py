"""Fixtures of the tests with faults: a shim that is preloaded into the daemon."""

import pytest

from fault.lab import Lab, Shim
from harness import topology
from harness.daemon import MCASTD
from harness.root import run_as_root


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    run_as_root(config)


@pytest.fixture(scope="session")
def net():
    with topology.topology() as net:
        yield net


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """For the sanitized daemon, whose allocator is not the C library's."""
    return Shim.build(tmp_path_factory.mktemp("shim"), "-DNO_MALLOC")


@pytest.fixture(scope="session")
def malloc_shim(tmp_path_factory):
    return Shim.build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def lab_for(net, shim, malloc_shim, request):
    """A laboratory for faults of one call: where memory lacks, the daemon is the one that is installed."""
    labs = []

    def make(name):
        binary = request.getfixturevalue("release") if name == "malloc" else MCASTD
        labs.append(Lab(net, malloc_shim if name == "malloc" else shim, binary))
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()
