"""/status.json: what the status page reads."""

import base64
import hashlib
import json
import re
import socket

import pytest

from harness.peers import send
from harness.waiting import TIMEOUT, wait_until
from net.test_http import connect, get

CONFIG = """
groups: {
    news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; sources = ["192.0.2.2"]; handlers = ["archive"]; };
    quiet: { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; };
    absent: { address = "233.252.0.3"; port = 5004; interfaces = ["eth9"]; };
};
handlers: { archive: { type = "file"; path = "$DIR/archive"; queue = "256K"; queue_datagrams = 100; }; };
http: { listen = ["127.0.0.1:9184"]; };
"""
STATUS = b"GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n"


def status(daemon):
    response = get(daemon, "/status.json")
    assert response.status == 200 and response.getheader("Content-Type") == "application/json"
    return json.loads(response.body)


def fresh(daemon, wanted=lambda status: True):
    """One that was made after now, and of which that is true."""
    before = status(daemon)["clockMs"]

    def made():
        made = status(daemon)
        return made["clockMs"] > before and wanted(made) and made

    return wait_until(made, "a status that is so")


def named(things, name):
    return next(thing for thing in things if thing["name"] == name)


def many(count):
    return "groups: {\n" + "".join(
        f'g{i:04}: {{ address = "239.1.{i >> 8}.{i & 255}"; port = 5004; interfaces = ["lo"]; receive_buffer = "4K"; }};\n'
        for i in range(count)) + '};\nhttp: { listen = ["127.0.0.1:9184"]; };\n'


def test_the_policy_of_the_page_permits_its_own_parts_and_nothing_else(net, start):
    response = get(start(CONFIG), "/")
    policy = {part.split()[0]: part.split()[1:] for part in response.getheader("Content-Security-Policy").split(";")}
    assert policy["default-src"] == ["'none'"] and policy["connect-src"] == ["'self'"]
    for directive, pattern in ("script-src", rb'<script type="module">(.*?)</script>'), ("style-src", rb"<style>(.*?)</style>"):
        parts = re.findall(pattern, response.body, re.DOTALL)
        assert policy[directive] == [f"'sha256-{base64.b64encode(hashlib.sha256(part).digest()).decode()}'" for part in parts]


def test_it_has_what_the_control_socket_says(net, start):
    daemon = start(CONFIG)
    daemon.wait_joined("news", "quiet")
    send(net.peer, b"hello", "233.252.0.1", 5004)
    daemon.wait_arrived("news", 1)
    found = fresh(daemon)
    news, quiet, absent = (named(found["groups"], name) for name in ("news", "quiet", "absent"))
    assert (news["address"], news["port"], news["received"], news["receivedBytes"]) == ("233.252.0.1", 5004, 1, 5)
    assert news["handlers"] == ["archive"] and 0 <= found["timestampMs"] - news["lastReceivedMs"] < 1000 * TIMEOUT
    assert news["memberships"] == [{"interface": "eth0", "received": 1}]
    assert quiet == {"name": "quiet", "address": "233.252.0.2", "port": 5004, "memberships": [{"interface": "eth0"}]}
    assert absent["memberships"][0]["state"] == "waiting" and "interface" in absent["memberships"][0]["error"]
    archive = named(found["handlers"], "archive")
    assert archive["type"] == "file" and archive["received"] == 1 and "queuePercent" in archive and "dropped" not in archive
    assert found["loop"]["rounds"] > 0 and found["pid"] == daemon.process.pid
    assert "events" not in [group["name"] for group in found["groups"]]


def test_whoever_asks_within_a_second_reads_the_same(net, start):
    daemon = start(many(500))
    first = status(daemon)

    def again():
        clock = status(daemon)["clockMs"]
        return clock == status(daemon)["clockMs"] != first["clockMs"]

    wait_until(again, "two readers of one status")
    assert status(daemon)["clockMs"] - first["clockMs"] >= 990  # the kernel's coarse clock has steps of up to 10 ms


def test_addresses_of_senders_are_in_it_only_where_that_is_wanted(net, start):
    daemon = start(CONFIG)
    daemon.wait_joined("news")
    send(net.peer, b"hello", "233.252.0.1", 5004)
    daemon.wait_arrived("news", 1)
    assert net.peer.v4 == "192.0.2.2" and b"192.0.2.2" not in get(daemon, "/status.json").body
    daemon.write_config(CONFIG.replace("9184\"];", "9184\"]; senders = true;"))
    daemon.ctl("reload")
    news = named(status(daemon)["groups"], "news")
    assert news["sources"] == ["192.0.2.2"] and [sender["source"] for sender in news["senders"]] == ["192.0.2.2"]
    daemon.write_config(CONFIG)
    daemon.ctl("reload")
    assert b"192.0.2.2" not in get(daemon, "/status.json").body


def test_it_has_the_last_events_since_the_server_listens(net, start):
    daemon = start(CONFIG.replace("eth9", "eth8"))
    assert [event["membership"] for event in fresh(daemon)["events"]] == ["waiting"]
    net.host.ip("link add eth8 type veth peer name eth8-peer", "address add 203.0.113.8/24 dev eth8", "link set eth8 up",
                "link set eth8-peer up")
    try:
        found = fresh(daemon, lambda found: len(found["events"]) > 1)["events"]
        assert {"event": "membership", "group": "absent", "interface": "eth8", "membership": "joined"}.items() <= found[-1].items()
        for config in CONFIG.replace("http:", "# http:"), CONFIG:
            daemon.write_config(config.replace("eth9", "eth8"))
            daemon.ctl("reload")
        assert status(daemon)["events"] == []
    finally:
        net.host.ip("link del eth8")


def test_nobody_waits_for_one_who_does_not_read(net, start):
    daemon = start(many(2000))
    with connect(daemon) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.sendall(STATUS)
        assert slow.recv(1)
        assert len(status(daemon)["groups"]) == 2000
        assert len(fresh(daemon)["groups"]) == 2000


@pytest.mark.parametrize("count", [1, 700])
def test_groups_that_come_and_go_while_it_is_read_leave_it_whole(net, start, count):
    daemon = start(many(count))
    with connect(daemon) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.sendall(STATUS)
        data = slow.recv(100)
        daemon.write_config(many(count // 2 + 1))
        daemon.ctl("reload")
        while not data.endswith(b"0\r\n\r\n"):
            data += slow.recv(1 << 16)
    lines = data.partition(b"\r\n\r\n")[2].split(b"\r\n")
    groups = json.loads(b"".join(lines[1::2]))["groups"]
    names = [group["name"] for group in groups]
    assert names == sorted(set(names)) and len(names) >= count // 2 + 1
