"""mcastd under test, and the control socket as a plain program sees it."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from harness import with_us
from harness.waiting import TIMEOUT, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MCASTD = os.environ.get("MCASTD", os.path.join(ROOT, "build", "mcastd"))
MCASTCTL = os.environ.get("MCASTCTL", os.path.join(ROOT, "build", "mcastctl"))

SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")


class VarlinkError(Exception):
    def __init__(self, reply):
        super().__init__(reply)
        self.name = reply["error"]
        self.parameters = reply.get("parameters") or {}


def encode_call(method, parameters=None, **flags):
    """A call as it is written, but for its terminator. Names without a dot are of io.mcastd."""
    call = {"method": method if "." in method else f"io.mcastd.{method}", **flags}
    if parameters is not None:
        call["parameters"] = parameters
    return json.dumps(call).encode()


class Control:
    """A connection to the control socket: no library, a plain socket."""

    def __init__(self, path, terminator=b"\0"):
        self.terminator = terminator
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(path)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def write(self, data):
        self.socket.sendall(data)

    def send(self, method, parameters=None, **flags):
        """Sends a call without waiting for its answer. A connection that was refused may be closed: why can still be read."""
        try:
            self.write(encode_call(method, parameters, **flags) + self.terminator)
        except BrokenPipeError:
            pass

    def read(self):
        """The bytes of one message, without its terminator; b"" when the other side has closed."""
        message = bytearray()
        while waiting := self.stream.peek():
            part, end, _ = waiting.partition(self.terminator)
            message += part
            self.stream.read(len(part) + len(end))
            if end:
                break
        return bytes(message)

    def reply(self):
        """The next reply, whole."""
        message = self.read()
        assert message, "the daemon closed the connection"
        return json.loads(message)

    def result(self):
        """The parameters of the next reply. Raises VarlinkError when it is an error."""
        reply = self.reply()
        if "error" in reply:
            raise VarlinkError(reply)
        return reply["parameters"]

    def call(self, method, **parameters):
        self.send(method, parameters)
        return self.result()

    def error(self, method, **parameters):
        """Makes a call that must fail, and returns its error."""
        self.send(method, parameters)
        reply = self.reply()
        assert "error" in reply, reply
        return VarlinkError(reply)


def subscribe(daemon, *groups):
    """A connection that gets every datagram of the groups from now on."""
    before = daemon.call("GetStatus")["subscribers"]
    control = daemon.connect()
    control.send("Subscribe", {"groups": list(groups)}, more=True)
    wait_until(lambda: daemon.call("GetStatus")["subscribers"] > before, "the subscription")
    return control


def balance(handler):
    """What is missing from the accounting identity of a handler; 0."""
    where = handler["filtered"] + handler["delivered"] + sum(handler["dropped"].values()) + handler["queued"]
    return handler["received"] - where


def input_balance(handler):
    """The same for what has come in by it; 0."""
    came = handler["input"]
    return came and came["taken"] - came["sent"] - sum(came["dropped"].values()) - came["waiting"] or 0


IN_FRONT_OF_OUR_JOURNAL = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && touch /run/systemd/journal/socket &&
mount --bind "$0" /run/systemd/journal/socket && exec "$@"
"""


def with_journal(path):
    """A wrapper for a daemon whose journal is the socket at path: no journal of this machine is written to."""
    return "unshare", "-m", "--propagation", "private", "sh", "-c", IN_FRONT_OF_OUR_JOURNAL, path


class Daemon:
    """A running mcastd with its own directory. In the configuration $DIR stands for that directory."""

    running = []

    def __init__(self, host, config, binary=MCASTD, wrapper=(), directory=None, stdout=None, wait=True):
        self.host = host
        self.binary = binary
        self.owned_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="mcastd-")
        self.config_path = self.path("mcastd.conf")
        self.control_path = self.path("mcastd.sock")
        self.log_path = self.path("mcastd.log")
        self.log_shown = 0
        self.control = None
        self.write_config(config)
        with open(self.log_path, "ab") as log, host:
            self.process = with_us.start(
                [*wrapper, binary, "-c", self.config_path], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if stdout is None else stdout, stderr=log)
        Daemon.running.append(self)
        if wait:
            try:
                self.wait_until_ready()
            except BaseException:
                self.kill()
                raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.kill()
        else:
            self.stop()

    # Files

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def group_path(self, group):
        return self.path("run", "groups", group)

    def write_config(self, config):
        head = 'control: { socket = "$DIR/mcastd.sock"; };\nrun_directory = "$DIR/run";\n'
        with open(self.config_path, "w") as file:
            file.write((config + head).replace("$DIR", self.directory))

    def read(self, name):
        try:
            with open(self.path(name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def log(self):
        return self.read("mcastd.log").decode(errors="backslashreplace")

    def wait_logged(self, text):
        """A thread's line may come later than what it tells of is seen."""
        wait_until(lambda: text in self.log(), f"the line {text!r} in the log")

    def new_log(self):
        """What was logged since the last time."""
        log = self.log()
        new, self.log_shown = log[self.log_shown:], len(log)
        return new

    # Life

    def wait_until_ready(self):
        def answers():
            assert self.process.poll() is None, f"mcastd ended with {self.process.returncode}:\n{self.log()}"
            try:
                self.control = self.control or self.connect()
                return self.call("GetStatus")
            except (FileNotFoundError, ConnectionRefusedError):
                return None
            except ConnectionResetError:  # of a killed run: what it had forked keeps its socket until it executes a program
                self.control = None
                return None

        wait_until(answers, "the control socket to answer")

    def stop(self):
        """Stops it as an operator does, which must succeed, and checks that it leaves nothing behind."""
        try:
            self.assert_balanced()
            self.process.terminate()
            status = self.process.wait(TIMEOUT)
            log = self.log()
            assert not SANITIZER_REPORT.search(log), log
            assert status == 0, f"mcastd ended with {status}:\n{log}"
            assert not os.path.exists(self.control_path), "the control socket is still there"
        finally:
            self.kill()

    def finish(self):
        """Stops it if the test has not. It must not have crashed."""
        try:
            if self.process.poll() is None:
                self.stop()
            assert not SANITIZER_REPORT.search(self.log()), self.log()
            assert self.process.returncode in (0, -signal.SIGKILL), f"mcastd ended with {self.process.returncode}"
        finally:
            self.kill()

    def kill(self):
        """Ends it, whatever its state, and removes its directory."""
        log = self.new_log()
        if self in Daemon.running:
            Daemon.running.remove(self)
        if self.control:
            self.control.close()
            self.control = None
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        if self.owned_directory:
            shutil.rmtree(self.directory, ignore_errors=True)
        print(log, end="")  # pytest shows it when the test has failed

    def signal(self, number):
        self.process.send_signal(number)

    def pause(self):
        """Stops it from reading; the kernel's buffers fill up."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: self.state() == "T", "the daemon to be stopped")

    def resume(self):
        self.signal(signal.SIGCONT)

    def state(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]

    # Control

    def connect(self, terminator=b"\0"):
        return Control(self.control_path, terminator)

    def call(self, method, **parameters):
        """A call on the connection that is kept for all the tests of this daemon."""
        return self.control.call(method, **parameters)

    def error(self, method, **parameters):
        return self.control.error(method, **parameters)

    def ctl(self, *arguments, status=0, json_output=False, **options):
        """Runs mcastctl, which must exit with the status. Returns what it printed, decoded with --json."""
        command = [MCASTCTL, "-s", self.control_path, *(["--json"] if json_output else []), *arguments]
        options = {"stdin": subprocess.DEVNULL, "timeout": 4 * TIMEOUT, "text": True, **options}
        if "input" in options:
            del options["stdin"]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        report = f"{command}: exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        assert result.returncode == status, report
        assert not SANITIZER_REPORT.search(str(result.stderr)), report
        if status:
            return result.stderr
        assert not result.stderr, report
        return json.loads(result.stdout) if json_output else result.stdout

    def join(self, *arguments, status=0):
        """mcastctl join: the name that it prints, and what it says about interfaces where the group is not joined."""
        result = subprocess.run([MCASTCTL, "-s", self.control_path, "join", *arguments], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=TIMEOUT)
        assert result.returncode == status, result
        return result.stdout.strip(), result.stderr

    def ctl_start(self, *arguments, **options):
        """Starts mcastctl without waiting for its end; its output is a pipe."""
        return with_us.start(
            [MCASTCTL, "-s", self.control_path, *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def start_tail(self, *arguments):
        """Starts mcastctl tail and waits until it gets every datagram that comes."""
        before = self.call("GetStatus")["subscribers"]
        process = self.ctl_start("tail", *arguments)
        wait_until(lambda: self.call("GetStatus")["subscribers"] > before, "mcastctl tail to subscribe")
        return process

    # Numbers

    def stats(self):
        return self.call("GetStats")

    def group(self, name):
        return next(group for group in self.call("ListGroups")["groups"] if group["name"] == name)

    def handler(self, name):
        return next(handler for handler in self.call("ListHandlers")["handlers"] if handler["name"] == name)

    def membership(self, group, interface):
        found = [m for m in self.group(group)["memberships"] if m["interface"] == interface]
        return found[0] if found else None

    def arrived(self, group):
        """Datagrams that came as far as this host's sockets, read or dropped there."""
        numbers = self.group(group)
        return numbers["received"] + numbers["kernelDropped"]

    def wait_arrived(self, group, count):
        wait_until(lambda: self.arrived(group) >= count, f"{count} datagrams of {group}", 4 * TIMEOUT)
        assert self.arrived(group) == count

    def wait_idle(self, handler):
        """Waits until nothing is queued for the handler, and returns its numbers."""
        wait_until(lambda: not self.handler(handler)["queued"], f"the queue of {handler}", 4 * TIMEOUT)
        return self.handler(handler)

    def wait_joined(self, *groups):
        def joined():
            states = {g["name"]: [m["state"] for m in g["memberships"]] for g in self.call("ListGroups")["groups"]}
            return all(states[name] and set(states[name]) == {"joined"} for name in groups)

        wait_until(joined, f"{groups} to be joined")

    def assert_balanced(self):
        """Every datagram is accounted for, at any moment."""
        if self.process.poll() is None and self.control and self.state() != "T":
            for handler in self.stats()["handlers"]:
                assert balance(handler) == 0, handler
                assert input_balance(handler) == 0, handler
            for group in self.stats()["groups"]:
                brought = sum(membership["received"] for membership in group["memberships"])
                assert brought + group["replies"] <= group["received"], group


def run_mcastd(*arguments, host=None, **options):
    """Runs mcastd to its end, for what it says and exits with."""
    options = {"stdin": subprocess.DEVNULL, "timeout": TIMEOUT, "text": True, "errors": "backslashreplace", **options}
    with host or contextlib.nullcontext():
        result = subprocess.run([MCASTD, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    assert not SANITIZER_REPORT.search(result.stderr), result.stderr
    return result
