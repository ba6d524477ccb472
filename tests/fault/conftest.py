"""Fixtures of the tests with faults: a shim that is preloaded into the daemon."""

import pytest

from fault.lab import Lab, Shim
from harness import topology
from harness.brokered import place_with_engine
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
    return Shim.build(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="session")
def binary(tmp_path_factory):
    return place_with_engine(tmp_path_factory.mktemp("place")).mcastd


@pytest.fixture
def lab(net, shim, binary):
    lab = Lab(net, shim, binary)
    yield lab
    lab.close()
