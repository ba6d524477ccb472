"""The image: everything but systemd works as on a host."""

import json
import os
import signal
import socket
import subprocess

import pytest

from harness.brokers import NatsServer
from harness.daemon import MCASTCTL
from harness.peers import receiver_on, send
from harness.waiting import TIMEOUT, wait_until
from image.conftest import CONFINED, HERE, IMAGE, USER, WITH_MODULES, podman

CONFIG = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["%s"]; handlers = ["raw"]; socket = true; };
};
handlers: { raw: { type = "file"; path = "/var/log/mcastd/news.raw"; format = "raw"; flush = "0s"; }; };
"""
ON_HOST, ON_GUEST = CONFIG % "eth0", CONFIG % "lan0"


def wait_recorded(container, payload):
    def recorded():
        with open(container.path("log", "news.raw"), "rb") as file:
            return file.read() == payload

    wait_until(recorded, f"{payload} in the recording")


def test_a_datagram_from_the_lan_is_recorded_in_a_volume(start, net):
    container = start(ON_HOST)
    send(net.peer, b"hello", "233.252.0.1", 5004)
    wait_recorded(container, b"hello")
    assert os.stat(container.path("log", "news.raw")).st_uid == USER


def test_a_datagram_leaves_to_the_lan(start, net):
    container = start(ON_HOST)
    with receiver_on(net.peer, "233.252.0.1", 5004, "eth0") as receiver:
        container.call("Send", group="news", text="hello")
        assert receiver.recv(100) == b"hello"


def test_mcastctl_of_the_host_uses_the_mounted_control_socket(start):
    container = start(ON_HOST)
    groups = subprocess.check_output([MCASTCTL, "-s", container.path("run", "mcastd.sock"), "--json", "groups"], text=True)
    assert json.loads(groups)["groups"][0]["memberships"][0]["state"] == "joined"


def test_mcastctl_in_the_container_finds_its_daemon(start):
    container = start(ON_HOST)
    assert "joined" in podman("exec", container.name, "mcastctl", "groups")


def test_the_group_socket_is_in_the_same_volume(start, net):
    container = start(ON_HOST)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as group:
        group.settimeout(TIMEOUT)
        group.connect(container.path("run", "groups", "news"))
        group.send(b"hello")
        assert group.recv(100) == b"hello"


def test_on_an_interface_of_its_own_it_receives_and_sends(start, net, guest):
    container = start(ON_GUEST, host=guest)
    send(net.peer, b"hello", "233.252.0.1", 5004)
    wait_recorded(container, b"hello")
    with receiver_on(net.peer, "233.252.0.1", 5004, "eth0") as receiver:
        container.call("Send", group="news", text="from lan0")
        assert receiver.recv(100) == b"from lan0"


def test_it_has_no_privilege_and_writes_nowhere_else(start):
    container = start(ON_HOST)
    status = podman("exec", container.name, "cat", "/proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Name"] == "mcastd" and fields["Uid"].split()[0] == str(USER)
    assert int(fields["CapPrm"], 16) == int(fields["CapBnd"], 16) == 0 and fields["NoNewPrivs"] == "1"
    assert container.inspect(".HostConfig.ReadonlyRootfs") == "true"
    script = "for path in /etc /etc/mcastd /usr /var /var/lib; do ! echo >$path/mine || exit 1; done"
    podman("exec", "--user", "0", container.name, "sh", "-c", f"exec 2>/dev/null; {script}")


def test_sighup_reloads_the_configuration_of_the_volume(start):
    container = start(ON_HOST)
    container.configure(ON_HOST.replace("groups: {", 'groups: { more: { address = "233.252.0.2"; port = 5004; };'))
    podman("kill", "--signal", "HUP", container.name)
    wait_until(lambda: container.group("more"), "the group of the new configuration")


def test_a_broken_configuration_changes_nothing(start):
    container = start(ON_HOST)
    container.configure("nonsense = 1;\n")
    podman("kill", "--signal", "HUP", container.name)
    wait_until(lambda: "/etc/mcastd/mcastd.conf:1: " in container.log(), "the error in the log")
    assert container.group("news")


def test_sigterm_stops_it_and_it_ends_with_success(start, net):
    container = start(ON_HOST)
    send(net.peer, b"last words", "233.252.0.1", 5004)
    wait_until(lambda: container.group("news")["received"] == 1, "the datagram")
    podman("stop", "--time", "10", container.name)
    assert container.inspect(".State.ExitCode") == "0"
    assert "stopping: Terminated" in container.log()
    wait_recorded(container, b"last words")
    assert not os.path.exists(container.path("run", "mcastd.sock"))


def test_a_second_run_begins_where_the_first_has_left_its_volumes(start, net):
    container = start(ON_HOST)
    podman("kill", "--signal", "KILL", container.name)
    podman("start", container.name, network=net.host)
    container.control.close()
    wait_until(container.answers, "the control socket to answer")
    wait_until(container.has_joined, "the groups to be joined")
    send(net.peer, b"again", "233.252.0.1", 5004)
    wait_recorded(container, b"again")


def test_the_configuration_may_lie_elsewhere(net, tmp_path):
    (tmp_path / "other.conf").write_text(ON_HOST)
    tmp_path.chmod(0o755)
    output = podman("run", "--rm", *CONFINED, *HERE, "--network", "host", "-v", f"{tmp_path}:/config:ro", "-e",
                    "MCASTD_CONFIG=/config/other.conf", IMAGE, "--check", network=net.host)
    assert output.startswith("/config/other.conf: no errors: 1 group")


def test_a_target_needs_no_configuration(net):
    with net.host:
        process = subprocess.Popen(
            ["podman", "run", "--rm", *CONFINED, *HERE, "--network", "host", IMAGE, "--count", "1", "233.252.0.9:5004%eth0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        def printed():
            send(net.peer, b"hello", "233.252.0.9", 5004)
            return process.poll() is not None

        wait_until(printed, "a datagram to be printed", 4 * TIMEOUT)
        assert process.stdout.read().rstrip().endswith(" 5 hello") and process.returncode == 0
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(4 * TIMEOUT)
        process.stdout.close()


SERVERS = {"nats": 'servers = "nats://192.0.2.1";', "mqtt": 'servers = "mqtt://192.0.2.1";', "kafka": 'brokers = "192.0.2.1:9092";'}
EXPORTING = ON_HOST.replace('handlers = ["raw"]', 'handlers = ["hq"]').replace(
    "handlers: {", """handlers: {
  hq: { type = "nats"; site = "plant-1"; servers = "nats://%s"; username = "plant-1"; password_file = "hq-password"; };""")


@pytest.fixture
def with_modules():
    if not WITH_MODULES:
        pytest.skip("MCASTD_IMAGE_MODULES names no image")
    return WITH_MODULES


@pytest.mark.parametrize("kind", SERVERS)
def test_an_image_with_modules_has_each_and_one_without_names_it(with_modules, tmp_path, kind):
    (tmp_path / "mcastd.conf").write_text(f'handlers: {{ hq: {{ type = "{kind}"; site = "here"; {SERVERS[kind]} }}; }};\n')
    tmp_path.chmod(0o755)
    command = ["podman", "run", "--rm", *CONFINED, *HERE, "--network", "none", "-v", f"{tmp_path}:/etc/mcastd:ro"]
    assert "no errors" in podman(*command[1:], with_modules, "--check")
    result = subprocess.run([*command, IMAGE, "--check"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 78 and f"type {kind}: install mcastd-{kind}" in result.stderr


def test_a_broker_is_shown_a_secret_of_podman(with_modules, start, net, tmp_path):
    (tmp_path / "password").write_text("correct-horse\n")
    podman("secret", "create", "hq-password", str(tmp_path / "password"))
    try:
        user = 'authorization { users: [ { user: "plant-1", password: "correct-horse" } ] }\n'
        with NatsServer(net.host, tmp_path, more=user) as server, \
                server.client(user="plant-1", password="correct-horse") as client:
            client.create_stream("mcast", "mcast.>")
            container = start(EXPORTING % server.address, image=with_modules, options=(
                "--secret", f"hq-password,uid={USER},mode=0400", "-e", "CREDENTIALS_DIRECTORY=/run/secrets"))
            send(net.peer, b"hello", "233.252.0.1", 5004)
            wait_until(lambda: client.count("mcast") == 1, "the message in the stream", 30)
            assert "correct-horse" not in container.log()
    finally:
        podman("secret", "rm", "hq-password")
