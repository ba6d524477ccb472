"""systemctl reload: it waits for the outcome, and tells it."""

from harness.peers import send
from harness.service import RUNNING

CONFIG = """
groups: {
  kept: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; };
};
"""

ADDED = CONFIG.replace("};\n};", '};\n  added: { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; };\n};')


def test_a_reload_returns_when_the_new_configuration_is_in_force(service):
    service.start(CONFIG)
    pid = service.pid
    send(service.system, b"x", "233.252.0.1", 5004, "eth0")
    service.wait_received("kept")
    service.configure(ADDED)
    service.reload()
    assert service.states("added") == {"eth0": "joined"}
    assert service.group("kept")["received"] == 1
    assert service.pid == pid
    assert service.show("StatusText").startswith("2 groups: 2 memberships joined,")


def test_a_reload_with_mistakes_fails_and_the_service_goes_on_as_it_was(service):
    service.start(CONFIG)
    pid = service.pid
    service.configure(ADDED.replace('"233.252.0.2"', '"0.0.0.1"') + "nonsense = 1;\n")
    service.system.fail("systemctl", "reload", "mcastd")
    assert service.show("ActiveState") == RUNNING
    assert service.pid == pid
    log = service.log()
    for line in (4, 6):
        assert log.count(f"{service.configuration}:{line}: ") == 1
    assert service.states("kept") == {"eth0": "joined"}
    send(service.system, b"x", "233.252.0.1", 5004, "eth0")
    service.wait_received("kept")


def test_a_reload_succeeds_again_when_the_mistake_is_mended(service):
    service.start(CONFIG)
    service.configure("nonsense = 1;\n")
    service.system.fail("systemctl", "reload", "mcastd")
    service.configure(ADDED)
    service.reload()
    assert service.states("added") == {"eth0": "joined"}


def test_the_reload_is_asked_for_by_the_daemons_own_user(service):
    """And not by root, who may anyway: the unit's ExecReload= is allowed to because of its User=."""
    service.start(CONFIG)
    service.reload()
    user = service.system.run("id", "-u", "mcastd").strip()
    # By what it says: a program that has ended is no more than a PID and a UID to the journal.
    asked = [entry for entry in service.system.entries("-u", service.unit, since=service.since) if entry["MESSAGE"] == "no changes"]
    assert {entry["_UID"] for entry in asked} == {user}
