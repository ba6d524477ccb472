"""A snooping switch that nobody queries forgets who has joined. With "refresh" the flow goes on, and nothing is lost by that."""

import json
import resource
import socket
import struct
import subprocess
import time
from contextlib import ExitStack

import pytest

from harness.daemon import MCASTCTL, run_mcastd
from harness.firewall import hear_no_query
from harness.loop import Loop
from harness.reports import EXCLUDES, IGMP_V2_REPORT, INCLUDES, Reports, first_reports_are_over
from harness.topology import Host, Namespace
from harness.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.waits

SOURCES = {4: "203.0.113.2", 6: "2001:db8:9::2"}
GROUPS = {
    "asm": ("239.7.0.1", 5004, ""),
    "port": ("239.7.0.1", 5005, ""),
    "block": ("239.7.0.2", 5004, 'block_sources = ["203.0.113.9"];'),
    "ssm": ("232.7.0.3", 5004, 'sources = ["203.0.113.2"];'),
    "mld": ("ff15::7:1", 5004, ""),
    "ssm6": ("ff35::7:3", 5004, 'sources = ["2001:db8:9::2"];'),
}
FORGOTTEN = {
    "asm0": ("239.7.0.11", 5004, ""),
    "ssm0": ("232.7.0.13", 5004, 'sources = ["203.0.113.2"];'),
    "mld0": ("ff15::7:11", 5004, ""),
}
ADDRESSES = {**GROUPS, **FORGOTTEN}


def source_of(address):
    return SOURCES[6 if ":" in address else 4]


def group(name, more=""):
    address, port, sources = ADDRESSES[name]
    return f'{name}: {{ address = "{address}"; port = {port}; interfaces = ["x0"]; {sources} {more} }};'


def config(more='refresh = "1s";', names=GROUPS):
    return "groups: { " + " ".join(group(name, more) for name in names) + " };"


class Site:
    """A host with x0 at a switch, and a sender at the same switch."""

    def __init__(self, snooping=True):
        self.host, self.peer, self.switch = Host(), Host(), Namespace()
        settings = "mcast_snooping 1" if snooping else "mcast_snooping 0"
        self.switch.ip(f"link add switch type bridge stp_state 0 {settings}", "link set switch up")
        for index, (host, name, far) in enumerate(((self.host, "x0", "p0"), (self.peer, "eth0", "p1"))):
            self.switch.ip(f"link add {far} index {100 + index} type veth peer name {name} netns {host.path}",
                           f"link set {far} master switch up")
            for setting in ("all", "default", name):
                host.run("sysctl", "-qw", f"net.ipv4.conf.{setting}.rp_filter=0")
            host.ip(f"address add 203.0.113.{1 + index}/24 dev {name}",
                    f"address add 2001:db8:9::{1 + index}/64 dev {name} nodad", f"link set {name} up")
        wait_until(lambda: self.host.has_route("x0") and self.peer.has_route("eth0"), "the links")

    def forget_soon(self, version, interval):
        """The switch believes in a querier, and forwards to those only whom it has heard of within the interval (in 1/100 s).
        The host is not asked."""
        if not hear_no_query(self.host):
            pytest.skip("the kernel has no nf_tables")
        self.switch.ip(f"link set switch type bridge mcast_query_response_interval 10 mcast_query_interval 1000000 "
                       f"mcast_startup_query_count 1 mcast_startup_query_interval 1000000 mcast_igmp_version {version} "
                       f"mcast_mld_version {version - 1} mcast_membership_interval {interval}",
                       "link set switch type bridge mcast_querier 1")
        for port in ("p0", "p1"):
            self.switch.run("bridge", "link", "set", "dev", port, "mcast_flood", "off")

    def close(self):
        for namespace in (self.host, self.peer, self.switch):
            namespace.close()


@pytest.fixture
def site():
    site = Site()
    yield site
    site.close()


@pytest.fixture
def make(site, start):
    return lambda config, **options: start(config, host=site.host, **options)


class Flow:
    """Datagrams to groups, one after the other at a rate each."""

    def __init__(self, site, names):
        self.sockets = []
        with site.peer:
            index = socket.if_nametoindex("eth0")
            for name in names:
                address, port, _ = ADDRESSES[name]
                v6 = ":" in address
                sender = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
                sender.bind((source_of(address), 0))
                if v6:
                    sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
                else:
                    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("4x4xi", index))
                self.sockets.append((sender, (address, port)))

    def run(self, count, rate):
        started = time.monotonic()
        for i in range(count):
            for sender, to in self.sockets:
                sender.sendto(b"x", to)
            time.sleep(max(0, started + (i + 1) / rate - time.monotonic()))


def flow_through(site, make, version, interval, text, names, count, rate):
    """Sends to the groups at a rate each. Returns the daemon, and what has arrived of each group, which may become more."""
    site.forget_soon(version, interval)
    daemon = make(text)
    daemon.wait_joined(*names)
    flow = Flow(site, names)

    def arrives():
        before = {name: daemon.arrived(name) for name in names}
        flow.run(1, 20)
        return all(daemon.arrived(name) == before[name] + 1 for name in names)

    wait_until(arrives, "the switch to know the groups")
    before = {name: daemon.arrived(name) for name in names}
    flow.run(count, rate)
    return daemon, lambda: {name: daemon.arrived(name) - before[name] for name in names}


@pytest.mark.parametrize("version", [2, 3])
def test_behind_a_switch_that_nobody_queries_the_flow_goes_on_with_refresh_and_dies_without(site, make, version):
    groups = [*(group(name, 'refresh = "1s";') for name in GROUPS), *map(group, FORGOTTEN)]
    text = "groups: { " + " ".join(groups) + " };"
    daemon, arrived = flow_through(site, make, version, 250, text, ADDRESSES, 200, 50)
    wait_until(lambda: all(arrived()[name] == 200 for name in GROUPS), f"all of it: {arrived()}")
    assert all(0 < arrived()[name] < 200 for name in FORGOTTEN), arrived()
    for name in GROUPS:
        membership = daemon.membership(name, "x0")
        assert membership["refreshed"] and membership["refreshImpossible"] is None


@pytest.mark.long
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", GROUPS)
def test_all_of_4500_datagrams_arrive_at_500_a_second(site, make, version, name):
    names = ["asm", "port"] if name == "port" else [name]
    _, arrived = flow_through(site, make, version, 400, config('refresh = "1500ms";', names), names, 4500, 500)
    wait_until(lambda: arrived() == dict.fromkeys(names, 4500), f"all of it: {arrived()}")


@pytest.mark.long
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", FORGOTTEN)
def test_without_refresh_less_than_all_of_4500_arrive(site, make, version, name):
    _, arrived = flow_through(site, make, version, 400, config("", [name]), [name], 4500, 500)
    assert 0 < arrived()[name] < 4000


@pytest.mark.long
@pytest.mark.parametrize("name", ["asm", "block", "ssm", "mld", "ssm6"])
def test_of_100000_a_second_300_refreshes_lose_at_most_two(site, start, release, blast, name):
    """The kernel replaces the list of sources and its meaning one after the other: for some 10 ns a socket that takes any
    sender takes none. Those with sources are left alone, and lose nothing."""
    lost = 0 if name.startswith("ssm") else 2
    daemon = start(config('receive_buffer = "16M";', [name]), host=site.host, binary=release)
    daemon.wait_joined(name)
    site.switch.run("ip", "link", "set", "switch", "type", "bridge", "mcast_snooping", "0")
    address, port, _ = GROUPS[name]
    with blast.stream(site.peer, address, port, rate=100000, interface="eth0", source=source_of(address)) as stream:
        wait_until(lambda: daemon.group(name)["received"] > 1000, "traffic")
        for _ in range(300):
            before = daemon.membership(name, "x0")["refreshed"]
            assert daemon.call("Refresh", group=name)["sent"] == 1
            wait_until(lambda: daemon.membership(name, "x0")["refreshed"] != before, "the refresh")
    wait_until(lambda: daemon.arrived(name) >= stream.sent - lost, f"all: {stream.sent}, {daemon.arrived(name)}")
    assert daemon.arrived(name) <= stream.sent


@pytest.fixture
def reports(site):
    reports = Reports(site.switch, "p0")
    yield reports
    reports.socket.close()


def test_all_sockets_of_a_group_are_reported_together_on_request(site, make, reports):
    daemon = make(config(""))
    first_reports_are_over(reports)
    answer = daemon.call("Refresh")
    assert answer == {"sent": len(GROUPS), "impossible": []}
    for name, (address, _, sources) in GROUPS.items():
        kinds = INCLUDES if sources.startswith("sources") else EXCLUDES
        wait_until(lambda: reports.has(address, kinds), f"a report of {name}")
        assert daemon.membership(name, "x0")["refreshed"]


def test_a_request_for_one_group_reports_no_other(site, make, reports):
    daemon = make(config(""))
    first_reports_are_over(reports)
    assert daemon.ctl("refresh", "block") == "1 membership is reported again\n"
    wait_until(lambda: reports.has(GROUPS["block"][0], EXCLUDES), "a report")
    assert {seen[0] for seen in reports.read()} == {GROUPS["block"][0]}
    assert json.loads(daemon.ctl("--json", "refresh", "block")) == {"sent": 1, "impossible": []}


def test_requests_one_after_the_other_do_not_hold_up_what_is_due(site, make):
    daemon = make("groups: { " + group("asm", 'refresh = "1s";') + group("block") + " };")
    with ExitStack() as stack:
        clients = [stack.enter_context(daemon.connect()) for _ in range(4)]
        for client in clients:
            for _ in range(200):
                client.send("Refresh", {"group": "block"})
        times = set()
        until = time.monotonic() + TIMEOUT
        while len(times) < 3 and time.monotonic() < until:
            times.add(daemon.membership("asm", "x0")["refreshed"])
            for client in clients:
                for _ in range(50):
                    assert client.result()["sent"] == 1
                    client.send("Refresh", {"group": "block"})
    assert len(times) == 3, times


def other_program(site, name, port):
    address = GROUPS[name][0]
    v6 = ":" in address
    with site.host:
        other = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
        other.bind((address, port))
        packed, index = socket.inet_pton(other.family, address), socket.if_nametoindex("x0")
        if v6:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed + struct.pack("=I", index))
        else:
            other.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, packed + struct.pack("4xi", index))
    return other


@pytest.mark.parametrize("name", ["asm", "mld"])
def test_another_program_on_the_group_is_said_with_its_user_and_once(site, make, name):
    daemon = make(config(names=[name]))
    with other_program(site, name, 6000):
        wait_until(lambda: daemon.membership(name, "x0")["refreshImpossible"], "the other program to be noticed")
        why = daemon.membership(name, "x0")["refreshImpossible"]
        assert why.startswith("a program of uid 0 has joined it there, too") and "ss -lunp sport = 6000" in why
        said = subprocess.run([MCASTCTL, "-s", daemon.control_path, "refresh", name], stdout=subprocess.PIPE, text=True)
        assert said.stdout == f"{name} on x0: {why}\n0 memberships are reported again, 1 cannot be\n"
        assert said.returncode == 1
        wait_until(lambda: daemon.call("Refresh")["sent"] == 0, "one more look")
    wait_until(lambda: not daemon.membership(name, "x0")["refreshImpossible"], "the refresh")
    log = daemon.log()
    assert log.count(f"group {name}: cannot be refreshed on x0: a program of uid 0") == 1
    assert log.count(f"group {name}: no other program hinders the refresh on x0\n") == 1


def test_own_sockets_of_other_ports_are_no_other_program(site, make):
    daemon = make(config("", ["asm", "port"]))
    assert daemon.call("Refresh", group="asm") == {"sent": 1, "impossible": []}


def query(site, version):
    """A general query, as the querier at the switch sends it."""
    with site.peer:
        sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("4x4xi", socket.if_nametoindex("eth0")))
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([148, 4, 0, 0]))
    assert version == 2
    sender.sendto(struct.pack("!BBHI", 0x11, 10, 0xFFFF - 0x110A, 0), ("224.0.0.1", 0))
    sender.close()


def test_where_a_querier_of_igmp_2_asks_nothing_is_to_be_refreshed(site, make):
    daemon = make(config("", ["asm", "mld"]))
    query(site, 2)

    def said():
        return daemon.call("Refresh")["impossible"]

    wait_until(said, "the query")
    assert [(row["group"], row["interface"]) for row in said()] == [("asm", "x0")]
    assert "a querier of IGMPv2 or IGMPv1 was heard there" in said()[0]["why"]


def test_where_igmp_2_is_demanded_the_group_is_joined_again(site, make, reports):
    site.host.run("sysctl", "-qw", "net.ipv4.conf.x0.force_igmp_version=2")
    daemon = make(config("", ["asm", "port"]))
    wait_until(lambda: reports.has(GROUPS["asm"][0], {IGMP_V2_REPORT}), "the first report")
    reports.seen.clear()
    assert daemon.call("Refresh")["sent"] == 2
    wait_until(lambda: reports.has(GROUPS["asm"][0], {IGMP_V2_REPORT}), "a report")
    assert "is left and joined again to be refreshed on x0: the sysctl force_igmp_version demands" in daemon.log()
    assert not daemon.membership("asm", "x0")["error"]


def test_what_is_not_joined_or_has_no_network_is_said(site, make):
    more = 'lo: { address = "239.7.9.1"; port = 5004; interfaces = ["lo"]; }; no: { address = "239.7.9.2"; port = 5004; ' \
           'interfaces = ["x9"]; }; uni: { address = "203.0.113.1"; port = 5009; }; '
    daemon = make(config("", ["asm"]).replace("{ ", "{ " + more, 1))
    site.switch.ip("link set p0 down")
    reasons = {}

    def down():
        reasons.update({row["group"]: row["why"] for row in daemon.call("Refresh")["impossible"]})
        return len(reasons) == 3

    wait_until(down, "the link to be down")
    assert reasons == {"asm": "x0 has no carrier, and it is reported with the next one",
                       "lo": "nothing leaves this host by lo",
                       "no": "it is not joined: there is no such interface"}
    assert daemon.call("Refresh", group="uni")["impossible"][0]["why"] == "the address is no multicast, and never reported"


def test_a_reload_takes_refresh_up_and_gives_it_up(site, make):
    daemon = make(config("", ["asm"]))

    def refreshed():
        return daemon.membership("asm", "x0")["refreshed"]

    assert refreshed() is None
    daemon.write_config(config(names=["asm"]))
    daemon.call("Reload")
    wait_until(refreshed, "a refresh")
    daemon.write_config(config("", names=["asm"]))
    daemon.call("Reload")
    before, until = refreshed(), time.monotonic() + 1.5
    while time.monotonic() < until:
        time.sleep(0.1)
    assert refreshed() == before and daemon.membership("asm", "x0")["joins"] == 1


@pytest.mark.parametrize("address, why", [
    ("192.0.2.9", "is no multicast address"), ("192.0.2.255", "is no multicast address"),
    ("224.0.0.1", "is never reported"), ("ff02::1", "is never reported"), ("ff01::7", "is never reported")])
def test_the_check_refuses_refresh_where_nothing_is_reported(tmp_path, address, why):
    file = tmp_path / "mcastd.conf"
    file.write_text(f'groups: {{ g: {{ address = "{address}"; port = 5004; refresh = "60s"; }}; }};\n')
    result = run_mcastd("--check", "-c", str(file))
    assert result.returncode and f"groups.g.refresh: has no effect, {address} {why}" in result.stderr


@pytest.mark.long
def test_ten_thousand_groups_are_refreshed_in_small_parts(site, start, release, say):
    resource.setrlimit(resource.RLIMIT_NOFILE, (20000, max(20000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    site.switch.run("ip", "link", "set", "switch", "type", "bridge", "mcast_snooping", "0")
    groups = " ".join(f'g{i}: {{ address = "239.7.{i // 250}.{i % 250 + 1}"; port = 5004; interfaces = ["x0"]; '
                      f'receive_buffer = "4K"; refresh = "60s"; }};' for i in range(10000))
    daemon = start(f"groups: {{ {groups} }};", host=site.host, binary=release)

    def refreshed():
        return sum(bool(m["refreshed"]) for g in daemon.call("ListGroups")["groups"] for m in g["memberships"])

    loop = Loop(daemon)
    counts, until = [refreshed()], time.monotonic() + 62
    while time.monotonic() < until:
        loop.watch_while(lambda: time.sleep(4))
        counts.append(refreshed())
    say(f"the loop was away for {loop.away * 1000:.1f} ms at most; refreshed: {counts}")
    assert counts[-1] == 10000 and loop.away < 0.02
    assert max(after - before for before, after in zip(counts, counts[1:])) < 2500
    away = Loop(daemon)
    away.watch_while(lambda: daemon.ctl("refresh"))
    say(f"all at once: away for {away.away * 1000:.1f} ms at most")
    assert away.away < 0.02
