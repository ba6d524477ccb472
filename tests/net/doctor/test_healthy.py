"""Where nothing is wrong, mcastctl doctor finds nothing."""

import pytest

from harness.faults import HEALTHY
from harness.lab import COUNT
from net.doctor.trial import examine, try_one

pytestmark = pytest.mark.waits

# The settings that are run again and again: as different as they can be.
FIRST = ["plain", "with_sources", "behind_a_snooping_switch", "among_noise", "two_interfaces_with_streams_of_their_own", "macvlan_child",
         "plain_v6", "one_datagram_a_second", "tun", "loopback"]
ROUNDS = 100
BESIDES = ["behind_a_router", "firewall_that_accepts_it", "firewall_that_accepts_it_v6", "joined_on_a_bridge", "among_damage", "sending_works",
           "fragments_that_fit", "another_program_has_the_group_too", "copies_are_dropped", "rarely_sent_as_expected", "sending_works_without_loop",
           "sending_works_and_nobody_else_sends", "two_interfaces_on_one_network_with_a_strict_check"]


@pytest.fixture(scope="session")
def trials(results, office):
    return results("setting", lambda setting: try_one(office, setting))


@pytest.fixture(scope="session")
def sights(results):
    return results("situation", examine)


def assert_healthy(trial):
    for way, answer in trial.answers.items():
        print(f"{way}: exit {answer.status} after {answer.seconds:.1f} s\n{answer.text}{answer.stderr}")
        assert answer.report, "no answer"
        assert not answer.causes(), "a false alarm"
        assert answer.status == 0


@pytest.mark.long
@pytest.mark.parametrize("situation", HEALTHY, ids=str)
def test_a_healthy_host_receives_all(sights, situation):
    sight = sights[situation]
    assert not situation.plain or min(sight.received) >= min(COUNT, sight.sent) - 2


@pytest.mark.parametrize("setting", [pytest.param(setting, id=setting.name, marks=[] if setting.name in FIRST + BESIDES else
                                                  [pytest.mark.long]) for setting in HEALTHY])
def test_nothing_is_found(trials, setting):
    assert_healthy(trials[setting])


@pytest.mark.long
@pytest.mark.parametrize("name", FIRST)
def test_nothing_is_found_in_a_hundred_runs(office, pool, name):
    setting = next(setting for setting in HEALTHY if str(setting) == name)
    for trial in pool.map(lambda _: try_one(office, setting), range(ROUNDS)):
        assert_healthy(trial)
