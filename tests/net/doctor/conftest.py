"""Trials wait most of their time: all that were chosen run in a pool of threads, each in namespaces of its own, and a test gets
the result of its own."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from net.doctor.trial import Office

AT_ONCE = 12


@pytest.fixture(scope="session")
def office():
    if not shutil.which("nft"):
        pytest.skip("there is no nft")
    office = Office()
    yield office
    office.close()


@pytest.fixture(scope="session")
def pool():
    pool = ThreadPoolExecutor(AT_ONCE)
    yield pool
    pool.shutdown(cancel_futures=True)


@pytest.fixture(autouse=True)
def accounting():
    """Daemons of other trials run meanwhile; each is checked by its own when it ends."""


class Results:
    """What a function returns for each parameter of the tests that were chosen, worked on in the pool from the first question on."""

    def __init__(self, pool, function, keys):
        self.futures = {str(key): pool.submit(function, key) for key in keys}

    def __getitem__(self, key):
        return self.futures[str(key)].result()


@pytest.fixture(scope="session")
def results(request, pool):
    """results(name, function): of the tests that have a parameter of this name."""
    made = {}

    def of(name, function):
        if name not in made:
            keys = {str(item.callspec.params[name]): item.callspec.params[name]
                    for item in request.session.items if hasattr(item, "callspec") and name in item.callspec.params}
            made[name] = Results(pool, function, keys.values())
        return made[name]

    return of
