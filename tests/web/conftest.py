"""Fixtures of the tests of the status page: those of the network tests, and a headless Chromium on the daemon's host."""

import os
import shutil

import pytest

from harness.browser import CHROMIUM, Browser
from harness.daemon import ROOT
from net.conftest import accounting, directory, net, pytest_configure, start  # noqa: F401

with open(os.path.join(ROOT, "tests", "web", "axe-core.version")) as file:
    AXE_VERSION = file.read().strip()
CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
AXE = os.path.join(CACHE, "mcastd-tests", f"axe-core-{AXE_VERSION}", "axe.min.js")


@pytest.fixture(scope="module")
def browser(net):
    if not CHROMIUM:
        pytest.skip("there is no chromium: packaging/install-deps peers installs it")
    with Browser(net.host) as browser:
        yield browser


@pytest.fixture
def page(browser):
    """The browser, which must not have complained at the end."""
    browser.resize(1280, 800)
    browser.be_dark(False)
    yield browser
    browser.call("Page.navigate", url="about:blank")


@pytest.fixture(scope="session")
def axe():
    """axe-core's script."""
    if not os.path.exists(AXE):
        assert shutil.which("npm") is None, f"{AXE} is missing: packaging/install-deps peers downloads it"
        pytest.skip("there is no axe-core: packaging/install-deps peers downloads it with npm")
    with open(AXE) as file:
        return file.read()
