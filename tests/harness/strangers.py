"""Programs of another user than root: unless told otherwise, one whom nobody trusts."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from harness import with_us
from harness.waiting import TIMEOUT

HEAD = """
import json, os, resource, select, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (4000, 4000))
os.setgroups(GROUPS); os.setgid(UID); os.setuid(UID)

def connect():
    stream = socket.socket(socket.AF_UNIX)
    stream.connect(PATH)
    return stream

def request(method, **parameters):
    return json.dumps({"method": "io.mcastd." + method, "parameters": parameters}).encode() + b"\\n"

def call(stream, method, **parameters):
    stream.sendall(request(method, **parameters))
    return answer(stream)

def answer(stream):
    return json.loads(stream.makefile().readline()).get("error", "ok")

def write_all(stream, data):
    \"\"\"As much as the other side takes.\"\"\"
    stream.setblocking(False)
    try:
        while data:
            data = data[stream.send(data):]
    except BlockingIOError:
        pass
"""


NOBODY = 65534


def skip_without_strangers():
    with open("/proc/self/uid_map") as file:
        if int(file.read().split()[2]) < 2:
            pytest.skip("there is only one user in this user namespace: run the tests as root")


def command(daemon, script, uid=NOBODY, groups=()):
    skip_without_strangers()
    os.chmod(daemon.directory, 0o711)
    return [sys.executable, "-c", f"PATH, UID, GROUPS = {daemon.control_path!r}, {uid}, {list(groups)}\n{HEAD}{script}"]


def as_stranger(daemon, script, **user):
    """Runs a script as another user, with the functions of HEAD. Returns the words that it printed."""
    return subprocess.run(command(daemon, script, **user), check=True, stdout=subprocess.PIPE, text=True,
                          timeout=4 * TIMEOUT).stdout.split()


@contextmanager
def stranger(daemon, script, **user):
    """The same for as long as the block lasts, or until the script ends; its output is a pipe."""
    child = with_us.start(command(daemon, script, **user), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()
