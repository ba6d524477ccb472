"""Who may do what: the sandbox around the daemon, and the users at its sockets."""

import os
import re
import stat

import pytest

from harness.peers import receiver_on, send, sender_as
from harness.service import EXAMPLES
from harness.waiting import wait_until

CONFIG = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; };
};
"""

CLOSED = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; socket_mode = "0660";
          socket_group = "telemetry"; };
};
"""

SEND_TO_GROUP = """
import socket
sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
sock.connect("/run/mcastd/groups/news")
sock.send(b"x")
"""


@pytest.fixture(scope="module", autouse=True)
def users(system):
    """alice, who is in the group telemetry, and bob, who is not."""
    system.run("systemd-sysusers", "--inline", "u alice -", "u bob -", "g telemetry -", "m alice telemetry")


def use_example(service, name):
    service.drop_in(name, service.system.read(f"{EXAMPLES}/{name}.conf").decode())


def test_the_daemon_has_no_privilege_and_can_get_none(service):
    service.start(CONFIG)
    status = service.process_status()
    user = service.system.run("id", "-u", "mcastd").strip()
    assert set(status["Uid"].split()) == {user} and user != "0"
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_the_daemon_may_open_many_files(service):
    """As many as the unit says, or as many as the machine lets systemd have."""
    service.start(CONFIG)
    limits = [re.search(r"^Max open files +(\d+) +(\d+) ", service.system.run("cat", f"/proc/{pid}/limits"), re.M)
              for pid in (1, service.pid)]
    assert limits[1][1] == limits[1][2] == str(min(524288, int(limits[0][2])))


def test_the_daemon_knows_its_clients_users(service):
    """No user namespace hides them: see PrivateUsers= in the unit."""
    service.start(CONFIG)
    assert service.system.run("cat", f"/proc/{service.pid}/uid_map").split() == ["0", "0", "4294967295"]
    assert service.ctl("reload").startswith("no changes\n")
    assert service.ctl("reload", user="mcastd").startswith("no changes\n")
    status, words = service.system.fail("mcastctl", "reload", user="alice")
    assert status == 1
    assert "only root and the daemon's own user may do this" in words
    _, words = service.system.fail("mcastctl", "leave", "news", user="bob")
    assert "only root and the daemon's own user may do this" in words


def test_anybody_may_look_through_the_control_socket(service):
    service.start(CONFIG)
    assert stat.S_IMODE(os.stat(service.system.path("/run/mcastd.sock")).st_mode) == 0o666
    assert "news" in service.ctl("groups", user="bob")


def test_what_a_refusal_says_lets_the_user_send_and_receive(service):
    service.start(CONFIG)
    for command in ("send", "news", "hello"), ("tail", "news"):
        status, words = service.system.fail("mcastctl", *command, user="bob")
        assert status == 1 and "user bob may not" in words
        assert "to change that: usermod -aG mcastd bob, and log in again; or write allow_" in words
    service.system.run("usermod", "-aG", "mcastd", "bob")
    try:
        service.ctl("send", "news", "hello", user="bob")
        service.wait_received("news")
    finally:
        service.system.run("gpasswd", "-d", "bob", "mcastd")


def test_lists_of_users_and_groups_need_no_example(service):
    service.start(CLOSED.replace('socket_mode = "0660";', 'allow_send = ["group:telemetry"];')
                  .replace('socket_group = "telemetry";', 'allow_receive = ["user:bob"];'))
    service.system.run("python3", "-c", SEND_TO_GROUP, user="alice")
    service.wait_received("news")
    service.ctl("send", "news", "x", user="alice")
    assert "user bob may not send to group news" in service.system.fail("mcastctl", "send", "news", "x", user="bob")[1]
    assert "user root may not receive group news" in service.system.fail("mcastctl", "tail", "news")[1]
    assert "timeout: no datagram came" in service.system.fail("mcastctl", "tail", "news", "--timeout", "10ms", user="bob")[1]


def test_a_group_socket_is_for_its_system_group(service):
    use_example(service, "socket-group")
    service.start(CLOSED)
    found = os.stat(service.system.path("/run/mcastd/groups/news"))
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert found.st_gid == int(service.system.run("getent", "group", "telemetry").split(":")[2])
    assert found.st_uid == int(service.system.run("id", "-u", "mcastd"))
    service.system.run("python3", "-c", SEND_TO_GROUP, user="alice")
    service.wait_received("news")
    _, words = service.system.fail("python3", "-c", SEND_TO_GROUP, user="bob")
    assert "PermissionError" in words


def test_a_group_socket_of_a_system_group_needs_the_example(service):
    service.configure(CLOSED)
    service.system.fail("systemctl", "start", "mcastd")
    assert service.show("ExecMainStatus") == "78"
    wait_until(lambda: re.search("groups.news: .*Operation not permitted.*socket-group.conf", service.log()), "the reason")


def test_a_port_under_1024_needs_the_example(service):
    ptp = 'groups: { ptp: { address = "224.0.1.129"; port = 320; interfaces = ["eth0"]; }; };'
    service.start(ptp)
    assert service.states("ptp") == {"eth0": "failed"}
    use_example(service, "privileged-ports")
    service.restart()
    assert service.states("ptp") == {"eth0": "joined"}
    send(service.system, b"x", "224.0.1.129", 320, "eth0")
    service.wait_received("ptp")


def test_a_large_buffer_needs_the_example(service):
    service.start(CONFIG.replace("port", 'receive_buffer = "64M"; port'))
    granted = service.group("news")["memberships"][0]["receiveBuffer"]
    assert granted < 64 << 20
    use_example(service, "large-buffers")
    service.restart()
    assert service.group("news")["memberships"][0]["receiveBuffer"] == 64 << 20


KEEPING = """
groups: {
  in: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["relay", "run"]; };
};
handlers: {
  relay: { type = "udp"; address = "233.252.0.2"; port = 5005; interface = "lo"; keep_source = true; loop = true; };
  run: { type = "exec"; command = ["/usr/local/libexec/handle"]; };
};
"""


def test_keeping_sources_needs_the_example_and_leaves_no_capability(service):
    service.system.write("/usr/local/libexec/handle", "#!/bin/sh\ngrep ^Cap /proc/self/status >/var/log/mcastd/out\n", 0o755)
    service.configure(KEEPING)
    check = service.system.try_run("mcastd", "--check")
    assert "handlers.relay.keep_source: warning: " in check.stderr and "relay-keeps-source.conf" in check.stderr
    service.start(KEEPING)
    assert "relay-keeps-source.conf" in service.log()
    use_example(service, "relay-keeps-source")
    use_example(service, "privileged-ports")
    assert service.system.try_run("mcastd", "--check").stderr == ""
    service.restart()
    with receiver_on(service.system, "233.252.0.2", 5005, "lo") as sock:
        with sender_as(service.system, "192.0.2.77", 40001, "eth0-end") as sender:
            sender.sendto(b"x", ("233.252.0.1", 5004))
        assert sock.recvfrom(100) == (b"x", ("192.0.2.77", 40001))
    wait_until(lambda: service.handler("run")["delivered"] == 1, "the program")
    net_raw, bind_service = 1 << 13, 1 << 10
    status = service.process_status()
    assert [int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [bind_service] * 4
    assert int(status["CapBnd"], 16) == net_raw | bind_service
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    program = dict(line.split(":\t") for line in service.system.read("/var/log/mcastd/out").decode().splitlines())
    assert int(program["CapEff"], 16) & net_raw == int(program["CapAmb"], 16) & net_raw == 0


def test_a_check_of_an_instance_sees_the_drop_ins_of_its_unit(service):
    path, drop_in = "/etc/mcastd/lab.conf", "/etc/systemd/system/mcastd@.service.d/keep.conf"
    service.system.write(path, KEEPING)
    try:
        assert "relay-keeps-source.conf" in service.system.try_run("mcastd", "-c", path, "--check").stderr
        service.system.write(drop_in, service.system.read(f"{EXAMPLES}/relay-keeps-source.conf").decode())
        service.systemctl("daemon-reload")
        assert service.system.try_run("mcastd", "-c", path, "--check").stderr == ""
    finally:
        for name in path, drop_in:
            service.system.try_run("rm", "-f", name)


def test_a_capability_that_cannot_be_dropped_keeps_the_daemon_from_starting(service):
    service.drop_in("half", "[Service]\nAmbientCapabilities=CAP_NET_RAW\nCapabilityBoundingSet=CAP_NET_RAW\n")
    service.configure(KEEPING)
    service.system.fail("systemctl", "start", "mcastd")
    assert service.show("ExecMainStatus") == "78"
    wait_until(lambda: "the unit needs SystemCallFilter=capset" in service.log(), "the reason")


RECORDING = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["archive"]; };
};
handlers: { archive: { type = "file"; path = "PATH"; format = "raw"; }; };
"""


def assert_recorded(service, path):
    send(service.system, b"recorded", "233.252.0.1", 5004, "eth0")
    wait_until(lambda: service.system.exists(path) and service.system.read(path) == b"recorded", "the recording")


def test_recordings_are_the_daemons_and_not_for_everybody(service):
    service.start(RECORDING.replace("PATH", "/var/log/mcastd/news.raw"))
    assert_recorded(service, "/var/log/mcastd/news.raw")
    user = int(service.system.run("id", "-u", "mcastd"))
    for path, mode in ("/var/log/mcastd", 0o750), ("/var/log/mcastd/news.raw", 0o640):
        found = os.stat(service.system.path(path))
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (user, mode)


def test_recordings_elsewhere_need_the_example(service):
    service.system.run("install", "-d", "-o", "mcastd", "-g", "mcastd", "-m", "750", "/srv/recordings")
    service.configure(RECORDING.replace("PATH", "/srv/recordings/news.raw"))
    service.system.fail("systemctl", "start", "mcastd")
    wait_until(lambda: "/srv/recordings/news.raw: Read-only file system" in service.log(), "the reason")
    use_example(service, "recordings-elsewhere")
    service.systemctl("start", "mcastd")
    assert_recorded(service, "/srv/recordings/news.raw")


EXEC = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["run"]; };
};
handlers: { run: { type = "exec"; command = ["/usr/local/libexec/handle"]; }; };
"""


def run_program(service, script):
    """Has the handler run a script for one datagram, which must succeed."""
    service.system.write("/usr/local/libexec/handle", f"#!/bin/sh\n{script}\n", 0o755)
    service.start(EXEC)
    send(service.system, b"payload", "233.252.0.1", 5004, "eth0")
    wait_until(lambda: sum(service.handler("run")["dropped"].values()) + service.handler("run")["delivered"] == 1,
               "the program to end")
    assert service.handler("run")["counters"]["exited0"] == 1, service.log()


def test_a_program_runs_in_the_sandbox(service):
    service.system.write("/home/alice/file", "x")
    run_program(service, 'cat >/var/log/mcastd/out && echo "$MCASTD_GROUP" >>/var/log/mcastd/out &&'
                         "! touch /etc/mcastd/x 2>/dev/null && ! ls /home/* 2>/dev/null")
    assert service.system.read("/var/log/mcastd/out") == b"payloadnews\n"


def test_a_finished_recording_is_compressed_in_the_sandbox(service):
    """As in doc/record-a-feed.md, in the directory that the service may write to."""
    service.start("""
groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["hours"]; }; };
handlers: { hours: { type = "pcapng"; path = "/var/log/mcastd/news.pcapng"; after_rotate = ["/usr/bin/zstd", "-q", "--rm"]; }; };
""")
    send(service.system, b"payload", "233.252.0.1", 5004, "eth0")
    wait_until(lambda: service.handler("hours")["delivered"] == 1, "the datagram")
    service.ctl("rotate")
    wait_until(lambda: sum(service.handler("hours")["counters"].values()), "the program to end")
    assert service.handler("hours")["counters"] == {"afterRotateSucceeded": 1, "afterRotateFailed": 0}, service.log()
    names = [name for name in service.system.run("ls", "-A", "/var/log/mcastd").split() if "news" in name and ".pcapng" in name]
    assert len(names) == 2 and names[0].endswith(".pcapng.zst") and names[1] == "news.pcapng", names
    assert "after_rotate" not in service.log()


def test_a_program_that_needs_more_gets_it_from_the_example(service):
    service.system.write("/home/alice/file", "x")
    use_example(service, "handler-programs")
    run_program(service, 'cat >/var/lib/mcastd/out && cat /home/alice/file >>/var/lib/mcastd/out')
    assert service.system.read("/var/lib/mcastd/out") == b"payloadx"


def test_a_program_finds_the_secrets_of_the_service(service):
    service.system.write("/etc/mcastd/broker.secret", "secret", 0o600)
    use_example(service, "credentials")
    run_program(service, 'cat "$CREDENTIALS_DIRECTORY/broker" >/var/log/mcastd/out')
    assert service.system.read("/var/log/mcastd/out") == b"secret"


LISTENING = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; receive_buffer = "16M"; };
};
"""


@pytest.fixture
def group_socket(service):
    unit = "mcastd-news.socket"
    service.system.write(f"/etc/systemd/system/{unit}", service.system.read(f"{EXAMPLES}/group.socket").decode())
    service.systemctl("daemon-reload")
    service.systemctl("start", unit)
    yield unit
    service.system.try_run("systemctl", "stop", unit)
    service.system.remove(f"/etc/systemd/system/{unit}")


def test_a_socket_unit_brings_a_large_buffer_without_a_capability(service, group_socket):
    service.start(LISTENING)
    membership = service.group("news")["memberships"][0]
    assert (membership["state"], membership["receiveBuffer"]) == ("joined", 16 << 20)
    assert int(service.process_status()["CapEff"], 16) == 0
    for end in (lambda: service.restart(), lambda: service.systemctl("stop", "mcastd")):
        before = service.group("news")["received"]
        send(service.system, b"x", "233.252.0.1", 5004, "eth0")
        service.wait_received("news", before + 1)
        end()
        service.systemctl("start", "mcastd")
        assert service.group("news")["memberships"][0]["receiveBuffer"] == 16 << 20


def test_a_socket_unit_with_another_address_is_refused_with_words(service, group_socket):
    service.start(LISTENING.replace("233.252.0.1", "233.252.0.2"))
    membership = service.group("news")["memberships"][0]
    assert membership["state"] == "failed"
    assert membership["error"] == "the socket unit of that name has another address or port than the group"
