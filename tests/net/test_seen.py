"""What is seen of one daemon is the same wherever it is looked at: answers, tables, top, status page, metrics and alerts."""

import http.client
import json
import os
import re
import signal

import pytest

from harness import exposition
from harness.peers import sender_as, tutorial_sender
from harness.waiting import TIMEOUT, wait_until
from net.test_metrics import MONITORING, PORT, connect, fetch, value

CONFIG = f"""
groups: {{
  calm: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; receive_buffer = "16M"; }};
  flooded: {{ address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; receive_buffer = "4K";
             handlers = ["some", "nowhere"]; }};
  nowhere: {{ address = "233.252.0.3"; port = 5004; interfaces = ["eth0"]; send_interface = ["absent"]; }};
  half: {{ address = "233.252.0.4"; port = 5004; interfaces = ["eth0"]; send_interface = ["eth0", "absent"]; }};
}};
handlers: {{
  some: {{ type = "file"; path = "$DIR/some"; rate = "1/s"; }};
  nowhere: {{ type = "unix"; path = "$DIR/nowhere"; }};
}};
http: {{ listen = ["127.0.0.1:{PORT}"]; }};
"""


def status_of(daemon, port=PORT):
    connection = http.client.HTTPConnection("localhost", timeout=TIMEOUT)
    connection.sock = connect(daemon, port)
    connection.request("GET", "/status.json")
    status = json.loads(connection.getresponse().read())
    connection.close()
    return status


def of(items):
    return {item["name"]: item for item in items if item["name"] != "events"}


def without_zeros(counts):
    return {name: count for name, count in counts.items() if count}


def column(daemon, command, first, name):
    """{name: number} of a table with a column of names."""
    numbers, heads = {}, []
    for line in daemon.ctl(command, "--wide").splitlines():
        cells = re.split(r" +(?! )", line.rstrip())
        if first in cells:
            heads = cells
        elif heads and heads[0] == first and len(cells) >= 2 and not line.startswith(" "):
            at = heads.index(name) if name in heads else None
            numbers[cells[0]] = int(cells[at]) if at is not None else 0
        elif not line:
            heads = []
    return numbers


def lose(daemon, net, blast):
    os.kill(daemon.process.pid, signal.SIGSTOP)
    try:
        blast(net.peer, "233.252.0.2", 5004, 200, interface="eth0")
    finally:
        os.kill(daemon.process.pid, signal.SIGCONT)
    with tutorial_sender(net.peer, "233.252.0.1") as sender:
        for _ in range(7):
            sender.sendto(b"x", ("233.252.0.1", 5004))
    for _ in range(3):
        daemon.ctl("send", "nowhere", "x", status=1)
    for _ in range(5):
        daemon.ctl("send", "half", "x")

    def has_all():
        groups = of(daemon.call("ListGroups")["groups"])
        return groups["calm"]["received"] == 7 and groups["flooded"]["received"] + groups["flooded"]["kernelDropped"] == 200

    wait_until(has_all, "the datagrams")
    wait_until(lambda: all(item["queued"] == 0 for item in daemon.call("ListHandlers")["handlers"]), "the handlers")


@pytest.fixture
def watched(daemon, net, blast):
    """The daemon with losses, and what top says of it then, which has seen all of them."""
    with daemon.ctl_start("--json", "top", "--interval", "100ms") as top:
        try:
            json.loads(top.stdout.readline())
            lose(daemon, net, blast)
            wanted = sum(sum(item["lost"].values()) for item in daemon.call("ListGroups")["groups"])
            report = {}
            for line in top.stdout:
                report = json.loads(line)
                if sum(group["lost"] for group in report["groups"]) >= wanted:
                    break
        finally:
            top.terminate()
    yield daemon, report


def test_losses_are_the_same_wherever_they_are_looked_at(watched):
    daemon, top = watched
    groups, handlers = of(daemon.call("ListGroups")["groups"]), of(daemon.call("ListHandlers")["handlers"])
    status = status_of(daemon)
    lost = {name: sum(item["lost"].values()) for name, item in groups.items()}
    assert without_zeros(groups["nowhere"]["lost"]) == {"send": 3}
    assert without_zeros(groups["half"]["lost"]) == {"interface": 5}
    assert groups["flooded"]["lost"]["kernel"] == groups["flooded"]["kernelDropped"] > 0 and lost["calm"] == 0
    assert handlers["some"]["dropped"]["rate"] > 0 and not any(handlers["some"]["lost"].values())
    assert handlers["nowhere"]["lost"]["absent"] == handlers["nowhere"]["dropped"]["absent"] > 0
    for kind, items in ("groups", groups), ("handlers", handlers):
        assert {item["name"]: item.get("lost", {}) for item in status[kind]} == \
            {name: without_zeros(item["lost"]) for name, item in items.items()}
        assert {item["name"]: item["lost"] for item in top[kind] if item["name"] != "events"} == \
            {name: sum(item["lost"].values()) for name, item in items.items()}
    for command in "groups", "stats":
        assert column(daemon, command, "GROUP", "LOST") == lost
    for command in "handlers", "stats":
        assert column(daemon, command, "HANDLER", "LOST") == {name: sum(item["lost"].values()) for name, item in handlers.items()}


def test_what_alerts_and_the_dashboard_leave_out_is_what_is_not_lost(daemon):
    families = exposition.parse(fetch(daemon))
    for handler in daemon.call("ListHandlers")["handlers"]:
        wanted = handler["dropped"].keys() - handler["lost"].keys()
        assert value(families, "mcastd_handler_dropped_total", handler=handler["name"], reason=min(wanted)) is not None
    for name in "mcastd-alerts.yml", "mcastd-dashboard.json":
        with open(os.path.join(MONITORING, name)) as file:
            left_out = re.findall(r'mcastd_handler_dropped_total\{[^}]*reason!~\\?"([a-z|]+)', file.read())
        assert left_out and all(set(reasons.split("|")) == wanted for reasons in left_out)


def test_the_page_names_no_sender_of_a_conflict_without_its_key(start, net):
    daemon = start(f"""
      groups: {{ one: {{ address = "233.252.0.3"; port = 5004; interfaces = ["eth0"]; expect_one_sender = true; }}; }};
      http: {{ listen = ["127.0.0.1:{PORT + 2}"]; }};""")
    daemon.wait_joined("one")

    def conflict():
        for sock in first, second:
            sock.sendto(b"x", ("233.252.0.3", 5004))
        return "at the same time" in daemon.log()

    with sender_as(net.peer, "192.0.2.2", 4000) as first, sender_as(net.peer, "192.0.2.3", 4000) as second:
        wait_until(conflict, "the event")
    event = next(event for event in status_of(daemon, PORT + 2)["events"] if event["event"] == "senderConflict")
    assert not {"source", "otherSource"} & set(event), event
