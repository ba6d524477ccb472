"""Each fault is what it says; and mcastctl doctor names it, to whomever it can, and never says with certainty what is not so."""

import pytest

from harness.faults import FAULTS, STRANGER
from harness.lab import COUNT
from net.doctor.trial import examine, try_one

pytestmark = pytest.mark.waits



def some_long(faults):
    """Of those with the same causes all but the first are long."""
    seen = set()
    for fault in faults:
        kind = fault.causes, fault.family, fault.send
        yield pytest.param(fault, id=fault.name, marks=[pytest.mark.long] if kind in seen else [])
        seen.add(kind)


REAL = [fault for fault in FAULTS if not fault.send]


@pytest.fixture(scope="session")
def sights(results):
    return results("situation", examine)


@pytest.fixture(scope="session")
def trials(results, office):
    return results("fault", lambda fault: try_one(office, fault))


@pytest.mark.long
@pytest.mark.parametrize("situation", REAL, ids=str)
def test_a_fault_is_what_it_says(sights, situation):
    sight = sights[situation]
    if situation.wire is not None and situation.plain:
        assert (sight.on_wire > 0) == situation.wire
    if sight.received:
        expected = {"none": not any(sight.received), "some": 0 < sum(sight.received) < sight.sent,
                    "all": min(sight.received) >= COUNT - 2, "twice": sight.twice >= COUNT - 5}
        assert expected[situation.arrives], sight
    assert sight.repaired is None or sight.repaired >= COUNT - 2


@pytest.mark.parametrize("fault", some_long(FAULTS))
def test_the_cause_is_named(trials, fault):
    trial = trials[fault]
    for way, answer in trial.answers.items():
        print(f"{fault}, {way}: exit {answer.status} after {answer.seconds:.1f} s\n{answer.text}{answer.stderr}")
        assert answer.report, "no answer"
        assert not trial.wrong(way), "certain and wrong"
        if fault.causes and way in fault.named_by:
            assert trial.named(way), "not named"
            assert answer.status == 1
        elif fault.causes and fault.arrives == "none":
            assert answer.causes(), "nothing found"
    if trial.pasted is not None:
        print("\n".join(trial.pasted))
        assert trial.arrives, "what the doctor said does not end the fault"


@pytest.mark.long
@pytest.mark.parametrize("alone", FAULTS, ids=str)
def test_nobody_alone_is_told_what_is_so(results, office, alone):
    trial = results("alone", lambda fault: try_one(office, fault, ways=[STRANGER]))[alone]
    for way, answer in trial.answers.items():
        print(f"{alone}, {way}: exit {answer.status} after {answer.seconds:.1f} s\n{answer.text}{answer.stderr}")
        assert answer.report, "no answer"
        assert not trial.wrong(way), "certain and wrong"
        assert not alone.causes or alone.arrives != "none" or answer.causes(), "nothing found"
