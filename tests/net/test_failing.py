"""A handler that can deliver nothing says why, wherever its error is shown, until it delivers again; and so does a way out."""

import contextlib
import os
import re
import shutil
import socket

import pytest

from harness.firewall import refuse_nothing, refuse_one_in
from harness.peers import send
from harness.programs import command
from harness.waiting import wait_until
from net.test_metrics import PORT, scrape, value

GROUP = "233.252.0.71"
PAYLOAD = b"x" * 1400  # what is left of a page of a full disk is soon used up
SMALL = 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"'
NO_JOURNAL = 'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && exec "$@"'
REFUSED = "192.0.2.77"  # on a link of the host

pytestmark = pytest.mark.waits


def private(script, *arguments):
    """A wrapper for a daemon in a mount namespace of its own."""
    return "unshare", "-m", "--propagation", "private", "sh", "-c", script, *arguments


class Scene:
    """A handler out that cannot deliver, with what repairs it."""

    settings = ""
    name = "out"
    block = ""
    words = log = None  # of the error, and of the line at its end
    kind = None
    reason = "io"  # of the drops; None: what comes waits

    def __init__(self, net, tmp_path, programs):
        self.net, self.directory, self.programs = net, str(tmp_path), programs
        self.after = contextlib.ExitStack()
        self.options = {}

    def config(self):
        handlers = f'out: {{ type = "{self.kind}"; {self.settings} }};' if self.kind else ""
        names = 'handlers = ["out"];' if self.kind else ""
        return f"""
          groups: {{ news: {{ address = "{GROUP}"; port = 5004; interfaces = ["eth0"]; {names} {self.block} }}; }};
          handlers: {{ {handlers} }};
          http: {{ listen = ["127.0.0.1:{PORT}"]; }};"""

    def begin(self, start):
        self.prepare()
        self.daemon = start(self.config(), directory=self.directory, **self.options)
        self.fail()
        return self.daemon

    def prepare(self):
        pass

    def fail(self):
        pass

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def seen(self, path):
        """A path as the daemon sees it."""
        return f"/proc/{self.daemon.process.pid}/root{path}"


class File(Scene):
    kind, settings = "file", 'path = "$DIR/sub/out";'
    words, log = r"/sub/out: opening it: No such file or directory; create its directory", "it can be written again after"

    def prepare(self):
        os.mkdir(self.path("sub"))

    def fail(self):
        shutil.rmtree(self.path("sub"))

    def repair(self):
        os.mkdir(self.path("sub"))


class Pcapng(File):
    kind = "pcapng"


class FullDisk(Scene):
    kind, settings = "file", 'path = "$DIR/sub/out"; format = "raw"; flush = "0";'
    words, log = "/sub/out: writing: No space left on device", "it can be written again after"

    def prepare(self):
        os.mkdir(self.path("sub"))
        self.options["wrapper"] = private(SMALL, self.path("sub"))

    def fail(self):
        with open(self.seen(self.path("sub", "filler")), "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass

    def repair(self):
        os.unlink(self.seen(self.path("sub", "filler")))


class Log(FullDisk):
    kind, settings = "log", 'stream = "stdout"; format = "raw";'
    words, log = "^writing to stdout: No space left on device; see where", "stdout can be written to again"

    def prepare(self):
        super().prepare()
        self.options["wrapper"] = private(SMALL.replace('"$@"', '"$@" > "$0"/out'), self.path("sub"))


class Journal(Scene):
    kind, reason = "journal", "absent"
    words = "^no journal: /run/systemd/journal/socket: No such file or directory; start systemd-journald"
    log = "the journal takes datagrams again"

    def prepare(self):
        self.options["wrapper"] = private(NO_JOURNAL, "sh")

    def repair(self):
        sock = self.after.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        sock.bind(self.seen("/run/systemd/journal/socket"))


class Unix(Scene):
    kind, settings, reason = "unix", 'path = "$DIR/program";', "absent"
    words, log = "^connecting to .*/program: No such file or directory; start the program", "delivers to .*/program again"

    def repair(self):
        sock = self.after.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        sock.bind(self.path("program"))


class UnixStream(Unix):
    settings = 'path = "$DIR/program"; socket_type = "stream";'
    words = "^connecting to .*/program: Connection refused; the program that made it has gone, start it again"

    def prepare(self):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(self.path("program"))

    def repair(self):
        os.unlink(self.path("program"))
        sock = self.after.enter_context(socket.socket(socket.AF_UNIX))
        sock.bind(self.path("program"))
        sock.listen()


class Exec(Scene):
    kind = "exec"
    words, log = "^starting .*: No such file or directory; install it, or correct command", "can be started again"

    def prepare(self):
        self.program = self.programs.write(f"failing-{self.kind}", self.script)
        self.settings = f"command = {command(self.program)};"

    script = "exec cat > /dev/null"

    def fail(self):
        os.unlink(self.program)

    def repair(self):
        self.programs.write(f"failing-{self.kind}", self.script)


class PipeEnds(Exec):
    """A program that ends each time that it is started."""

    kind, reason, script = "pipe", None, "exit 3"
    words, log = r"^process \d+: exited with status 3, restarting it in \d+ ms$", "started"

    def fail(self):
        pass

    def repair(self):
        self.programs.write("failing-pipe", "exec cat > /dev/null")


class PipeMissing(PipeEnds):
    """The same, and then it is not there any more."""

    words = Exec.words

    def fail(self):
        os.unlink(self.program)


class Udp(Scene):
    kind, settings, reason = "udp", f'address = "{REFUSED}"; port = 6000;', "absent"
    words, log = f"^sending: .*; the route to {REFUSED} is prohibited", "handler out: sends now"

    def prepare(self):
        self.net.host.ip(f"route add prohibit {REFUSED}/32")
        self.after.callback(self.repair)

    def repair(self):
        with contextlib.suppress(Exception):
            self.net.host.run("ip", "route", "del", "prohibit", f"{REFUSED}/32", stderr=-3)


class UdpInterface(Scene):
    kind, settings, reason = "udp", 'address = "233.252.0.72"; port = 6000; interface = "new0";', "absent"
    words, log = "^there is no interface new0", "sends on new0 now"

    def repair(self):
        self.net.host.ip("link add new0 type veth peer name new1", "address add 10.9.8.7/24 dev new0", "link set new0 up",
                         "link set new1 up")
        self.after.callback(self.net.host.ip, "link delete new0")


class Relay(UdpInterface):
    kind, name, block = None, "news.relay", 'relay: { to = ["new0"]; };'


SCENES = [File, Pcapng, FullDisk, Log, Journal, Unix, UnixStream, Exec, PipeEnds, PipeMissing, Udp, UdpInterface, Relay]


@pytest.fixture
def scene(request, net, tmp_path, programs):
    scene = request.param(net, tmp_path, programs)
    with scene.after:
        yield scene


def metric(daemon, name):
    """What McastdHandlerFailing is made of."""
    return value(scrape(daemon), "mcastd_handler_failing", handler=name)


def send_one(scene):
    send(scene.net.peer, PAYLOAD, GROUP, 5004)


@pytest.mark.parametrize("scene", SCENES, indirect=True)
def test_the_error_and_the_metric_say_why_nothing_is_delivered_until_something_is(scene, start):
    daemon = scene.begin(start)

    def error():
        send_one(scene)
        return daemon.handler(scene.name)["error"]

    def fails():
        return re.search(scene.words, error() or "")

    wait_until(fails, f"the error {scene.words}", 60)
    wait_until(lambda: fails() and metric(daemon, scene.name) == 1, "the metric to say so")
    assert not scene.reason or daemon.handler(scene.name)["dropped"][scene.reason]
    before = daemon.handler(scene.name)["delivered"]
    scene.repair()
    wait_until(lambda: not error() and daemon.handler(scene.name)["delivered"] > before, "it to deliver again", 60)
    wait_until(lambda: not error() and metric(daemon, scene.name) == 0, "the metric to say so")


@pytest.mark.parametrize("scene", [Journal, Unix, UnixStream, Exec, Log], indirect=True)
def test_the_log_has_one_line_where_it_begins_to_fail_and_one_where_that_ends(scene, start):
    daemon = scene.begin(start)

    def lines(words):
        return re.findall(rf"^handler out: .*{words.lstrip('^')}", daemon.log(), re.MULTILINE)

    def dropped():
        send_one(scene)
        return daemon.handler("out")["dropped"][scene.reason] >= 5

    wait_until(dropped, "the drops", 60)
    daemon.wait_logged("handler out: ")
    assert len(lines(scene.words)) == 1 and not lines(scene.log)
    scene.repair()

    def ended():
        send_one(scene)
        return lines(scene.log)

    wait_until(ended, "the line of the end", 60)
    assert len(lines(scene.words)) == 1 and len(lines(scene.log)) == 1


def test_an_interface_by_which_a_firewall_lets_nothing_leave_says_so_until_something_does(start, net):
    daemon = start(f"""groups: {{ news: {{ address = "{GROUP}"; port = 5004; interfaces = ["eth0"]; }}; }};
                       http: {{ listen = ["127.0.0.1:{PORT}"]; }};""")

    def shown():
        way, = daemon.group("news")["outgoing"]
        return way["error"], value(scrape(daemon), "mcastd_outgoing_usable", group="news", interface="eth0")

    daemon.wait_joined("news")
    assert shown() == (None, 1)
    if not refuse_one_in(net.host, 1):
        pytest.skip("this kernel has no nf_tables")
    try:
        daemon.ctl("send", "news", "x", status=1)
        assert "a firewall on this host refuses it" in daemon.ctl("groups")
    finally:
        refuse_nothing(net.host)  # it would refuse HTTP, too
    error, usable = shown()
    assert "a firewall on this host refuses it" in error and usable == 0
    daemon.ctl("send", "news", "x")
    assert shown() == (None, 1)
