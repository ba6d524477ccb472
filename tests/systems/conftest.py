"""Fixtures of the tests that only newer systems can run: those of the network tests."""

from net.conftest import daemon, net, pytest_configure, start  # noqa: F401
