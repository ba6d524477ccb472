"""The network of the bench:

    sender eth0 ---- eth0 host eth1 ---- eth0 sink

The hosts are network namespaces, the lines veth pairs. A veth delivers in the context of whoever sends: what comes in costs
the sender, and what a receiver sends on costs the receiver all the way into the sink. The sink has a socket with
the smallest of all buffers that nobody reads, so that what arrives there is counted and costs no other program.
"""

import os
import socket
import struct
from collections import Counter, namedtuple
from contextlib import contextmanager

from harness.topology import Host
from harness.waiting import wait_until


def choose_cores():
    """The sender's and the receiver's core, of those that we may use: no siblings of one another, which share what a core has,
    where there are such. The second is None where there is but one."""
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        return first, None
    with open(f"/sys/devices/system/cpu/cpu{first}/topology/thread_siblings_list") as file:
        ranges = [part.split("-") for part in file.read().strip().split(",")]
    siblings = {core for ends in ranges for core in range(int(ends[0]), int(ends[-1]) + 1)}
    return first, [*(core for core in others if core not in siblings), *others][0]


SENDER_CORE, RECEIVER_CORE = choose_cores()
GROUP, PORT = "239.1.1.1", 5000
GROUP6 = "ff15::1"
OUT_GROUP, OUT_PORT = "239.2.2.2", 6000
SINK, SINK6 = "198.51.100.2", "2001:db8:2::2"

Wire = namedtuple("Wire", "v4 v6")


def counters(host):
    """The UDP counters of a host's kernel, of IPv4 and IPv6 together: /proc/net/snmp and snmp6."""
    with host, open("/proc/thread-self/net/snmp") as file, open("/proc/thread-self/net/snmp6") as file6:
        names, values = (line.split()[1:] for line in file if line.startswith("Udp: "))
        total = Counter(dict(zip(names, map(int, values))))
        total.update({name[4:]: int(value) for name, value in map(str.split, file6) if name.startswith("Udp6")})
    return total


class Lan:
    def __init__(self):
        self.hosts = self.sender, self.host, self.sink = [Host() for _ in range(3)]
        self.connect(self.sender, self.host, "eth0", Wire("192.0.2", "2001:db8:1"))
        self.connect(self.sink, self.host, "eth1", Wire("198.51.100", "2001:db8:2"))
        for host, interface in (self.sender, "eth0"), (self.host, "eth0"), (self.host, "eth1"), (self.sink, "eth0"):
            wait_until(lambda: host.has_route(interface), f"the link of {interface}")
        with self.host, open("/proc/sys/net/unix/max_dgram_qlen", "w") as setting:
            setting.write("512")  # what may wait at a datagram socket: a default of 10 would be what is measured
        self.open_drain()

    @staticmethod
    def connect(near, host, interface, wire):
        near.ip(f"link add eth0 type veth peer name {interface} netns {host.path}")
        near.plug("eth0", wire, 2, default=True)
        host.plug(interface, wire, 1, default=interface == "eth0")

    def open_drain(self):
        """What nobody reads: one socket for unicast, and for OUT_GROUP, and one for IPv6."""
        with self.sink:
            self.drain6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            self.drain6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.drain6.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
            self.drain6.bind(("", OUT_PORT))
            self.drain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.drain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
            self.drain.bind(("", OUT_PORT))
            self.drain.setsockopt(
                socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                socket.inet_aton(OUT_GROUP) + bytes(4) + struct.pack("@i", socket.if_nametoindex("eth0")))

    def received(self):
        """Datagrams that programs of the host have read."""
        return counters(self.host)["InDatagrams"]

    def dropped(self):
        """Datagrams that the host's kernel dropped, as a receive buffer was full."""
        return counters(self.host)["RcvbufErrors"]

    def drained(self):
        """Datagrams that came as far as the sink."""
        numbers = counters(self.sink)
        return numbers["InDatagrams"] + numbers["RcvbufErrors"]

    def close(self):
        self.drain.close()
        self.drain6.close()
        for host in self.hosts:
            host.close()


@contextmanager
def lan():
    net = Lan()
    try:
        yield net
    finally:
        net.close()
