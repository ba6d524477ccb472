"""mcastctl: tables for people, JSON for programs, exit codes for scripts."""

import json
import os
import re
import socket
import subprocess

import pytest

from harness.daemon import MCASTCTL, ROOT
from harness.peers import LARGEST, has_membership, receive, send, tutorial_receiver
from harness.records import ALL_BYTES, HOSTILE, parse_line, unescape
from harness.waiting import wait_until

CONFIG = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["lines"]; };
  six:  { address = "ff15::1"; port = 5004; interfaces = ["eth0", "later0"]; sources = ["2001:db8:1::2"]; };
};
handlers: { lines: { type = "file"; path = "$DIR/lines"; format = "line"; }; };
"""


# Tables and JSON


def test_status_is_a_table(daemon):
    rows = dict(line.split(maxsplit=1) for line in daemon.ctl("status").splitlines())
    assert list(rows) == ["version", "pid", "started", "configuration", "groups", "handlers", "memberships", "connections",
                          "subscribers"]
    assert (rows["pid"], rows["configuration"]) == (str(daemon.process.pid), daemon.config_path)
    assert (rows["groups"], rows["handlers"], rows["memberships"]) == ("2", "3", "2 joined, 1 waiting, 0 failed")


def test_groups_are_a_table_with_a_line_for_each_membership(daemon):
    lines = daemon.ctl("groups").splitlines()
    assert all(word in lines[0] for word in ("GROUP", "ADDRESS", "INTERFACE", "STATE"))
    assert re.search(r"^news +233\.252\.0\.1:5004 .*eth0 +joined", lines[1])
    assert len(lines) == 4
    assert any("[ff15::1]:5004" in line and "2001:db8:1::2" in line for line in lines)
    assert any("later0" in line and "waiting" in line for line in lines)


def test_handlers_are_a_table(daemon):
    lines = daemon.ctl("handlers").splitlines()
    assert lines[0].startswith("HANDLER ") and len(lines) == 4
    assert re.fullmatch(r"lines +file .* news", lines[2])
    assert [line.split()[:2] for line in lines[1:]] == [["journal", "journal"], ["lines", "file"], ["log", "log"]]


def test_stats_are_tables_of_groups_and_handlers(daemon):
    output = daemon.ctl("stats")
    assert "BYTES-IN" in output and "DELIVERED" in output
    assert re.search(r"^news ", output, re.M) and re.search(r"^lines ", output, re.M)


def test_status_says_that_a_handler_fails_and_where_the_reason_is(start, net):
    daemon = start("""groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["gone"]; }; };
        handlers: { gone: { type = "unix"; path = "$DIR/nobody.sock"; }; };""")
    shown = "handlers      3\n"
    assert shown in daemon.ctl("status")
    send(net.peer, b"x", "233.252.0.1", 5004, "eth0")
    wait_until(lambda: daemon.call("GetStatus")["handlersFailing"] == 1, "the failure")
    assert "handlers      3, 1 failing: mcastctl handlers has the reasons\n" in daemon.ctl("status")


@pytest.mark.parametrize("command, method", [("status", "GetStatus"), ("groups", "ListGroups"),
                                             ("handlers", "ListHandlers"), ("stats", "GetStats")])
def test_json_is_the_daemons_own_answer(daemon, command, method):
    shown, answer = daemon.ctl(command, json_output=True), daemon.call(method)
    for status in (shown, answer):
        status.pop("connections", None)  # mcastctl has one, too
    assert shown == answer


def test_json_is_one_line_for_each_answer(daemon):
    output = subprocess.run([MCASTCTL, "-s", daemon.control_path, "--json", "status"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    assert output.count("\n") == 1 and json.loads(output)["pid"] == daemon.process.pid


def test_the_socket_may_come_from_the_environment(daemon):
    output = subprocess.run([MCASTCTL, "--json", "status"], check=True, stdout=subprocess.PIPE,
                            env={**os.environ, "MCASTD_SOCKET": daemon.control_path}).stdout
    assert json.loads(output)["pid"] == daemon.process.pid


# tail


@pytest.mark.parametrize("payload", [ALL_BYTES, HOSTILE, b"", b"plain"], ids=["all-bytes", "hostile", "empty", "plain"])
def test_tail_shows_no_control_byte_and_loses_nothing(daemon, net, payload):
    with daemon.start_tail("news", "--count", "1") as process:
        send(net.peer, payload, "233.252.0.1", 5004)
        output, _ = process.communicate(timeout=15)
    assert process.returncode == 0
    assert output.count(b"\n") == 1 and not any(byte < 0x20 or byte == 0x7f for byte in output[:-1])
    assert unescape(parse_line(output[:-1])["payload"]) == payload


def test_tail_in_hex_shows_every_byte(daemon, net):
    with daemon.start_tail("news", "--count", "1", "--format", "hex") as process:
        send(net.peer, ALL_BYTES, "233.252.0.1", 5004)
        output, _ = process.communicate(timeout=15)
    assert bytes.fromhex(parse_line(output[:-1])["payload"].decode()) == ALL_BYTES


def test_tail_in_raw_is_the_payload_alone(daemon, net):
    with daemon.start_tail("news", "--count", "2", "--format", "raw") as process:
        send(net.peer, ALL_BYTES, "233.252.0.1", 5004)
        send(net.peer, b"\n", "233.252.0.1", 5004)
        output, _ = process.communicate(timeout=15)
    assert output == ALL_BYTES + b"\n"


def test_tail_and_a_line_file_show_the_same(daemon, net):
    with daemon.start_tail("news", "--count", "1") as process:
        send(net.peer, HOSTILE + b"same", "233.252.0.1", 5004)
        output, _ = process.communicate(timeout=15)
    assert unescape(parse_line(output[:-1])["payload"]) == HOSTILE + b"same"
    wait_until(lambda: daemon.read("lines").endswith(b"\n" + output), "the same line in the file")


def test_tail_ends_when_nobody_reads_it_any_more(daemon, net):
    with daemon.start_tail("news") as process:
        process.stdout.close()

        def ended():
            send(net.peer, b"x", "233.252.0.1", 5004)
            return process.poll() is not None

        wait_until(ended, "mcastctl tail to end")
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_tail_of_a_group_that_is_not_there_fails(daemon):
    assert daemon.ctl("tail", "nobody", status=1) == \
        'mcastctl: tail: there is no group "nobody"; mcastctl groups lists them\n'


def test_tail_says_when_the_daemon_goes_away(start):
    daemon = start('groups: { x: { address = "233.252.0.9"; port = 5004; interfaces = ["lo"]; }; };')
    with daemon.start_tail("x") as process:
        daemon.stop()
        _, words = process.communicate(timeout=15)
    assert process.returncode == 1
    assert words.decode() == f"mcastctl: tail: mcastd at {daemon.control_path} has gone away\n"


def test_tail_ends_when_its_reader_goes_away_and_nothing_arrives(daemon):
    before = daemon.call("GetStatus")["subscribers"]
    with daemon.ctl_start("tail", "news") as tail:
        try:
            wait_until(lambda: daemon.call("GetStatus")["subscribers"] > before, "the subscription")
            tail.stdout.close()
            assert tail.wait(15) == 0
        finally:
            tail.kill()


# join, leave


def test_join_prints_the_name_and_leave_takes_it(daemon, net):
    name = daemon.ctl("join", "233.252.0.30:5030", "--interface", "eth0").strip()
    assert name == "233.252.0.30:5030"
    assert has_membership(net.host, "233.252.0.30")
    daemon.ctl("leave", name)
    assert not has_membership(net.host, "233.252.0.30")


def test_join_takes_name_source_and_handler(daemon, net):
    daemon.ctl("join", "[ff15::30]:5030", "--name", "own", "--interface", "eth0", "--source", net.peer.v6,
               "--handler", "lines")
    group = daemon.group("own")
    assert (group["address"], group["port"], group["sources"], group["handlers"]) == \
        ("ff15::30", 5030, [net.peer.v6], ["lines"])
    daemon.ctl("leave", "own")


@pytest.mark.parametrize("interface, why", [
    ("none0", "there is no such interface"), ("none*", "no interface with the flag MULTICAST matches"),
    ("192.0.2.99", "no interface has this address")])
def test_join_says_which_interface_it_waits_for(daemon, interface, why):
    name, words = daemon.join("233.252.0.32:5032", "--interface", interface)
    assert name == "233.252.0.32:5032"
    assert words.startswith(f"mcastctl: join: waiting on {interface}: {why}") and words.count("\n") == 1
    daemon.ctl("leave", name)


def test_join_fails_and_says_why_when_the_kernel_refuses(daemon, net):
    with net.host, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("", 5033))
        name, words = daemon.join("233.252.0.33:5033", "--interface", "eth0", status=1)
    assert words.startswith("mcastctl: join: failed on eth0: ") and "5033" in words
    daemon.ctl("leave", name)


@pytest.mark.parametrize("left_out, interface", [(["!*"], "*"), (["eth*", "!eth*"], "eth*")], ids=["default", "glob"])
def test_groups_and_send_say_that_every_interface_is_left_out(start, left_out, interface):
    daemon = start('groups: { g: { address = "233.252.0.31"; port = 5031; interfaces = [%s]; }; };\n'
                   % ", ".join(f'"{pattern}"' for pattern in left_out))
    membership, = daemon.group("g")["memberships"]
    assert (membership["interface"], membership["error"]) == (interface, "every interface that matches is left out")
    assert f"every interface that matches {interface} is left out" in daemon.ctl("send", "g", "x", status=1)


def test_an_address_whose_interface_is_left_out_says_so(start, net):
    daemon = start('groups: { g: { address = "%s"; port = 5031; interfaces = ["!eth*"]; }; };\n' % net.host.v4)
    membership, = daemon.group("g")["memberships"]
    assert membership["error"] == "no interface matches beside those that are left out"


# Exit codes: 1 refused or failed, 2 usage, 3 no daemon


@pytest.mark.parametrize("arguments, reason", [
    (("send", "nobody", "x"), 'there is no group "nobody"'),
    (("leave", "nobody"), 'there is no group "nobody"'),
    (("leave", "news"), "the configuration has this group"),
    (("join", "0.0.0.1:5004"), 'group 0.0.0.1:5004: address: "0.0.0.1" is no address of a host'),
    (("join", "233.252.0.1:5004", "--name", "news"), "there is a group of this name already"),
    (("send", "news", "--file", "/nonexistent"), "/nonexistent: No such file or directory"),
    (("send", "news", "x", "--interface", "nowhere0"), "there is no interface nowhere0"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_what_is_refused_exits_with_1_and_the_reason(daemon, arguments, reason):
    words = daemon.ctl(*arguments, status=1)
    assert words.startswith(f"mcastctl: {arguments[0]}: {reason}") and words.count("\n") == 1


def test_what_is_too_large_exits_with_1_and_words(daemon):
    words = daemon.ctl("send", "news", input="x" * (LARGEST + 1), status=1)
    assert "65507" in words


@pytest.mark.parametrize("line, reason", {
    "": "a command is missing",
    "shout": "there is no command 'shout'",
    "send": "send: too few arguments",
    "send news x y": "send: too many arguments",
    "--nonsense status": "there is no option --nonsense",
    "status --nonsense": "status: there is no option --nonsense",
    "status extra": "status: too many arguments",
    "send news x --ttl 256": "send: --ttl: '256' is not a number from 0 to 255",
    "send news x --ttl x": "send: --ttl: 'x' is not a number from 0 to 255",
    "send news --hex 0": "send: --hex: '0' is not pairs of hexadecimal digits",
    "send news x --hex 00": "send: give only one of TEXT, --file, --hex and --lines",
    "send news x --interval 5": "send: --interval: '5' is not a duration",
    "send news x --count 0": "send: --count: '0' is not a number from 1 ",
    "tail --format xml": "tail: --format: 'xml' is none of line, json, hex, raw and pcapng",
    "join 233.252.0.1": "join: '233.252.0.1': the port is missing",
    "join news:5004": "join: 'news:5004': \"news\" is not an IP address",
    "leave": "leave: too few arguments",
    "-s": "--socket needs a SOCKET",
}.items())
def test_wrong_usage_exits_with_2_and_advice(daemon, line, reason):
    words = daemon.ctl(*line.split(), status=2)
    command = f" {line.split()[0]}" if reason.split(": ")[0] in line.split() else ""
    assert words.startswith(f"mcastctl: {reason}") and words.endswith(f"; try 'mcastctl{command} --help'\n")


@pytest.mark.parametrize("command", [("status",), ("send", "news", "x"), ("tail",), ("reload",)], ids=lambda c: c[0])
def test_without_a_daemon_it_exits_with_3_and_names_the_socket(tmp_path, command):
    result = subprocess.run([MCASTCTL, "-s", str(tmp_path / "none"), *command], stdin=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)
    assert result.returncode == 3
    assert str(tmp_path / "none") in result.stderr


@pytest.mark.parametrize("name", ["x", "x.stream"])
def test_at_a_socket_that_is_no_control_socket_it_exits_with_3(start, name):
    daemon = start('groups: { x: { address = "233.252.0.9"; port = 5004; interfaces = ["lo"]; socket = true; }; };')
    result = subprocess.run([MCASTCTL, "-s", daemon.group_path(name), "status"], stderr=subprocess.PIPE, text=True)
    assert result.returncode == 3
    assert f"{daemon.group_path(name)}: not a control socket, maybe a group's" in result.stderr


def test_what_cannot_be_a_socket_is_told_so(tmp_path):
    for path, why in ((tmp_path, "it is no socket: name that of mcastd"), ("/tmp/" + "x" * 103, "the path of a socket has at most 107 bytes")):
        result = subprocess.run([MCASTCTL, "-s", str(path), "status"], stderr=subprocess.PIPE, text=True)
        assert (result.returncode, why in result.stderr, "start mcastd" in result.stderr) == (3, True, False), result.stderr


@pytest.mark.parametrize("command, takes", [("send", True), ("tail", True), ("replay", True), ("join", True), ("doctor", True),
                                            ("leave", False)])
def test_help_says_what_a_target_is(command, takes):
    output = subprocess.run([MCASTCTL, command, "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert ("A TARGET is ADDRESS:PORT[%INTERFACE][,source=ADDRESS]..." in output) == takes


def test_help_and_version_need_no_daemon():
    commands = ("send", "tail", "status", "groups", "handlers", "stats", "join", "leave", "reload", "refresh", "replay", "rotate", "doctor",
                "top", "probe", "senders", "help")
    output = subprocess.run([MCASTCTL, "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert set(re.findall(r"^  ([a-z]\w*)", output, re.M)) == set(commands)
    for command in commands:
        output = subprocess.run([MCASTCTL, command, "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout
        assert output.startswith(f"Usage: mcastctl {command}")
    with open(os.path.join(ROOT, "VERSION")) as file:
        version = file.read().strip()
    assert subprocess.check_output([MCASTCTL, "--version"], text=True) == f"mcastctl {version}\n"


def test_words_of_a_hostile_group_name_are_escaped(daemon):
    words = daemon.ctl("send", "\x1b[2Jname\n", "x", status=1)
    assert "\x1b" not in words and "\\x1b" in words


def test_lines_that_fail_are_named(daemon, net):
    with tutorial_receiver(net.peer, "233.252.0.1", 5004) as sock:
        words = daemon.ctl("send", "news", "--lines", input="good\n" + "x" * (LARGEST + 1) + "\n", status=1)
        assert receive(sock) == [b"good"]
    assert "line 2" in words
