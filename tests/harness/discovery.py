"""Programs that discover services and devices, each in a host of the tests: avahi, gssdp-discover, minidlna, wsdd. None of
them is installed for the tests alone: what is not there is a reason to skip."""

import os
import re
import shutil
import socket
import struct
import subprocess
import threading
from contextlib import ExitStack

from harness import with_us
from harness.waiting import wait_until

SOL_PACKET, PACKET_VNET_HDR, SO_RCVBUFFORCE = 263, 15, 33  # packet(7), socket(7); missing from the socket module
VNET_HEADER = 10  # bytes, struct virtio_net_hdr
ETH_P_IP, ETH_P_ALL = 0x0800, 3  # what a host sends itself is seen with the second one only

DBUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""

AVAHI = """[server]
host-name={name}
use-ipv6=no
allow-interfaces={interface}
[wide-area]
enable-wide-area=no
[reflector]
enable-reflector={reflector}
"""

SERVICE = """<?xml version="1.0"?><!DOCTYPE service-group SYSTEM "avahi-service.dtd">
<service-group><name>{name}</name><service><type>_http._tcp</type><port>8080</port></service></service-group>
"""

MINIDLNA = """port=8200
network_interface=eth0
media_dir={directory}
db_dir={directory}/db
log_dir={directory}
friendly_name=Films
notify_interval=5
"""

# /run and /etc/avahi are avahi's own; those of this machine are not touched.
IN_PRIVATE = """mount -t tmpfs none /run && mkdir /run/avahi-daemon && mount --bind "$0" /etc/avahi && exec "$@" """


def need(*programs):
    for program in programs:
        if not find(program):
            import pytest  # the bench does without
            pytest.skip(f"{program} is not installed")


def find(program):
    return shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


class Program:
    """A program that runs in a host until it is stopped, and what it says."""

    def __init__(self, host, *command, environment=None):
        with host:
            self.process = with_us.start(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace", env={**os.environ, **(environment or {})})
        self.output = ""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.output += line

    def wait_for(self, pattern, timeout=30):
        def found():
            assert re.search(pattern, self.output) or self.process.poll() is None, self.output
            return re.search(pattern, self.output)

        try:
            return wait_until(found, f"/{pattern}/", timeout)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; it said:\n{self.output}") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(10)


class Avahi:
    """avahi-daemon with a bus of its own, which publishes one service when it has one."""

    def __init__(self, host, directory, name, service=None, interface="eth0", reflector=False):
        need("avahi-daemon", "avahi-browse", "dbus-daemon")
        self.host, self.name = host, name
        self.bus = os.path.join(directory, f"{name}.bus")
        etc = os.path.join(directory, f"{name}.etc")
        os.makedirs(os.path.join(etc, "services"))
        self.write(etc, "bus.conf", DBUS.format(path=self.bus))
        self.write(etc, "avahi-daemon.conf", AVAHI.format(
            name=name, interface=interface, reflector="yes" if reflector else "no"))
        if service:
            self.write(etc, "services/web.service", SERVICE.format(name=service))
        self.etc = etc
        self.environment = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.bus}"}
        self.stack = ExitStack()

    def write(self, *names):
        *path, text = names
        with open(os.path.join(*path), "w") as file:
            file.write(text)

    def __enter__(self):
        with self.stack:
            self.stack.enter_context(Program(
                self.host, find("dbus-daemon"), f"--config-file={self.etc}/bus.conf", "--nofork", "--nopidfile"))
            wait_until(lambda: os.path.exists(self.bus), "the bus")
            daemon = self.stack.enter_context(Program(
                self.host, "unshare", "-m", "sh", "-c", IN_PRIVATE, self.etc, find("avahi-daemon"), "--no-drop-root",
                "--no-chroot", "--no-rlimits", "-f", f"{self.etc}/avahi-daemon.conf", environment=self.environment))
            daemon.wait_for("Server startup complete")
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def browse(self):
        """A browser of web services, which resolves what it finds."""
        return Program(self.host, "avahi-browse", "-rpk", "_http._tcp", environment=self.environment)


def minidlna(host, directory):
    need("minidlnad")
    directory = os.path.join(directory, "films")
    os.makedirs(os.path.join(directory, "db"))
    path = os.path.join(directory, "minidlna.conf")
    with open(path, "w") as file:
        file.write(MINIDLNA.format(directory=directory))
    return Program(host, find("minidlnad"), "-d", "-v", "-f", path, "-P", os.path.join(directory, "pid"))


def gssdp_discover(host, target="ssdp:all"):
    need("gssdp-discover")
    return Program(host, "gssdp-discover", "-i", "eth0", "-t", target, "-r", "2")


def wsdd(host, *options):
    need("wsdd")
    return Program(host, "wsdd", "-i", "eth0", "-4", "-v", *options)


class Wire:
    """What passes on an interface of a host to one UDP port: [(source, source port, TTL, payload)], in its order."""

    def __init__(self, host, interface, port):
        with host:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((interface, ETH_P_ALL))
        self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        self.socket.setblocking(False)
        self.port = port
        self.seen = []

    def read(self):
        """All until now."""
        while True:
            try:
                data, (_, protocol, *_) = self.socket.recvfrom(1 << 17)
            except BlockingIOError:
                return self.seen
            if protocol == ETH_P_IP:
                self.add(data[VNET_HEADER + 14:], struct.unpack_from("=H", data, 4)[0])

    def add(self, packet, segment):
        """A veth has runs of datagrams in one packet, which would be cut into segments of this size."""
        header = (packet[0] & 15) * 4
        if packet[9] != socket.IPPROTO_UDP or struct.unpack_from("!H", packet, 6)[0] & 0x1fff:
            return
        source_port, port, length = struct.unpack_from("!3H", packet, header)
        payload = packet[header + 8:header + length]
        if port == self.port:
            self.seen += [(socket.inet_ntoa(packet[12:16]), source_port, packet[8], payload[at:at + (segment or length)])
                          for at in range(0, max(len(payload), 1), segment or length)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def smcroute(host, directory, *routes):
    """A multicast router with these routes, lines of smcroute.conf(5)."""
    need("smcrouted")
    path = os.path.join(directory, "smcroute.conf")
    with open(path, "w") as file:
        file.write("".join(f"{line}\n" for line in routes))
    return Program(host, find("smcrouted"), "-n", "-f", path, "-P", os.path.join(directory, "smcroute.pid"),
                   "-u", os.path.join(directory, "smcroute.sock"), "-l", "info")
