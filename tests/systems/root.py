"""A minimal root directory of a release of Debian, made by debootstrap from this machine's own mirror, and work in it."""

import os
import shutil
import subprocess
import tempfile

ENTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "enter")
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
               "TERM": "dumb", "DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
APT_KEYS = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries")
SOURCE = "/srv/mcastd"
BASE = "/srv/base"  # the root without anything that was done in it, for images of containers


def mirror():
    """The address of the Debian archive in this machine's apt sources, or None."""
    if not shutil.which("apt-get"):
        return None
    lines = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.splitlines()
    return next((line.split()[2] for line in lines if line.startswith("Debian Debian ")), None)


def apt_settings():
    """How this machine reaches the archive: proxies, and whether the dates of the archive count."""
    lines = subprocess.run(["apt-config", "dump"], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith(APT_KEYS))


def has_suite(address, suite):
    """Whether the mirror can be reached and has the release. By apt: it knows the proxies."""
    with tempfile.TemporaryDirectory() as directory:
        return not subprocess.run(
            ["/usr/lib/apt/apt-helper", "download-file", f"{address.rstrip('/')}/dists/{suite}/Release", f"{directory}/Release"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


class Failed(Exception):
    pass


class LeftOut(Exception):
    pass


class Root:
    """The root of a release. What is done in a place (a name) is seen by what is done there later, until it is cleared: each is
    an overlay of its own over the same bare root."""

    def __init__(self, suite, directory, log):
        self.suite = suite
        self.directory = os.path.join(directory, suite)
        self.base = os.path.join(self.directory, "base")
        self.packages = os.path.join(self.directory, "packages")  # what apt has fetched
        self.containers = os.path.join(self.directory, "containers")  # overlays lie on no overlay
        self.log = log
        for path in (self.packages, self.containers):
            os.makedirs(path, exist_ok=True)

    def make(self, address):
        """Only once: the bare root is used again by later runs."""
        if os.path.exists(self.base):
            return "as it was"
        if not has_suite(address, self.suite):
            raise LeftOut(f"{address} cannot be reached, or has no {self.suite}")
        new = f"{self.base}.new"
        shutil.rmtree(new, ignore_errors=True)
        include = ["--include=ca-certificates"] if address.startswith("https:") else []
        self.call("debootstrap", "--variant=minbase", "--foreign", f"--cache-dir={self.packages}", *include, self.suite, new, address)
        # Package scripts run from here on: with a read-only /proc/sys. The first stage has left a link to that of this machine.
        if os.path.islink(f"{new}/proc"):
            os.remove(f"{new}/proc")
            os.mkdir(f"{new}/proc", 0o555)
        self.enter("host", new, "", "/debootstrap/debootstrap", "--second-stage")
        for path, text, mode in (
                ("etc/apt/apt.conf.d/80machine", apt_settings(), 0o644),
                ("etc/apt/sources.list", f"deb {address} {self.suite} main\n", 0o644),
                ("etc/dpkg/dpkg.cfg.d/unsafe-io", "force-unsafe-io\n", 0o644),
                # Installing starts nothing, least of all on the network of this machine.
                ("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)):
            with open(os.path.join(new, path), "w") as file:
                file.write(text)
            os.chmod(os.path.join(new, path), mode)
        self.enter("host", new, "", "apt-get", "update")
        os.rename(new, self.base)
        return "new"

    def place(self, name):
        return os.path.join(self.directory, "places", name)

    def clear(self, name, archive):
        """A bare root again, with the sources of mcastd in it."""
        shutil.rmtree(self.place(name), ignore_errors=True)
        source = os.path.join(self.place(name), "upper") + SOURCE
        os.makedirs(source)
        subprocess.run(["tar", "-xf", archive, "-C", source, "--strip-components=1"], check=True)

    def install(self, name, command):
        """Runs a shell command where it reaches the mirror: in the network of this machine."""
        return self.enter("host", self.place(name), self.base, "/bin/sh", "-euc", f"cd {SOURCE}; {command}")

    def test(self, name, command):
        """Runs a shell command in a network of its own, which has nothing but lo."""
        return self.enter("own", self.place(name), self.base, "/bin/sh", "-euc", f"cd {SOURCE}; {command}")

    def enter(self, network, root, lower, *command):
        binds = f"{self.packages} /var/cache/apt/archives\n{self.containers} /var/lib/containers\n"
        if lower:
            binds += f"{lower} {BASE}\n"
        return self.call(ENTER, network, root, lower, binds, *command)

    def call(self, *command):
        """Runs it with its output in the log. Returns the output."""
        environment = {**ENVIRONMENT, **{name: os.environ[name] for name in PROXIES if name in os.environ}}
        self.log.write(f"\n$ {command[-1]}\n" if command[0] == ENTER else f"\n$ {' '.join(command)}\n")
        self.log.flush()
        result = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, errors="backslashreplace")
        lines = []
        for line in result.stdout:
            self.log.write(line)
            self.log.flush()
            lines.append(line)
        if result.wait():
            raise Failed(f"exit {result.returncode}: {command[-1]}")
        return "".join(lines)
