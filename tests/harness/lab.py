"""A small network in which one thing is wrong: hosts, links, switches and routers, numbered datagrams while somebody watches, and
plain receivers that say whether they arrive. It knows nothing of mcastd.

    peer  eth0 ------ eth0  host
"""

import contextlib
import ctypes
import os
import platform
import signal
import socket
import struct
import tempfile
import threading
import time
import zlib

from harness.topology import Host, Namespace, check, libc
from harness.tunnels import checksum, packet
from harness.waiting import wait_until

GROUP = {4: "233.252.0.10", 6: "ff15::10"}
PEER = {4: "192.0.2.1", 6: "2001:db8:1::1"}
HOST = {4: "192.0.2.2", 6: "2001:db8:1::2"}
STRANGE = {4: "203.0.113.1", 6: "2001:db8:f::1"}  # no route leads there
PORT = 5004
RATE = 50  # datagrams a second
COUNT = 20  # datagrams that prove it
PAUSE = 0.5  # seconds; a longer one is seen

# What the socket module does not have: ip(7), ipv6(7), socket(7), packet(7).
IP_MULTICAST_ALL, IPV6_MULTICAST_ALL = 49, 29
MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP = 42, 46
SO_ATTACH_FILTER = 26
SOL_PACKET, PACKET_STATISTICS = 263, 6
PACKET_OUTGOING = 4
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x800, 0x86dd
BPF = {"x86_64": 321, "aarch64": 280}.get(platform.machine())
PIDFD_GETFD = 438


def level(family):
    return socket.IPPROTO_IP if family == 4 else socket.IPPROTO_IPV6


def domain(family):
    return socket.AF_INET if family == 4 else socket.AF_INET6


def storage(address):
    """A struct sockaddr_storage."""
    if ":" in address:
        return struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, address), 0).ljust(128, b"\0")
    return struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(address)).ljust(128, b"\0")


class Receiver:
    """A program that has joined a group on an interface, and counts."""

    def __init__(self, host, group, port, interface, sources=(), loose=False):
        family = 6 if ":" in group else 4
        with host:
            self.socket = socket.socket(domain(family), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if not loose:
                self.socket.setsockopt(level(family), IP_MULTICAST_ALL if family == 4 else IPV6_MULTICAST_ALL, 0)
            self.socket.bind((group, port))
            if family == 6:  # the kernel does not compare the interface (inet6_mc_check())
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            index = socket.if_nametoindex(interface)
            for source in sources:
                self.socket.setsockopt(level(family), MCAST_JOIN_SOURCE_GROUP,
                                       struct.pack("@I4x", index) + storage(group) + storage(source))
            if not sources:
                self.socket.setsockopt(level(family), MCAST_JOIN_GROUP, struct.pack("@I4x", index) + storage(group))
        self.count, self.payloads = 0, set()

    def read(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                payload = self.socket.recv(65536)
                self.count += 1
                self.payloads.add(payload[:8])
        return self.count

    def close(self):
        self.socket.close()


class Watch:
    """What comes in on an interface for a group: packet(7), before the host has a say."""

    def __init__(self, host, interface, group):
        self.group = socket.inet_pton(domain(6 if ":" in group else 4), group)
        with host:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ALL))
            self.socket.bind((interface, ETH_P_ALL))
        self.ours, self.reports = 0, 0

    def read(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                data, (_, _, kind, _, _) = self.socket.recvfrom(2048)
                self.take(data, kind == PACKET_OUTGOING)
        return self.ours

    def take(self, data, leaves):
        """A report has the group somewhere in it; a datagram for it at the place of the destination, behind a tag too."""
        at = 18 if data[12:14] == b"\x81\0" else 14
        is_v4 = data[at - 2:at] == b"\x08\0"
        is_to_us = data[at + 16:at + 20] == self.group if is_v4 else data[at + 24:at + 40] == self.group
        is_report = data[at + 9] == socket.IPPROTO_IGMP if is_v4 else data[at + 6] in (0, socket.IPPROTO_ICMPV6)
        if is_report:
            self.reports += leaves and self.group in data
        else:
            self.ours += is_to_us and not leaves

    def close(self):
        self.socket.close()


class Stream:
    """Numbered datagrams from one host, RATE a second and one at a time unless told otherwise, until it is stopped. What the
    kernel refuses counts as sent: whoever watches wants the time that has passed."""

    def __init__(self, host, group, port, interface="eth0", source=None, size=32, ttl=8, loop=True, rate=RATE, burst=1, sockets=1):
        family = 6 if ":" in group else 4
        self.to, self.size, self.interval, self.burst = (group, port), size, burst / rate, burst
        self.sent, self.errors = 0, 0
        self.sockets = [self.open(host, family, interface, source, ttl, loop) for _ in range(sockets)]
        self.start()

    @staticmethod
    def open(host, family, interface, source, ttl, loop):
        with host:
            sock = socket.socket(domain(family), socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, True)
            index = socket.if_nametoindex(interface)
            if family == 4:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, loop)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + struct.pack("@i", index))
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, loop)
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            if source:
                sock.bind((source, 0))
        return sock

    def start(self):
        self.last, self.pause = time.monotonic(), 0  # when it sent, and the longest time between two
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        due = time.monotonic()
        while not self.ended.wait(max(0, due - time.monotonic())):
            for _ in range(self.burst):
                self.send(self.sent)
                self.sent += 1
            now = time.monotonic()
            self.last, self.pause = now, max(self.pause, now - self.last)
            due = max(due + self.interval, time.monotonic() - 1)

    def send(self, number):
        payload = b"%08d" % number
        try:
            self.sockets[number % len(self.sockets)].sendto(payload.ljust(self.size, b"x"), self.to)
        except OSError:
            self.errors += 1

    def wait(self, count=COUNT):
        """Until that many more were sent."""
        goal = self.sent + count
        wait_until(lambda: self.sent >= goal, f"{count} datagrams to be sent")

    def pace(self):
        """Returns a function that tells whether at least half of what should have been sent since was, and without a pause."""
        sent, began, self.pause = self.sent, time.monotonic(), 0

        def kept():
            now = time.monotonic()
            return (self.sent - sent >= (now - began) / self.interval * self.burst / 2 - 1
                    and max(self.pause, now - self.last) < max(PAUSE, 2 * self.interval))

        return kept

    def close(self):
        self.ended.set()
        self.thread.join()
        for sock in self.sockets:
            sock.close()


class Frames(Stream):
    """The same from a program that makes its frames itself: make(number) returns those of one datagram."""

    def __init__(self, host, make, interface="eth0", rate=RATE):
        self.make, self.interval, self.burst, self.sent, self.errors = make, 1 / rate, 1, 0, 0
        with host:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
            sock.bind((interface, ETH_P_IP))
        self.sockets = [sock]
        self.start()

    def send(self, number):
        for data in self.make(number):
            try:
                self.sockets[0].send(data)
            except OSError:
                self.errors += 1


class Packets(Stream):
    """The same through the program's end of a tunnel (harness/tunnels.py): make(number) returns what Tunnel.put_in() takes."""

    def __init__(self, tunnel, make, rate=RATE):
        self.tunnel, self.make, self.interval, self.burst, self.sent, self.errors, self.sockets = tunnel, make, 1 / rate, 1, 0, 0, []
        self.start()

    def send(self, number):
        self.tunnel.put_in(*self.make(number))


class Lab:
    """The defaults are of a host that is healthy; a fault changes some of it. close() ends all of it."""

    def __init__(self, family=4):
        self.family = family
        self.group, self.port, self.interfaces, self.sources = GROUP[family], PORT, ["eth0"], []
        self.stack = contextlib.ExitStack()
        self.streams, self.stream = [], None
        self.options = {}  # of the stream that is meant for the host
        self.change = None  # what is done to its frames: a function of the IP packet and its number, that returns frames
        self.is_silent, self.tunnel = False, None
        self.repairs = []  # what ends the fault, on the host or elsewhere
        self.before_look = []  # functions that are called before each look
        # How the daemon is configured and started, and what happens then.
        self.settings, self.handlers, self.more, self.wrapper, self.on_start = "", "", "", (), []
        self.senders = None  # who may send; None: everybody
        self.host = self.peer = None
        self.viewer = None  # the host that the doctor runs on: None: the same
        self.wait = "1s"

    # Hosts and links

    def add_host(self):
        host = Host()
        self.stack.callback(host.close)
        with host:
            for where in ("all", "default"):
                set_sysctl(f"net.ipv4.conf.{where}.rp_filter", 0)
        return host

    def add_namespace(self):
        namespace = Namespace()
        self.stack.callback(namespace.close)
        return namespace

    def link(self, one, name, other, other_name, number=1, addressed=True):
        """A cable: two interfaces, with the addresses .1 and .2 of network `number`."""
        # Its ends have different indexes: see Network in topology.py.
        one.ip(f"link add {name} index {100 + number} type veth peer name {other_name} index {200 + number} netns {other.path}")
        for host, interface, last in (one, name, 1), (other, other_name, 2):
            commands = [f"link set {interface} up"]
            if addressed:
                commands += [f"address add {network(4, number)}{last}/24 dev {interface}",
                             f"address add {network(6, number)}{last}/64 dev {interface} nodad"]
            host.ip(*commands)
        self.wait_links((one, name), (other, other_name))

    @staticmethod
    def wait_links(*ends):
        for host, interface in ends:
            wait_until(lambda: host.has_route(interface), f"the link of {interface}")

    def pair(self):
        self.peer, self.host = self.add_host(), self.add_host()
        self.link(self.peer, "eth0", self.host, "eth0")

    def switched(self, host_ports=("eth0",), bridge="mcast_snooping 0", before=lambda: None):
        """The peer and the host at a switch, the host with some interfaces: .2, .3, ... What is done before they come up."""
        self.peer, self.host, self.switch = self.add_host(), self.add_host(), self.add_namespace()
        self.switch.ip(f"link add switch type bridge stp_state 0 {bridge}", "link set switch up")
        before()
        self.plug(self.peer, "eth0", 1)
        for number, interface in enumerate(host_ports, 2):
            self.plug(self.host, interface, number)

    def plug(self, host, interface, number):
        self.switch.ip(f"link add port{number} index {100 + number} type veth peer name {interface} netns {host.path}",
                       f"link set port{number} master switch up")
        host.ip(f"address add {network(4)}{number}/24 dev {interface}", f"address add {network(6)}{number}/64 dev {interface} nodad",
                f"link set {interface} up")
        self.wait_links((host, interface))

    def snooping(self, membership=260):
        """A switch that sends a group only where it was asked for, for `membership` seconds, and whose queries are lost. A bridge
        floods unless it knows of a querier: so it is one, whose next query is hours away."""
        never = 1000000  # hundredths of a second
        self.switched(bridge=f"mcast_snooping 1 mcast_query_response_interval 10 mcast_query_interval {never} "
                      f"mcast_startup_query_count 1 mcast_startup_query_interval {never} mcast_membership_interval {membership * 100} "
                      "mcast_igmp_version 3 mcast_mld_version 2")
        nft(self.switch, "table netdev lost { chain queries { type filter hook egress device port2 priority 0; "
            "ip protocol igmp @th,0,8 0x11 drop; icmpv6 type mld-listener-query drop; }; }")
        self.switch.ip(*(f"link set dev {port} type bridge_slave mcast_flood off" for port in ("port1", "port2")))
        self.switch.ip("link set switch type bridge mcast_querier 1")
        # Until the query's response time is over, the bridge floods.
        watch = self.stack.enter_context(contextlib.closing(Watch(self.host, "eth0", "233.252.0.99" if self.family == 4 else "ff15::99")))
        probe = self.stack.enter_context(contextlib.closing(
            Stream(self.peer, "233.252.0.99" if self.family == 4 else "ff15::99", 5099)))

        def is_quiet():
            watch.read()
            before, _ = watch.ours, probe.wait(5)
            return watch.read() == before

        wait_until(is_quiet, "the switch to stop flooding")
        probe.close()
        watch.close()

    def asked(self, before=lambda: None, version=2):
        """A switch that sends a group only where it was asked for, for three seconds, and that asks each second."""
        self.switched(bridge="mcast_snooping 1 mcast_query_interval 100 mcast_query_response_interval 10 "
                      "mcast_startup_query_interval 100 mcast_membership_interval 300 "
                      f"mcast_igmp_version {version} mcast_mld_version {version - 1}", before=before)
        self.switch.ip(*(f"link set dev {port} type bridge_slave mcast_flood off" for port in ("port1", "port2")),
                       "link set switch type bridge mcast_querier 1")
        self.wait = "3s"

    def routed(self):
        """The peer and the host in two networks, between which a router forwards the group."""
        self.peer, self.host, self.router = self.add_host(), self.add_host(), self.add_host()
        self.link(self.peer, "eth0", self.router, "left", 1)
        self.link(self.router, "right", self.host, "eth0", 2)
        self.host.ip(f"route add default via {network(4, 2)}1", f"route add ::/0 via {network(6, 2)}1")
        with self.router:
            set_sysctl("net.ipv4.ip_forward", 1)
            set_sysctl("net.ipv4.conf.all.mc_forwarding", 1, needed=False)
            self.stack.enter_context(forwarding(self.group, PEER[self.family]))

    # Traffic

    def add_stream(self, *arguments, **options):
        return self.keep(Stream(*arguments, **options))

    def keep(self, stream):
        self.streams.append(stream)
        self.stack.callback(stream.close)
        return stream

    def begin(self):
        """Starts the stream that is meant for the host. A silent one goes to nobody, but tells the time."""
        options = {"host": self.peer, "group": self.group, "port": self.port, **self.options}
        if self.is_silent:
            self.stream = self.keep(Frames(self.peer, lambda number: []))
        elif self.tunnel:
            self.stream = self.keep(Packets(self.tunnel, lambda number: (PEER[self.family], self.group, self.port, b"%08d" % number)))
        elif self.change:
            source, size = options.get("source", PEER[self.family]), options.get("size", 32)

            def make(number):
                payload = (b"%08d" % number).ljust(size, b"x")
                return self.change(packet(source, options["group"], options["port"], payload), number)

            self.stream = self.keep(Frames(self.peer, make))
        else:
            self.stream = self.add_stream(options.pop("host"), options.pop("group"), options.pop("port"), **options)

    def receiver(self, interface=None, **options):
        receiver = Receiver(self.host, self.group, self.port, interface or (self.interfaces or ["eth0"])[0], self.sources, **options)
        self.stack.callback(receiver.close)
        return receiver

    def watch(self, interface=None):
        watch = Watch(self.host, interface or (self.interfaces or ["eth0"])[0], self.group)
        self.stack.callback(watch.close)
        return watch

    # Repairs

    def repair_with(self, *commands, host=None):
        """Shell commands that end the fault."""
        for command in commands:
            self.repairs.append(lambda command=command: sh(host or self.host, command))

    def repair(self):
        for end in self.repairs:
            end()

    def close(self):
        self.stack.close()


def network(family, number=1):
    """The addresses of a network, without their last number."""
    return ("192.0.2." if number == 1 else f"198.51.{99 + number}.") if family == 4 else f"2001:db8:{number}::"


def set_sysctl(name, value, needed=True):
    """Of the namespace that the caller is in. A name of an interface may have dots."""
    try:
        with open("/proc/sys/" + name.replace(".", "/"), "w") as file:
            file.write(str(value))
    except OSError:
        if needed:
            raise


def sysctl(host, name, value):
    with host:
        set_sysctl(name, value)


def sh(host, command, **options):
    return host.run("sh", "-c", command, **options)


def nft(host, rules):
    host.run("nft", "-f", "-", input=rules)


def drop_at(lab, hook, rule="udp dport 5004", family="inet", priority=0, policy="accept", device=None):
    """A chain with one rule, and its removal as the repair."""
    device = f"device {device} " if device else ""
    nft(lab.host, f"table {family} guard {{ chain {hook} {{ type filter hook {hook} {device}priority {priority}; policy {policy}; "
        f"{rule} counter drop; }}; }}")
    lab.repair_with(f"nft delete table {family} guard")


# Frames

def spoil(packet_, at, mask=0x5a):
    data = bytearray(packet_)
    data[at] ^= mask
    return bytes(data)


def tagged(data, vlan):
    """An Ethernet frame with a VLAN tag (IEEE 802.1Q)."""
    return data[:12] + struct.pack("!HH", 0x8100, vlan) + data[12:]


def fragments(data, size=1000):
    """An IP packet in pieces (RFC 791, RFC 8200 4.5); the number of the stream is its identification. size is a multiple of 8."""
    is_v4 = data[0] >> 4 == 4
    head, body = (data[:20], data[20:]) if is_v4 else (data[:40], data[40:])
    identification = struct.unpack("!I", zlib.crc32(data).to_bytes(4, "big"))[0]
    pieces = []
    for at in range(0, len(body), size):
        piece, more = body[at:at + size], at + size < len(body)
        if is_v4:
            start = head[:2] + struct.pack("!HHH", 20 + len(piece), identification & 0xffff, at // 8 | more << 13) + head[8:10]
            pieces.append(start + struct.pack("!H", checksum(start + bytes(2) + head[12:])) + head[12:] + piece)
        else:
            start = head[:4] + struct.pack("!HB", 8 + len(piece), socket.IPPROTO_FRAGMENT) + head[7:]
            pieces.append(start + struct.pack("!BBHI", socket.IPPROTO_UDP, 0, at | more, identification) + piece)
    return pieces


# The kernel

@contextlib.contextmanager
def forwarding(group, source):
    """A multicast router in this namespace, from interface "left" to "right" (linux/mroute.h, mroute6.h)."""
    is_v4 = ":" not in group
    family, name = (4, socket.IPPROTO_IGMP) if is_v4 else (6, socket.IPPROTO_ICMPV6)
    with socket.socket(domain(family), socket.SOCK_RAW, name) as sock:
        sock.setsockopt(level(family), 200, 1)  # MRT_INIT
        for number, interface in enumerate(("left", "right")):
            index = socket.if_nametoindex(interface)
            vif = struct.pack("@HBBIi4x", number, 8, 1, 0, index) if is_v4 else struct.pack("@HBBHI", number, 0, 1, index, 0)
            sock.setsockopt(level(family), 202, vif)  # MRT_ADD_VIF, with its ifindex
        if is_v4:
            entry = socket.inet_aton(source) + socket.inet_aton(group) + struct.pack("@H32s", 0, b"\0\1".ljust(32, b"\0"))
            entry = entry.ljust(44, b"\0") + bytes(16)
        else:
            entry = storage(source)[:28] + storage(group)[:28] + struct.pack("@H2xI28x", 0, 2)
        sock.setsockopt(level(family), 204, entry)  # MRT_ADD_MFC
        yield


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes.ljust(120, b"\0"))
    result = libc.syscall(BPF, command, buffer, 120)
    check(result)
    return result


CGROUP_SKB, XDP = 8, 6  # kinds of programs


def load_program(kind):
    """A program that drops every packet (bpf(2))."""
    verdict = 1 if kind == XDP else 0
    code = struct.pack("=BBhi", 0xb7, 0, 0, verdict) + struct.pack("=BBhi", 0x95, 0, 0, 0)
    instructions, licence = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
    return bpf(5, struct.pack("=IIQQ", kind, 2, ctypes.addressof(instructions), ctypes.addressof(licence)))


def cgroup_root():
    with open("/proc/mounts") as file:
        return next((fields[1] for fields in map(str.split, file) if fields[2] == "cgroup2"), None)


@contextlib.contextmanager
def denying_cgroup(egress=False):
    """A cgroup as systemd makes it for a service with IPAddressDeny=any, but only for one direction. Yields its directory, and a
    function that ends it."""
    path = tempfile.mkdtemp(prefix="mcastd-test-", dir=cgroup_root())
    directory = os.open(path, os.O_RDONLY)
    program = load_program(CGROUP_SKB)
    try:
        bpf(8, struct.pack("=IIII", directory, program, egress, 0))  # BPF_PROG_ATTACH, BPF_CGROUP_INET_INGRESS or EGRESS
        yield path, lambda: bpf(9, struct.pack("=IIII", directory, program, egress, 0))  # BPF_PROG_DETACH
    finally:
        os.close(program)
        os.close(directory)
        wait_until(lambda: not open(os.path.join(path, "cgroup.procs")).read(), "the cgroup to be empty")
        os.rmdir(path)


def set_xdp(interface, program):
    """Attaches an XDP program to an interface of this namespace, as every driver can (rtnetlink(7), IFLA_XDP); -1: none."""
    data = struct.pack("=HHiHHI", 8, 1, program, 8, 3, 2)  # IFLA_XDP_FD, IFLA_XDP_FLAGS: XDP_FLAGS_SKB_MODE
    body = struct.pack("=BxHiII", 0, 0, socket.if_nametoindex(interface), 0, 0) + struct.pack("=HH", 4 + len(data), 43 | 0x8000) + data
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), 19, 5, 1, 0) + body)  # RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK
        error = -struct.unpack_from("=i", netlink.recv(4096), 16)[0]
    if error:
        raise OSError(error, os.strerror(error))


IN_A_CGROUP = "sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"'


def sockets_of(process, address):
    """Copies of another process's UDP sockets that are bound to an address (pidfd_getfd(2))."""
    handle, found = os.pidfd_open(process), []
    for name in os.listdir(f"/proc/{process}/fd"):
        with contextlib.suppress(OSError):
            if not os.readlink(f"/proc/{process}/fd/{name}").startswith("socket:"):
                continue
            fd = libc.syscall(PIDFD_GETFD, handle, int(name), 0)
            sock = socket.socket(fileno=fd)
            if sock.type == socket.SOCK_DGRAM and sock.family in (socket.AF_INET, socket.AF_INET6) and sock.getsockname()[0] == address:
                found.append(sock)
            else:
                sock.close()
    os.close(handle)
    return found


def filter_all(sock):
    """A socket filter that takes nothing (socket(7), SO_ATTACH_FILTER)."""
    code = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(code)))


@contextlib.contextmanager
def as_user(uid):
    """Sockets that this thread makes are of this user."""
    before = libc.setfsuid(uid)
    try:
        yield
    finally:
        libc.setfsuid(before)


@contextlib.contextmanager
def stuttering(process, stopped=0.4, running=0.1):
    """A process that the machine gives no time: most of the time it is stopped."""
    ended = threading.Event()

    def run():
        while not ended.is_set():
            process.send_signal(signal.SIGSTOP)
            ended.wait(stopped)
            process.send_signal(signal.SIGCONT)
            ended.wait(running)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


