"""The other side: programs that know nothing of mcastd, and only plain sockets."""

import socket
import struct
import subprocess
import types
from contextlib import contextmanager

from harness import with_us
from harness.waiting import TIMEOUT, wait_until

LARGEST = 65507  # bytes of payload
IP_RECVTTL = 12  # ip(7); missing from the socket module
IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def packed(address):
    return socket.inet_pton(family(address), address)


def udp_socket(address):
    sock = socket.socket(family(address), socket.SOCK_DGRAM)
    sock.settimeout(TIMEOUT)
    return sock


def tutorial_receiver(host, group, port):
    """What every tutorial has: bound to all addresses, joined on whatever interface the kernel likes."""
    with host:
        sock = udp_socket(group)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET:
            sock.bind(("", port))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                            struct.pack("4sL", packed(group), socket.INADDR_ANY))
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(("", port))
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed(group) + struct.pack("@I", 0))
    return sock


def receiver_on(host, group, port, interface):
    """A receiver that joins on one interface. Bound to all addresses, it stays open to other groups."""
    with host:
        sock = udp_socket(group)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        index = socket.if_nametoindex(interface)
        if sock.family == socket.AF_INET:
            sock.bind(("", port))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                            packed(group) + bytes(4) + struct.pack("@i", index))
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(("", port))
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed(group) + struct.pack("@I", index))
    return sock


def tutorial_sender(host, group, ttl=2):
    """What every tutorial has: a socket with a TTL. Returns the socket."""
    with host:
        sock = udp_socket(group)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
    return sock


def send(host, payload, group, port, interface=None, source=None):
    """Sends one datagram and returns the port that it came from."""
    with tutorial_sender(host, group) as sock, host:
        if interface:
            index = socket.if_nametoindex(interface)
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + struct.pack("@i", index))
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        if source:
            sock.bind((source, 0))
        sock.sendto(payload, (group, port))
        return sock.getsockname()[1]


def sender_as(host, source, port, interface="eth0", ttl=9):
    """A socket that sends from any address to groups."""
    with host:
        sock, index = udp_socket(source), socket.if_nametoindex(interface)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("@4s4si", bytes(4), bytes(4), index))
            sock.bind((source, port))
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            sock.bind((source, port, 0, index))
    return sock


def receive(sock, count=1):
    """The payloads of the next datagrams."""
    return [sock.recv(LARGEST + 1) for _ in range(count)]


def seqpacket_at_once(path):
    """A connection to a group socket that the daemon may not have accepted yet."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(TIMEOUT)
    sock.connect(path)
    return sock


def stream_at_once(path):
    """The same for a stream."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(TIMEOUT)
    sock.connect(path)
    return sock


def is_accepted(path):
    """Whether no connection to a socket that was bound to the path waits to be accepted; of those that were made in the caller's
    network namespace."""
    with open("/proc/thread-self/net/unix") as file:
        return not any(fields[6] == "0" and fields[-1] == path for fields in map(str.split, file))


def seqpacket(path):
    """A connection to a group socket that gets what arrives from now on: the daemon accepts it in its own time."""
    sock = seqpacket_at_once(path)
    bound = sock.getpeername()  # the daemon renames the file
    wait_until(lambda: is_accepted(bound), "the connection to be accepted")
    return sock


@contextmanager
def process(host, *command, **options):
    """A program that runs in the host's namespace for as long as the block does."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **options}
    with host:
        child = with_us.start(command, **options)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def has_membership(host, group, interface="eth0"):
    """Whether any program of the host has joined the group on the interface."""
    with host:
        if family(group) == socket.AF_INET6:
            with open("/proc/thread-self/net/igmp6") as file:
                return any(line.split()[1:3] == [interface, packed(group).hex()] for line in file)
        wanted = f"{struct.unpack('=I', packed(group))[0]:08X}"
        with open("/proc/thread-self/net/igmp") as file:
            current = None
            for line in file:
                fields = line.split()
                if line[0].isdigit():
                    current = fields[1].rstrip(":")
                elif current == interface and fields[0] == wanted:
                    return True
    return False


class Blast:
    """The fast sender, blast.c."""

    def __init__(self, directory):
        self.binary = f"{directory}/blast"
        source = __file__.replace("peers.py", "blast.c")
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", self.binary, source], check=True)

    def command(self, group, port, count, size=64, interface=None, source=None, tag="x", groups=1, bulk=False,
                rate=0, timed=False, connected=False, word=False, every=0):
        options = ["-t", tag, "-g", str(groups), "-r", str(rate), *(["-b"] if bulk else []), *(["-c"] if timed else []),
                   *(["-k"] if connected else []), *(["-w"] if word else []), *(["-l", str(every)] if every else [])]
        options += ["-i", interface] if interface else []
        options += ["-s", source] if source else []
        return [self.binary, *options, group, str(port), str(count), str(size)]

    def __call__(self, host, *arguments, **options):
        """Sends all of it, and returns how many datagrams that were."""
        return int(host.run(*self.command(*arguments, **options), timeout=600))

    @contextmanager
    def stream(self, host, *arguments, rate, **options):
        """Sends so many a second for as long as the block lasts; its "sent" then is how many those were."""
        command = self.command(*arguments[:2], 1 << 40, *arguments[2:], rate=rate, **options)
        stream = types.SimpleNamespace(sent=None, pid=None)
        with host:
            process = with_us.start(command, stdout=subprocess.PIPE, text=True)
        stream.pid = process.pid
        with process:
            try:
                yield stream
            finally:
                process.terminate()
                stream.sent = int(process.stdout.read())
