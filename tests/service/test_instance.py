"""mcastd@NAME: a second daemon beside the first."""

import pytest

from harness.peers import send
from harness.service import Service
from harness.waiting import wait_until

CONFIG = """
groups: {
  NAME: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; handlers = ["archive"]; };
};
handlers: { archive: { type = "file"; path = "/var/log/DIRECTORY/out.raw"; format = "raw"; }; };
"""

FIRST = CONFIG.replace("NAME", "first").replace("DIRECTORY", "mcastd")
LAB = CONFIG.replace("NAME", "lab").replace("DIRECTORY", "mcastd-lab")


@pytest.fixture
def lab(system):
    service = Service(system, "lab")
    yield service
    service.clean_up()


def test_an_instance_has_everything_of_its_own(service, lab):
    service.start(FIRST)
    lab.start(LAB)
    for daemon, name in ((service, "first"), (lab, "lab")):
        assert [group["name"] for group in daemon.call("ListGroups")["groups"]] == [name]
        assert daemon.system.exists(f"/run/{daemon.name}/groups/{name}")
    send(service.system, b"for both", "233.252.0.1", 5004, "eth0")
    for daemon in (service, lab):
        wait_until(lambda: daemon.system.read(f"/var/log/{daemon.name}/out.raw") == b"for both", "the recording")


def test_an_instance_does_not_read_the_files_of_the_first_daemon(service, lab):
    service.start(FIRST)
    lab.start(LAB)
    assert [group["name"] for group in lab.call("ListGroups")["groups"]] == ["lab"]
    assert "lab.conf: no errors: 1 group" in lab.system.run("mcastd", "-c", lab.configuration, "--check")


def test_an_instance_outlives_the_first_daemon(service, lab):
    service.start(FIRST)
    lab.start(LAB)
    service.systemctl("stop", "mcastd.service", "mcastd.socket")
    assert lab.states("lab") == {"eth0": "joined"}
    assert lab.system.exists("/run/mcastd-lab/groups/lab")


def test_an_instance_is_reloaded_by_itself(service, lab):
    service.start(FIRST)
    lab.start(LAB)
    lab.configure(LAB.replace("port = 5004", "port = 5006"))
    lab.reload()
    assert lab.group("lab")["port"] == 5006
    lab.configure("nonsense = 1;\n")
    lab.system.fail("systemctl", "reload", lab.unit)
    assert "/etc/mcastd/lab.conf:1: " in lab.log()
    assert service.group("first")["port"] == 5004


def test_an_instance_is_started_by_its_socket(lab):
    lab.configure(LAB)
    lab.systemctl("start", lab.socket_unit)
    assert lab.states("lab") == {"eth0": "joined"}


@pytest.mark.parametrize("drop_in", ["", "[Service]\nBindReadOnlyPaths=/etc/mcastd/lab.d:/etc/mcastd/conf.d\n"],
                         ids=["shipped", "drop-in-for-0.1"])
def test_an_instance_has_a_directory_of_configurations(lab, drop_in):
    """0.1 needed the drop-in for it."""
    lab.system.write("/etc/mcastd/lab.d/lab.conf", LAB)
    if drop_in:
        lab.drop_in("conf", drop_in)
    try:
        lab.start("# All of it is in lab.d.\n")
        assert lab.states("lab") == {"eth0": "joined"}
    finally:
        lab.system.remove("/etc/mcastd/lab.d")


def test_enabling_an_instance_enables_its_socket(lab):
    try:
        lab.systemctl("enable", "mcastd@lab")
        assert lab.systemctl("is-enabled", lab.unit, lab.socket_unit).split() == ["enabled"] * 2
    finally:
        lab.systemctl("disable", "mcastd@lab")
