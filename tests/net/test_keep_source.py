"""keep_source: receivers see the address and the port of the sender, and the daemon has no privilege left."""

import array
import collections
import contextlib
import fcntl
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

import pytest

from harness.captures import tshark
from harness.daemon import MCASTD, run_mcastd
from harness.peers import IP_RECVTTL, has_membership, process, receive, receiver_on, sender_as, udp_socket
from harness.programs import command
from harness.waiting import wait_until

USER = "nobody"
IP_RECVTOS, SO_RCVBUFFORCE, UDP_SEGMENT = 13, 33, 103
SIOCETHTOOL, ETHTOOL_STXCSUM, IFNAMSIZ = 0x8946, 0x17, 16
ONE_USER = open("/proc/self/uid_map").read().split()[2] == "1"

GROUPS = {4: ("239.0.0.1", "239.0.0.2"), 6: ("ff05::1", "ff05::2")}
NETWORKS = {4: "192.0.2", 6: "2001:db8:1:"}  # that the datagrams come from

DROP_IN = "relay-keeps-source.conf"


def relay(to, more='interface = "eth1";', ip=4, keep="true", port=5004, programs=""):
    handlers = '["relay"' + (', "run"' if programs else "") + "]"
    return f"""
    groups: {{ in: {{ address = "{GROUPS[ip][0]}"; port = 5004; interfaces = ["eth0"]; receive_buffer = "8M";
                     handlers = {handlers}; }}; }};
    handlers: {{ relay: {{ type = "udp"; address = "{to}"; port = {port}; keep_source = {keep}; {more} }};
                 {programs} }};
    """


@pytest.fixture(scope="module", autouse=True)
def hosts(net):
    """Nobody but the daemon refuses a source, and the checksums of the wire are in the frames already."""
    for host, interfaces in (net.host, ("eth0", "eth1")), (net.side, ("eth0",)), (net.peer, ("eth0",)):
        host.run("sysctl", "-qw", *(f"net.ipv4.conf.{name}.rp_filter=0" for name in ("all", *interfaces)))
        for interface in interfaces:
            leave_checksums_to_the_kernel(host, interface)
    net.side.ip("route add 192.0.2.0/24 via 198.51.100.1", "route add 2001:db8:1::/64 via 2001:db8:2::1")
    net.peer.ip("route add 198.51.100.0/24 via 192.0.2.1", "route add 2001:db8:2::/64 via 2001:db8:1::1")


def leave_checksums_to_the_kernel(host, interface):
    """As "ethtool -K INTERFACE tx off" does."""
    value = array.array("I", [ETHTOOL_STXCSUM, 0])
    request = struct.pack(f"{IFNAMSIZ}sP", interface.encode(), value.buffer_info()[0]).ljust(40, b"\0")
    with host, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, request)


def feed(net, source, port, *payloads, ip=4):
    with sender_as(net.peer, source, port) as sock:
        for payload in payloads:
            sock.sendto(payload, (GROUPS[ip][0], 5004))


def forge(net, source, payload):
    """An IPv4 datagram with any source: the kernel of the sender refuses some."""
    with net.peer, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(net.peer.v4))
        sock.sendto(struct.pack("!BBHHHBBH4s4sHHHH", 0x45, 0, 0, 0, 0, 9, socket.IPPROTO_UDP, 0, socket.inet_aton(source),
                                socket.inet_aton(GROUPS[4][0]), 1900, 5004, 8 + len(payload), 0) + payload,
                    (GROUPS[4][0], 0))


def run_of(net, source, port, count=64, size=100, ip=4):
    """Datagrams of one size that arrive at once, and that no other host sends."""
    with sender_as(net.peer, source, port) as sock:
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        sock.sendto(os.urandom(size) * count, (GROUPS[ip][0], 5004))


def relayed(daemon):
    return daemon.handler("relay")


def wait_relayed(daemon, count):
    wait_until(lambda: relayed(daemon)["received"] >= count, f"{count} datagrams", 60)
    return relayed(daemon)


LAST = b"the last datagram of the capture"


@contextlib.contextmanager
def capture(host, path):
    """What arrives at eth0 while the block runs, by tcpdump, up to LAST."""
    if not shutil.which("tcpdump"):
        pytest.skip("tcpdump is not installed")
    with process(host, "tcpdump", "-Z", "root", "-n", "-i", "eth0", "-B", "131072", "-U", "-w", path, "ip or ip6",
                 stderr=subprocess.PIPE) as dump:
        line = dump.stderr.readline()
        while line and b"listening on" not in line:
            line = dump.stderr.readline()
        yield
        wait_until(lambda: LAST in open(path, "rb").read()[-4096:], "the last datagram")
        dump.send_signal(signal.SIGINT)
        words = dump.stderr.read().decode()
        assert "\n0 packets dropped by kernel" in "\n" + words, words


def bound_ports(host, ip=4):
    """The ports that the host sends runs from for others."""
    own = {4: "000000E0:", 6: "000005FF" + "0" * 24 + ":"}[ip]
    with host, open("/proc/thread-self/net/udp" + ("6" if ip == 6 else "")) as table:
        names = [line.split()[1] for line in table.readlines()[1:]]
    return {int(name.rpartition(":")[2], 16) for name in names if name.startswith(own)}


@pytest.fixture
def users_directory():
    """A directory of the user's, with the daemon, which any user can reach. Above tmp_path pytest changes the permissions."""
    if ONE_USER:
        pytest.skip("in a user namespace of one user, there is no other")
    path = pathlib.Path(tempfile.mkdtemp(prefix="mcastd-"))
    shutil.copy(MCASTD, path / "mcastd")
    path.chmod(0o755)
    os.chown(path, pwd.getpwnam(USER).pw_uid, -1)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def unprivileged(start, users_directory):
    """Starts a daemon as systemd does with the drop-in: as a user who has CAP_NET_RAW and nothing else."""
    def start_unprivileged(config, has="+net_raw"):
        wrapper = ["env", f"ASAN_OPTIONS={os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0",
                   "setpriv", "--reuid", USER, "--clear-groups", "--no-new-privs", *(
                       f"--{kind}=-all{',' + has if has else ''}" for kind in ("inh-caps", "ambient-caps", "bounding-set"))]
        return start(config, binary=str(users_directory / "mcastd"), wrapper=wrapper,
                     directory=str(users_directory))

    return start_unprivileged


def capabilities(pid):
    """Those of each thread."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status") as file:
            yield {name: int(value, 16) for name, value in re.findall(r"^(Cap\w+):\t(\w+)$", file.read(), re.M)}


# What receivers see


def sizes(seed):
    """2,500 sizes from 1 to 8,000 bytes, single ones and runs of one size."""
    chosen, number = random.Random(seed), 0
    while number < 2500:
        count = min(chosen.choice((1, 1, 1, 8)), 2500 - number)
        yield from [chosen.randint(1, 8000)] * count
        number += count


@pytest.mark.parametrize("ip, to", [(4, "239.0.0.2"), (4, "198.51.100.2"), (6, "ff05::2"), (6, "2001:db8:2::2")])
def test_receivers_see_the_sender_of_every_datagram(net, unprivileged, tmp_path, ip, to):
    daemon = unprivileged(relay(to, ip=ip))
    senders = [(f"{NETWORKS[ip]}{'.' if ip == 4 else ':'}{number}", port)
               for number, port in ((77, 40001), (77, 1900), (78, 40001), (79, 53))]
    socks = [sender_as(net.peer, *sender) for sender in senders]
    path, expected = str(tmp_path / "capture"), collections.Counter()
    with capture(net.side, path):
        for i, size in enumerate(sizes(to)):
            which = i // 50 % len(socks)
            socks[which].sendto(os.urandom(size), (GROUPS[ip][0], 5004))
            expected[(*senders[which], size)] += 1
            if i % 100 == 99:
                wait_relayed(daemon, i + 1)
        socks[0].sendto(LAST, (GROUPS[ip][0], 5004))
        expected[(*senders[0], len(LAST))] += 1
        assert wait_relayed(daemon, 2501)["delivered"] == 2501, relayed(daemon)
    for sock in socks:
        sock.close()
    address = "ip.src" if ip == 4 else "ipv6.src"
    hops = "ip.ttl" if ip == 4 else "ipv6.hlim"
    seen = collections.Counter()
    for source, port, length, checksum, ttl, whole in tshark(
            path, address, "udp.srcport", "udp.length", "udp.checksum.status", hops, "ip.flags.df"):
        if port and (source, int(port)) in senders:
            assert checksum == "1", (source, port, length)
            # A router that cannot send it on would tell the sender, who has not sent it there.
            assert whole in ("", "0", "False")
            assert ttl == ("64" if "." in to and not to.startswith("239") or to.startswith("2001") else "8")
            seen[(source, int(port), int(length) - 8)] += 1
    assert seen == expected


@pytest.mark.parametrize("ip", [4, 6])
def test_a_datagram_of_no_bytes_and_one_of_the_largest_size_keep_their_source(net, start, ip):
    start(relay(GROUPS[ip][1], ip=ip))
    source = f"{NETWORKS[ip]}{'.' if ip == 4 else ':'}77"
    largest = os.urandom(65507 if ip == 4 else 65527)
    with receiver_on(net.side, GROUPS[ip][1], 5004, "eth0") as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20)
        feed(net, source, 1900, b"", largest, ip=ip)
        for payload in b"", largest:
            data, sender = sock.recvfrom(1 << 16)
            assert (data, sender[:2]) == (payload, (source, 1900))


@pytest.mark.parametrize("to", ["198.51.100.255", "255.255.255.255"])
def test_what_is_broadcast_keeps_its_source(net, start, to):
    start(relay(to, port=5017))
    with net.side, udp_socket("0.0.0.0") as sock:
        sock.bind(("", 5017))
        feed(net, "192.0.2.77", 1900, b"single")
        run_of(net, "192.0.2.77", 1900)
        assert {sock.recvfrom(200)[1] for _ in range(65)} == {("192.0.2.77", 1900)}


@pytest.mark.parametrize("ip", [4, 6])
def test_the_ttl_and_the_dscp_are_those_that_are_given(net, start, ip):
    start(relay(GROUPS[ip][1], 'interface = "eth1"; ttl = 77; dscp = 46;', ip=ip))
    source = f"{NETWORKS[ip]}{'.' if ip == 4 else ':'}77"
    level, options = {4: (socket.IPPROTO_IP, (IP_RECVTTL, IP_RECVTOS)),
                      6: (socket.IPPROTO_IPV6, (socket.IPV6_RECVHOPLIMIT, socket.IPV6_RECVTCLASS))}[ip]
    with receiver_on(net.side, GROUPS[ip][1], 5004, "eth0") as sock:
        for option in options:
            sock.setsockopt(level, option, 1)
        feed(net, source, 1900, b"single", ip=ip)
        run_of(net, source, 1900, ip=ip)
        for _ in range(65):
            _, ancillary, _, sender = sock.recvmsg(200, 100)
            assert sender[:2] == (source, 1900)
            assert sorted(data[0] for _, _, data in ancillary) == [77, 46 << 2]


def test_answers_come_back_to_the_sender(net, start):
    """Also while a socket is bound to its port: it takes none of them, whoever they are for."""
    start(relay("239.0.0.2"))
    net.host.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    with net.peer, udp_socket("0.0.0.0") as searcher, receiver_on(net.side, "239.0.0.2", 5004, "eth0") as device:
        searcher.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        searcher.bind((net.peer.v4, 40007))
        run_of(net, net.peer.v4, 40007)
        senders = {device.recvfrom(200)[1] for _ in range(64)}
        assert senders == {(net.peer.v4, 40007)} and bound_ports(net.host) == {40007}
        for i in range(20):
            device.sendto(b"%d" % i, (net.peer.v4, 40007))
        assert receive(searcher, 20) == [b"%d" % i for i in range(20)]


@pytest.mark.parametrize("keep, found", [("false", 0), ("true", 1)])
def test_a_media_server_on_the_other_network_is_found(net, start, tmp_path, keep, found):
    """By real programs."""
    if not shutil.which("minidlnad") or not shutil.which("gssdp-discover"):
        pytest.skip("minidlna or gssdp-tools is not installed")
    net.host.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    net.side.ip("route replace 239.0.0.0/8 dev eth0")
    net.peer.ip("route replace 239.0.0.0/8 dev eth0")
    (tmp_path / "minidlna.conf").write_text(
        f"network_interface=eth0\nport=8200\nmedia_dir={tmp_path}\ndb_dir={tmp_path}/db\nlog_dir={tmp_path}\n")
    start(relay("239.255.255.250", 'interface = "eth1"; ttl = 4;', keep=keep).replace("239.0.0.1", "239.255.255.250")
          .replace("5004", "1900"))
    with process(net.side, "minidlnad", "-S", "-f", str(tmp_path / "minidlna.conf"), "-P", str(tmp_path / "pid")):
        wait_until(lambda: has_membership(net.side, "239.255.255.250"), "minidlna to join")
        output = net.peer.run("timeout", "3", "gssdp-discover", "-i", "eth0", "-t",
                              "urn:schemas-upnp-org:device:MediaServer:1", check=False)
    assert output.count("resource available") == found, output


def test_a_program_of_this_host_keeps_its_unicast_to_a_port_that_is_sent_from(net, start):
    start(relay("239.0.0.2"))
    with net.host, udp_socket("0.0.0.0") as program:
        program.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        program.bind(("", 5353))
        with receiver_on(net.side, "239.0.0.2", 5004, "eth0") as sock:
            run_of(net, "192.0.2.77", 5353)
            assert {sock.recvfrom(200)[1] for _ in range(64)} == {("192.0.2.77", 5353)}
        assert bound_ports(net.host) == {5353}
        with net.peer, udp_socket("0.0.0.0") as other:
            for i in range(20):
                other.sendto(b"%d" % i, (net.host.v4, 5353))
        assert receive(program, 20) == [b"%d" % i for i in range(20)]


@pytest.mark.parametrize("ip", [4, 6])
def test_a_run_from_a_port_that_cannot_be_had_keeps_its_source(net, start, ip):
    daemon = start(relay(GROUPS[ip][1], ip=ip))
    source = f"{NETWORKS[ip]}{'.' if ip == 4 else ':'}77"
    with net.host, udp_socket(source) as holder, receiver_on(net.side, GROUPS[ip][1], 5004, "eth0") as sock:
        holder.bind(("", 40001))
        for port in 40001, 53:
            run_of(net, source, port, ip=ip)
            assert {sock.recvfrom(200)[1][:2] for _ in range(64)} == {(source, port)}
    assert bound_ports(net.host, ip) == set()
    assert relayed(daemon)["delivered"] == 128


def test_more_ports_than_the_reserve_are_served_and_idle_ones_make_room(net, start):
    daemon = start(relay("239.0.0.2"))
    with receiver_on(net.side, "239.0.0.2", 5004, "eth0") as sock:
        for port in range(40000, 40080):
            run_of(net, "192.0.2.77", port, 8)
            assert {sock.recvfrom(200)[1] for _ in range(8)} == {("192.0.2.77", port)}
        wait_until(lambda: run_of(net, "192.0.2.78", 50000, 8) or 50000 in bound_ports(net.host), "a socket to be reused")
        assert len(bound_ports(net.host)) == 64
    assert daemon.log().count("all 64 sockets for fast senders are in use") <= 1
    numbers = relayed(daemon)
    assert numbers["delivered"] == numbers["received"]


@pytest.mark.parametrize("kinds", [1, 2], ids=["runs", "single"])
def test_what_a_queue_of_this_host_drops_is_not_delivered(net, start, kinds):
    try:
        net.host.run(*"tc qdisc replace dev eth1 root tbf rate 1mbit burst 20k limit 30k".split())
    except subprocess.CalledProcessError:
        pytest.skip("this kernel has no queueing discipline tbf")
    try:
        daemon = start(relay("239.0.0.2", port=5005))
        feed(net, "192.0.2.77", 1900, *(b"%0*d" % (100 + i % kinds, i) for i in range(1000)))
        numbers = wait_relayed(daemon, 1000)
        assert numbers["dropped"]["busy"] > 0, numbers
        assert numbers["delivered"] + numbers["dropped"]["busy"] == 1000
    finally:
        net.host.run("tc", "qdisc", "del", "dev", "eth1", "root", check=False)


def test_a_host_is_not_sent_to_by_another_interface(net, start):
    """IPv6 takes the interface of a control message for a wish."""
    assert net.peer.v6 == "2001:db8:1::1" or net.peer.v6.startswith("2001:db8:1::")
    daemon = start(relay(net.peer.v6, ip=6, port=5015))
    with net.peer, udp_socket("::") as sock:
        sock.bind(("::", 5015))
        feed(net, "2001:db8:1::77", 1900, b"nowhere", ip=6)
        wait_relayed(daemon, 1)
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(100)


@pytest.mark.parametrize("loop", [False, True])
def test_this_host_receives_what_is_relayed_only_with_loop(net, start, loop):
    daemon = start(relay("239.0.0.2", f'interface = "eth1"; loop = {str(loop).lower()};', port=5016))
    with receiver_on(net.host, "239.0.0.2", 5016, "eth1") as here, receiver_on(net.side, "239.0.0.2", 5016, "eth0") as there:
        feed(net, "192.0.2.77", 1900, b"single")
        run_of(net, "192.0.2.77", 1900)
        assert {there.recvfrom(200)[1] for _ in range(65)} == {("192.0.2.77", 1900)}
        wait_relayed(daemon, 65)
        here.setblocking(False)
        came = []
        with contextlib.suppress(BlockingIOError):
            while True:
                came.append(here.recvfrom(200)[1])
        assert came == [("192.0.2.77", 1900)] * (65 if loop else 0)


# Whose source is kept


FORGED = {
    4: ["198.51.100.2", "192.0.2.1", "198.51.100.1", "127.0.0.1", "169.254.7.7", "192.0.2.255", "10.9.8.7", "203.0.113.9"],
    6: ["2001:db8:2::2", "2001:db8:1::1", "2001:db8:2::1", "fe80::1234", "2001:db8:99::1", "2001:db8:77::1"],
}


@pytest.mark.parametrize("ip", [4, 6])
def test_a_forged_source_never_passes(net, start, ip):
    """Of the other network, of this host, of this link alone, of none, and one whose route leads elsewhere."""
    host = {4: [net.host.v4, "198.51.100.1"], 6: [net.host.v6, "2001:db8:2::1"]}[ip]
    forged = [*FORGED[ip], *host]
    net.host.ip("route add 203.0.113.0/24 via 198.51.100.2", "route add 2001:db8:77::/64 via 2001:db8:2::2")
    try:
        daemon = start(relay(GROUPS[ip][1], ip=ip))
        good = f"{NETWORKS[ip]}{'.' if ip == 4 else ':'}77"
        with receiver_on(net.side, GROUPS[ip][1], 5004, "eth0") as sock:
            for source in forged:
                before = daemon.group("in")["received"]
                if ip == 4:
                    forge(net, source, source.encode())
                else:
                    feed(net, source, 1900, source.encode(), ip=ip)
                # What the kernel itself takes for forged does not arrive.
                feed(net, good, 1901, b"good " + source.encode(), ip=ip)
                wait_until(lambda: daemon.group("in")["received"] > before, "the good one")
            assert receive(sock, len(forged)) == [b"good " + source.encode() for source in forged]
        numbers = relayed(daemon)
        assert numbers["delivered"] == len(forged)
        assert numbers["dropped"]["loop"] == numbers["received"] - len(forged) >= 4, numbers
    finally:
        net.host.ip("route del 203.0.113.0/24", "route del 2001:db8:77::/64")


@pytest.mark.parametrize("ip", [4, 6])
def test_a_source_behind_a_router_of_the_network_passes_once_there_is_a_route(net, start, ip):
    daemon = start(relay(GROUPS[ip][1], ip=ip))
    source, route = {4: ("10.9.8.7", "10.9.8.0/24 via 192.0.2.200"),
                     6: ("2001:db8:99::7", "2001:db8:99::/64 via 2001:db8:1::200")}[ip]
    feed(net, source, 1900, b"too early", ip=ip)
    assert wait_relayed(daemon, 1)["dropped"]["loop"] == 1
    assert f"{source}, which came in on eth0, cannot be kept as the source" in daemon.log()
    net.host.ip(f"route add {route}")
    try:
        wait_until(lambda: feed(net, source, 1900, b"x", ip=ip) or relayed(daemon)["delivered"], "it to be relayed")
    finally:
        net.host.ip(f"route del {route}")


@pytest.mark.parametrize("ip", [4, 6])
def test_of_several_next_hops_each_may_bring_the_source(net, start, ip):
    source, prefix, hops = {4: ("10.9.8.7", "10.9.8.0/24", ("198.51.100.9", "192.0.2.9")),
                            6: ("2001:db8:99::7", "2001:db8:99::/64", ("2001:db8:2::9", "2001:db8:1::9"))}[ip]
    net.host.ip(f"route add {prefix} nexthop via {hops[0]} dev eth1 nexthop via {hops[1]} dev eth0")
    try:
        daemon = start(relay(GROUPS[ip][1], ip=ip))
        feed(net, source, 1900, b"x", ip=ip)
        assert wait_relayed(daemon, 1)["delivered"] == 1
    finally:
        net.host.ip(f"route del {prefix}")


# Privileges


def test_the_daemon_has_no_capability_while_it_sends_with_the_sources_of_others(net, unprivileged):
    daemon = unprivileged(relay("239.0.0.2"))
    with receiver_on(net.side, "239.0.0.2", 5004, "eth0") as sock:
        feed(net, "192.0.2.77", 1900, b"single")
        run_of(net, "192.0.2.77", 1901)
        assert {sock.recvfrom(200)[1] for _ in range(65)} == {("192.0.2.77", 1900), ("192.0.2.77", 1901)}
    threads = list(capabilities(daemon.process.pid))
    assert threads
    for thread in threads:
        assert {thread[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}


def test_programs_of_handlers_have_no_capability(net, unprivileged, programs):
    script = programs.write("caps", 'grep "^Cap[IPEA]" /proc/self/status >"$1"')
    daemon = unprivileged(relay("239.0.0.2", programs=f'run: {{ type = "exec"; command = {command(script, "$DIR/caps")}; }};'))
    feed(net, "192.0.2.77", 1900, b"x")
    wait_until(lambda: daemon.read("caps").count(b"\n") == 4, "the program")
    assert {int(value, 16) for value in re.findall(rb"\t(\w+)", daemon.read("caps"))} == {0}


def test_other_capabilities_stay(net, unprivileged):
    """A drop-in for ports under 1024 beside this one: it needs its capability at each reload."""
    daemon = unprivileged(relay("239.0.0.2"), "+net_raw,+net_bind_service")
    for thread in capabilities(daemon.process.pid):
        assert {thread[name] for name in ("CapPrm", "CapEff", "CapAmb")} == {1 << 10}


def test_nothing_is_dropped_where_no_source_is_returned(net, unprivileged):
    """Programs of handlers may need it."""
    daemon = unprivileged(relay("239.0.0.2", keep="false"))
    for thread in capabilities(daemon.process.pid):
        assert {thread[name] for name in ("CapPrm", "CapEff", "CapAmb")} == {1 << 13}


def test_root_that_becomes_another_user_keeps_sources_and_has_no_capability(net, start, users_directory):
    daemon = start(relay("239.0.0.2") + f'user = "{USER}";\n', directory=str(users_directory), wrapper=(
        "env", f"ASAN_OPTIONS={os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"))
    with receiver_on(net.side, "239.0.0.2", 5004, "eth0") as sock:
        feed(net, "192.0.2.77", 1900, b"x")
        assert sock.recvfrom(100)[1] == ("192.0.2.77", 1900)
    for thread in capabilities(daemon.process.pid):
        assert {thread[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}


def test_without_the_capability_the_daemon_runs_and_says_what_to_install(net, unprivileged):
    daemon = unprivileged(relay("239.0.0.2"), "")
    feed(net, "192.0.2.77", 1900, b"x")
    assert wait_relayed(daemon, 1)["dropped"]["absent"] == 1
    assert "keep_source needs CAP_NET_RAW" in daemon.log() and DROP_IN in daemon.log()


def test_a_relay_without_the_capability_says_so_once_for_all_its_interfaces(net, unprivileged):
    daemon = unprivileged('groups: { g: { address = "239.0.0.1"; port = 5004; interfaces = ["eth0", "eth1"];'
                          ' relay: { keep_source = true; }; }; };\n', "")
    feed(net, "192.0.2.77", 1900, b"x")
    wait_until(lambda: daemon.handler("g.relay")["dropped"]["absent"] == 1, "it to be dropped")
    net.host.ip("link set eth1 down", "link set eth1 up")
    wait_until(lambda: net.host.has_route("eth1"), "the link of eth1")
    assert daemon.log().count("handler g.relay: keep_source needs CAP_NET_RAW") == 1


def test_a_reload_that_adds_keep_source_says_that_a_restart_is_needed(net, unprivileged):
    daemon = unprivileged(relay("239.0.0.2", keep="false"))
    daemon.write_config(relay("239.0.0.2"))
    daemon.ctl("reload")
    feed(net, "192.0.2.77", 1900, b"x")
    assert wait_relayed(daemon, 1)["dropped"]["absent"] == 1
    assert DROP_IN in daemon.log() and "restart" in daemon.log()


def test_a_reload_that_takes_keep_source_away_sends_as_itself(net, unprivileged):
    daemon = unprivileged(relay("239.0.0.2"))
    daemon.write_config(relay("239.0.0.2", keep="false"))
    daemon.ctl("reload")
    with receiver_on(net.side, "239.0.0.2", 5004, "eth0") as sock:
        feed(net, "192.0.2.77", 1900, b"x")
        assert sock.recvfrom(100)[1][0] == "198.51.100.1"
    daemon.write_config(relay("239.0.0.2"))
    daemon.ctl("reload")
    with receiver_on(net.side, "239.0.0.2", 5004, "eth0") as sock:
        feed(net, "192.0.2.77", 1900, b"x")
        assert sock.recvfrom(100)[1] == ("192.0.2.77", 1900)


def check_as(path, *capabilities):
    """mcastd --check of a user with these capabilities and no others."""
    kept = "".join(f",+{name}" for name in capabilities)
    result = subprocess.run(
        ["setpriv", "--reuid", USER, "--clear-groups", f"--inh-caps=-all{kept}", f"--ambient-caps=-all{kept}",
         str(path.parent / "mcastd"), "-c", str(path), "--check"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 0, result.stderr
    return result.stderr


def test_check_says_that_the_capability_is_missing(users_directory):
    path = users_directory / "mcastd.conf"
    path.write_text(relay("239.0.0.2") + f'control: {{ socket = "{users_directory}/socket"; }};')
    words = check_as(path)
    assert ": handlers.relay.keep_source: warning: " in words and DROP_IN in words
    assert "keep_source" not in check_as(path, "net_raw")


@pytest.mark.parametrize("port, protocol", [(1900, "SSDP"), (3702, "WS-Discovery")])
def test_check_says_that_answers_to_searches_do_not_come_back(tmp_path, port, protocol):
    path = tmp_path / "mcastd.conf"
    for keep in "false", "true":
        path.write_text(relay("239.255.255.250", keep=keep, port=port).replace("5004", str(port)))
        words = run_mcastd("-c", str(path), "--check").stderr
        assert (f"sends {protocol} searches from an address of this host" in words) == (keep == "false")
