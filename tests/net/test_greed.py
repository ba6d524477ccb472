"""A local user who takes from the control socket all that there is: the others do not notice."""

import pytest

from harness.daemon import subscribe
from harness.peers import send
from harness.programs import resident
from harness.strangers import as_stranger, stranger
from harness.waiting import wait_until

CONFIG = """
groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; receive_buffer = "8M"; socket_mode = "0666"; }; };
"""

# What a sanitizer keeps of freed memory would say nothing about the daemon.
LEAN = ("env", "ASAN_OPTIONS=quarantine_size_mb=1:malloc_context_size=0")


def test_the_others_are_served_before_one_user_has_had_all(daemon):
    """A hundred connections have asked before, and their owner gets no more of the loop than the one who asks last."""
    with daemon.connect() as control, stranger(daemon, """
streams = [connect() for _ in range(100)]
for stream in streams:
    call(stream, "GetStatus")
print("connected", flush=True)
sys.stdin.readline()
for stream in streams:
    stream.sendall(request("Send", group="news", text="x") * 150)
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
        assert control.result()["groups"][0]["sent"] < 2000
        wait_until(lambda: daemon.group("news")["sent"] == 15000, "all to be sent")


def test_what_one_user_leaves_unread_takes_no_memory_to_speak_of(start):
    daemon = start(CONFIG, wrapper=LEAN)
    before = resident(daemon.process.pid)
    with stranger(daemon, """
import fcntl, struct, termios, time
call_ = b'{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"io.mcastd"}}\\n'
streams = [connect() for _ in range(200)]
for stream in streams:
    write_all(stream, call_ * 1000)

def unread(stream):
    return struct.unpack("i", fcntl.ioctl(stream, termios.FIONREAD, bytes(4)))[0]

while not all(unread(stream) for stream in streams):
    time.sleep(0.01)
print("full", flush=True)
print(call(connect(), "GetStatus"), flush=True)
sys.stdin.read()
""") as greedy:
        assert greedy.stdout.readline() == "full\n"
        assert greedy.stdout.readline() == "ok\n"  # nor does one shut oneself out
        for _ in range(1000):
            daemon.call("GetStatus")
        assert resident(daemon.process.pid) - before < 48


def test_names_of_unread_lists_count_as_memory_of_the_user_and_a_short_list_is_still_answered(start):
    names = [f"g{number:04}{'x' * 59}" for number in range(1024)]
    groups = "".join(f'{name}: {{ address = "239.7.{number // 250}.{number % 250 + 1}"; port = 5004; interfaces = ["lo"]; }};\n'
                     for number, name in enumerate(names))
    daemon = start(f"groups: {{ {groups} }};", wrapper=LEAN)
    before = resident(daemon.process.pid)
    assert as_stranger(daemon, """
names = [f"g{number:04}{'x' * 59}" for number in range(1024)]
streams = [connect() for _ in range(200)]
for stream in streams:
    stream.sendall(request("ListGroups", groups=names, senders=True))
for stream in streams:  # the daemon has read what it asks, and keeps it until the answer is read
    select.select([stream], [], [])
print(call(connect(), "ListGroups", groups=names, senders=True), call(connect(), "ListGroups", groups=names[:64]))
""") == ["io.mcastd.TooManySubscriptions", "ok"]
    assert resident(daemon.process.pid) - before < 32
    wait_until(lambda: daemon.call("GetStatus")["connections"] == 1, "the lists to be forgotten")
    assert len(daemon.call("ListGroups", groups=names)["groups"]) == 1024


def test_subscribers_that_want_the_same_keep_it_once(start, net, blast):
    daemon = start(CONFIG, wrapper=LEAN)
    subscribers = [subscribe(daemon, "news") for _ in range(200)]
    before = resident(daemon.process.pid)
    blast(net.peer, "233.252.0.1", 5004, 3000, 1000)
    daemon.wait_arrived("news", 3000)
    assert resident(daemon.process.pid) - before < 24
    for subscriber in subscribers[::40]:
        got = missed = 0
        while got + missed < daemon.group("news")["received"]:
            parameters = subscriber.result()
            got += "datagram" in parameters
            missed += parameters.get("gap", {"count": 0})["count"]
        assert got >= 400  # of 512 KiB
    for subscriber in subscribers:
        subscriber.close()


def test_a_subscriber_that_wrote_junk_is_forgotten_when_it_goes(daemon):
    before = daemon.call("GetStatus")["subscribers"]
    with subscribe(daemon) as subscriber:
        subscriber.write(b"junk" * 100_000)
    wait_until(lambda: daemon.call("GetStatus")["subscribers"] == before, "the subscriber to be forgotten")


@pytest.mark.long
def test_a_subscriber_that_reads_nothing_is_disconnected(daemon, net, blast):
    before = daemon.call("GetStatus")["subscribers"]
    with subscribe(daemon, "news") as subscriber:
        blast(net.peer, "233.252.0.1", 5004, 5000, 1000)
        wait_until(lambda: daemon.call("GetStatus")["subscribers"] == before, "the subscriber to be disconnected", 120)
        while subscriber.read():
            pass
    assert "disconnecting a subscriber of uid 0: no read for 65 s" in daemon.log()


@pytest.mark.long
def test_a_subscriber_that_reads_a_little_is_not_disconnected(daemon, net, blast):
    with subscribe(daemon, "news") as slow, subscribe(daemon, "news"):
        blast(net.peer, "233.252.0.1", 5004, 5000, 1000)

        def only_one_is_left():
            send(net.peer, b"x", "233.252.0.1", 5004)
            slow.read()
            return daemon.call("GetStatus")["subscribers"] == 1

        wait_until(only_one_is_left, "the other one to be disconnected", 120)
        assert slow.read()
