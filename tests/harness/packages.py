"""Building the packages, and a system that they are installed into."""

import os
import re
import shutil
import subprocess
from glob import glob

import pytest

from harness.daemon import ROOT
from harness.system import System

# What the machine may have that runs the tests, and that gets in the way. In many a container image packages may start no
# service, and dpkg leaves out manual pages; mcastd itself may be there, from "make install"; and to index all manual
# pages takes longer than all the rest.
OBSTACLES = "rm -rf /usr/sbin/policy-rc.d /etc/dpkg/dpkg.cfg.d/* /usr/local/lib/systemd/system/mcastd*" \
    " /usr/local/sbin/mcastd /usr/local/bin/mcast* /var/lib/man-db/auto-update"

MODULES = ("nats", "mqtt", "kafka")
PACKAGES = ["mcastd", *(f"mcastd-{name}" for name in MODULES)]

BOOKS = ("/var/lib/dpkg/", "/run/adduser", "/run/systemd/", "/run/log/")


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"there is no {program}")


def clean_environment():
    """Without the variables of the make that runs the tests."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("MAKE", "MFLAGS")) and name not in ("BUILD", "SANITIZE")}


def make(target, build, source=ROOT, umask=0o022):
    """Makes a target of a source directory. Returns the directory that it is in."""
    result = subprocess.run(
        ["make", "-C", str(source), target, f"BUILD={build}"], env=clean_environment(), umask=umask,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout
    return os.path.join(build, target)


def pkgbuild(script):
    """Runs a bash script that has what is in PKGBUILD. Returns what it printed."""
    result = subprocess.run(
        ["bash", "-euc", f'source "$0"; {script}', f"{ROOT}/packaging/arch/PKGBUILD"], env=clean_environment(), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == 0, result.stdout
    return result.stdout


def query(rpm, *arguments):
    """Asks rpm about a package, without a database of its own in the user's home."""
    return subprocess.check_output(["rpm", "--query", "--package", *arguments, rpm], text=True,
                                   env={**os.environ, "HOME": os.path.dirname(rpm)}, stderr=subprocess.DEVNULL)


def only(pattern):
    """The one file that a pattern matches."""
    [path] = glob(pattern)
    return path


def unpacked(archive, directory):
    """Unpacks a source archive. Returns the directory with the sources."""
    os.makedirs(directory)
    subprocess.run(["tar", "-xf", archive, "-C", directory], check=True)
    return only(f"{directory}/mcastd-*")


def with_version(package, version, directory):
    """A copy of a Debian package that has another version, and where it names one of our own, names that version."""
    tree = os.path.join(directory, "tree")
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = os.path.join(tree, "DEBIAN", "control")
    with open(control) as file:
        lines = [f"Version: {version}\n" if line.startswith("Version:") else
                 re.sub(r"(mcastd[a-z-]* \((=|<<) )[^)]*", rf"\g<1>{version}", line) for line in file]
    with open(control, "w") as file:
        file.writelines(lines)
    name = os.path.basename(package).partition("_")[0]
    output = os.path.join(directory, f"{name}_{version}.deb")
    subprocess.run(["dpkg-deb", "--build", "-Znone", "--root-owner-group", tree, output], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return output


class Machine(System):
    """A booted system that has never seen mcastd."""

    def __init__(self, empty):
        super().__init__(str(empty))
        try:
            self.run("sh", "-c", OBSTACLES)
            self.try_run("dpkg", "--purge", *PACKAGES, *(f"{name}-dbgsym" for name in PACKAGES))
        except BaseException:
            self.close()
            raise

    def copy(self, file):
        """Returns where the copy is in the system."""
        inside = f"/tmp/{os.path.basename(file)}"
        shutil.copy(file, self.path(inside))
        return inside

    def install(self, *packages):
        """As apt does: what breaks between the versions is mended by another one of the packages."""
        self.run("dpkg", "--auto-deconfigure", "--install", *(self.copy(package) for package in packages))

    def remove_package(self, name="mcastd"):
        self.run("dpkg", "--remove", name)

    def purge(self):
        self.run("dpkg", "--purge", *PACKAGES)

    def run_rpm(self, package, *arguments):
        """Without dependencies: rpm knows none of what is installed here."""
        if os.path.exists(package):
            package = self.copy(package)
        self.run("rpm", "--nodeps", *arguments, package)

    def changes(self):
        """What there is that this machine does not have, and what is missing that it has: paths. And how that differs from
        it who the users are. But for the books that dpkg, adduser, systemd and the journal keep about all that is
        installed and run, and what lies in /tmp."""
        changes = set(self.run("cat", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow").splitlines())
        for line in self.run("find", "/run/upper", "-printf", r"%y /%P\n").splitlines() + self.run(
                "find", "/run", "-path", "/run/upper", "-prune", "-o", "-printf", r"%y %p\n").splitlines():
            kind, path = line.split(" ", 1)
            # A character device says that the file below it has been deleted.
            if (kind == "c" or path.startswith("/run/") or not os.path.lexists(path)) and not path.startswith(BOOKS):
                changes.add(line)
        return changes
