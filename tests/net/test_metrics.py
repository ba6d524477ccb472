"""/metrics: the same numbers as in the answers of the control socket, in a format that every collector reads."""

import datetime
import http.client
import itertools
import json
import os
import re
import socket
import struct
import time

import pytest

from harness import exposition
from harness.daemon import MCASTD, ROOT, balance, input_balance
from harness.peers import tutorial_sender
from harness.waiting import TIMEOUT, wait_until

PORT = 9184
MODULES = os.path.join(os.path.dirname(MCASTD), "lib", "mcastd")
MONITORING = os.path.join(ROOT, "packaging", "monitoring")

# Numbers of io.mcastd that are no metrics: names, and what others have.
NO_METRICS = {"Group.port", "Group.byJoin", "Group.expectWithin", "Group.lost", "Handler.lost", "Handler.records", "Membership.notSent",
              "Sender.sourcePort"}
# What only /metrics has: it is not of the account, or a state that answers have in words.
ONLY_METRICS = re.compile(r"mcastd_(build_info|start_time_seconds|restarts_total|users|user_connections|loop_\w+|http_\w+|handler_info"
                          r"|handler_failing|handler_queue_used_ratio|membership_joined|outgoing_usable|group_socket_programs)")


def broker(kind, settings):
    """A handler of a kind whose broker does not answer; nothing where the module was not built."""
    built = any(name == f"{kind}.so" for _, _, names in os.walk(MODULES) for name in names)
    return f'{kind}: {{ type = "{kind}"; {settings} }};' if built else ""


def config(more=""):
    brokers = "".join([
        broker("nats", 'servers = "nats://127.0.0.1:1"; site = "here";'),
        broker("mqtt", 'servers = "mqtt://127.0.0.1:1"; site = "here";'),
        broker("kafka", 'brokers = "127.0.0.1:1"; site = "here"; topic = "t";')])
    names = ", ".join(f'"{name}"' for name in re.findall(r"(\w+): \{", brokers))
    return f"""
      groups: {{
        news: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; receive_buffer = "16M"; socket = true;
                expect_within = "1h"; replies = true; handlers = ["lines", "some", "each", "program", "out", "nowhere"]; }};
        both: {{ address = "233.252.0.2"; port = 5004; interfaces = ["eth0", "eth1"]; duplicates = "drop";
                handlers = ["packets"]; }};
        relayed: {{ address = "233.252.0.3"; port = 5004; interfaces = ["eth0", "eth1"]; relay: {{ }}; }};
        merged: {{ merge = ["news", "both"]; sequence = "rtp"; }};
        only: {{ address = "233.252.0.4"; port = 5004; interfaces = ["eth0", "absent"]; sources = ["192.0.2.1"];
                handlers = [{names}]; }};
      }};
      handlers: {{
        lines: {{ type = "file"; path = "$DIR/lines"; }};
        some: {{ type = "file"; path = "$DIR/some"; sample = 2; rate = "1/s"; }};
        packets: {{ type = "pcapng"; path = "$DIR/packets"; }};
        each: {{ type = "exec"; command = ["/bin/false"]; rate = "5/s"; }};
        program: {{ type = "pipe"; command = ["/bin/cat"]; }};
        nowhere: {{ type = "unix"; path = "$DIR/nowhere"; }};
        out: {{ type = "udp"; address = "233.252.1.1"; port = 5005; interface = "eth1"; }};
        {brokers}
      }};
      http: {{ listen = ["127.0.0.1:{PORT}"]; {more} }};
      import_port = 5999;
    """


CONFIG = config()


def connect(daemon, port=PORT):
    with daemon.host:
        return socket.create_connection(("127.0.0.1", port), TIMEOUT)


def fetch(daemon, sock=None):
    connection = http.client.HTTPConnection("localhost", timeout=TIMEOUT)
    connection.sock = sock or connect(daemon)
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    assert (response.status, response.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    body = response.read()
    if not sock:
        connection.close()
    return body


def scrape(daemon):
    return exposition.parse(fetch(daemon))


def value(families, name, **labels):
    """The value of a series; None: there is none."""
    family = families.get(name)
    return family and family.samples.get(tuple(sorted(labels.items())))


# What the answers of the control socket have: (field, labels, value)

def members(type_, labels, item):
    for name, content in item.items():
        if isinstance(content, dict) and name == "dropped":
            yield from ((f"{type_}.{name}", {**labels, "reason": reason}, count) for reason, count in content.items())
        elif not isinstance(content, (dict, list)):
            yield f"{type_}.{name}", labels, content


def group_values(group):
    labels = {"group": group["name"]}
    yield from members("Group", labels, group)
    for type_, name in ("Membership", "memberships"), ("Outgoing", "outgoing"):
        for item in group[name]:
            yield from members(type_, {**labels, "interface": item["interface"] or ""}, item)


def handler_values(handler):
    labels = {"handler": handler["name"]}
    yield from members("Handler", labels, handler)
    yield from ((f"Handler.counters.{name}", labels, count) for name, count in handler["counters"].items())
    for item in handler["interfaces"] or ():
        yield from members("Interface", {**labels, "interface": item["interface"] or ""}, item)
    if handler["input"]:
        yield from members("Input", labels, handler["input"])


def status_values(status):
    for name in "groups", "handlers", "connections", "subscribers":
        yield f"GetStatus.{name}", {}, status[name]
    yield from (("GetStatus.memberships", {"state": state}, count) for state, count in status["memberships"].items())


def answers(daemon):
    stats = daemon.stats()
    for group in stats["groups"]:
        yield from group_values(group)
    for handler in stats["handlers"]:
        yield from handler_values(handler)
    yield from status_values(daemon.call("GetStatus"))


def as_metric(field, content):
    if field.endswith("Milliseconds"):
        return content / 1000
    if field.endswith("Microseconds"):
        return (content or 0) / 1e6
    if isinstance(content, str):
        return datetime.datetime.fromisoformat(content[:26] + "+00:00").timestamp()
    return float(content or 0)


def assert_same(daemon, families):
    fields = {row.field: name for name, row in exposition.rows().items() if row.field}
    compared = 0
    for field, labels, content in answers(daemon):
        if field not in fields:
            continue
        found = value(families, fields[field], **labels)
        expected = as_metric(field, content)
        assert found == pytest.approx(expected, abs=10 if field == "Handler.oldestQueued" else 0.001) or \
            found is None and not expected, (field, labels, content, found)
        compared += 1
    assert compared > 100


def make_busy(daemon, net):
    """A little of everything."""
    def received():
        return [group["received"] for group in daemon.call("ListGroups")["groups"] if group["name"] != "events"]

    before = received()
    for address in "233.252.0.1", "233.252.0.2", "233.252.0.3":
        with tutorial_sender(net.peer, address) as sender:
            for size in range(1, 41):
                sender.sendto(b"x" * size, (address, 5004))
    daemon.ctl("send", "news", input="sent")
    wait_until(lambda: sum(received()) >= sum(before) + 120, "the datagrams")


def settle(daemon):
    """Until programs have ended, and nothing moves but the age of what no broker takes."""
    def numbers():
        return [item for item in answers(daemon) if item[0] != "Handler.oldestQueued"]

    seen = [None]

    def is_settled():
        before, seen[0] = seen[0], numbers()
        handlers = daemon.call("ListHandlers")["handlers"]
        return before == seen[0] and not any(item["queued"] for item in handlers if item["window"] is None)

    wait_until(is_settled, "the numbers to settle")


# The table


def test_each_number_of_the_interface_is_a_metric_and_in_the_manual():
    fields = {row.field for row in exposition.rows().values() if row.field}
    types = {field.split(".")[0] for field in fields} - {"GetStatus"}
    declared = {field for field in exposition.interface_fields() if field.split(".")[0] in types}
    assert declared - NO_METRICS - {"Handler.counters"} == \
        {field for field in fields if not field.startswith(("GetStatus.", "Handler.counters."))}
    with open(os.path.join(ROOT, "src", "control", "io.mcastd.varlink")) as file:
        status = re.search(r"method GetStatus\(\) -> \((.*?)\n\)", file.read(), re.DOTALL)[1]
    assert all(re.search(rf"\b{field.split('.')[1]}:", status) for field in fields if field.startswith("GetStatus."))


def test_each_metric_is_in_an_answer_or_is_known_not_to_be():
    for name, row in exposition.rows().items():
        assert bool(row.field) != bool(ONLY_METRICS.fullmatch(name)), name


def test_each_counter_of_each_kind_is_a_metric(daemon):
    fields = {row.field for row in exposition.rows().values()}
    counters = {f"Handler.counters.{name}" for handler in daemon.call("ListHandlers")["handlers"] for name in handler["counters"]}
    assert counters and counters <= fields


# The answer


def test_metrics_are_those_of_the_answers(daemon, net):
    make_busy(daemon, net)
    settle(daemon)
    families = scrape(daemon)
    assert_same(daemon, families)
    assert value(families, "mcastd_group_received_total", group="news") >= 40
    assert value(families, "mcastd_membership_joined", group="only", interface="absent") == 0
    assert value(families, "mcastd_handler_info", handler="lines", type="file") == 1
    assert value(families, "mcastd_group_silent", group="news") == 0
    assert value(families, "mcastd_group_silent", group="both") is None


def test_metrics_are_what_the_manual_says(daemon, net):
    make_busy(daemon, net)
    rows, families = exposition.rows(), scrape(daemon)
    for name, family in families.items():
        labels = {tuple(label for label, _ in labels) for labels in family.samples}
        allowed = [tuple(sorted(rows[name].labels))]
        assert family.type == rows[name].type
        assert labels == set(allowed), (name, labels)
    missing = {name for name in set(rows) - set(families) if not rows[name].field or "counters." not in rows[name].field}
    assert {name for name in missing if not re.search("sender|stream|input|window|acknowledge|echoed|unreachable|refreshed|forgotten", name)} == set()


def test_a_handlers_numbers_balance_in_each_scrape(daemon, net, blast):
    with blast.stream(net.peer, "233.252.0.1", 5004, 64, rate=20_000, bulk=True):
        for _ in range(20):
            families = scrape(daemon)
            for handler, item in handlers_of(families).items():
                assert balance(item) == 0, (handler, item)
                assert input_balance(item) == 0, (handler, item)


def handlers_of(families):
    """The accounts of handlers, as the answers of the control socket have them."""
    items = {}
    for labels in families["mcastd_handler_info"].samples:
        name = dict(labels)["handler"]
        item = items[name] = {"input": None}
        for field in "received", "filtered", "delivered":
            item[field] = value(families, f"mcastd_handler_{field}_total", handler=name)
        item["queued"] = value(families, "mcastd_handler_queued", handler=name)
        item["dropped"] = dropped_of(families, "mcastd_handler_dropped_total", name)
        if value(families, "mcastd_handler_input_taken_total", handler=name) is not None:
            item["input"] = {field: value(families, f"mcastd_handler_input_{field}_total", handler=name) for field in ("taken", "sent")}
            item["input"]["waiting"] = value(families, "mcastd_handler_input_waiting", handler=name)
            item["input"]["dropped"] = dropped_of(families, "mcastd_handler_input_dropped_total", name)
    return items


def dropped_of(families, name, handler):
    return {dict(labels)["reason"]: count for labels, count in families[name].samples.items() if dict(labels)["handler"] == handler}


def many_groups(count):
    return "".join(f'  g{n:04}: {{ address = "239.1.{n // 256}.{n % 256}"; port = 5004; interfaces = ["eth0"]; }};\n'
                   for n in range(count))


def test_groups_that_come_and_go_during_a_scrape_are_there_once(start, net):
    """The answer is made as it is read: here bit by bit, while groups leave and join before and behind the place."""
    daemon = start("groups: {\n" + many_groups(1500) + '};\nhttp: { listen = ["$DIR/http.sock"]; };\n', host=net.peer)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(daemon.path("http.sock"))
        sock.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
        data, number = b"", 0
        while piece := sock.recv(4096):
            data += piece
            if len(data) % (64 * 1024) < 4096:
                for name in f"a{number}", f"g{number * 7:04}x", f"z{number}":
                    daemon.call("Join", address="239.2.0.1", port=6000 + number % 50, name=name, interfaces=["eth0"])
                if number > 3:
                    daemon.call("Leave", name=f"a{number - 2}")
                    daemon.call("Leave", name=f"z{number - 2}")
                number += 1
    families = exposition.parse(data.partition(b"\r\n\r\n")[2])
    assert number > 5
    for name in "mcastd_group_received_total", "mcastd_membership_joined", "mcastd_outgoing_usable":
        seen = {dict(labels)["group"] for labels in families[name].samples}
        assert seen >= {f"g{n:04}" for n in range(1500)}


def test_a_name_that_may_be_anything_is_one_label(start, net):
    """Names of interfaces are chosen by whoever may make them."""
    names = ['a"} 1', "b\\n", "c{x=\"y\"}", "d\\xff", "Grüße"]
    names = [name.replace(" ", "_") for name in names]
    net.peer.ip(*[f"link add link eth0 name {quote(name)} type macvlan" for name in names])
    try:
        wanted = ", ".join(json.dumps(name) for name in names)
        daemon = start(f'groups: {{ odd: {{ address = "233.252.0.9"; port = 5004; interfaces = ["*"]; }}; }};\n'
                       f'http: {{ listen = ["127.0.0.1:{PORT}"]; }};\n', host=net.peer)
        seen = {dict(labels)["interface"] for labels in scrape(daemon)["mcastd_membership_joined"].samples}
        assert seen >= {name.replace("\\", "\\\\") for name in names}, wanted
        daemon.finish()
    finally:
        net.peer.ip(*[f"link delete {quote(name)}" for name in names])


def quote(name):
    """For ip -batch."""
    return "'" + name + "'"


def test_addresses_of_senders_are_there_only_where_that_is_set(daemon, net, start):
    make_busy(daemon, net)
    assert not [name for name in scrape(daemon) if "sender" in name and "forgotten" not in name]
    assert net.peer.v4.encode() not in fetch(daemon)
    daemon.write_config(config("senders = true;"))
    daemon.ctl("reload")
    try:
        make_busy(daemon, net)
        received = scrape(daemon)["mcastd_sender_received_total"].samples
        assert {(dict(labels)["group"], dict(labels)["source"]) for labels in received} >= {("both", net.peer.v4)}
    finally:
        daemon.write_config(CONFIG)
        daemon.ctl("reload")


NUMBERED = f"""
  groups: {{
    one: {{ address = "233.252.0.11"; port = 5004; interfaces = ["eth0"]; sequence = "rtp"; }};
    two: {{ address = "233.252.0.12"; port = 5004; interfaces = ["eth0"]; sequence = "rtp"; }};
    all: {{ merge = ["one", "two"]; sequence = "rtp"; }};
  }};
  http: {{ listen = ["127.0.0.1:{PORT + 1}"]; senders = true; }};
"""


def senders_of(daemon, group):
    return daemon.call("ListGroups", groups=[group], senders=True)["groups"][0]["senders"]


def send_streams(net, daemon):
    """Two streams of one sender to both groups, until their jitter is known, and something that is no RTP."""
    with tutorial_sender(net.peer, "233.252.0.11") as sender:
        for number in itertools.count():
            stamp = int(time.monotonic() * 8000) & 0xffffffff
            for ssrc, address in itertools.product((1, 2), ("233.252.0.11", "233.252.0.12")):
                sender.sendto(struct.pack(">BBHII", 0x80, 0, number & 0xffff, stamp, ssrc) + b"x" * 160, (address, 5004))
            time.sleep(0.02)
            if number % 50 == 49 and all(stream["jitter"] is not None for name in ("one", "two") for stream in senders_of(daemon, name)):
                break
        sender.sendto(b"x", ("233.252.0.11", 5004))
    return 2 * (number + 1)


def test_numbers_of_senders_streams_and_legs_are_those_of_the_answers(start, net):
    """Among them all that are durations."""
    daemon = start(NUMBERED)
    daemon.wait_joined("one", "two")
    count = send_streams(net, daemon)
    wait_until(lambda: (daemon.group("one")["received"], daemon.group("two")["received"]) == (count + 1, count), "the datagrams")
    families, rows = exposition.parse(fetch(daemon, connect(daemon, PORT + 1))), exposition.rows()
    legs = [("MergeLeg", {"group": "all", "leg": leg["group"]}, leg) for leg in daemon.group("all")["merge"]]
    senders = [("Sender", {"group": group, "interface": sender["interface"], "source": sender["source"],
                           "port": str(sender["sourcePort"]), "stream": sender["stream"] or ""}, sender)
               for group in ("one", "two") for sender in senders_of(daemon, group)]
    streams = [("SenderSequence", labels, sender["sequence"]) for _, labels, sender in senders if sender["sequence"]]
    assert len(legs) == 2 and len(senders) == 5 and len(streams) == 4
    compared = set()
    for type_, labels, item in legs + senders + streams:
        for name, row in rows.items():
            if row.field and row.field.split(".")[0] == type_ and item[row.field.split(".")[1]] is not None:
                content = item[row.field.split(".")[1]]
                assert value(families, name, **labels) == pytest.approx(as_metric(row.field, content), abs=2e-6), (name, labels, content)
                compared.add(name)
    assert {name for name in compared if name.endswith("_seconds")} == {
        "mcastd_sender_longest_pause_seconds", "mcastd_sender_last_received_timestamp_seconds", "mcastd_stream_jitter_seconds",
        "mcastd_merge_leg_skew_p50_seconds", "mcastd_merge_leg_skew_p99_seconds"}
    assert all(0.01 < value(families, "mcastd_sender_longest_pause_seconds", **labels) < 10 for _, labels, _ in streams)


# What is made of it


def used_metrics(text):
    return set(re.findall(r"\bmcastd_[a-z0-9_]+", text))


@pytest.mark.parametrize("name", ["mcastd-alerts.yml", "mcastd-alerts_test.yml", "mcastd-dashboard.json"])
def test_each_metric_of_the_monitoring_files_exists(name):
    with open(os.path.join(MONITORING, name)) as file:
        used = used_metrics(file.read())
    assert used and used <= set(exposition.rows())


def test_the_dashboard_is_whole():
    with open(os.path.join(MONITORING, "mcastd-dashboard.json")) as file:
        dashboard = json.load(file)
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    variables = {item["name"] for item in dashboard["templating"]["list"]}
    assert variables == {"datasource", "instance", "group", "handler"}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in panels:
        assert panel["title"] and panel["description"] and panel["targets"]
        for target in panel["targets"]:
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= variables | {"__rate_interval"}


def test_each_alert_is_explained_and_tested():
    def read(*path):
        with open(os.path.join(ROOT, *path)) as file:
            return file.read()

    alerts = re.findall(r"alert: (\w+)", read(MONITORING, "mcastd-alerts.yml"))
    assert len(alerts) > 10
    for alert in alerts:
        assert alert in read("doc", "monitoring.md"), alert
        assert f"alertname: {alert}\n    exp_alerts" in read(MONITORING, "mcastd-alerts_test.yml"), alert
