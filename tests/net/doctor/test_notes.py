"""What mcastctl doctor remarks of a configuration, which is no fault: it exits with 0."""

import pytest

from harness.daemon import Daemon
from harness.faults import HEALTHY
from net.doctor.trial import situation

pytestmark = pytest.mark.waits

PLAIN = next(setting for setting in HEALTHY if setting.name == "plain")


def ask_of(office, groups, *arguments):
    """The memberships by group, with a daemon that has these groups on eth0."""
    with situation(PLAIN) as lab:
        text = "".join(f'{name}: {{ address = "{address}"; port = {port}; interfaces = ["eth0"]; {more} }}; '
                       for name, (address, port, more) in groups.items())
        with Daemon(lab.host, f"groups: {{ {text} }};\n") as daemon:
            daemon.wait_joined(*groups)
            streams = [lab.add_stream(lab.peer, address, port) for address, port, _ in groups.values()]
            streams[-1].wait(5)
            with lab.host:
                report = daemon.ctl("doctor", "--wait", "1s", *arguments, json_output=True)
    return {membership["group"]: membership for membership in report["memberships"]}


def notes(membership):
    assert not membership["findings"]
    return {note["cause"] for note in membership["notes"]}


def test_a_group_for_single_sources_without_sources(office):
    found = ask_of(office, {"g": ("232.1.1.1", 5004, "")})
    assert "ssm-without-sources" in notes(found["g"])


def test_a_group_that_no_router_forwards(office):
    found = ask_of(office, {"g": ("224.0.0.200", 5004, "")})
    assert "local-block" in notes(found["g"])


def test_two_groups_on_one_mac_address(office):
    found = ask_of(office, {"g": ("233.252.0.10", 5004, ""), "h": ("238.252.0.10", 5005, ""), "i": ("238.252.0.11", 5005, "")})
    assert "shared-mac" in notes(found["g"]) and "shared-mac" in notes(found["h"]) and "shared-mac" not in notes(found["i"])


def test_all_groups_are_asked_for_without_an_argument(office):
    found = ask_of(office, {"g": ("233.252.0.10", 5004, ""), "h": ("233.252.0.12", 5005, "")})
    assert {name: membership["verdict"] for name, membership in found.items()} == {"g": "delivered", "h": "delivered"}
