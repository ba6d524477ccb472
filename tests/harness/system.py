"""A system of its own for the tests, booted by a real systemd (boot-systemd), with a network that nothing leaves."""

import json
import os
import shutil
import subprocess
import tempfile
import time

from harness import with_us
from harness.topology import Namespace
from harness.waiting import wait_until

BOOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "boot-systemd")
POWER_OFF = 34 + 4  # SIGRTMIN+4, see systemd(1)

ENVIRONMENT = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb",
    "SYSTEMD_COLORS=0", "SYSTEMD_PAGER="]


def cgroup2():
    """Where cgroup2 is mounted, or None."""
    with open("/proc/self/mounts") as mounts:
        return next((line.split()[1] for line in mounts if line.split()[2] == "cgroup2"), None)


def why_not():
    """Why no system can be booted here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    with open("/proc/self/uid_map") as uids:
        if uids.read().split() != ["0", "0", "4294967295"]:
            return "needs to be root outside of a user namespace"
    if not cgroup2():
        return "there is no cgroup2"
    if not os.access(cgroup2(), os.W_OK):
        return f"cgroup2 is read-only at {cgroup2()}"
    if not os.access("/lib/systemd/systemd", os.X_OK):
        return "there is no systemd"
    if os.stat("/usr").st_dev != os.stat("/").st_dev:
        return "/usr is a file system of its own"
    for program in ("nsenter", "unshare", "setpriv", "pivot_root", "ip"):
        if not shutil.which(program):
            return f"there is no {program}"
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "--net", "true"], stderr=subprocess.DEVNULL).returncode:
        return "no namespaces may be made"
    return None


class System:
    """The booted system. What is done within "with system:" is done in its network."""

    def __init__(self, files):
        """files: a directory whose contents are installed before it boots."""
        self.network = Namespace()
        # A link whose other end is here as well: what is sent to a group on eth0 comes back in on eth0.
        self.network.ip("link add eth0 index 100 type veth peer name eth0-end",
                        "address add 192.0.2.1/24 dev eth0", "address add 2001:db8:1::1/64 dev eth0 nodad",
                        "link set eth0-end up", "link set eth0 up")
        self.state = tempfile.mkdtemp(prefix="mcastd-system-")
        self.cgroup = tempfile.mkdtemp(prefix="mcastd-test-", dir=cgroup2())
        self.log = os.path.join(self.state, "log")
        mount_point = os.path.join(self.state, "fs")
        os.mkdir(mount_point)
        with open(self.log, "wb") as log:
            self.process = with_us.start(
                [BOOT, mount_point, self.cgroup, self.network.path, files], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True)
        self.leader = None
        try:
            wait_until(self.is_up, "the system to boot")
            wait_until(lambda: self.network.has_route("eth0"), "the link of eth0")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self.network.__enter__()

    def __exit__(self, *arguments):
        self.network.__exit__(*arguments)

    def is_up(self):
        if self.process.poll() is not None:
            with open(self.log) as log:
                raise AssertionError(f"booting failed:\n{log.read()}")
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            self.leader = next(iter(children.read().split()), None)
        if not self.leader or not os.path.exists(self.path("/run/systemd/private")):
            return False
        return self.try_run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def close(self):
        if self.leader and self.process.poll() is None:
            os.kill(int(self.leader), POWER_OFF)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        try:
            with open(f"{self.cgroup}/cgroup.kill", "w") as kill:
                kill.write("1")
        except OSError:
            self.process.kill()  # and its child with it
        self.process.wait()
        wait_until(self.remove_cgroup, "the end of all processes of the system")
        shutil.rmtree(self.state)
        self.network.close()

    def remove_cgroup(self):
        try:
            for directory, _, _ in os.walk(self.cgroup, topdown=False):
                os.rmdir(directory)
        except OSError:
            pass
        return not os.path.exists(self.cgroup)

    # Files and programs in it

    def path(self, path):
        """A path of the system, as it can be used from outside."""
        return f"/proc/{self.leader}/root{path}"

    def write(self, path, text, mode=0o644):
        path = self.path(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)

    def read(self, path):
        with open(self.path(path), "rb") as file:
            return file.read()

    def exists(self, path):
        return os.path.lexists(self.path(path))

    def remove(self, path):
        path = self.path(path)
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.remove(path)

    def try_run(self, *command, user=None, **options):
        """Runs a program in the system, and returns how that went."""
        if user:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--", *command]

        group = os.path.join(self.cgroup, "tests")
        os.makedirs(group, exist_ok=True)
        options = {"stdin": subprocess.DEVNULL, "timeout": 60, "text": True, **options}
        return subprocess.run(
            with_us.command("nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root",
                            "--wd", "env", "-i", *ENVIRONMENT, *command, cgroup=group),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def run(self, *command, **options):
        """The same for a program that must succeed. Returns what it printed."""
        result = self.try_run(*command, **options)
        assert result.returncode == 0, f"{command}: exit {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def fail(self, *command, **options):
        """The same for a program that must fail. Returns its status and what it said."""
        result = self.try_run(*command, **options)
        assert result.returncode != 0, f"{command}: succeeded\n{result.stdout}\n{result.stderr}"
        return result.returncode, result.stderr

    # The journal

    @staticmethod
    def now():
        """For journalctl --since. A cursor would not do: with matches, --after-cursor skips one entry too many."""
        return f"@{time.time():.6f}"

    def entries(self, *matches, since="@0"):
        """The journal's entries, every field whole."""
        return [json.loads(line) for line in self.run(
            "journalctl", "-q", "-a", "-o", "json", "--since", since, *matches).splitlines()]
