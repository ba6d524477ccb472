"""Programs for the handlers that run some, and what the kernel knows about their processes."""

import os
import signal
import tempfile

from harness.waiting import wait_until


class Programs:
    """A directory that the daemon trusts, as /tmp is not: only root can write to it and to those above it."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="mcastd-programs-", dir="/run")
        os.chmod(self.directory, 0o755)

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def write(self, name, script, mode=0o755):
        """Writes a shell script and returns its path."""
        path = self.path(name)
        with open(path, "w") as file:
            file.write(f"#!/bin/sh\n{script}\n")
        os.chmod(path, mode)
        return path

    def runner(self, start, config):
        """A function that starts a daemon with config(words of the command, settings), whose command is a shell script."""
        def run(script, settings="", name="script"):
            return start(config([self.write(name, script), "$DIR"], settings))

        return run


def command(*words):
    """The value of the key command."""
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for word in words)
    return "[" + ", ".join(f'"{word}"' for word in escaped) + "]"


def state_of(pid):
    """"R", "S", "T", "Z", ... or None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def children_of(daemon):
    """The states of the daemon's child processes by their number."""
    pids = []
    for task in os.listdir(f"/proc/{daemon.process.pid}/task"):
        try:
            with open(f"/proc/{daemon.process.pid}/task/{task}/children") as file:
                pids += map(int, file.read().split())
        except (FileNotFoundError, ProcessLookupError):
            pass
    return {pid: state for pid in pids if (state := state_of(pid))}


def program_of(pid):
    """The path of what it runs, or None."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except (FileNotFoundError, ProcessLookupError):
        return None


def resident(pid):
    """How much of its memory is in RAM, in MiB."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024


def is_alive(pid):
    return state_of(pid) not in (None, "Z")


def wait_gone(pid):
    wait_until(lambda: not is_alive(pid), f"process {pid} to end")


def wait_no_children(daemon):
    """Every child has ended and was reaped."""
    wait_until(lambda: not children_of(daemon), "all children to be gone")


def end(pid):
    """Ends a process that a test has left behind on purpose."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
