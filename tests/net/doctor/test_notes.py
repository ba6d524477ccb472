"""What mcastctl doctor remarks of a configuration, which is no fault: it exits with 0."""

import json
import subprocess

import pytest

from harness.daemon import MCASTCTL, Daemon
from harness.faults import HEALTHY
from harness.lab import HOST, PEER
from harness.waiting import TIMEOUT
from net.doctor.trial import situation

pytestmark = pytest.mark.waits

PLAIN = next(setting for setting in HEALTHY if setting.name == "plain")


def ask_of(groups, silent=(), status=0, others=()):
    """The memberships by group, with a daemon that has these groups on eth0. Others send to all but the silent ones, and to
    other addresses and ports."""
    with situation(PLAIN) as lab:
        text = "".join(f'{name}: {{ address = "{address}"; port = {port}; interfaces = ["eth0"]; }}; '
                       for name, (address, port) in groups.items())
        with Daemon(lab.host, f"groups: {{ {text} }};\n") as daemon:
            daemon.wait_joined(*groups)
            streams = [lab.add_stream(lab.peer, *where) for name, where in groups.items() if name not in silent]
            streams += [lab.add_stream(lab.peer, *where) for where in others]
            streams[-1].wait(5)
            with lab.host:
                command = subprocess.run([MCASTCTL, "-s", daemon.control_path, "--json", "doctor", "--wait", "1s"], text=True,
                                         stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT)
            assert command.returncode == status, command
    return {membership["group"]: membership for membership in json.loads(command.stdout)["memberships"]}


def notes(membership):
    return {note["cause"] for note in membership["notes"]}


def test_a_group_for_single_sources_without_sources():
    found = ask_of({"g": ("232.1.1.1", 5004)})
    assert "ssm-without-sources" in notes(found["g"])


def test_a_group_that_no_router_forwards():
    found = ask_of({"g": ("224.0.0.200", 5004)})
    assert "local-block" in notes(found["g"])


def test_a_group_of_the_reserved_scope_is_not_reported_and_nothing_blocks_that():
    membership = ask_of({"g": ("ff10::1", 5004)}, silent="g", status=1, others=[("ff15::99", 5005)])["g"]
    note, = membership["notes"]
    assert note["cause"] == "local-block" and "the reserved scope 0" in note["message"]
    assert "report-blocked" not in {finding["cause"] for finding in membership["findings"]}


def test_two_groups_on_one_mac_address():
    found = ask_of({"g": ("233.252.0.10", 5004), "h": ("238.252.0.10", 5005), "i": ("238.252.0.11", 5005)}, silent="h", status=1)
    assert "shared-mac" in notes(found["g"]) and "shared-mac" in notes(found["h"]) and "shared-mac" not in notes(found["i"])


@pytest.mark.parametrize("address", ["233.252.0.99", HOST[4], "192.0.2.255"], ids=["group", "host", "broadcast"])
def test_a_sender_with_another_address(address):
    membership = ask_of({"g": ("233.252.0.10", 5004)}, silent="g", status=1, others=[(address, 5004)])["g"]
    note = next(note for note in membership["notes"] if note["cause"] == "other-address")
    assert f"{PEER[4]} sends to {address}" in note["message"] and "not to 233.252.0.10" in note["message"]
    assert [finding["cause"] for finding in membership["findings"]] == ["not-on-wire"] and membership["verdict"] == "network"


def test_a_sender_to_what_is_joined_or_to_another_family_is_no_other_address():
    found = ask_of({"g": ("233.252.0.10", 5004), "h": ("233.252.0.11", 5004)}, silent="g", status=1, others=[("ff15::99", 5004)])
    assert "other-address" not in notes(found["g"])


def test_all_groups_are_asked_for_without_an_argument():
    found = ask_of({"g": ("233.252.0.10", 5004), "h": ("233.252.0.12", 5005)})
    assert {name: membership["verdict"] for name, membership in found.items()} == {"g": "delivered", "h": "delivered"}
