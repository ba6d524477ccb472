"""What the network tests and the service tests have in common."""

import fcntl
import os
import signal
import subprocess

import pytest

from harness.daemon import MCASTD, ROOT
from harness.peers import Blast


def pytest_configure():
    """SIGINT and SIGTERM end the tests, so that fixtures clean up; also where a script started them in the background, which
    ignores SIGINT. What the tests start inherits neither."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    """Without -m, the tests that take minutes are left out."""
    if not config.option.markexpr:
        slow = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


@pytest.fixture(scope="session")
def blast(tmp_path_factory):
    return Blast(tmp_path_factory.mktemp("blast"))


@pytest.fixture
def say(capsys):
    """Prints past pytest's capture."""
    def say(text):
        with capsys.disabled():
            print(f"\n{text}", flush=True)

    return say


@pytest.fixture(scope="session")
def release():
    """The daemon as it is installed, as time and memory of a sanitized one say nothing. Suites that run at the same time
    share it: one of them builds."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    build = os.path.join(os.path.dirname(MCASTD), "release")
    os.makedirs(build, exist_ok=True)
    with open(os.path.join(build, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "-j2", "-C", ROOT, "all", f"BUILD={build}", "SANITIZE="], check=True, env=environment,
                       stdout=subprocess.DEVNULL)
    return os.path.join(build, "mcastd")
