"""Targets on the command line: one syntax for mcastd and mcastctl, sent to and received from without a daemon."""

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading

import pytest

from harness.daemon import MCASTCTL, MCASTD, SANITIZER_REPORT
from harness.firewall import refuse_nothing, refuse_one_in
from harness.peers import (Blast, has_membership, process, receive, receiver_on, send, tutorial_receiver, udp_socket)
from harness.records import parse_line
from harness.topology import Namespace
from harness.waiting import TIMEOUT, wait_until

pytestmark = pytest.mark.waits

GROUP = {4: "233.252.7.1", 6: "ff15::7:1"}
TARGET = {4: "233.252.7.1:5704", 6: "[ff15::7:1]:5704"}
NO_DAEMON = {**os.environ, "MCASTD_SOCKET": "/nonexistent/mcastd.sock"}
IP_RECVTTL = 12
families = pytest.mark.parametrize("family", [4, 6])
programs = pytest.mark.parametrize("program", [(MCASTD,), (MCASTCTL, "tail")], ids=["mcastd", "tail"])


def ctl(host, *arguments, status=0, **options):
    """Runs mcastctl where there is no daemon. Returns what it printed: on standard error where it must fail."""
    options = {"stdin": subprocess.DEVNULL, "text": True, "timeout": TIMEOUT, "env": NO_DAEMON, **options}
    if "input" in options:
        del options["stdin"]
    with host:
        result = subprocess.run([MCASTCTL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    assert result.returncode == status, result
    assert not SANITIZER_REPORT.search(str(result.stderr)), result.stderr
    return result.stderr if status else result.stdout


def run(host, *command, status=0):
    """Runs a receiver to its end. Returns standard output and standard error."""
    with host:
        result = subprocess.run(command, capture_output=True, timeout=TIMEOUT, env=NO_DAEMON, stdin=subprocess.DEVNULL)
    assert result.returncode == status, result
    assert not SANITIZER_REPORT.search(result.stderr.decode()), result.stderr
    return result.stdout, result.stderr.decode()


@contextlib.contextmanager
def receiving(host, *command, group, interface="eth0", **options):
    """A receiver that has joined. Its standard output and error are pipes."""
    with process(host, *command, env=NO_DAEMON, stderr=subprocess.PIPE, **options) as receiver:
        wait_until(lambda: has_membership(host, group, interface), f"{command} to join")
        yield receiver


def end(receiver, number=signal.SIGTERM):
    """Ends it with a signal. Returns what it said on standard error."""
    receiver.send_signal(number)
    errors = receiver.stderr.read().decode()
    receiver.wait(TIMEOUT)
    assert not SANITIZER_REPORT.search(errors), errors
    return errors


# Sending


@families
def test_send_needs_no_daemon(net, family):
    with tutorial_receiver(net.peer, GROUP[family], 5704) as sock:
        assert ctl(net.host, "send", TARGET[family], "hello") == ""
        assert receive(sock) == [b"hello"]


@families
def test_what_is_sent_to_an_interface_leaves_there_only(net, family):
    with tutorial_receiver(net.side, GROUP[family], 5704) as side, tutorial_receiver(net.peer, GROUP[family], 5704) as peer:
        ctl(net.host, "send", TARGET[family] + "%eth1", "aside")
        assert receive(side) == [b"aside"]
        ctl(net.host, "send", TARGET[family] + "%eth0", "ahead")
        assert receive(peer) == [b"ahead"]


@families
def test_the_interface_may_be_an_option_or_an_address(net, family):
    address = {4: "198.51.100.1", 6: "2001:db8:2::1"}[family]
    with tutorial_receiver(net.side, GROUP[family], 5704) as side:
        ctl(net.host, "send", TARGET[family], "option", "--interface", "eth1")
        ctl(net.host, "send", f"{TARGET[family]}%{address}", "address")
        assert receive(side, 2) == [b"option", b"address"]


@families
@pytest.mark.parametrize("way", ["option", "target"])
def test_a_source_is_the_address_and_the_interface_to_send_from(net, family, way):
    source = {4: "198.51.100.77", 6: "2001:db8:2::77"}[family]
    net.host.ip(f"address add {source}/{24 if family == 4 else 64} dev eth1" + (" nodad" if family == 6 else ""))
    try:
        arguments = [f"{TARGET[family]},source={source}"] if way == "target" else [TARGET[family], "--source", source]
        with tutorial_receiver(net.side, GROUP[family], 5704) as side:
            ctl(net.host, "send", *arguments, "from")
            payload, sender = side.recvfrom(100)
        assert (payload, sender[0]) == (b"from", source)
    finally:
        net.host.ip(f"address del {source}/{24 if family == 4 else 64} dev eth1")


@families
def test_the_ttl_is_1_or_the_one_that_is_given(net, family):
    with receiver_on(net.peer, GROUP[family], 5704, "eth0") as sock:
        if family == 4:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        ttls = []
        for options in ((), ("--ttl", "9")):
            ctl(net.host, "send", TARGET[family] + "%eth0", "x", *options)
            (_, _, data), = sock.recvmsg(10, 100)[1]
            ttls.append(struct.unpack("@i", data)[0])
    assert ttls == [1, 9]


def test_lines_and_repetitions_go_to_a_target_as_well(net):
    with tutorial_receiver(net.peer, GROUP[4], 5704) as sock:
        ctl(net.host, "send", TARGET[4] + "%eth0", "--lines", input="one\ntwo\n")
        ctl(net.host, "send", TARGET[4] + "%eth0", "again", "--count", "2", "--interval", "1ms")
        assert receive(sock, 4) == [b"one", b"two", b"again", b"again"]


def test_the_largest_datagrams_can_be_sent(net, tmp_path):
    file = tmp_path / "file"
    for family, largest in ((4, 65507), (6, 65527)):
        file.write_bytes(bytes(largest))
        with tutorial_receiver(net.peer, GROUP[family], 5704) as sock:
            ctl(net.host, "send", TARGET[family] + "%eth0", "--file", str(file))
            assert len(sock.recv(1 << 17)) == largest
    file.write_bytes(bytes(65508))
    assert "holds at most 65507" in ctl(net.host, "send", TARGET[4] + "%eth0", "--file", str(file), status=1)


def test_a_broadcast_address_can_be_sent_to(net):
    with net.peer, udp_socket("192.0.2.255") as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.bind(("192.0.2.255", 5704))
        ctl(net.host, "send", "192.0.2.255:5704", "all")
        ctl(net.host, "send", "192.0.2.255:5704%eth0", "all of eth0")
        assert receive(sock, 2) == [b"all", b"all of eth0"]


def test_all_hosts_of_a_link_can_be_sent_to(net):
    with net.side, udp_socket("255.255.255.255") as side:
        side.bind(("", 5704))
        with sniffer(net.host, "eth0") as eth0:
            ctl(net.host, "send", "255.255.255.255:5704%eth1", "all")
            assert receive(side) == [b"all"] and not eth0()


def test_json_has_the_answers_that_the_daemon_gives(net):
    assert json.loads(ctl(net.host, "--json", "send", TARGET[4], "hello")) == {"bytes": 5}


@pytest.fixture(scope="module")
def links(net):
    """Interfaces of the host that cannot send, beside its default route."""
    net.host.ip("link add down0 type veth peer name down1", "address add 203.0.113.1/24 dev down0",
                "link add bare0 type veth peer name bare1", "link set bare1 up", "link set bare0 up",
                "link add cut0 type veth peer name cut1", "address add 203.0.113.33/27 dev cut0", "link set cut0 up")
    net.host.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/bare0/disable_ipv6")
    yield net.host
    net.host.ip("link del down0", "link del bare0", "link del cut0")


@contextlib.contextmanager
def sniffer(host, interface):
    """What leaves on the interface, of UDP to port 5704."""
    with host:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        sock.bind((interface, 0))
    with sock:
        sock.setblocking(False)

        def seen():
            packets = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    packets.append(sock.recv(2048))
            return [packet for packet in packets if struct.pack("!H", 5704) in packet[:60]]

        yield seen


@pytest.mark.parametrize("interface, family, why", [
    ("nope0", 4, "there is no interface nope0"), ("203.0.113.99", 4, "no interface of this host has the address"),
    ("down0", 4, "down0 is down"), ("down0", 6, "down0 is down"), ("cut0", 4, "cut0 has no carrier"),
    ("bare0", 4, "ip addr add ADDRESS/LENGTH dev bare0); or set --source"), ("bare0", 6, "sysctl net.ipv6.conf.bare0.disable_ipv6=0")])
def test_what_cannot_leave_on_its_interface_leaves_nowhere(links, interface, family, why):
    with sniffer(links, "eth0") as eth0, sniffer(links, "eth1") as eth1:
        assert why in ctl(links, "send", f"{TARGET[family]}%{interface}", "x", status=1)
        assert not eth0() and not eth1()
        ctl(links, "send", f"{TARGET[family]}%eth0", "x")
        assert wait_until(eth0, "the datagram on eth0") and not eth1()


@contextlib.contextmanager
def unaddressed():
    """A namespace that has routes for IPv6 multicast, and no address to send from."""
    host = Namespace()
    try:
        host.ip("link set lo up", "link add e0 type veth peer name e1", "link set e0 addrgenmode none",
                "link set e1 addrgenmode none", "link set e0 up", "link set e1 up")
        wait_until(lambda: host.has_route("e0") and host.has_route("e1"), "the links")
        route = host.run("ip", "-6", "route", "get", GROUP[6])
        yield host, re.search(r" dev (\S+)", route)[1]
    finally:
        host.close()


def test_a_route_that_leads_to_an_interface_without_an_address_is_named():
    with unaddressed() as (host, interface):
        why = f"send: {interface}, to which the kernel's route leads, has no address to send from"
        assert why in ctl(host, "send", TARGET[6], "x", status=1)


def test_a_target_without_a_route_says_what_to_write():
    with unaddressed() as (host, _):
        why = f"send: no route to the group: name an interface, as in {TARGET[4]}%eth0"
        assert why in ctl(host, "send", TARGET[4], "x", status=1)


def test_a_group_names_the_route_that_leads_to_an_interface_without_an_address(tmp_path):
    (tmp_path / "mcastd.conf").write_text(
        f'control: {{ socket = "{tmp_path}/sock"; }}; groups: {{ g: {{ address = "{GROUP[6]}"; port = 5704; }}; }};')
    with unaddressed() as (host, interface), process(host, MCASTD, "-c", str(tmp_path / "mcastd.conf"), stderr=subprocess.DEVNULL):
        wait_until(lambda: (tmp_path / "sock").exists() and has_membership(host, GROUP[6], interface), "the daemon to have joined")
        why = f"send: {interface}, to which the kernel's route leads, has no IPv6 address to send from"
        assert why in ctl(host, "-s", str(tmp_path / "sock"), "send", "g", "x", status=1)


ROUTE = "multicast ff00::/8 table local dev lo"


@pytest.fixture
def on_lo(net, tmp_path):
    """The control socket of a daemon that sends IPv6 by lo, for which the kernel makes no multicast route."""
    path = tmp_path / "sock"
    (tmp_path / "mcastd.conf").write_text(f'''
        control: {{ socket = "{path}"; }};
        groups: {{ g: {{ address = "{GROUP[6]}"; port = 5704; interfaces = ["lo"]; }};
                   in: {{ address = "{GROUP[4]}"; port = 5704; interfaces = ["eth0"]; handlers = ["out"]; }}; }};
        handlers: {{ out: {{ type = "udp"; address = "{GROUP[6]}"; port = 5705; interface = "lo"; }}; }};''')
    with process(net.host, MCASTD, "-c", str(tmp_path / "mcastd.conf"), stderr=subprocess.DEVNULL):
        wait_until(lambda: path.exists() and has_membership(net.host, GROUP[4]), "the daemon to have joined")
        yield str(path)
    if net.host.has_route("lo"):
        net.host.run("ip", "-6", "route", "del", *ROUTE.split())


@pytest.mark.parametrize("to", ["g", TARGET[6] + "%lo"])
def test_an_interface_without_a_multicast_route_is_told_the_command(net, on_lo, to):
    errors = ctl(net.host, "-s", on_lo, "send", to, "x", status=1)
    assert errors.endswith(f"send: lo has no multicast route of IPv6: ip -6 route add {ROUTE}\n")
    net.host.run("ip", "-6", "route", "add", *ROUTE.split())
    ctl(net.host, "-s", on_lo, "send", to, "x")


def test_a_handler_that_sends_by_such_an_interface_is_told_it_too(net, on_lo):
    def error():
        send(net.peer, b"x", GROUP[4], 5704)
        return json.loads(ctl(net.host, "-s", on_lo, "--json", "handlers", "out"))["handlers"][0]["error"]

    assert f"; lo has no multicast route of IPv6: ip -6 route add {ROUTE}" in wait_until(error, "the error")


def test_doctor_names_the_command_for_a_missing_multicast_route(net):
    with net.host:
        out = subprocess.run([MCASTCTL, "doctor", "--json", "--wait", "100ms", "--send", TARGET[6] + "%lo"], env=NO_DAEMON,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=TIMEOUT).stdout
    findings = {finding["cause"]: finding["fix"] for finding in json.loads(out)["memberships"][0]["findings"]}
    assert findings["send-refused"] == [f"ip -6 route add {ROUTE}"]


def test_an_address_to_send_from_is_called_as_it_was_given(net):
    words = ctl(net.host, "send", TARGET[4] + "%eth0", "x", "--source", "203.0.113.200", status=1)
    assert "no interface has the --source 203.0.113.200" in words


@families
def test_mcastd_that_only_receives_says_nothing_of_sending(links, family):
    _, errors = run(links, MCASTD, f"{TARGET[family]}%bare0", "--timeout", "50ms", status=1)
    assert "nothing can be sent" not in errors and "send from" not in errors


@pytest.fixture
def late(net):
    """An interface that goes while something is sent on it, with two addresses."""
    net.host.ip("link add late0 type veth peer name late1", "link set late1 up", "link set late0 up",
                "address add 203.0.113.65/27 dev late0", "address add 203.0.113.97/27 dev late0")
    yield net.host
    with contextlib.suppress(subprocess.CalledProcessError):
        net.host.ip("link del late0")


@contextlib.contextmanager
def sending(host, target):
    """mcastctl that sends again and again, and whose datagrams have been seen on late0."""
    with sniffer(host, "late0") as seen, process(host, MCASTCTL, "send", target, "x", "--interval", "5ms", env=NO_DAEMON,
                                                 stderr=subprocess.PIPE) as sender:
        wait_until(seen, "a datagram")
        yield sender, seen


@pytest.mark.parametrize("change, why", [
    ("link set late0 down", "late0 is down (ip link set late0 up)"), ("link set late1 down", "late0 has no carrier"),
    ("link del late0", "there is no interface late0"), ("address flush dev late0", "late0 has no IPv4 address to send from")])
def test_an_interface_that_goes_meanwhile_is_the_reason(late, change, why):
    with sending(late, TARGET[4] + "%late0") as (sender, _):
        late.run("ip", *change.split())
        _, errors = sender.communicate(timeout=TIMEOUT)
    assert sender.returncode == 1 and re.search(r"^mcastctl: send: datagram \d+: " + re.escape(why), errors.decode()), errors


def test_sending_goes_on_from_another_address_of_the_interface(late):
    with sending(late, TARGET[4] + "%late0") as (sender, seen):
        late.ip("address del 203.0.113.65/27 dev late0")
        wait_until(lambda: any(packet[12:16] == socket.inet_aton("203.0.113.97") for packet in seen()),
                   "a datagram from the other address")
        assert sender.poll() is None


def test_a_route_that_leads_to_a_link_without_a_carrier_sends_nothing(late):
    late.ip(f"route add {GROUP[4]}/32 dev late0")
    with sending(late, TARGET[4]) as (sender, _):
        late.ip("link set late1 down")
        _, errors = sender.communicate(timeout=TIMEOUT)
    assert sender.returncode == 1 and b"late0 has no carrier" in errors
    assert "late0 has no carrier" in ctl(late, "send", TARGET[4], "x", status=1)


def test_an_interface_without_an_address_sends_with_the_one_that_is_given(links, net):
    with sniffer(links, "bare0") as bare0, sniffer(links, "eth0") as eth0:
        ctl(links, "send", TARGET[4] + "%bare0", "x", "--source", net.host.v4)
        packet, = wait_until(bare0, "the datagram on bare0")
        assert packet[12:16] == socket.inet_aton(net.host.v4) and not eth0()


@pytest.mark.parametrize("arguments, status, why", [
    (("233.252.7.1:5704%e*", "x"), 2, "is a glob"), (("[ff02::7]:5704", "x"), 2, "name the interface"),
    (("233.252.7.1:5704%eth0", "x", "--interface", "eth1"), 2, "the target says interface 'eth0'"),
    (("233.252.7.1:5704", "x", "--interface", "eth0@if2"), 2, "leave out the @"),
    (("233.252.7.1:5704", "x", "--interface", "eth0,eth1"), 2, '"eth0,eth1" is a list: name one interface'),
    (("233.252.7.1:5704", "x", "--interface", "eth0", "--interface", "eth1"), 2, "--interface is given twice"),
    (("233.252.7.1:5704,source=192.0.2.1,source=192.0.2.2", "x"), 2, "one source"),
    (("233.252.7.1", "x"), 2, "the port is missing"), (("233.252.7.1:5704%eth0@if2", "x"), 2, "leave out the @"),
    (("233.252.7.1:5704", "x", "--source", "2001:db8::1"), 2, "use an IPv4 address"),
    (("233.252.7.1:5704", "x", "--source", "203.0.113.200"), 1, "has the address 203.0.113.200"),
    (("233.252.7.1:5704%eth0", "x", "--source", "203.0.113.200"), 1, "203.0.113.200"),
    (("192.0.2.9:5704", "x"), 1, "neither a multicast address nor a broadcast address"),
    (("ff02::7:5704%eth0", "x"), 2, "is in brackets"), (("255.255.255.255:5704", "x"), 1, "name an interface"),
    (("news", "x"), 3, "no mcastd"), (("localhost:5704", "x"), 2, '"localhost" is not an IP address: write ADDRESS:PORT'),
    (("news.example:5704%eth0,source=192.0.2.1", "x"), 2, '"news.example" is not an IP address'), (("233.252.7.1:5704%\x1b31m", "x"), 1, "there is no interface \\x1b31m")],
    ids=lambda value: value[0] if isinstance(value, tuple) else None)
def test_wrong_targets_are_refused_with_the_reason(net, arguments, status, why):
    assert why in ctl(net.host, "send", *arguments, status=status)


def test_a_firewall_that_refuses_is_the_reason(net):
    if not refuse_one_in(net.host, 1):
        pytest.skip("needs nf_tables")
    try:
        assert "firewall" in ctl(net.host, "send", TARGET[4] + "%eth0", "x", status=1)
    finally:
        refuse_nothing(net.host)


def test_a_queue_that_is_full_holds_up_and_loses_nothing(net):
    net.host.run("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "1mbit", "burst", "3000", "limit", "3000")
    try:
        with receiver_on(net.peer, GROUP[4], 5704, "eth0") as sock:
            ctl(net.host, "send", TARGET[4] + "%eth0", "x" * 200, "--count", "100")
            assert len(receive(sock, 100)) == 100
    finally:
        net.host.run("tc", "qdisc", "del", "dev", "eth0", "root")


def test_a_recording_can_be_replayed_to_a_target(start, net):
    daemon = start("""groups: { g: { address = "233.252.7.2"; port = 5702; interfaces = ["eth0"]; handlers = ["r"]; }; };
                      handlers: { r: { type = "pcapng"; path = "$DIR/r.pcapng"; flush = "1ms"; }; };\n""")
    send(net.peer, b"once more", "233.252.7.2", 5702)
    wait_until(lambda: b"once more" in daemon.read("r.pcapng"), "the recording")
    with tutorial_receiver(net.peer, GROUP[4], 5704) as sock:
        words = ctl(net.host, "replay", daemon.path("r.pcapng"), TARGET[4] + "%eth0", "--speed", "max")
        assert receive(sock) == [b"once more"] and words.startswith("replayed 1 datagram ")


# Groups of the daemon and targets


def test_a_group_of_exactly_that_name_is_meant_first(start, net):
    daemon = start("""groups: { news: { address = "233.252.7.3"; port = 5703; interfaces = ["eth0"]; }; };\n""")
    name = daemon.ctl("join", TARGET[4] + "%eth1").strip()
    assert name == TARGET[4] + "%eth1"
    with tutorial_receiver(net.side, GROUP[4], 5704) as side, tutorial_receiver(net.peer, GROUP[4], 5704) as peer:
        with net.host:
            daemon.ctl("send", name, "of the daemon")
            daemon.ctl("send", f"{TARGET[4]}%eth0", "direct")
        assert receive(peer)[-1] == b"direct"
        wait_until(lambda: daemon.group(name)["sent"] == 1, "the daemon to have sent one")
    words = daemon.ctl("tail", "news", "233.252.7.9:5709", status=2)
    assert "'news' is the name of a group and '233.252.7.9:5709' is a target: name one kind only" in words
    assert "--source is for a target" in daemon.ctl("send", name, "x", "--source", net.host.v4, status=2)
    assert "are for targets" in daemon.ctl("tail", name, "--interface", "eth0", status=2)


@families
def test_the_words_that_joined_a_target_leave_it(start, net, family):
    daemon = start("")
    on_eth0, on_eth1 = (f"{TARGET[family]}%{interface}" for interface in ("eth0", "eth1"))
    source = {4: ",source=192.0.2.7", 6: ",source=2001:db8::7"}[family]
    assert daemon.ctl("join", on_eth0).strip() == on_eth0
    assert daemon.ctl("join", on_eth1 + source).strip() == on_eth1
    assert has_membership(net.host, GROUP[family], "eth0") and has_membership(net.host, GROUP[family], "eth1")
    daemon.ctl("leave", on_eth0)
    assert not has_membership(net.host, GROUP[family], "eth0") and has_membership(net.host, GROUP[family], "eth1")
    daemon.ctl("leave", on_eth1 + source)
    assert daemon.call("ListGroups")["groups"] == []


@pytest.mark.parametrize("pattern", ["eth?", "eth[01]", "eth*", "br+lan"])
def test_any_interface_of_a_target_may_stand_in_the_name_of_its_group(start, net, pattern):
    daemon = start("")
    name, _ = daemon.join(f"{TARGET[4]}%{pattern}")
    assert name == f"{TARGET[4]}%{pattern}"
    daemon.ctl("leave", f"{TARGET[4]}%{pattern}")
    run(net.host, MCASTD, f"{TARGET[4]}%{pattern}", "--timeout", "1ms", status=1)


def test_an_interface_may_have_characters_that_no_name_of_a_group_has(start, net):
    word = TARGET[4] + "%büro"
    net.host.ip("link property add dev eth1 altname büro")
    try:
        daemon = start("")
        assert daemon.ctl("join", word).strip() == TARGET[4] + "%b%C3%BCro"
        assert has_membership(net.host, GROUP[4], "eth1")
        daemon.ctl("leave", word)
        assert not has_membership(net.host, GROUP[4], "eth1")
        run(net.host, MCASTD, word, "--timeout", "1ms", status=1)
    finally:
        net.host.ip("link property del dev eth1 altname büro")


def test_join_warns_of_what_a_check_of_the_configuration_warns_of(start, net):
    daemon = start("")
    name, warnings = daemon.join("232.7.1.1:5705%eth0")
    assert name == "232.7.1.1:5705%eth0" and "warning: 232.7.1.1 is for source-specific multicast (SSM)" in warnings
    daemon.ctl("leave", name)
    assert daemon.call("Join", address="232.7.1.1", port=5705, interfaces=["eth0"], sources=["192.0.2.7"])["warnings"] == []


def test_a_group_whose_name_looks_like_a_host_and_a_port_is_a_group(start, net):
    daemon = start("")
    daemon.ctl("join", "233.252.7.3:5703", "--name", "news:5703", "--interface", "eth0")
    daemon.ctl("send", "news:5703", "x")
    wait_until(lambda: daemon.group("news:5703")["sent"] == 1, "the daemon to have sent one")


def test_a_daemon_that_is_named_must_be_there(net):
    assert "no mcastd" in ctl(net.host, "-s", "/nonexistent/mcastd.sock", "send", TARGET[4], "x", status=3)


def test_join_takes_interface_and_sources_of_a_target(start, net):
    daemon = start("")
    name = daemon.ctl("join", f"232.7.1.1:5705%eth0,source={net.peer.v4}", "--interface", "eth1", "--source",
                      net.other.v4).strip()
    group = daemon.group(name)
    assert sorted(m["interface"] for m in group["memberships"]) == ["eth0", "eth1"]
    assert sorted(group["sources"]) == sorted([net.peer.v4, net.other.v4])


@programs
@pytest.mark.parametrize("target, why", [
    ("233.252.7.1", "the port is missing"), ("233.252.7.1:0", "not a number from 1"),
    ("233.252.7.1:5704%a/b", "cannot be an interface"), ("233.252.7.1:5704%eth0,eth1", "another target"),
    ("233.252.7.1:5704%eth0@if2", "leave out the @"), ("[ff02::1%eth0]:5704", "behind the port"),
    ("232.7.1.1:5704,source=x", "is not an IP address")])
def test_the_same_targets_are_refused_with_the_same_words(net, program, target, why):
    status = 78 if program[0] == MCASTD else 2
    _, errors = run(net.host, *program, target, "--timeout", "10s", status=status)
    assert why in errors


# Receiving


@programs
@families
def test_a_target_is_received_without_a_daemon(net, program, family):
    with receiving(net.host, *program, TARGET[family] + "%eth0", "--count", "2", group=GROUP[family]) as receiver:
        send(net.side, b"elsewhere", GROUP[family], 5704)
        port = send(net.peer, b"one\n", GROUP[family], 5704)
        send(net.peer, b"two", GROUP[family], 5704)
        output, errors = receiver.communicate(timeout=TIMEOUT)
    first, second = map(parse_line, output.splitlines())
    assert (first["payload"], second["payload"], receiver.returncode) == (b"one\\n", b"two", 0)
    assert first["group"].decode() == TARGET[family] + "%eth0" and first["interface"] == b"eth0"
    assert int(first["port"]) == port
    assert "lost" not in errors.decode()


@programs
@pytest.mark.parametrize("text, expected", [
    ("raw", b"\x47\x00\nx"), ("hex", b"47000a78\n"), ("line", b"G\\x00\\nx\n"), ("json", None)])
def test_formats_of_a_target(net, program, text, expected):
    with receiving(net.host, *program, TARGET[4] + "%eth0", "--count", "1", "--format", text, group=GROUP[4]) as receiver:
        send(net.peer, b"\x47\x00\nx", GROUP[4], 5704)
        output, _ = receiver.communicate(timeout=TIMEOUT)
    if text == "json":
        datagram = json.loads(output)
        assert datagram["text"] == "G\x00\nx" and datagram["ttl"] == 2 and datagram["size"] == 4
    elif text == "raw":
        assert output == expected
    else:
        assert output.endswith(b" " + expected) and output.count(b"\n") == 1


def test_tail_of_a_target_in_json_is_as_of_a_group(net):
    with receiving(net.host, MCASTCTL, "--json", "tail", TARGET[4] + "%eth0", "--count", "1", group=GROUP[4]) as receiver:
        send(net.peer, b"hello", GROUP[4], 5704)
        output, _ = receiver.communicate(timeout=TIMEOUT)
    datagram = json.loads(output)["datagram"]
    assert datagram["text"] == "hello" and datagram["group"] == TARGET[4] + "%eth0" and datagram["source"] == net.peer.v4


@programs
@families
def test_other_sources_are_not_received(net, program, family):
    group, wanted, foreign = {4: ("232.7.1.1", net.peer.v4, net.other), 6: ("ff35::7:1", net.peer.v6, net.other)}[family]
    target = f"[{group}]:5704" if family == 6 else f"{group}:5704"
    with receiving(net.host, *program, f"{target}%eth0,source={wanted}", "--count", "1", group=group) as receiver:
        send(foreign, b"foreign", group, 5704)
        send(net.peer, b"wanted", group, 5704)
        output, _ = receiver.communicate(timeout=TIMEOUT)
    assert parse_line(output.rstrip(b"\n"))["payload"] == b"wanted"


@pytest.mark.parametrize("target", [TARGET[4], TARGET[4] + "%eth0"], ids=["without", "with"])
def test_the_interface_option_of_tail_is_for_targets_that_name_none(net, target):
    option = "eth1" if "%" in target else "eth0"
    with receiving(net.host, MCASTCTL, "tail", target, "--interface", option, "--timeout", "1s", group=GROUP[4]) as receiver:
        send(net.side, b"elsewhere", GROUP[4], 5704)
        send(net.peer, b"wanted", GROUP[4], 5704)
        output, _ = receiver.communicate(timeout=TIMEOUT)
    assert [parse_line(line)["payload"] for line in output.splitlines()] == [b"wanted"]


def test_tail_takes_interface_and_source_as_options(net):
    with receiving(net.host, MCASTCTL, "tail", "232.7.1.1:5704", "--interface", "eth0", "--source", net.peer.v4, "--count", "1",
                   group="232.7.1.1") as receiver:
        send(net.other, b"foreign", "232.7.1.1", 5704)
        send(net.peer, b"wanted", "232.7.1.1", 5704)
        output, _ = receiver.communicate(timeout=TIMEOUT)
    assert parse_line(output.rstrip(b"\n"))["payload"] == b"wanted"


@programs
@pytest.mark.parametrize("pattern", ["", "%eth*"], ids=["default", "glob"])
def test_all_interfaces_are_received_by_default_and_by_glob(net, program, pattern):
    with receiving(net.host, *program, TARGET[4] + pattern, "--count", "2", group=GROUP[4]) as receiver:
        wait_until(lambda: has_membership(net.host, GROUP[4], "eth1"), "eth1 to be joined")
        send(net.peer, b"x", GROUP[4], 5704)
        send(net.side, b"x", GROUP[4], 5704)
        output, _ = receiver.communicate(timeout=TIMEOUT)
    assert {parse_line(line)["interface"] for line in output.splitlines()} == {b"eth0", b"eth1"}


@pytest.mark.parametrize("interface, family, why", [
    ("down0", 4, "down0 is down"), ("cut0", 4, "cut0 has no carrier"), ("bare0", 4, None),
    ("bare0", 6, "IPv6 is disabled on bare0 (sysctl net.ipv6.conf.bare0.disable_ipv6=0)"),
    ("port0", 4, "port0 is a port of the bridge bridge0: datagrams arrive there, name bridge0"), ("bridge0", 4, None)])
def test_tail_says_why_nothing_arrives_on_its_interface(links, interface, family, why):
    links.ip("link add bridge0 type bridge", "link set bridge0 up", "link add port0 type veth peer name port1",
             "link set port0 master bridge0", "link set port0 up", "link set port1 up")
    try:
        wait_until(lambda: "LOWER_UP" in links.run("ip", "link", "show", "dev", "bridge0"), "the bridge")
        _, errors = run(links, MCASTCTL, "tail", f"{TARGET[family]}%{interface}", "--timeout", "10ms", status=1)
    finally:
        links.ip("link del port0", "link del bridge0")
    expected = f"mcastctl: tail: {TARGET[family]}%{interface}: {why}\n" if why else ""
    assert errors == expected + "mcastctl: tail: timeout: no datagram came\n"


def test_tail_of_an_interface_that_is_not_there_says_so(net):
    _, errors = run(net.host, MCASTCTL, "tail", TARGET[4] + "%nope0", status=1)
    assert "there is no interface nope0" in errors
    _, errors = run(net.host, MCASTCTL, "tail", TARGET[4] + "%nope*", status=1)
    assert "matches nope*" in errors
    _, errors = run(net.host, MCASTCTL, "tail", TARGET[4] + "%203.0.113.200", status=1)
    assert "no interface of this host has the address 203.0.113.200" in errors
    _, errors = run(net.host, MCASTCTL, "tail", f"{net.host.v4}:5704", status=1)
    assert "is not a multicast address" in errors


@pytest.mark.parametrize("interfaces, why", [
    (("eth0,eth1",), '"eth0,eth1" is a list: name one interface, and another target for each other'),
    (("eth0", "eth1"), "--interface is given twice: for another interface, name another target"),
    (("eth0@if2",), "leave out the @"), (("!eth0",), "leaves an interface out")], ids=lambda value: " ".join(value))
def test_the_interface_option_of_tail_is_one_interface_as_in_a_target(net, interfaces, why):
    options = [word for interface in interfaces for word in ("--interface", interface)]
    _, errors = run(net.host, MCASTCTL, "tail", TARGET[4], *options, "--timeout", "10s", status=2)
    assert why in errors


# Count and timeout


@programs
@pytest.mark.parametrize("count", [(), ("--count", "3")], ids=["any", "three"])
def test_a_timeout_before_the_count_is_a_failure(net, program, count):
    _, errors = run(net.host, *program, TARGET[4] + "%eth0", *count, "--timeout", "50ms", status=1)
    assert errors.endswith("timeout: 0 of 3 datagrams came\n" if count else "timeout: no datagram came\n")


@programs
def test_one_datagram_that_is_missing_is_named_in_the_singular(net, program):
    _, errors = run(net.host, *program, TARGET[4] + "%eth0", "--count", "1", "--timeout", "50ms", status=1)
    assert errors.endswith("timeout: 0 of 1 datagram came\n")


@programs
def test_a_timeout_after_a_datagram_is_none(net, program):
    with receiving(net.host, *program, TARGET[4] + "%eth0", "--timeout", "2s", group=GROUP[4]) as receiver:
        send(net.peer, b"x", GROUP[4], 5704)
        output, errors = receiver.communicate(timeout=TIMEOUT)
    assert (receiver.returncode, output.count(b"\n")) == (0, 1) and b"timeout" not in errors


@programs
def test_a_timeout_with_fewer_than_the_count_is_a_failure(net, program):
    with receiving(net.host, *program, TARGET[4] + "%eth0", "--timeout", "2s", "--count", "2", group=GROUP[4]) as receiver:
        send(net.peer, b"x", GROUP[4], 5704)
        output, errors = receiver.communicate(timeout=TIMEOUT)
    assert (receiver.returncode, output.count(b"\n")) == (1, 1) and b"timeout: 1 of 2 datagrams came" in errors


@programs
def test_no_more_than_the_count_is_printed(net, program, blast):
    with receiving(net.host, *program, TARGET[4] + "%eth0", "--count", "100", group=GROUP[4]) as receiver:
        blast(net.peer, GROUP[4], 5704, 1000)
        output, errors = receiver.communicate(timeout=TIMEOUT)
    assert (receiver.returncode, output.count(b"\n")) == (0, 100) and b"lost" not in errors


@programs
@pytest.mark.parametrize("arguments", [("--count", "0"), ("--count", "x"), ("--timeout", "5"), ("--format", "xml")], ids=" ".join)
def test_wrong_values_are_wrong_usage(net, program, arguments):
    _, errors = run(net.host, *program, TARGET[4] + "%eth0", *arguments, status=2)
    assert arguments[0] in errors and arguments[1] in errors


def test_a_timeout_of_nothing_is_wrong_usage_of_mcastd(net):
    _, errors = run(net.host, MCASTD, TARGET[4] + "%eth0", "--timeout", "0s", status=2)
    assert "--timeout: '0s' is not a duration" in errors


def test_json_has_no_other_format(net):
    _, errors = run(net.host, MCASTCTL, "--json", "tail", TARGET[4] + "%eth0", "--format", "hex", "--timeout", "1ms", status=2)
    assert "--json is a format of its own" in errors


def test_options_of_targets_need_a_target(net):
    _, errors = run(net.host, MCASTD, "--count", "1", status=2)
    assert "there is none" in errors


@programs
def test_a_target_that_is_named_twice_is_refused(net, program):
    status, why = (78, "there is a group of this name already") if program[0] == MCASTD else (2, "is named twice")
    targets = (TARGET[4] + "%eth0", TARGET[4] + "%eth0,source=192.0.2.7")
    _, errors = run(net.host, *program, *targets, "--timeout", "10s", status=status)
    assert "name it once, with all its sources" in errors
    assert why in errors


@programs
def test_a_target_that_is_named_twice_is_shown_without_control_characters(net, program):
    target = TARGET[4] + "%eth\x10\x1b[2J"
    _, errors = run(net.host, *program, target, target, "--timeout", "10s", status=78 if program[0] == MCASTD else 2)
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", errors), errors


def test_tail_of_a_group_has_a_timeout_too(start, net):
    daemon = start("""groups: { g: { address = "233.252.7.2"; port = 5702; interfaces = ["eth0"]; }; };\n""")
    assert "timeout: no datagram came" in daemon.ctl("tail", "g", "--timeout", "50ms", status=1)


# What is lost


@pytest.fixture(scope="module")
def blast(tmp_path_factory):
    return Blast(tmp_path_factory.mktemp("blast"))


LOST = re.compile(r"(\d+) datagrams? lost (so far|in all): (\d+) before \w+ \([^)]*\), (\d+) in it")


def lost(errors):
    """The last line on what was lost, which must be the one of the end."""
    found = LOST.findall(errors)
    assert found and found[-1][1] == "in all", errors
    total, _, before, inside = found[-1]
    assert int(total) == int(before) + int(inside)
    return int(total)


@programs
@families
def test_into_a_pipe_that_reads_late_all_is_printed_or_said_to_be_lost(net, program, family, blast):
    with receiving(net.host, *program, TARGET[family] + "%eth0", group=GROUP[family]) as receiver:
        count = blast(net.peer, GROUP[family], 5704, 100000)
        said = b""
        while b"so far" not in said:
            line = receiver.stderr.readline()
            assert line, said
            said += line
        receiver.send_signal(signal.SIGTERM)
        printed = receiver.stdout.read().count(b"\n")
        errors = said.decode() + receiver.stderr.read().decode()
        receiver.wait(TIMEOUT)
    assert printed + lost(errors) == count
    assert receiver.returncode == (0 if program[0] == MCASTD else -signal.SIGTERM)


def test_tail_that_is_stuck_ends_at_once_and_says_what_is_lost(net, blast):
    with receiving(net.host, MCASTCTL, "tail", TARGET[4] + "%eth0", group=GROUP[4]) as receiver:
        count = blast(net.peer, GROUP[4], 5704, 50000)
        errors = end(receiver)
        printed = receiver.stdout.read()
    assert printed.endswith(b"\n") and printed.count(b"\n") + lost(errors) == count


def test_mcastd_that_is_stuck_ends_and_says_what_is_lost(net, blast):
    with receiving(net.host, MCASTD, TARGET[4] + "%eth0", group=GROUP[4]) as receiver:
        count = blast(net.peer, GROUP[4], 5704, 50000)
        errors = end(receiver)
        printed = receiver.stdout.read().count(b"\n")
    assert receiver.returncode == 0
    assert count <= printed + lost(errors) <= count + 64  # those that were being written


@programs
def test_a_burst_that_fits_into_4_mib_is_not_lost(net, program, blast):
    with receiving(net.host, *program, TARGET[4] + "%eth0", "--count", "500", group=GROUP[4]) as receiver:
        receiver.send_signal(signal.SIGSTOP)
        blast(net.peer, GROUP[4], 5704, 500, size=1400)
        receiver.send_signal(signal.SIGCONT)
        output, errors = receiver.communicate(timeout=TIMEOUT)
    assert output.count(b"\n") == 500 and b"lost" not in errors


@programs
def test_what_the_receive_buffer_does_not_hold_is_lost_before(net, program, blast, tmp_path):
    with open(tmp_path / "out", "wb") as output, \
            receiving(net.host, *program, TARGET[4] + "%eth0", "--timeout", "4s", group=GROUP[4], stdout=output) as receiver:
        receiver.send_signal(signal.SIGSTOP)
        count = blast(net.peer, GROUP[4], 5704, 20000, size=1400)
        receiver.send_signal(signal.SIGCONT)
        assert receiver.wait(TIMEOUT) == 0
        errors = receiver.stderr.read().decode()
    assert re.search(r"lost so far: [1-9]\d* before", errors)
    assert (tmp_path / "out").read_bytes().count(b"\n") + lost(errors) == count


def test_what_mcastd_cannot_write_is_lost(net):
    with open("/dev/full", "wb") as full, receiving(net.host, MCASTD, TARGET[4] + "%eth0", "--timeout", "2500ms", group=GROUP[4],
                                                    stdout=full) as receiver:
        send(net.peer, b"x", GROUP[4], 5704)
        assert receiver.wait(TIMEOUT) == 1
        errors = receiver.stderr.read().decode()
    assert "1 datagram lost so far" in errors and lost(errors) == 1
    assert "1 in it (writing to standard output failed)" in errors and "too slow" not in errors
    assert errors.endswith("timeout: no datagram was printed\n")


def test_tail_of_a_group_says_at_the_end_what_it_missed(start, net, blast):
    daemon = start("""groups: { g: { address = "233.252.7.2"; port = 5702; interfaces = ["eth0"]; }; };\n""")
    lines = []

    def has_last():
        send(net.peer, b"last", "233.252.7.2", 5702)
        return any(line.endswith(b" last\n") for line in lines)

    with daemon.ctl_start("tail", "g") as tail:
        wait_until(lambda: daemon.call("GetStatus")["subscribers"], "the subscription")
        count = blast(net.peer, "233.252.7.2", 5702, 200000, size=100)
        daemon.wait_arrived("g", count)
        reader = threading.Thread(target=lambda: lines.extend(tail.stdout))
        reader.start()
        wait_until(has_last, "what was sent last")
        tail.terminate()
        reader.join(TIMEOUT)
        errors = tail.stderr.read().decode()
    gaps = sum(map(int, re.findall(r"gap: (\d+) ", errors)))
    assert gaps and lost(errors) == gaps
    assert len(lines) + gaps >= count - daemon.group("g")["kernelDropped"]


@programs
def test_nothing_is_said_where_nothing_is_lost(net, program):
    with receiving(net.host, *program, TARGET[4] + "%eth0", group=GROUP[4]) as receiver:
        send(net.peer, b"x", GROUP[4], 5704)
        receiver.stdout.readline()
        assert "lost" not in end(receiver)


@programs
def test_a_reader_that_goes_away_ends_it_quietly(net, program):
    with receiving(net.host, *program, TARGET[4] + "%eth0", group=GROUP[4]) as receiver:
        send(net.peer, b"x", GROUP[4], 5704)
        receiver.stdout.readline()
        receiver.stdout.close()

        def ended():
            send(net.peer, b"x", GROUP[4], 5704)
            return receiver.poll() is not None

        wait_until(ended, "the end")
        errors = receiver.stderr.read().decode()
        receiver.stdout = None
    assert "lost" not in errors and "writing" not in errors
    assert receiver.returncode in (0, -signal.SIGPIPE)


@programs
def test_a_reader_that_goes_away_ends_it_where_nothing_arrives(net, program):
    with receiving(net.host, *program, TARGET[4] + "%eth0", group=GROUP[4]) as receiver:
        receiver.stdout.close()
        assert receiver.wait(TIMEOUT) == 0
        errors = receiver.stderr.read().decode()
        receiver.stdout = None
    assert "lost" not in errors and "writing" not in errors


@programs
def test_a_terminal_that_goes_away_ends_it(net, program):
    with receiving(net.host, "env", "--default-signal=HUP", *program, TARGET[4] + "%eth0", group=GROUP[4]) as receiver:
        receiver.send_signal(signal.SIGHUP)
        assert receiver.wait(TIMEOUT) in (0, -signal.SIGHUP)


@programs
def test_one_that_nohup_started_outlives_its_terminal(net, program):
    with receiving(net.host, "nohup", *program, TARGET[4] + "%eth0", "--count", "1", group=GROUP[4]) as receiver:
        receiver.send_signal(signal.SIGHUP)
        send(net.peer, b"x", GROUP[4], 5704)
        assert b" x\n" in receiver.stdout.readline()
        assert receiver.wait(TIMEOUT) == 0


@programs
@pytest.mark.parametrize("count", [(), ("--count", "1")], ids=["any", "one"])
def test_what_standard_output_does_not_take_until_the_timeout_came_and_is_not_printed(net, program, count):
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    os.write(write, bytes(4096))
    with receiving(net.host, *program, TARGET[4] + "%eth0", *count, "--timeout", "1s", group=GROUP[4], stdout=write) as receiver:
        send(net.peer, b"x", GROUP[4], 5704)
        assert receiver.wait(TIMEOUT) == 1
        errors = receiver.stderr.read().decode()
    os.close(read)
    os.close(write)
    assert lost(errors) == 1 and "1 in it (standard output too slow)" in errors
    assert errors.endswith("timeout: 0 of 1 datagram was printed\n" if count else "timeout: no datagram was printed\n")


def test_an_errors_pipe_that_is_full_does_not_hold_up_the_end(net, blast):
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    os.write(write, bytes(4096))
    with process(net.host, MCASTCTL, "tail", TARGET[4] + "%eth0", env=NO_DAEMON, stdout=write, stderr=write) as receiver:
        wait_until(lambda: has_membership(net.host, GROUP[4]), "tail to join")
        blast(net.peer, GROUP[4], 5704, 50000)
        receiver.terminate()
        assert receiver.wait(TIMEOUT) == -signal.SIGTERM
    os.close(read)
    os.close(write)
