"""Whatever listens at the socket that -s names, and whatever interfaces are called: nothing of it becomes a command, a sequence for
the terminal, or the end of the program."""

import contextlib
import json
import os
import re
import shlex
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from harness.daemon import MCASTCTL, SANITIZER_REPORT
from harness.lab import Lab
from net.doctor.trial import Office

pytestmark = pytest.mark.waits

# A marker that only a shell that runs it would make: the name is split, so that it never stands in the output as a whole.
EVIL = "a\x1b[2J\n; touch evi''l $(touch evi''l) `touch evi''l` '\"\x9b31m\u202e"
GROUP = {"name": EVIL, "address": "233.252.0.10", "port": 5004, "sources": None, "received": 0, "handlers": [EVIL],
         "sameNetworkTwice": [EVIL, EVIL], "outgoing": [{"interface": EVIL, "notSent": 0, "error": EVIL}, {"interface": None, "error": EVIL}],
         "senders": [{"source": EVIL, "interface": EVIL}, {"source": "203.0.113.9", "interface": "eth0"}],
         "memberships": [{"interface": interface, "state": state, "error": error, "kernelDropped": 2**63 - 1, "received": -1,
                          "receiveBuffer": 2**62, "lastReceived": EVIL, "refreshImpossible": EVIL + "joined it there"}
                         for interface, state, error in (("eth0", "joined", None), (EVIL, "failed", EVIL), ("eth0", "failed", "is held" + EVIL),
                                                         ("eth0", "waiting", "sources a group" + EVIL), ("eth0", "failed", "optmem_max" + EVIL))]}
HANDLER = {"name": EVIL, "groups": [EVIL], "error": EVIL, "received": 3, "filtered": 3, "delivered": 3, "dropped": {EVIL: 7, "io": "x"}}
ANSWERS = {"GetStatus": {"pid": 2**40, "configuration": EVIL, "networkNamespace": 0}, "ListGroups": {"groups": [GROUP]},
           "ListHandlers": {"handlers": [HANDLER]}, "Refresh": {"impossible": [{"interface": "eth0", "why": EVIL}]}, "Send": {}}
# Each takes the place of one of these.
ODD = {"nothing": {}, "null": None, "a list": [], "a string": "x", "numbers for strings": {"groups": [{"name": 1, "address": 2, "memberships": 3}]},
       "no memberships": {"groups": [{**GROUP, "memberships": []}]}, "twice the same": {"groups": [GROUP, GROUP]},
       "no address": {"groups": [{**GROUP, "address": EVIL}]}, "large numbers": {"groups": [{**GROUP, "port": 2**40, "received": 1e300}]},
       "nested": {"groups": [[[[[]]]]], "handlers": [[[]]], "impossible": [[[]]]}}


class Impostor:
    """Something that answers as this says, on a socket in the namespace of nobody."""

    def __init__(self, directory, answers, endless, file):
        self.path, self.answers, self.endless = os.path.join(directory, file), answers, endless
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, client):
        data = b""
        with client, contextlib.suppress(OSError):
            while chunk := client.recv(65536):
                *calls, data = (data + chunk).split(b"\0")
                for call in calls:
                    method = json.loads(call)["method"].split(".")[-1]
                    answer = json.dumps({"parameters": self.answers[method], "continues": self.endless}).encode() + b"\0"
                    client.sendall(answer)
                    while self.endless and method == "ListGroups":
                        client.sendall(answer)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def ask():
    """Asks an impostor in a pair of hosts; returns what was said, and how long that took."""
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(contextlib.closing(Lab()))
        lab.pair()
        directory = stack.enter_context(tempfile.TemporaryDirectory())

        def run(answers, *arguments, endless=False, file="it's a socket"):
            with contextlib.closing(Impostor(directory, answers, endless, file)) as impostor:
                began = time.monotonic()
                with lab.host:
                    result = subprocess.run([MCASTCTL, "-s", impostor.path, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE, timeout=30, cwd="/")
                os.unlink(impostor.path)
            assert not SANITIZER_REPORT.search(result.stderr.decode(errors="replace")), result.stderr
            assert 0 <= result.returncode < 4, result
            return result, time.monotonic() - began

        yield run


def assert_is_plain(output):
    """No character that a terminal or a reader takes for something else."""
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", output.decode())


def named(name):
    """The answers with another name."""
    return json.loads(json.dumps(ANSWERS).replace(json.dumps(EVIL)[1:-1], json.dumps(name)[1:-1]))


# A quote that nobody closes is an error of the shell, which then runs nothing: so each kind of it has a name of its own.
@pytest.mark.parametrize("name", [EVIL, "a; touch evil; $(touch evil) `touch evil`\ntouch evil\n", "a'; touch evil; '", 'a"; touch evil; "'],
                         ids=["all", "unquoted", "single", "double"])
def test_nothing_of_it_reaches_the_terminal_or_the_shell(ask, tmp_path, name):
    answers = named(name)
    if name != EVIL:
        # Nothing comes, and mcastd is elsewhere: the fix is a command with the name of the group.
        answers["GetStatus"]["networkNamespace"] = 1
        answers["ListGroups"]["groups"][0].update(
            memberships=[{"interface": "eth0", "state": "joined", "received": 0, "kernelDropped": 0}], sameNetworkTwice=None, outgoing=[])
    result, _ = ask(answers, "doctor", "--wait", "100ms", file="it's a socket" if name == EVIL else "socket")
    assert_is_plain(result.stdout + result.stderr)
    fixes = [line[12:] for line in result.stdout.decode().split("\n") if re.match(" {2}(fix {6}|   {7})  ", line) or line.startswith("  fix")]
    assert fixes
    # What is run as it stands, and what stands behind "# see: ".
    script = "\n".join(re.sub("^# (see|or): ", "", fix) for fix in fixes if not fix.startswith("# in the"))
    assert name == EVIL or "touch evil" in script
    shims = tmp_path / "bin"
    shims.mkdir()
    for name in {line.split()[0] for line in script.split("\n") if re.match("[a-z]+ ", line)} - {"touch", "sh"}:
        (shims / name).write_text("#!/bin/sh\n")
        (shims / name).chmod(0o755)
    (shims / "touch").write_text(f"#!/bin/sh\necho >>{tmp_path}/evil\n")
    (shims / "touch").chmod(0o755)
    subprocess.run(["/bin/sh", "-c", script], env={"PATH": str(shims)}, cwd=tmp_path, check=False, stdin=subprocess.DEVNULL)
    assert not (tmp_path / "evil").exists(), script


def test_json_is_json_whatever_it_says(ask):
    result, _ = ask(ANSWERS, "--json", "doctor", "--wait", "100ms")
    assert_is_plain(result.stdout)
    assert json.loads(result.stdout)["memberships"][0]["group"] == EVIL


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("method", ANSWERS)
def test_an_odd_answer_is_no_crash(ask, method, name):
    result, seconds = ask({**ANSWERS, method: ODD[name]}, "--json", "doctor", "--wait", "10ms")
    assert seconds < 10
    assert not result.stdout or json.loads(result.stdout)


def test_an_answer_without_an_end_ends(ask):
    result, seconds = ask(ANSWERS, "doctor", "--wait", "10ms", endless=True)
    assert result.returncode == 1 and seconds < 25
    assert b"mcastctl: doctor: " in result.stderr


def test_the_name_of_an_interface_is_no_command():
    """The kernel takes nearly anything for the name of one, and the user of a container chooses it."""
    name = "a;$(b)`c`'.1"
    office = Office()
    with contextlib.closing(office), contextlib.closing(Lab()) as lab:
        lab.pair()
        lab.host.run("ip", "link", "set", "dev", "eth0", "down")
        lab.host.run("ip", "link", "set", "dev", "eth0", "name", name)
        lab.interfaces = [name]
        answer = office.ask(lab, "target")
        assert answer.causes() == {"interface-down"}
        fix, = answer.findings()[0]["fix"]
        assert shlex.split(fix) == ["ip", "link", "set", "dev", name, "up"]
