"""What one local user does to the daemon's sockets: others get their part of its time, memory, connections and descriptors."""

import os
import resource
import socket
import subprocess
import time
from contextlib import ExitStack

import pytest

from harness import with_us
from harness.daemon import ROOT, VarlinkError
from harness.peers import send, seqpacket, seqpacket_at_once
from harness.programs import resident
from harness.shares import processor_shares
from harness.strangers import as_stranger, skip_without_strangers, stranger
from harness.waiting import wait_until

CONFIG = """
groups: { g: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; receive_buffer = "8M"; socket = true; socket_mode = "0666"; };
          full: { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; socket = true; }; };
"""

# What a sanitizer keeps of freed memory would say nothing about the daemon.
LEAN = ("env", "ASAN_OPTIONS=quarantine_size_mb=1:malloc_context_size=0")

OTHER = 1234  # a user who is neither root nor the stranger


def descriptors(daemon):
    return {int(fd) for fd in os.listdir(f"/proc/{daemon.process.pid}/fd")}


def connections(daemon):
    return daemon.call("GetStatus")["connections"]


def connects(daemon, path):
    """As the other user: "ok" where the connection stays, for a control socket with an answer."""
    return as_stranger(daemon, f"""
stream = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
stream.connect({path!r})
stream.settimeout(0.5)
try:
    print("closed" if stream.recv(1) == b"" else "data")
except TimeoutError:
    print("ok")
""", uid=OTHER)


# Time

def test_others_are_served_between_heavy_messages(daemon):
    with daemon.connect() as control, stranger(daemon, """
heavy = json.dumps({"method": "io.mcastd.Subscribe", "more": True, "parameters": {"groups": ["g"] * 20000 + ["x"]}}).encode()
streams = [connect() for _ in range(50)]
for stream in streams:
    call(stream, "GetStatus")
print("connected", flush=True)
sys.stdin.readline()
for stream in streams:
    stream.sendall((heavy + b"\\n" + request("Send", group="g", text="x")))
print("asked", flush=True)
sys.stdin.read()
""") as greedy:
        assert greedy.stdout.readline() == "connected\n"
        control.call("GetStatus")
        daemon.pause()
        greedy.stdin.write("ask\n")
        greedy.stdin.flush()
        assert greedy.stdout.readline() == "asked\n"
        control.send("ListGroups")
        daemon.resume()
        assert next(group for group in control.result()["groups"] if group["name"] == "g")["sent"] < 5
        wait_until(lambda: daemon.group("g")["sent"] == 50, "the Sends behind the heavy messages")


@pytest.mark.parametrize("parameters", [
    '{"groups":[' + '"g",' * 1024 + '"g"]}', '{"x":[' + "1," * 5000 + "1]}", '{"x":' + "[" * 40 + "]" * 40 + "}",
], ids=["groups", "values", "depth"])
def test_a_message_that_is_expensive_is_refused_and_the_connection_goes_on(daemon, parameters):
    with daemon.connect() as control:
        control.write(b'{"method":"io.mcastd.Subscribe","more":true,"parameters":%s}\0' % parameters.encode())
        with pytest.raises(VarlinkError) as error:
            control.result()
        assert "at most" in error.value.parameters["message"]
        assert "version" in control.call("GetStatus")


def test_what_clients_sent_before_they_went_is_sent(daemon):
    before = daemon.group("g")["sent"]
    as_stranger(daemon, """
for _ in range(20):
    stream = connect()
    stream.sendall(request("Send", group="g", text="plain") + request("Send", group="g", text="with \\\\n"))
    stream.close()
""")
    wait_until(lambda: daemon.group("g")["sent"] == before + 40, "what they sent")


# Connections

def test_a_client_that_cannot_be_answered_is_closed(daemon):
    before = connections(daemon)
    with daemon.connect() as control:
        control.socket.shutdown(socket.SHUT_RD)
        control.send("GetStatus")
        wait_until(lambda: connections(daemon) == before, "the client to be closed")


def test_group_sockets_have_room_for_another_user_whatever_one_user_takes(daemon):
    """Both of a group have the same slots."""
    path = daemon.group_path("g")
    os.chmod(path, 0o666)
    os.chmod(path + ".stream", 0o666)
    with stranger(daemon, f"""
def connect_to_group(number):
    kind, suffix = ((socket.SOCK_SEQPACKET, ""), (socket.SOCK_STREAM, ".stream"))[number % 2]
    stream = socket.socket(socket.AF_UNIX, kind)
    stream.connect({path!r} + suffix)
    return stream
streams = [connect_to_group(number) for number in range(1100)]
print("connected", flush=True)
sys.stdin.readline()
for stream in streams:
    stream.settimeout(0)
def is_open(stream):
    try:
        return stream.recv(1) != b""
    except BlockingIOError:
        return True
print(sum(map(is_open, streams)), flush=True)
sys.stdin.read()
""") as greedy:
        assert greedy.stdout.readline() == "connected\n"
        assert connects(daemon, path) == ["ok"]
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as own:
            own.connect(path)
            send_to_group(daemon, own)
        greedy.stdin.write("count\n")
        greedy.stdin.flush()
        assert int(greedy.stdout.readline()) == 504
    assert "refusing a program of uid 65534 at its socket" in daemon.log()


def test_who_has_all_connections_of_a_group_is_not_told_of_other_users(daemon):
    """Root may have all of them."""
    with ExitStack() as stack:
        programs = [stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)) for _ in range(1025)]
        for program in programs:
            program.connect(daemon.group_path("full"))
        wait_until(lambda: "group full: refusing a program of uid 0" in daemon.log(), "the last one to be refused")
    assert "connections: all slots are taken\n" in daemon.log()


def send_to_group(daemon, own):
    before = daemon.group("g")["sent"]
    own.send(b"x")
    wait_until(lambda: daemon.group("g")["sent"] == before + 1, "what root has written")


def connections_until_one_is_refused(daemon, connect, is_refused):
    """All but the last one."""
    streams = []
    while True:
        streams.append(connect())
        if is_refused(streams[-1]):
            streams.pop().close()
            break
    refused = time.monotonic()
    wait_until(lambda: time.monotonic() > refused + 0.01, "the daemon to check old connections for the next one again")
    return streams


def test_who_closes_all_connections_may_open_another_one_at_once(start):
    """Also where the daemon accepts one before it reads the ends of the old ones."""
    daemon = start(CONFIG, wrapper=("prlimit", "--nofile=64"))

    def is_refused(control):
        control.send("GetStatus")
        return "error" in control.reply()

    old = connections_until_one_is_refused(daemon, daemon.connect, is_refused)
    assert len(old) > 30
    daemon.pause()
    with daemon.connect() as new, daemon.connect() as newer:
        for control in old:
            control.close()
        for control in (new, newer):
            control.send("GetStatus")
        daemon.resume()
        assert "version" in new.result() and "version" in newer.result()


def test_who_closes_all_connections_to_a_group_may_open_another_one_at_once(start):
    daemon = start(CONFIG, wrapper=("prlimit", "--nofile=64"))

    def is_refused(stream):
        stream.settimeout(0)
        try:
            return stream.recv(1) == b""
        except BlockingIOError:
            return False

    old = connections_until_one_is_refused(daemon, lambda: seqpacket(daemon.group_path("g")), is_refused)
    assert len(old) > 30
    daemon.pause()
    with seqpacket_at_once(daemon.group_path("g")) as new:
        old[0].send(b"before it went")
        old[1].send(b"")
        for stream in old:
            stream.close()
        new.send(b"new")
        daemon.resume()
        wait_until(lambda: daemon.group("g")["sent"] == 3, "all that was written")


# Memory

def test_unfinished_messages_take_a_bounded_memory(start):
    daemon = start(CONFIG, wrapper=LEAN)
    before = resident(daemon.process.pid)
    with stranger(daemon, """
half = b'{"method":"io.mcastd.Send","parameters":{"text":"' + b"x" * 100_000
streams = [connect() for _ in range(800)]
for stream in streams:
    write_all(stream, half)
print(call(connect(), "GetStatus"), flush=True)
sys.stdin.readline()
for stream in streams:
    stream.setblocking(True)
    stream.sendall(b'","group":"g"}}\\n')
print(*sorted({answer(stream) for stream in streams}), flush=True)
sys.stdin.read()
""") as greedy:
        assert greedy.stdout.readline() == "ok\n"
        assert resident(daemon.process.pid) - before < 32  # of 80
        text = "x" * 60_000
        assert as_stranger(daemon, f'print(call(connect(), "Send", group="g", text={text!r}))', uid=OTHER) == ["ok"]
        assert daemon.call("Send", group="g", text=text)["bytes"] == 60_000
        greedy.stdin.write("end them\n")
        greedy.stdin.flush()
        assert greedy.stdout.readline() == "io.mcastd.PayloadTooLarge io.mcastd.TooMuchInput\n"
    assert "uid 65534: the unfinished messages of this user take" in daemon.log()


def test_datagrams_that_are_begun_at_a_group_stream_take_a_bounded_memory(start):
    daemon = start(CONFIG, wrapper=LEAN)
    before, path = resident(daemon.process.pid), daemon.group_path("g.stream")
    os.chmod(path, 0o666)
    with stranger(daemon, f"""
half = (60_000).to_bytes(4, "big") + b"x" * 59_000
def begin():
    stream = socket.socket(socket.AF_UNIX)
    stream.connect({path!r})
    stream.settimeout(0)
    write_all(stream, half)
    return stream
streams = [begin() for _ in range(450)]
print(call(connect(), "GetStatus"), flush=True)
def is_open(stream):
    try:
        return stream.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
for question in sys.stdin:
    print(sum(map(is_open, streams)), flush=True)
""") as greedy:
        assert greedy.stdout.readline() == "ok\n"
        wait_until(lambda: daemon.group("g")["sendFailed"] >= 450 - 80, "what is too much to be given up")
        assert resident(daemon.process.pid) - before < 16  # of 25

        def open_streams():
            greedy.stdin.write("count\n")
            greedy.stdin.flush()
            return int(greedy.stdout.readline())

        wait_until(lambda: open_streams() == 450 - daemon.group("g")["sendFailed"], "each of them to be counted")
        with socket.socket(socket.AF_UNIX) as own:
            own.connect(path)
            own.sendall((60_000).to_bytes(4, "big") + bytes(60_000))
            wait_until(lambda: daemon.group("g")["sent"] == 1, "what another user has written")
    assert "what the programs of this user have begun to write, and not ended, takes 4" in daemon.log()


# Descriptors

def test_with_512_descriptors_others_are_served_and_handlers_work(start, net, programs):
    script = programs.write("append", 'cat >>"$1/got"')
    daemon = start(f"""
    groups: {{ g: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["h"]; socket_mode = "0666"; }}; }};
    handlers: {{ h: {{ type = "exec"; command = ["{script}", "$DIR"]; }}; }};
    """, wrapper=("prlimit", "--nofile=512:512"))
    with stranger(daemon, """
streams = []
for _ in range(600):
    streams.append(connect())
print(call(streams[0], "GetStatus"), answer(streams[-1]), flush=True)
sys.stdin.read()
""") as greedy:
        assert greedy.stdout.readline() == "ok io.mcastd.TooManyConnections\n"
        assert as_stranger(daemon, 'print(call(connect(), "GetStatus"))', uid=OTHER) == ["ok"]
        own = [daemon.connect() for _ in range(100)]
        assert all("version" in control.call("GetStatus") for control in own)
        send(net.peer, b"hello", "233.252.0.1", 5004)
        wait_until(lambda: daemon.read("got") == b"hello", "the handler")
        assert daemon.call("Reload")["changes"] == []
        for control in own:
            control.close()


def test_root_is_served_when_no_descriptor_is_left(start):
    daemon = start(CONFIG)
    used = descriptors(daemon)
    assert used == set(range(len(used)))
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (len(used), 4096))
    with daemon.connect() as first:
        assert "version" in first.call("GetStatus")
        with daemon.connect() as second:
            second.send("GetStatus")
            wait_until(lambda: "waiting for a free descriptor" in daemon.log(), "the daemon to have none")
            assert "version" in first.call("GetStatus")
            first.close()
            assert "version" in second.result()
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (4096, 4096))


# All of it, for half a minute

# As systemd shares out the processor: the CPUWeight= of the daemon's slice, beside that of all users; each user gets as much as
# another. The sender stands for another host.
DAEMON, SENDER = "mcastd/mcastd", "sender"
with open(os.path.join(ROOT, "systemd", "mcastd.slice")) as file:
    DAEMON_WEIGHT = next(int(line.partition("=")[2]) for line in file if line.startswith("CPUWeight="))


def of_user(uid):
    return f"user/{uid}"


@pytest.fixture
def shares():
    with ExitStack() as stack:
        try:
            shares = stack.enter_context(processor_shares())
        except OSError as reason:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"needs control groups for the processor, as root: {reason}")
        yield shares


class Greedy:
    """greedy.c, the attackers and those who ask."""

    def __init__(self, directory, daemon, shares):
        self.binary = f"{directory}/greedy"
        self.daemon = daemon
        self.shares = shares
        source = os.path.join(ROOT, "tests", "harness", "greedy.c")
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", self.binary, source], check=True)
        os.chmod(daemon.directory, 0o711)

    def start(self, uid, *words):
        return with_us.start([*self.shares.wrapper(of_user(uid)), self.binary, self.daemon.control_path, str(uid), *map(str, words)],
                             stdout=subprocess.PIPE, text=True)


@pytest.mark.long
@pytest.mark.parametrize("seconds, attacks", [
    (30, ("connects", 1, "subscribes", 1, "halves", 1, "dies", 1)),
    (30, ("connects", 250, "subscribes", 250, "halves", 250, "dies", 250)),
    *((5, attack) for attack in (("holds", 2), ("unread", 2), ("values", 4), ("nests", 4), ("escapes", 4), ("calls", 4),
                                 ("reads", 1000))),
], ids=lambda value: "+".join(map(str, value)) if isinstance(value, tuple) else f"{value}s")
def test_others_are_answered_within_100_ms_whatever_one_user_does(
        net, shares, start, blast, release, say, tmp_path, seconds, attacks):
    skip_without_strangers()
    groups = "\n".join(f'g{i}: {{ address = "233.252.1.{i}"; port = 5004; interfaces = ["eth0"]; }};' for i in range(100))
    daemon = start(CONFIG.replace("};\n", groups + "};\n"), binary=release, wrapper=shares.wrapper(DAEMON, weight=DAEMON_WEIGHT))
    greedy = Greedy(tmp_path, daemon, shares)
    largest = 0
    with blast.stream(net.peer, "233.252.0.1", 5004, 64, rate=100_000, connected=True) as stream, greedy.start(65534, *attacks) as attackers:
        shares.enter(SENDER, stream.pid)
        assert attackers.stdout.readline() == "attacking\n"
        askers = [greedy.start(uid, "ask", seconds) for uid in (0, OTHER)]
        while any(asker.poll() is None for asker in askers):
            largest = max(largest, resident(daemon.process.pid))
            time.sleep(0.2)
        answers = [asker.communicate()[0].split() for asker in askers]
        attackers.kill()
    wait_until(lambda: daemon.arrived("g") >= stream.sent, "all datagrams")
    lost = daemon.group("g")["kernelDropped"]
    (root, *root_ms), (other, *other_ms) = answers
    say(f"{attacks}, {seconds} s: root {root} answers, at most {root_ms} ms; another user {other}, at most {other_ms} ms; "
        f"{largest:.0f} MiB; {lost} of {stream.sent} lost")
    assert max(map(float, root_ms + other_ms)) <= 100
    assert largest <= 64
    assert lost == 0
