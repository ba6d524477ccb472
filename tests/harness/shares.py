"""The processor as systemd shares it out: services, users and whoever else, each in a control group of their own.

The groups stand beside those of the machine and beside the kernel's threads. They have a few times as much, so that who else uses
the machine takes little of it, and no more than that: the kernel would not get to its own work, such as RCU, and what has piled up of
it is done at the cost of whoever runs then.
"""

import os
import time
from contextlib import contextmanager

from harness.waiting import TIMEOUT

UNIT = 100  # the default of CPUWeight=
FIRST = 4 * UNIT  # of each group that is in no other


def shares(weight):
    """The weight in the words of cgroup v1, as systemd translates it."""
    return max(2, min(262144, weight * 1024 // UNIT))


class Controller:
    """The control groups of version 1 or 2 that share out the processor. Raises OSError, with the reason, where there are none."""

    def __init__(self):
        mounts = [line.split() for line in open("/proc/self/mounts")]
        v1 = [path for _, path, kind, options, *_ in mounts if kind == "cgroup" and "cpu" in options.split(",")]
        v2 = [path for _, path, kind, *_ in mounts if kind == "cgroup2" and "cpu" in self.words(path, "cgroup.controllers")]
        if not v1 and not v2:
            raise OSError("no cgroup file system here shares out the processor")
        self.is_v2 = not v1
        self.mount = (v1 or v2)[0]

    @staticmethod
    def words(*path):
        with open(os.path.join(*path)) as file:
            return file.read().split()

    @staticmethod
    def write(value, *path):
        with open(os.path.join(*path), "w") as file:
            file.write(str(value))

    def weigh(self, path, weight):
        if self.is_v2:
            self.write(weight, path, "cpu.weight")
        else:
            self.write(shares(weight), path, "cpu.shares")

    def divide(self, path):
        """Before groups are made in a group."""
        if self.is_v2 and "cpu" not in self.words(path, "cgroup.subtree_control"):
            self.write("+cpu", path, "cgroup.subtree_control")


class Shares:
    """Groups with their weights, made as they are named: "user/1000" is one in "user"."""

    def __init__(self, controller):
        self.controller = controller
        self.made = []

    def path(self, name, weight=UNIT):
        """The weight is that of the first group, among all of the first ones."""
        first, *rest = name.split("/")
        above, path = self.controller.mount, os.path.join(self.controller.mount, f"mcastd-test-{os.getpid()}-{first}")
        self._make(above, path, FIRST * weight // UNIT)
        for part in rest:
            above, path = path, os.path.join(path, part)
            self._make(above, path, UNIT)
        return path

    def _make(self, above, path, weight):
        if path in self.made:
            return
        self.controller.divide(above)
        os.mkdir(path)
        self.made.append(path)
        self.controller.weigh(path, weight)

    def enter(self, name, pid):
        """Moves a process there, with all of its threads."""
        self.controller.write(pid, self.path(name), "cgroup.procs")

    def wrapper(self, name, **options):
        """The words in front of a command that is to run there."""
        return "sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self.path(name, **options)

    def remove(self):
        """Moves out whoever is still there: who has started them ends them."""
        deadline = time.monotonic() + TIMEOUT
        while self.made:
            try:
                for pid in self.controller.words(self.made[-1], "cgroup.procs"):
                    self._move_out(pid)
                os.rmdir(self.made[-1])
                self.made.pop()
            except OSError:  # of a process that ends the group does not know yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _move_out(self, pid):
        try:
            self.controller.write(pid, self.controller.mount, "cgroup.procs")
        except ProcessLookupError:
            pass


@contextmanager
def processor_shares():
    """Raises OSError where there are none."""
    shares = Shares(Controller())
    try:
        shares.path("user")
        yield shares
    finally:
        shares.remove()
