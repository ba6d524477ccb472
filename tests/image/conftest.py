"""Fixtures of the tests of the image. Its daemons run with a read-only root, without a capability and without an init."""

import os
import subprocess
import tempfile

import pytest

from harness.daemon import Control
from harness.topology import Namespace, topology
from harness.waiting import TIMEOUT, wait_until

IMAGE = os.environ.get("MCASTD_IMAGE")
WITH_MODULES = os.environ.get("MCASTD_IMAGE_MODULES")
USER = 65532  # of packaging/Containerfile
CONFINED = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
# What podman would do beyond that takes controllers of cgroups and CAP_SYS_RESOURCE, which not every root has.
HERE = ["--cgroups", "disabled", "--ulimit", "host"]


@pytest.fixture(autouse=True)
def image():
    if not IMAGE:
        pytest.skip("MCASTD_IMAGE names no image")


@pytest.fixture(scope="module")
def net():
    with topology() as net:
        yield net


def podman(*arguments, network=None, **options):
    """Runs podman in the network of a host, or here. It must succeed; returns what it printed."""
    options = {"stdin": subprocess.DEVNULL, "text": True, "timeout": 4 * TIMEOUT, **options}
    command = ["podman", *arguments]
    if network:
        with network:
            result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    else:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    assert result.returncode == 0, f"{command}: exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout


class Container:
    """A daemon of the image, with a directory of this machine for each of its volumes."""

    def __init__(self, config, host, network="host", image=IMAGE, options=()):
        self.directory = tempfile.mkdtemp(prefix="mcastd-image-")
        self.host = host
        for name, user in (("etc", 0), ("run", USER), ("log", USER)):
            os.mkdir(self.path(name))
            os.chown(self.path(name), user, user)
        os.chmod(self.directory, 0o755)
        self.configure(config)
        self.name = podman(
            "run", "--detach", *CONFINED, *HERE, "--network", network, "-v", f"{self.path('etc')}:/etc/mcastd:ro",
            "-v", f"{self.path('run')}:/run/mcastd", "-v", f"{self.path('log')}:/var/log/mcastd", *options, image, network=host).strip()
        self.control = None
        try:
            wait_until(self.answers, "the control socket to answer")
            wait_until(self.has_joined, "the groups to be joined")
        except BaseException:
            print(self.log())
            self.remove()
            raise

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def configure(self, text):
        with open(self.path("etc", "mcastd.conf"), "w") as file:
            file.write(text)

    def answers(self):
        try:
            self.control = Control(self.path("run", "mcastd.sock"))
            return self.call("GetStatus")
        except (FileNotFoundError, ConnectionRefusedError):
            return None

    def has_joined(self):
        return all(membership["state"] == "joined" for group in self.call("ListGroups")["groups"]
                   for membership in group["memberships"])

    def call(self, method, **parameters):
        return self.control.call(method, **parameters)

    def group(self, name):
        return next((group for group in self.call("ListGroups")["groups"] if group["name"] == name), None)

    def inspect(self, field):
        return podman("container", "inspect", "--format", "{{%s}}" % field, self.name).strip()

    def log(self):
        result = subprocess.run(["podman", "logs", self.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return result.stdout

    def remove(self):
        if self.control:
            self.control.close()
        podman("rm", "--force", self.name)
        subprocess.run(["rm", "-rf", self.directory], check=True)


@pytest.fixture
def start(net):
    containers = []

    def start(config, host=None, **options):
        containers.append(Container(config, host or net.host, **options))
        return containers[-1]

    yield start
    for container in containers:
        print(container.log())  # pytest shows it when the test has failed
        container.remove()


@pytest.fixture
def guest(net):
    """A network namespace with an interface of its own on the LAN, as a container on macvlan has it: the name of the link is
    lan0. None of the host's interfaces is in it."""
    guest = Namespace()
    net.host.ip(f"link add link eth0 name lan0 netns {guest.path} type macvlan mode bridge")
    guest.ip("address add 192.0.2.77/24 dev lan0", "link set lan0 up")
    wait_until(lambda: guest.has_route("lan0"), "the link of lan0")
    yield guest
    guest.close()
