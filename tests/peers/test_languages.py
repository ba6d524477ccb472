"""Programs in other languages at the doors of groups, as doc/from-your-language.md has them: only paths are others here."""

import math
import random
import re
import signal
import socket
import subprocess
import sys
from collections import deque
from contextlib import ExitStack

import pytest

from harness.discovery import SO_RCVBUFFORCE, Program, need
from harness.documents import configurations, indented, programs
from harness.peers import LARGEST, receive, receiver_on, tutorial_sender
from harness.records import ALL_BYTES
from harness.waiting import TIMEOUT, wait_until

PAGE = "doc/from-your-language.md"
PROGRAMS = programs(PAGE)
ANSWERING, FIVE = configurations(PAGE)
QUESTIONS, ANSWERS, PORT = "233.252.0.1", "233.252.0.2", 5004
GROUPS = {"weather": "233.252.0.11", "tides": "233.252.0.12", "ships": "233.252.0.13", "radar": "233.252.0.14", "alarms": "ff15::15"}

COUNT = 10_000
IN_FLIGHT = 64 * 1024  # bytes that no answer has come for: no buffer on the way overflows

# By the end of a program's name: what there has to be, and how it runs.
RUNS = {
    "py": ([], [sys.executable]),
    "js": (["node"], ["node"]),
    "go": (["go"], []),
    "java": (["java", "javac"], ["java"]),
    "sh": (["ncat"], ["timeout", "600", "sh"]),  # it ends with all of its processes
}
ANSWERERS = ["answer.py", "packets.py", "answer-asyncio.py", "answer.js", "answer.go", "Answer.java", "answer.sh"]
READING = pytest.mark.parametrize("name", [name for name in ANSWERERS if name != "answer.sh"])  # ncat does not look for lengths
SUBSCRIBERS = ["five.py", "five.js", "five.go"]


def test_each_program_of_the_page_is_run_here():
    assert sorted(PROGRAMS) == sorted(ANSWERERS + SUBSCRIBERS)


def text_of(name):
    """packets.py has functions that take the place of some in answer.py."""
    if name != "packets.py":
        return PROGRAMS[name]
    first, answer, rest = PROGRAMS["answer.py"].partition("def answer():")
    return first + PROGRAMS[name] + answer + rest


@pytest.fixture
def run(net, tmp_path):
    """run(name, daemon): starts a program of the page, until the end of the test."""
    running = ExitStack()

    def run(name, daemon):
        needed, command = RUNS[name.rpartition(".")[2]]
        need(*needed)
        path = tmp_path / name
        path.write_text(text_of(name).replace("/run/mcastd/groups/", daemon.group_path("")).replace("/run/mcastd.sock", daemon.control_path))
        if name.endswith(".go"):
            built = f"{path}.program"
            for work in ["vet"], ["build", "-o", built]:
                subprocess.run(["go", *work, str(path)], check=True, timeout=300)
            path = built
        return running.enter_context(Program(net.host, *command, str(path)))

    with running:
        yield run


class Asker:
    """Sends questions, and reads the answers: a host that knows nothing of mcastd."""

    def __init__(self, host):
        self.host = host
        self.sender = tutorial_sender(host, QUESTIONS)
        self.answers = receiver_on(host, ANSWERS, PORT, "eth0")
        self.answers.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.asked = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sender.close()
        self.answers.close()

    def ask(self, payload):
        self.sender.sendto(payload, (QUESTIONS, PORT))

    def gets_an_answer(self):
        """Whether a new question is answered at once. Answers to earlier ones may come before it."""
        self.asked += 1
        wanted = b"are you there? %d" % self.asked
        self.ask(wanted)
        self.answers.settimeout(0.2)
        try:
            while self.answers.recv(LARGEST) != wanted:
                pass
        except TimeoutError:
            return False
        finally:
            self.answers.settimeout(TIMEOUT)
        return True

    def wait_for_answers(self, what):
        wait_until(self.gets_an_answer, what, 8 * TIMEOUT)

    def asks_in_turn(self, payloads):
        """Each comes back as it was, in its order. No more are on the way than the buffers hold."""
        waiting, size = deque(), 0
        for number, payload in enumerate(payloads):
            while waiting and size + len(payload) > IN_FLIGHT or len(waiting) > 30:
                size -= self.get(waiting)
            self.ask(payload)
            waiting.append((number, payload))
            size += len(payload)
        while waiting:
            self.get(waiting)

    def get(self, waiting):
        number, payload = waiting.popleft()
        assert self.answers.recv(LARGEST + 1) == payload, f"number {number}, of {len(payload)} bytes"
        return len(payload)


@pytest.fixture
def asker(net):
    with Asker(net.peer) as asker:
        yield asker


def payloads_of_all_sizes():
    """From 0 to the largest, most of them small, and no two alike but the smallest."""
    chance = random.Random(1)
    sizes = [0, 0, 1, 4, LARGEST, 0, LARGEST - 1, LARGEST - 4]
    sizes += [int(math.exp(chance.uniform(0, math.log(LARGEST + 1)))) - 1 for _ in range(COUNT - len(sizes))]
    return [chance.randbytes(size) for size in sizes]


@pytest.mark.parametrize("name", ANSWERERS)
def test_ten_thousand_datagrams_of_all_sizes_go_in_and_out_unchanged(start, net, asker, run, name):
    daemon = start(ANSWERING)
    daemon.wait_joined("questions")
    program = run(name, daemon)
    asker.wait_for_answers("the first answer")
    unread, sent = daemon.group("questions")["unread"], daemon.group("answers")["sent"]
    asker.asks_in_turn(payloads_of_all_sizes())
    assert program.process.poll() is None
    assert daemon.group("questions")["unread"] == unread  # of answers it ignores its own, however late it reads them
    answers = daemon.group("answers")
    assert answers["sent"] - sent == COUNT and answers["sendFailed"] == 0


@READING
def test_a_read_may_end_anywhere(start, asker, run, name):
    """The program is stopped while more is written to it than any of its reads takes."""
    daemon = start(ANSWERING)
    daemon.wait_joined("questions")
    program = run(name, daemon)
    asker.wait_for_answers("the first answer")
    chance, unread = random.Random(2), daemon.group("questions")["unread"]
    for _ in range(5):
        payloads, arrived = [chance.randbytes(chance.randrange(20_000, 60_000)) for _ in range(16)], daemon.arrived("questions")
        program.process.send_signal(signal.SIGSTOP)
        for number, payload in enumerate(payloads, 1):
            asker.ask(payload)
            daemon.wait_arrived("questions", arrived + number)
        program.process.send_signal(signal.SIGCONT)
        assert receive(asker.answers, len(payloads)) == payloads
    assert daemon.group("questions")["unread"] == unread


@READING
def test_a_program_goes_on_with_the_next_daemon_that_is_there(start, directory, asker, run, name):
    """It also waits for the first one."""
    daemon = start(ANSWERING, directory=directory)
    daemon.stop()
    program = run(name, daemon)
    wait_until(lambda: program.output, "what the program says", 4 * TIMEOUT)
    for _ in range(2):
        daemon = start(ANSWERING, directory=directory)
        asker.wait_for_answers("an answer through the new daemon")
        daemon.stop()
    assert program.process.poll() is None


def test_a_program_at_the_door_for_packets_says_how_many_it_missed(start, net, asker, run, blast):
    daemon = start(ANSWERING)
    daemon.wait_joined("questions")
    program = run("packets.py", daemon)
    asker.wait_for_answers("the first answer")
    flood_while_stopped(program, daemon, net, blast, "questions", QUESTIONS, PORT)
    asker.wait_for_answers("an answer after what is queued")
    missed = daemon.group("questions")["unread"]
    assert missed > 0
    wait_until(lambda: sum(map(int, re.findall(r"^gap (\d+)$", program.output, re.MULTILINE))) == missed, f"gaps of {missed} to be said")


def flood_while_stopped(program, daemon, net, blast, group, address, port):
    """Sends more than is queued for a program that does not read. Returns when the daemon has read all of it."""
    arrived = daemon.arrived(group)
    program.process.send_signal(signal.SIGSTOP)
    came = blast(net.peer, address, port, 20_000, 200, interface="eth0")
    daemon.wait_arrived(group, arrived + came)
    program.process.send_signal(signal.SIGCONT)


def test_the_lines_for_the_shell_send_and_receive(start, net, run):
    need("ncat", "socat", "bash")
    daemon = start(ANSWERING)
    daemon.wait_joined("questions")
    [lines] = [block for block in indented(PAGE) if "ncat -U --send-only" in block]
    ncat, send, listen = lines.replace("/run/mcastd/groups/", daemon.group_path("")).splitlines()
    with receiver_on(net.peer, QUESTIONS, PORT, "eth0") as peer:
        for line in ncat, send:
            subprocess.run(["bash", "-c", line], check=True, timeout=TIMEOUT)
            assert receive(peer) == [b"hello"]
    with Program(net.host, "timeout", "600", "bash", "-c", listen) as listener, tutorial_sender(net.peer, ANSWERS) as sender:
        def hears():
            sender.sendto(b"an answer\n", (ANSWERS, PORT))
            return "an answer\n" in listener.output

        wait_until(hears, "a datagram in the shell")


# Several groups in one program


TEXTS = [b"plain", "gr\u00fc\u00df dich, \u4e16\u754c \U0001f600".encode(), b'{"json": "in \\" it"}', b"", b"no UTF-8: \xff\xfe and on",
         b"long " + bytes(range(97, 123)) * 2400, ALL_BYTES.replace(b"\n", b"").replace(b"\r", b"")]


@pytest.mark.parametrize("name", SUBSCRIBERS)
def test_five_groups_in_one_program_which_knows_the_group_and_the_sender(start, net, run, name):
    daemon = start(FIVE)
    program = run(name, daemon)
    wait_until(lambda: daemon.call("GetStatus")["subscribers"] == 1, "the subscription", 4 * TIMEOUT)
    expected = []
    for host in net.peer, net.other:
        for number, (group, address) in enumerate(GROUPS.items()):
            daemon.wait_joined(group)
            with tutorial_sender(host, address) as sender:
                for text in TEXTS:
                    sender.sendto(text, (address, 5011 + number))
                    source = host.v6 if ":" in address else host.v4
                    expected.append(f"{group} {source} {text.decode(errors='replace')}")
        wait_until(lambda: program.output.count("\n") >= len(expected), f"{len(expected)} lines")
    for group in GROUPS:
        wanted = [line for line in expected if line.startswith(group + " ")]
        assert [line for line in program.output.split("\n") if line.startswith(group + " ")] == wanted


@pytest.mark.parametrize("name", SUBSCRIBERS)
def test_a_subscriber_goes_on_with_the_next_daemon_and_ends_where_a_group_is_not_there(start, directory, net, run, name):
    daemon = start(FIVE, directory=directory)
    program = run(name, daemon)
    wait_until(lambda: daemon.call("GetStatus")["subscribers"] == 1, "the subscription", 4 * TIMEOUT)
    daemon.stop()
    daemon = start(FIVE, directory=directory)
    wait_until(lambda: daemon.call("GetStatus")["subscribers"] == 1, "the second subscription")
    assert program.process.poll() is None
    daemon.stop()
    start(FIVE.replace("radar:", "sonar:"), directory=directory)
    wait_until(lambda: program.process.poll() is not None, "the program to end")
    assert program.process.returncode == 1
    wait_until(lambda: "radar" in program.output, "the name of the group that is missing")


@pytest.mark.parametrize("name", SUBSCRIBERS)
def test_a_subscriber_says_of_which_group_it_missed_how_many(start, net, run, blast, name):
    daemon = start(FIVE)
    daemon.wait_joined("tides")
    program = run(name, daemon)
    wait_until(lambda: daemon.call("GetStatus")["subscribers"] == 1, "the subscription", 4 * TIMEOUT)
    flood_while_stopped(program, daemon, net, blast, "tides", GROUPS["tides"], 5012)
    came = daemon.group("tides")["received"]
    with tutorial_sender(net.peer, GROUPS["ships"]) as sender:
        def accounted_for():
            sender.sendto(b"on", (GROUPS["ships"], 5013))  # a gap is told with the next datagram
            missed = map(int, re.findall(r"tides: missed (\d+)$", program.output, re.MULTILINE))
            return sum(missed) + len(re.findall("^tides ", program.output, re.MULTILINE)) == came

        wait_until(accounted_for, f"{came} datagrams, or how many of them were missed")
    assert "tides: missed" in program.output
