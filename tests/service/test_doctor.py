"""mcastctl doctor beside the service, whose sandbox can drop what comes in."""

import contextlib

import pytest

from harness.lab import Stream
from harness.waiting import wait_until
from net.doctor.reader import fixes

CONFIG = 'groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; }; };'


@pytest.fixture
def remove_properties(system):
    """What systemctl set-property --runtime leaves."""
    yield
    system.remove("/run/systemd/system.control/mcastd.service.d")


def ask(service):
    return service.system.try_run("mcastctl", "doctor", "news", "--wait", "1s")


def test_what_IPAddressDeny_drops_comes_once_what_the_doctor_says_is_pasted(remove_properties, service):
    service.drop_in("deny", "[Service]\nIPAddressDeny=any\n")
    service.start(CONFIG)
    with contextlib.closing(Stream(service.system, "233.252.0.1", 5004)):
        wait_until(lambda: service.group("news")["kernelDropped"], "a datagram to be dropped")
        answer = ask(service)
        print(answer.stdout)
        assert answer.returncode == 1
        assert "  cause     service-firewall: a BPF program" in answer.stdout
        for line in fixes(answer.stdout):
            service.system.run("sh", "-c", line)
        service.wait_received("news")
        wait_until(lambda: ask(service).returncode == 0, "the doctor to find nothing")
