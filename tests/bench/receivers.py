"""Everything that receives: mcastd in its configurations, what a program of one's own would do (raw.c), and the peers, which
are what Debian has packages of. All get the same receive buffer: mcastd and raw.c set it, the peers are given it by rcvbuf.c."""

import io
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Callable

from bench import programs
from bench.lan import GROUP, OUT_PORT, PORT, RECEIVER_CORE, SINK
from harness.daemon import Daemon
from harness.peers import has_membership
from harness.waiting import wait_until


@dataclass
class Running:
    """A receiver that runs. delivered() is how many datagrams have gone where they should so far."""

    pid: int
    delivered: Callable[[], int]
    own_count: Callable[[], int] = None  # how many it says that it has received; None: it does not
    directory: str = None  # where it runs


@dataclass(frozen=True)
class Receiver:
    name: str
    start: Callable  # (net) -> context manager of a Running
    tool: str = None  # the program that it takes
    package: str = None  # of Debian
    layout: str = "plain"
    group: str = GROUP
    note: str = ""  # what has to be known of its rows

    def missing(self):
        return None if not self.tool or shutil.which(self.tool) else f"{self.tool} is not installed ({self.package})"


# mcastd


BUFFER_KEY = f'receive_buffer = "{programs.BUFFER >> 20}M";'
FILE_GROUPS = 100  # in one file of the configuration: with thousands in one, libconfig is what is measured


def address(number, first=GROUP):
    """The group with a number: they are consecutive."""
    return str(ip_address(first) + number)


def group_definitions(first, count, keys=BUFFER_KEY, group=GROUP):
    body = "".join(
        f'g{number}: {{ address = "{address(number, group)}"; port = {PORT}; interfaces = ["eth0"]; {keys} }};\n'
        for number in range(first, first + count))
    return f"groups: {{ {body} }};\n"


def mcastd_config(keys="", handler="", groups=1, buffer=BUFFER_KEY, group=GROUP):
    """Groups g0 and so on; handler is the definition of "out"."""
    handlers = f"handlers: {{ out: {{ {handler} }}; }};\n" if handler else ""
    return group_definitions(0, groups, f"{buffer} {keys}", group) + handlers


def write_more_groups(directory, count, keys=BUFFER_KEY):
    """Puts groups from FILE_GROUPS on into files of conf.d."""
    os.mkdir(os.path.join(directory, "conf.d"))
    for first in range(FILE_GROUPS, count, FILE_GROUPS):
        with open(os.path.join(directory, "conf.d", f"{first:06}.conf"), "w") as file:
            file.write(group_definitions(first, min(FILE_GROUPS, count - first), keys))


def silence():
    """What the daemon says at its end is of no interest, unless that is an early one."""
    return redirect_stdout(io.StringIO())


@contextmanager
def run_mcastd(net, config, joined=(GROUP, "eth0"), groups=0, keys=BUFFER_KEY):
    """Runs it with a configuration; groups is how many there are to be in all, when those are more than one file has, and keys
    is what those of the other files have."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, silence():
        write_more_groups(directory, groups, keys)
        daemon = Daemon(net.host, config, wrapper=["taskset", "-c", str(RECEIVER_CORE)], directory=directory)
        try:
            wait_until(lambda: has_membership(net.host, *joined), "mcastd to join")
            yield daemon
            daemon.stop()
        finally:
            daemon.kill()


def mcastd(name="mcastd", keys="", handler="", relay=False, groups=1, **config):
    """mcastd with some groups, of which the first gets all, and one handler if it is given."""
    group, more = config.get("group", GROUP), keys
    if handler:
        keys += ' handlers = ["out"];'

    @contextmanager
    def start(net):
        text = mcastd_config(keys, handler, min(groups, FILE_GROUPS), **config)
        with run_mcastd(net, text, (group, "eth0"), groups, f"{BUFFER_KEY} {more}") as daemon:
            delivered = (lambda: daemon.handler("out")["delivered"]) if handler else net.received
            # What is received coalesced, the kernel counts as one.
            own = None if "coalesce" in keys else lambda: daemon.group("g0")["received"]
            yield Running(daemon.process.pid, net.drained if relay else delivered, own, daemon.directory)

    return Receiver(name, start, group=group)


def merge_config(keys):
    """g0 and g1, and the group that is made of both."""
    return group_definitions(0, 2).replace("groups: {", f'groups: {{ both: {{ merge = ["g0", "g1"]; {keys} }};', 1)


def counting(name, config, groups=1):
    """mcastd with a configuration in which what counts is what came, to whatever group; the last of so many is waited for."""

    @contextmanager
    def start(net):
        with run_mcastd(net, config, (address(groups - 1), "eth0")) as daemon:
            yield Running(daemon.process.pid, net.received, directory=daemon.directory)

    return Receiver(name, start)


def recorder(kind="file", form="raw", path="$DIR/out", more="", **config):
    """mcastd with a recorder of a kind."""
    keys = f'type = "{kind}"; path = "{path}"; queue = "64M"; {more}' + (f' format = "{form}";' if kind == "file" else "")
    return mcastd(f"mcastd {form if kind == 'file' else kind}", handler=keys, **config)


def relay(name="mcastd", keys="", address=SINK, more="", **config):
    handler = f'type = "udp"; address = "{address}"; port = {OUT_PORT}; interface = "eth1"; {more}'
    return mcastd(name, keys, handler, relay=True, **config)


# Programs of one's own


def raw(mode, name, arguments=(), relay=False, buffer=programs.BUFFER, groups=1):
    @contextmanager
    def start(net):
        command = [programs.built("raw"), mode, GROUP, str(PORT), "eth0", *map(str, arguments)]
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            process = programs.start_receiver(
                net, command, stdout=subprocess.DEVNULL, env=programs.environment(buffer), cwd=directory)
            try:
                wait_until(lambda: has_membership(net.host, address(groups - 1)), f"raw {mode} to join")
                yield Running(process.pid, net.drained if relay else net.received, directory=directory)
            finally:
                programs.stop(process)

    return Receiver(name, start)


raw_count = raw("count", "raw recvmmsg(64), payloads read")
raw_unread = raw("unread", "raw recvmmsg(64), payloads unread")
raw_single = raw("single", "one recvmsg a wake-up")
raw_file = raw("write", "raw recvmmsg(64) and one write", ["out"])
raw_relay = raw("forward", "raw recvmmsg(64) and send", [SINK, OUT_PORT], relay=True)


# Peers


def check_buffer(net):
    """A peer with another receive buffer than the others would be no comparison."""
    lines = net.host.run("ss", "--udp", "--all", "--numeric", "--memory", "--oneline").splitlines()
    sizes = [int(re.search(r",rb(\d+),", line).group(1)) for line in lines if f":{PORT} " in line]
    if not sizes or set(sizes) != {2 * programs.BUFFER}:
        raise RuntimeError(f"the receive buffer is {sizes}, not twice {programs.BUFFER}")


def is_bound(net):
    with net.host, open("/proc/thread-self/net/udp") as file:
        return any(line.split()[1].endswith(f":{PORT:04X}") for line in file.readlines()[1:])


def peer(name, package, tool, arguments, relay=False, layout="plain", joins=True, note=""):
    """A peer, whose command line arguments(net, directory) gives. It is killed at the end: iperf would wait for its sender."""

    @contextmanager
    def start(net):
        with tempfile.TemporaryDirectory(prefix="bench-") as directory, membership(net, not joins):
            command = [tool, *arguments(net, directory)]
            environment = {**programs.environment(), "LD_PRELOAD": programs.built("rcvbuf.so")}
            process = programs.start_receiver(
                net, command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=directory)
            try:
                wait_until(lambda: is_bound(net) and has_membership(net.host, GROUP), f"{name} to join")
                check_buffer(net)
                yield Running(process.pid, net.drained if relay else net.received, directory=directory)
            finally:
                programs.stop(process, signal.SIGKILL)

    return Receiver(name, start, tool, package, layout, note=note)


@contextmanager
def membership(net, wanted):
    """A membership for a peer that cannot join: it is bound to all addresses, and gets what others have joined."""
    if not wanted:
        yield
        return
    with net.host:
        holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        holder.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                          socket.inet_aton(GROUP) + bytes(4) + struct.pack("@i", socket.if_nametoindex("eth0")))
    try:
        yield
    finally:
        holder.close()


def socat_from(net):
    return f"UDP4-RECV:{PORT},reuseaddr,ip-add-membership={GROUP}:{net.host.v4}"


def rsyslog_config(net, directory):
    path = os.path.join(directory, "rsyslog.conf")
    with open(path, "w") as file:
        file.write(f"""
global(workDirectory="{directory}" parser.permitSlashInProgramName="on")
module(load="imudp" threads="1")
template(name="payload" type="string" string="%rawmsg%\\n")
ruleset(name="record" queue.type="Direct") {{
	action(type="omfile" file="{directory}/out" template="payload" asyncWriting="off" flushOnTXEnd="off" ioBufferSize="256k")
}}
input(type="imudp" port="{PORT}" ruleset="record" rcvbufSize="{programs.BUFFER}")
""")
    return ["-n", "-f", path, "-i", os.path.join(directory, "pid")]


def mgen_events():
    return ["event", f"0.0 LISTEN UDP {PORT}", "event", f"0.0 JOIN {GROUP} INTERFACE eth0"]


socat_null = peer("socat", "socat", "socat", lambda net, _: ["-u", socat_from(net), "OPEN:/dev/null"])
socat_file = peer("socat", "socat", "socat", lambda net, _: ["-u", socat_from(net), "CREATE:out"])
socat_unix = peer("socat", "socat", "socat", lambda net, _: ["-u", socat_from(net), "UNIX-SENDTO:reader"])
socat_relay = peer("socat", "socat", "socat", lambda net, _: ["-u", socat_from(net), f"UDP4-SENDTO:{SINK}:{OUT_PORT}"], relay=True)


def multicat(output, relay=False, **options):
    return peer("multicat", "multicat", "multicat", lambda net, _: ["-u", "-U", f"@{GROUP}:{PORT}", output], relay, **options)


# It takes chunks of 1,316 bytes, as seven packets of MPEG-TS have. With -m 64 it would write nothing at all.
PADS = "for each datagram multicat writes 1,316 bytes of null packets, and none of the payload"
multicat_null = multicat("/dev/null", note=PADS)
multicat_file = multicat("out", note=PADS)
multicat_relay = multicat(f"{SINK}:{OUT_PORT}", relay=True, note=PADS)
multicat_file_ts = multicat("out")
multicat_relay_ts = multicat(f"{SINK}:{OUT_PORT}", relay=True)
iperf = peer("iperf 2", "iperf", "iperf", lambda net, _: ["-s", "-u", "-U", "-B", f"{GROUP}%eth0", "-p", str(PORT)],
             layout="iperf")
mgen = peer("mgen, logging each", "mgen", "mgen", lambda net, _: [*mgen_events(), "output", "/dev/null"], layout="mgen")
mgen_silent = peer("mgen, its log off", "mgen", "mgen", lambda net, _: [*mgen_events(), "nolog"], layout="mgen")
# It escapes what is not text, and what it writes would else be other bytes than ours.
rsyslog = peer("rsyslog imudp", "rsyslog", "rsyslogd", rsyslog_config, joins=False, layout="text")


@contextmanager
def run_tcpdump(net):
    """Sees packets before the sockets do, in a ring of its own, and says itself how many it has written."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        said = os.path.join(directory, "said")
        command = ["tcpdump", "-i", "eth0", "-n", "-B", str(programs.BUFFER >> 10), "-w", "out", "-Z", "root",
                   f"udp port {PORT}"]
        with open(said, "w") as file:
            process = programs.start_receiver(
                net, command, stdout=subprocess.DEVNULL, stderr=file, cwd=directory)
        try:
            wait_until(lambda: "listening on" in open(said).read(), "tcpdump to listen")
            yield Running(process.pid, lambda: tcpdump_count(process, said))
        finally:
            programs.stop(process)


def tcpdump_count(process, said):
    """What it has captured so far, which it says when it is asked by SIGUSR1."""
    before = len(open(said).read())
    process.send_signal(signal.SIGUSR1)
    report = wait_until(lambda: open(said).read()[before:].count("packet") and open(said).read()[before:], "a count")
    return int(report.split("packets captured")[0].split()[-1])


tcpdump = Receiver("tcpdump -w", run_tcpdump, "tcpdump", "tcpdump")
