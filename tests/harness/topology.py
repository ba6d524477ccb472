"""Network namespaces for the tests.

A namespace is held by a descriptor of this process and nothing else: it has no name, and it is gone, with its
interfaces, when the descriptor is closed and the last process in it has ended. Nothing is left to clean up, not
even when the tests are killed.
"""

import ctypes
import os
import signal
import subprocess
from contextlib import contextmanager

from harness.waiting import wait_until

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def die_with_us():
    """For preexec_fn: a process that does not outlive the tests, not even when they are killed."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def current_namespace():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class Namespace:
    """A host. Sockets that are made and processes that are started within "with host:" are its own."""

    def __init__(self):
        self.entered = []
        outside = current_namespace()
        try:
            check(libc.unshare(CLONE_NEWNET))
            self.fd = current_namespace()
            # Addresses are usable at once, and none but ours is there.
            for path in ("conf/default/accept_dad", "conf/all/accept_dad", "conf/default/dad_transmits"):
                with open("/proc/sys/net/ipv6/" + path, "w") as setting:
                    setting.write("0")
        finally:
            check(libc.setns(outside, CLONE_NEWNET))
            os.close(outside)
        self.ip("link set lo up")

    def __enter__(self):
        self.entered.append(current_namespace())
        check(libc.setns(self.fd, CLONE_NEWNET))
        return self

    def __exit__(self, *_):
        outside = self.entered.pop()
        check(libc.setns(outside, CLONE_NEWNET))
        os.close(outside)

    @property
    def path(self):
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def close(self):
        os.close(self.fd)

    def run(self, *command, **options):
        """Runs a command to its end and returns its standard output. It must succeed."""
        options = {"check": True, "text": True, "timeout": 60, "stdout": subprocess.PIPE, **options}
        with self:
            return subprocess.run(command, **options).stdout

    def has_route(self, interface):
        """Whether the kernel has noticed that the interface has a link: it may take a moment."""
        return f"dev {interface} " in self.run("ip", "-6", "route", "show", "table", "local", "ff00::/8")

    def ip(self, *commands):
        self.run("ip", "-batch", "-", input="".join(f"{line}\n" for line in commands))


class Host(Namespace):
    """A namespace with the addresses of its first interface."""

    v4 = v6 = None

    def plug(self, interface, network, number, default):
        """Gives an interface addresses, and the route that tutorials ask for."""
        v4, v6 = f"{network.v4}.{number}", f"{network.v6}::{number}"
        self.v4, self.v6 = self.v4 or v4, self.v6 or v6
        self.ip(
            f"address add {v4}/24 dev {interface}",
            f"address add {v6}/64 dev {interface} nodad",
            f"link set {interface} up",
            *([f"route add 224.0.0.0/4 dev {interface}"] if default else []),
        )


class Network:
    """A LAN segment: the addresses, and a switch that forwards every group to everybody."""

    def __init__(self, v4, v6):
        self.v4, self.v6 = v4, v6
        self.switch = Namespace()
        self.switch.ip("link add switch type bridge mcast_snooping 0 stp_state 0", "link set switch up")
        self.ports = 0

    def plug(self, host, interface, default=True):
        """Returns the name of the switch's port."""
        self.ports += 1
        port = f"port{self.ports}"
        # A link whose two ends have different indexes is noticed at once, else within a second
        # (linkwatch_urgent_event() in the kernel).
        self.switch.ip(
            f"link add {port} index {100 + self.ports} type veth peer name {interface} netns {host.path}",
            f"link set {port} master switch up",
        )
        host.plug(interface, self, self.ports, default)
        return port


class Topology:
    """The network of every test:

        peer ---+
        other --+-- eth0  host  eth1 -- side
    """

    def __init__(self):
        self.host, self.peer, self.other, self.side = self.hosts = [Host() for _ in range(4)]
        self.first = Network("192.0.2", "2001:db8:1")
        self.second = Network("198.51.100", "2001:db8:2")
        for host in (self.host, self.peer, self.other):
            self.first.plug(host, "eth0")
        self.second.plug(self.host, "eth1", default=False)
        self.second.plug(self.side, "eth0")
        for host, interface in *((host, "eth0") for host in self.hosts), (self.host, "eth1"):
            wait_until(lambda: host.has_route(interface), f"the link of {interface}")

    def close(self):
        for namespace in (*self.hosts, self.first.switch, self.second.switch):
            namespace.close()


@contextmanager
def topology():
    net = Topology()
    try:
        yield net
    finally:
        net.close()
