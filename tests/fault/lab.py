"""A daemon that does all it can, and whose calls fail on demand."""

import contextlib
import errno
import mmap
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

from harness.brokered import Broker
from harness.daemon import SANITIZER_REPORT, Control, Daemon, VarlinkError, balance, input_balance, with_journal
from harness.peers import seqpacket_at_once, stream_at_once, tutorial_sender
from harness.waiting import TIMEOUT, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
ALWAYS = 1 << 30

# One of each: a broker, kinds of handlers, relays, families, sockets, events. CHANGED is there after every second reload.
CONFIG = '''
import_port = 5999;
groups: {
  a: { address = "239.1.1.1"; port = 5001; interfaces = ["eth0"]; socket = true; replies = true; expect_within = "5s";
       handlers = ["file", "capture", "run", "feed", "local", "host", "far", "journal", "log", "hq"]; inputs = ["hq"]; };
  b: { address = "239.1.1.2"; port = 5002; interfaces = ["eth0", "absent*"]; handlers = ["file", "safe"]; socket = true; };
  c: { address = "ff15::1"; port = 5003; interfaces = ["eth0"]; handlers = ["capture"]; };
  r: { address = "239.1.1.3"; port = 5004; interfaces = ["eth0", "eth1"]; relay: { }; };
  k: { address = "239.1.1.4"; port = 5005; interfaces = ["eth0", "eth1"]; relay: { keep_source = true; }; };
  u: { address = "0.0.0.0"; port = 5006; handlers = ["file"]; };
  CHANGED_GROUP
};
handlers: {
  file: { type = "file"; path = "$DIR/file.json"; format = "json"; flush = "5ms"; CHANGED_KEY };
  safe: { type = "file"; path = "$DIR/safe.log"; sync = "each"; quota = "64M"; keep = 1; keep_free = "1K";
          name_time = "begin"; };
  capture: { type = "pcapng"; path = "$DIR/capture.pcapng"; flush = "5ms"; rotate_size = "64K"; keep = 3;
             after_rotate = ["/bin/true"]; };
  run: { type = "exec"; command = ["/bin/cat"]; max_running = 2; sample = 20; filter: { max_size = 40; }; };
  feed: { type = "pipe"; command = ["/bin/dd", "of=/dev/null", "status=none"]; };
  local: { type = "unix"; path = "$DIR/local.sock"; };
  host: { type = "udp"; address = "192.0.2.9"; port = 5010; };
  far: { type = "udp"; address = "239.9.9.9"; port = 5009; interface = "eth1"; keep_source = true; };
  hq: { type = "nats"; servers = "nats://192.0.2.1"; site = "here"; credentials = "$DIR/hq"; CHANGED_WINDOW };
  told: { type = "file"; path = "$DIR/told"; };
  CHANGED_HANDLERS
};
events: { handlers = ["told"]; socket = true; };
http: { listen = ["127.0.0.1:9184", "$DIR/http.sock"]; CHANGED_HTTP };
'''
CHANGED = {
    "CHANGED_GROUP": 'd: { address = "239.1.1.5"; port = 5007; interfaces = ["eth0"]; handlers = ["file2", "run2", "feed2"];'
                     ' socket = true; };',
    "CHANGED_KEY": "keep = 7;",
    "CHANGED_WINDOW": "window = 100;",
    "CHANGED_HTTP": 'socket_mode = "0600";',
    "CHANGED_HANDLERS": 'file2: { type = "file"; path = "$DIR/file2"; }; run2: { type = "exec"; command = ["/bin/cat"]; };'
                        ' feed2: { type = "pipe"; command = ["/bin/dd", "of=/dev/null", "status=none"]; };',
}
GROUPS = {"a": ("239.1.1.1", 5001), "b": ("239.1.1.2", 5002), "c": ("ff15::1", 5003), "r": ("239.1.1.3", 5004),
          "k": ("239.1.1.4", 5005)}
# Handlers that deliver to somebody who takes it.
DELIVERING = "file", "safe", "capture", "feed", "local", "far", "journal", "log", "hq", "r.relay", "k.relay"
KEEPING_SOURCE = "far", "k.relay"
BACKOFF = 75  # seconds: a program that failed often is started again after 60


def config(changed):
    text = CONFIG
    for word, value in CHANGED.items():
        text = text.replace(word, value if changed else "")
    return text


class Shim:
    """The shared library, and the file that says which calls fail (struct fault of shim.c)."""

    LAYOUT = struct.Struct("@iiiiii40s")

    def __init__(self, directory):
        self.library, self.path = f"{directory}/shim.so", f"{directory}/fault"
        with open(self.path, "wb") as file:
            file.write(bytes(mmap.PAGESIZE))
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), self.LAYOUT.size)

    @staticmethod
    def build(directory):
        subprocess.run(["cc", "-O1", "-g", "-shared", "-fPIC", "-std=gnu17", "-D_GNU_SOURCE", "-U_FORTIFY_SOURCE", "-o",
                        f"{directory}/shim.so", f"{HERE}/shim.c", "-ldl"], check=True)
        return Shim(directory)

    def arm(self, name, error, skip=0, fail=1):
        """The calls of that name fail from now on: `fail` of them, after `skip` that do not."""
        number = 0 if error == "SHORT" else getattr(errno, error)
        self.memory[:] = self.LAYOUT.pack(0, skip, fail, number, 0, 0, name.encode())
        self.memory[:4] = struct.pack("@i", 1)

    def disarm(self):
        """Returns how many such calls there were, and how many of them failed."""
        self.memory[:4] = bytes(4)
        return self.LAYOUT.unpack(self.memory[:])[4:6]


class Sink:
    """A socket that is read for as long as it is there: a journal, a service manager, a consumer. What a service manager was
    told last of these two, `state` says."""

    STATES = b"READY=1", b"RELOADING=1"

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o777)
        self.closed = False
        self.state = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with contextlib.suppress(OSError):
            while not self.closed:
                data, fds, _, _ = socket.recv_fds(self.socket, 1 << 16, 128)
                self.state = next((state for state in self.STATES if data.startswith(state)), self.state)
                for fd in fds:
                    os.close(fd)

    def close(self):
        self.closed = True
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


class Lab:
    """Starts such daemons, one at a time, and makes them work."""

    def __init__(self, net, shim, binary):
        self.net, self.shim, self.binary = net, shim, binary
        self.daemon = None
        self.changed = False
        self.senders = [tutorial_sender(net.peer, group, ttl=9) for group in ("239.1.1.1", "ff15::1")]

    # Life

    def start(self, wait=True, wrapper=()):
        """Without wait, the daemon may fail to start."""
        self.changed = False
        self.directory = tempfile.mkdtemp(prefix="mcastd-fault-")
        os.chmod(self.directory, 0o755)
        self.sinks = [Sink(f"{self.directory}/{name}") for name in ("journal", "manager", "local.sock")]
        preload = ["env", f"FAULT_FILE={self.shim.path}", f"LD_PRELOAD={self.shim.library}",
                   f"NOTIFY_SOCKET={self.directory}/manager", "WATCHDOG_USEC=3000000", "FDSTORE=64",
                   f"ASAN_OPTIONS={os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0"]
        open(f"{self.directory}/hq", "w").close()
        self.broker = Broker(f"{self.directory}/hq.sock")
        self.daemon = Daemon(self.net.host, config(False), binary=self.binary, directory=self.directory, wait=wait,
                             wrapper=[*with_journal(f"{self.directory}/journal"), *preload, *wrapper])
        return self.daemon

    def close(self):
        """Ends it, if need be by force."""
        if not self.daemon:
            return
        self.shim.disarm()
        self.daemon.kill()
        self.daemon = None
        self.broker.close()
        for sink in self.sinks:
            sink.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def comes_up(self):
        """Whether the daemon answers."""
        def outcome():
            return self.daemon.process.poll() is not None or not self.call("GetStatus")

        wait_until(outcome, "the start")
        return self.daemon.process.poll() is None

    def is_ready(self):
        """Whether the service manager knows that it has started, or reloaded, where it can be told."""
        if any("the service manager" in line for line in self.log()):
            return True
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.sinks[1].state == b"READY=1", "the service manager to be told", 3)
        return self.sinks[1].state == b"READY=1"

    def stop(self):
        """SIGTERM, and what it exits with; None when it does not."""
        self.daemon.process.terminate()
        try:
            return self.daemon.process.wait(2 * TIMEOUT)
        except subprocess.TimeoutExpired:
            return None

    def assert_sound(self):
        log = self.daemon.log()
        assert not SANITIZER_REPORT.search(log), log

    # What it does. Each works with a fault and without, and returns the errors that clients got.

    def send(self, count=12):
        for address, port in GROUPS.values():
            for number in range(count):
                self.senders[":" in address].sendto(b"%d " % number + b"x" * 20 * number, (address, port))
        self.senders[False].sendto(b"to the host", (self.net.host.v4, 5006))
        self.broker.publish("a", *[b"from a broker"] * count)

    def client(self, work):
        """What work(connection) gets that is no answer. A daemon may close a connection, as it must where it has no
        memory."""
        try:
            with Control(self.daemon.control_path) as control:
                work(control)
            return []
        except VarlinkError as error:
            return [(error.name, error.parameters)]
        except TimeoutError:
            return [("no answer", {})]
        except (AssertionError, OSError) as error:
            return [("closed", {"message": repr(error)})]

    def call(self, method, **parameters):
        return self.client(lambda control: control.call(method, **parameters))

    def traffic(self):
        readers = []

        def subscribe(control):
            control.send("Subscribe", {"groups": []}, more=True)
            for group in ("a", "b", "events"):
                with contextlib.suppress(OSError):
                    readers.append(seqpacket_at_once(self.daemon.group_path(group)))
            with contextlib.suppress(OSError):
                readers.append(stream_at_once(self.daemon.group_path("a.stream")))
            self.send()
            for reader in readers:
                with contextlib.suppress(OSError):
                    is_stream = reader.type == socket.SOCK_STREAM
                    reader.send(b"\0\0\0\4text\0\0\0\4no" if is_stream else b"from a reader")
            self.read_some(control, readers)

        errors = self.client(subscribe)
        for reader in readers:
            reader.close()
        return errors

    def read_some(self, subscriber, readers):
        """Reads what a subscriber gets, which may have subscribed after the first datagrams."""
        subscriber.socket.settimeout(0.5)
        for _ in range(8):
            with contextlib.suppress(TimeoutError):
                subscriber.reply()
                break
            self.send(1)
        else:
            raise AssertionError("a subscriber gets nothing")
        for reader in readers:
            with contextlib.suppress(OSError):
                reader.settimeout(0)
                reader.recv(1 << 16)

    def reload(self):
        self.changed = not self.changed
        self.daemon.write_config(config(self.changed))
        return self.call("Reload")

    def rotate(self):
        self.send(2)
        errors = self.call("Rotate")
        self.send(2)
        return errors

    def requests(self):
        calls = [
            ("GetStatus", {}), ("ListGroups", {}), ("ListHandlers", {}), ("GetStats", {}),
            ("ListGroups", {"groups": ["a", "c"], "senders": True}),
            ("Send", {"group": "a", "text": "hello"}), ("Send", {"group": "c", "text": "he\\llo", "ttl": 3}),
            ("Join", {"address": "239.5.5.5", "port": 5555, "interfaces": ["eth0"], "handlers": ["file"]}),
            ("Leave", {"name": "239.5.5.5:5555"}), ("Reload", {"dryRun": True}),
            ("org.varlink.service.GetInfo", {}),
            ("org.varlink.service.GetInterfaceDescription", {"interface": "io.mcastd"}),
        ]
        errors = []
        for method, parameters in calls:
            errors += self.call(method, **parameters)
        return errors

    def page(self, address, path="/metrics"):
        """The answer to one request, to a path or an address; b"" where there is none."""
        answer = b""
        with contextlib.suppress(OSError):
            with self.net.host, socket.socket(socket.AF_INET if ":" in address else socket.AF_UNIX) as sock:
                sock.settimeout(3)
                sock.connect(("127.0.0.1", int(address.split(":")[1])) if ":" in address else address)
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                while piece := sock.recv(1 << 16):
                    answer += piece
        return answer

    def pages(self):
        """Some may find a closed connection: that is no error of a method."""
        for address in ("127.0.0.1:9184", self.daemon.path("http.sock")):
            for path in "/metrics", "/status.json":
                self.page(address, path)
        return []

    PHASES = {"traffic": traffic, "reload": reload, "rotate": rotate, "requests": requests, "pages": pages}

    # What must be so afterwards

    def stats(self):
        with Control(self.daemon.control_path) as control:
            return control.call("GetStats")

    def names(self):
        stats = self.stats()
        return [[item["name"] for item in stats[kind]] for kind in ("groups", "handlers")]

    def unbalanced(self):
        return [f"{handler['name']} is off by {balance(handler)} and {input_balance(handler)}"
                for handler in self.stats()["handlers"] if balance(handler) or input_balance(handler)]

    def log(self):
        """What the daemon says, without the datagrams that its handler "log" writes."""
        return [line for line in self.daemon.log().splitlines() if not re.match(r"\d{4}-\d\d-\d\dT", line)]

    def restarts_later(self):
        """Whether the program of the handler "feed" waits for its next start, which may take a minute."""
        said = [line for line in self.log() if line.startswith("handler feed: ")]
        return bool(said) and "restarting it in" in said[-1]

    def cannot_keep_source(self):
        """Whether the daemon has no raw sockets: that was said at the start, and lasts until a restart, as it has given up
        the right to open more."""
        return any(line.startswith("no handler can send with the address of the sender: ") for line in self.log())

    def idle(self):
        """What does not work: a group that receives nothing, a handler that delivers nothing, an interface not joined."""
        before = self.stats()
        self.send(2)
        idle = []

        delivering = [name for name in DELIVERING if not (name == "feed" and self.restarts_later())
                      and not (name in KEEPING_SOURCE and self.cannot_keep_source())]

        def works():
            now = self.stats()
            idle[:] = [f"group {group['name']} receives nothing" for group, old in zip(now["groups"], before["groups"])
                       if group["name"] in GROUPS and group["received"] <= old["received"]]
            idle.extend(f"handler {handler['name']} delivers nothing" for handler, old in zip(now["handlers"], before["handlers"])
                        if handler["name"] in delivering and handler["delivered"] <= old["delivered"])
            idle.extend(f"by handler {handler['name']} nothing comes in"
                        for handler, old in zip(now["handlers"], before["handlers"])
                        if handler["input"] and handler["input"]["sent"] <= old["input"]["sent"])
            idle.extend(f"nothing is served at {address}" for address in ("127.0.0.1:9184", self.daemon.path("http.sock"))
                        if b"mcastd_build_info" not in self.page(address))
            idle.extend(f"group {group['name']} is not joined on {membership['interface']}: {membership['error']}"
                        for group in now["groups"] for membership in group["memberships"]
                        if membership["state"] != "joined" and "*" not in membership["interface"])
            return not idle

        with contextlib.suppress(AssertionError):
            wait_until(works, "everything to work", 1)
        return idle

    def assert_recovers(self):
        """Everything works again: a reload succeeds, all groups are joined and receive, all handlers deliver."""
        refused = self.reload()
        assert not refused, refused
        idle = []

        def works():
            idle[:] = self.idle()
            return not idle or idle == ["handler feed delivers nothing"]

        try:
            wait_until(works, "everything to work again", 10)
            wait_until(lambda: not self.idle(), "the program of the handler feed", BACKOFF)
        except AssertionError:
            raise AssertionError(f"does not recover: {idle}") from None
        assert not self.unbalanced(), self.unbalanced()
