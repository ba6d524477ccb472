"""Two sites, each with a LAN of its own, and a WAN between them where brokers live:

    peer --+-- eth0  host    wan --+          +-- wan  host    eth0 --+-- peer
           +-- eth0  second  wan --+-- WAN ---+-- wan  second  eth0 --+
                                     | | |
                                   brokers

Nothing forwards between the networks: only what a daemon exports leaves a site. The daemon is at home on a site's host (and a
second one on its second); the peer sends to groups and receives them.
"""

import json
import subprocess
from contextlib import contextmanager

from harness import with_us
from harness.topology import Host, Network
from harness.waiting import wait_until


class Site:
    """.host, .second and .peer are its hosts."""

    def __init__(self, name, lan, wan):
        self.name, self.lan, self.wan = name, lan, wan
        self.host, self.second, self.peer = self.hosts = [Host() for _ in range(3)]
        for host in self.hosts:
            lan.plug(host, "eth0")
        self.ports = {host: wan.plug(host, "wan", default=False) for host in (self.host, self.second)}

    def cut(self):
        """The WAN is gone somewhere on its way: what is sent vanishes, and interfaces do not notice."""
        for port in self.ports.values():
            self.wan.switch.ip(f"link set {port} nomaster")

    def restore(self):
        for port in self.ports.values():
            self.wan.switch.ip(f"link set {port} master switch")

    def unplug(self):
        """The interfaces to the WAN have no link."""
        for port in self.ports.values():
            self.wan.switch.ip(f"link set {port} down")

    def plug(self):
        for port in self.ports.values():
            self.wan.switch.ip(f"link set {port} up")


class Sites:
    """.first and .second are the sites, .brokers the hosts of brokers."""

    def __init__(self, brokers=1):
        self.lans = Network("192.0.2", "2001:db8:1"), Network("198.51.100", "2001:db8:2")
        self.wan = Network("203.0.113", "2001:db8:3")
        self.first, self.second = (Site(name, lan, self.wan) for name, lan in zip(("plant-1", "plant-2"), self.lans))
        self.brokers = [Host() for _ in range(brokers)]
        for host in self.brokers:
            self.wan.plug(host, "eth0", default=False)
        for site in self.first, self.second:
            for host in site.hosts:
                wait_until(lambda: host.has_route("eth0"), "the link of eth0")
            for host in site.ports:
                wait_until(lambda: host.has_route("wan"), "the link of wan")

    @property
    def broker(self):
        return self.brokers[0]

    def close(self):
        for host in *self.first.hosts, *self.second.hosts, *self.brokers:
            host.close()
        for network in *self.lans, self.wan:
            network.switch.close()


@contextmanager
def two_sites(brokers=1):
    sites = Sites(brokers)
    try:
        yield sites
    finally:
        sites.close()


class Sink:
    """sink.c: what comes of the datagrams that Blast(..., timed=True) sends, by their numbers."""

    def __init__(self, host, binary, group, port, interface="eth0", tag="x"):
        with host:
            self.process = with_us.start([binary, "-t", tag, interface, group, str(port)], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE)
        assert self.process.stdout.readline(), "the sink did not start"

    def look(self):
        """What has come until now: received, unique, duplicates, disordered (of which the furthest was so many numbers late),
        highest, other, kernelDropped (by the sink's own socket), and p50, p99, max of the time on the way in microseconds."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def wait(self, count, timeout=60):
        """Until the first so many numbers have all come. Returns the report."""
        try:
            wait_until(lambda: self.look()["unique"] >= count, f"{count} different datagrams", timeout)
        except AssertionError as failure:
            raise AssertionError(f"{failure}: {self.look()}") from None
        return self.look()

    def lost(self, count):
        return count - self.look()["unique"]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.close()


class Sinks:
    """Builds sink.c once, and starts sinks."""

    def __init__(self, directory):
        self.binary = f"{directory}/sink"
        source = __file__.replace("sites.py", "sink.c")
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", self.binary, source], check=True)

    def __call__(self, host, group, port, **options):
        return Sink(host, self.binary, group, port, **options)
