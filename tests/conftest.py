"""What the network tests and the service tests have in common."""

import signal

import pytest

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
