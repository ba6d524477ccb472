"""What goes out: through the control socket to receivers that know nothing of mcastd."""

import base64
import errno
import os
import socket
import sys
import time

import pytest

from harness.daemon import VarlinkError
from harness.peers import IP_RECVTTL, LARGEST, has_membership, process, receive, receiver_on, send, tutorial_receiver
from harness.records import ALL_BYTES
from harness.waiting import wait_until
from net import FAMILIES

CONFIG = """
groups: {
  news4:  { address = "224.1.1.1";   port = 5004; interfaces = ["eth0"]; handlers = ["raw4"]; };
  news6:  { address = "ff15::1";     port = 5004; interfaces = ["eth0"]; handlers = ["raw6"]; };
  far4:   { address = "233.252.0.2"; port = 5005; interfaces = ["eth0"]; ttl = 7; };
  far6:   { address = "ff15::2";     port = 5005; interfaces = ["eth0"]; ttl = 7; };
  quiet4: { address = "233.252.0.3"; port = 5006; interfaces = ["eth0"]; loop = false; };
  quiet6: { address = "ff15::3";     port = 5006; interfaces = ["eth0"]; loop = false; };
  second4: { address = "233.252.0.4"; port = 5007; interfaces = ["eth0", "eth1"]; send_interface = "eth1"; };
  second6: { address = "ff15::4";     port = 5007; interfaces = ["eth0", "eth1"]; send_interface = "eth1"; };
  only4:  { address = "233.252.0.5"; port = 5008; interfaces = ["eth1"]; };
  only6:  { address = "ff15::5";     port = 5008; interfaces = ["eth1"]; };
  counted: { address = "233.252.0.6"; port = 5009; interfaces = ["eth0"]; };
};
handlers: {
  raw4: { type = "file"; path = "$DIR/raw4"; format = "raw"; };
  raw6: { type = "file"; path = "$DIR/raw6"; format = "raw"; };
};
"""


TUTORIAL = """
import socket, struct, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.bind(('', 5004))
sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                struct.pack("4sl", socket.inet_aton("224.1.1.1"), socket.INADDR_ANY))
print("ready", flush=True)
print(sock.recv(10240), flush=True)
"""


def receiver(daemon, host, name):
    group = daemon.group(name)
    return tutorial_receiver(host, group["address"], group["port"])


def test_the_receiver_of_a_tutorial_prints_what_mcastctl_sends(daemon, net):
    with process(net.peer, sys.executable, "-c", TUTORIAL) as tutorial:
        assert tutorial.stdout.readline() == b"ready\n"
        daemon.ctl("send", "news4", "hello, tutorial")
        assert tutorial.stdout.readline() == b"b'hello, tutorial'\n"


@FAMILIES
def test_text_reaches_a_peer_as_utf8(daemon, net, family):
    with receiver(daemon, net.peer, f"news{family}") as sock:
        assert daemon.call("Send", group=f"news{family}", text="Grüße\u0000\n") == {"bytes": 9}
        assert receive(sock) == ["Grüße\0\n".encode()]


@FAMILIES
def test_base64_reaches_a_peer_byte_for_byte(daemon, net, family):
    with receiver(daemon, net.peer, f"news{family}") as sock:
        daemon.call("Send", group=f"news{family}", base64=base64.b64encode(ALL_BYTES).decode())
        assert receive(sock) == [ALL_BYTES]


@FAMILIES
def test_datagrams_without_payload_are_sent(daemon, net, family):
    with receiver(daemon, net.peer, f"news{family}") as sock:
        assert daemon.call("Send", group=f"news{family}", text="") == {"bytes": 0}
        assert daemon.call("Send", group=f"news{family}", base64="") == {"bytes": 0}
        daemon.call("Send", group=f"news{family}", text="last")
        assert receive(sock, 3) == [b"", b"", b"last"]


@FAMILIES
def test_largest_datagrams_are_sent_whole(daemon, net, family):
    payload = os.urandom(LARGEST)
    with receiver(daemon, net.peer, f"news{family}") as sock:
        sent = daemon.call("Send", group=f"news{family}", base64=base64.b64encode(payload).decode())
        assert sent == {"bytes": LARGEST}
        assert receive(sock) == [payload]


@FAMILIES
def test_receivers_on_the_same_host_and_port_get_every_datagram(start, net, family):
    """Three of them, started before and after the daemon; the daemon gets every one as well."""
    address = "233.252.0.20" if family == "4" else "ff15::20"
    receivers = [tutorial_receiver(net.host, address, 5004)]
    daemon = start(f"""
      groups: {{ shared: {{ address = "{address}"; port = 5004; interfaces = ["eth0"]; handlers = ["raw"]; }}; }};
      handlers: {{ raw: {{ type = "file"; path = "$DIR/raw"; format = "raw"; }}; }};""")
    receivers += [tutorial_receiver(net.host, address, 5004) for _ in range(2)]
    wanted = [b"%03d" % number for number in range(100)]
    for payload in wanted[:50]:
        daemon.call("Send", group="shared", text=payload.decode())
    for payload in wanted[50:]:
        send(net.peer, payload, address, 5004)
    for sock in receivers:
        with sock:
            assert receive(sock, 100) == wanted
    wait_until(lambda: daemon.read("raw") == b"".join(wanted), "the daemon's own")


@FAMILIES
def test_socat_receives(daemon, net, family):
    option = {"4": "UDP4-RECV:5004,ip-add-membership=224.1.1.1:eth0,reuseaddr",
              "6": "UDP6-RECV:5004,ipv6-join-group=[ff15::1]:eth0,reuseaddr"}[family]
    with process(net.other, "socat", "-u", option, "-") as socat:
        address = daemon.group(f"news{family}")["address"]
        wait_until(lambda: has_membership(net.other, address), "socat to join")
        daemon.ctl("send", f"news{family}", "for socat\n")
        assert socat.stdout.readline() == b"for socat\n"


def next_ttl(sock, send_one):
    """The TTL or hop limit with which a datagram arrives that send_one() sends."""
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    send_one()
    _, ancillary, _, _ = sock.recvmsg(100, 100)
    return int.from_bytes(ancillary[0][2], sys.byteorder)


def ttl_of_call(daemon, net, name, **parameters):
    with receiver(daemon, net.peer, name) as sock:
        return next_ttl(sock, lambda: daemon.call("Send", group=name, text="x", **parameters))


@FAMILIES
def test_the_ttl_is_1_unless_configured(daemon, net, family):
    assert ttl_of_call(daemon, net, f"news{family}") == 1


@FAMILIES
def test_the_configured_ttl_is_sent(daemon, net, family):
    assert ttl_of_call(daemon, net, f"far{family}") == 7


@FAMILIES
def test_the_ttl_of_one_call_is_for_that_call_alone(daemon, net, family):
    assert ttl_of_call(daemon, net, f"far{family}", ttl=3) == 3
    assert ttl_of_call(daemon, net, f"far{family}") == 7


def test_mcastctl_sends_with_a_ttl(daemon, net):
    with receiver(daemon, net.peer, "far4") as sock:
        assert next_ttl(sock, lambda: daemon.ctl("send", "far4", "x", "--ttl", "9")) == 9


@FAMILIES
def test_without_loop_the_own_host_hears_nothing(daemon, net, family):
    group = daemon.group(f"quiet{family}")
    with receiver(daemon, net.host, group["name"]) as own, receiver(daemon, net.peer, group["name"]) as peer:
        daemon.call("Send", group=group["name"], text="not for ourselves")
        assert receive(peer) == [b"not for ourselves"]
        send(net.peer, b"from the peer", group["address"], group["port"])
        assert receive(own) == [b"from the peer"]


@FAMILIES
def test_send_interface_is_where_datagrams_leave(daemon, net, family):
    group = daemon.group(f"second{family}")
    with receiver(daemon, net.peer, group["name"]) as peer, \
            receiver_on(net.side, group["address"], group["port"], "eth0") as side:
        daemon.call("Send", group=group["name"], text="to the side")
        assert receive(side) == [b"to the side"]
        send(net.other, b"after it", group["address"], group["port"])
        assert receive(peer) == [b"after it"]


@FAMILIES
def test_the_interface_of_one_call_is_for_that_call_alone(daemon, net, family):
    group = daemon.group(f"second{family}")
    with receiver(daemon, net.peer, group["name"]) as peer, \
            receiver_on(net.side, group["address"], group["port"], "eth0") as side:
        daemon.call("Send", group=group["name"], text="to the peer", interface="eth0")
        daemon.call("Send", group=group["name"], text="to the side")
        assert receive(peer) == [b"to the peer"]
        assert receive(side) == [b"to the side"]


@FAMILIES
def test_a_group_of_one_interface_sends_there(daemon, net, family):
    group = daemon.group(f"only{family}")
    with receiver_on(net.side, group["address"], group["port"], "eth0") as side:
        daemon.call("Send", group=group["name"], text="the only one")
        assert receive(side) == [b"the only one"]


def test_an_interface_that_is_not_there_is_a_named_error(daemon):
    error = daemon.error("Send", group="news4", text="x", interface="nowhere0")
    assert error.name == "io.mcastd.SendFailed"
    assert error.parameters["errno"] == errno.ENODEV
    assert "nowhere0" in error.parameters["message"]


def test_sent_datagrams_and_bytes_are_counted(daemon, net):
    for text in ("", "four", "sixsix"):
        daemon.call("Send", group="counted", text=text)
    group = daemon.group("counted")
    assert (group["sent"], group["sentBytes"]) == (3, 10)


@pytest.fixture
def sends(daemon, net):
    """Runs mcastctl send, which must send these payloads to the group news4, and no more."""
    def sends(payloads, *arguments, **options):
        before = daemon.group("news4")["sent"]
        with receiver(daemon, net.peer, "news4") as sock:
            daemon.ctl("send", "news4", *arguments, **options)
            assert receive(sock, len(payloads)) == payloads
        assert daemon.group("news4")["sent"] == before + len(payloads)

    return sends


def test_mcastctl_sends_standard_input_as_one_datagram(sends):
    sends([b"line 1\nline 2\n"], input="line 1\nline 2\n")


@pytest.mark.parametrize("arguments, payloads", [
    (["-"], [b"1\n2\n"]), (["--file", "-"], [b"1\n2\n"]), (["--lines", "-"], [b"1", b"2"]), (["--", "-"], [b"1\n2\n"])], ids=str)
def test_a_hyphen_is_standard_input(sends, arguments, payloads):
    sends(payloads, *arguments, input="1\n2\n")


def test_mcastctl_sends_each_line(sends):
    sends([b"line 1", b"", b"line 3"], "--lines", input="line 1\n\nline 3")


def test_mcastctl_sends_a_file(sends, tmp_path):
    (tmp_path / "payload").write_bytes(ALL_BYTES)
    sends([ALL_BYTES], "--file", str(tmp_path / "payload"))


def test_mcastctl_sends_hex(sends):
    sends([b"\x00\xff\x1b\n"], "--hex", "00 ff:1B0a")
    sends([b"\x00\xff\x1b\n"], "--hex", "0x00ff1b0a")


def test_mcastctl_repeats_at_an_interval(sends):
    started = time.monotonic()
    sends([b"again"] * 3, "again", "--count", "3", "--interval", "50ms")
    assert time.monotonic() - started >= 0.1


def test_mcastctl_sends_out_of_an_interface(daemon, net):
    with receiver(daemon, net.peer, "second4") as sock:
        daemon.ctl("send", "second4", "chosen", "--interface", "eth0")
        assert receive(sock) == [b"chosen"]


def is_sent(daemon, **request):
    try:
        daemon.call("Send", **request)
    except VarlinkError:
        return False
    return True


def test_sending_out_of_an_interface_that_was_made_anew_works(start, net):
    daemon = start('groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; }; };')
    descriptors = f"/proc/{daemon.process.pid}/fd"
    before = len(os.listdir(descriptors))
    for _ in range(3):
        net.host.ip("link add anew0 type veth peer name anew1", "address add 203.0.113.9/24 dev anew0",
                    "link set anew1 up", "link set anew0 up")
        wait_until(lambda: net.host.has_route("anew0"), "the carrier")
        wait_until(lambda: is_sent(daemon, group="news", text="x", interface="anew0"), "the daemon to know the interface")
        net.host.ip("link delete anew0")
        wait_until(lambda: len(os.listdir(descriptors)) == before, "the sender's socket to be closed")
    assert daemon.group("news")["sent"] == 3
