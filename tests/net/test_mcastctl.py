"""mcastctl: tables for people, JSON for programs, exit codes for scripts."""

import json
import os
import re
import subprocess

import pytest

from harness.daemon import MCASTCTL
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


def tail(daemon, *arguments):
    """Starts mcastctl tail and waits until it listens."""
    before = daemon.call("GetStatus")["subscribers"]
    process = daemon.ctl_start("tail", *arguments)
    wait_until(lambda: daemon.call("GetStatus")["subscribers"] > before, "mcastctl tail to subscribe")
    return process


# Tables and JSON


def test_status_is_a_table(daemon):
    output = daemon.ctl("status")
    assert str(daemon.process.pid) in output
    assert daemon.config_path in output
    assert "2 joined, 1 waiting, 0 failed" in output


def test_groups_are_a_table_with_a_line_for_each_membership(daemon):
    lines = daemon.ctl("groups").splitlines()
    assert all(word in lines[0] for word in ("GROUP", "ADDRESS", "INTERFACE", "STATE"))
    assert re.search(r"^news +233\.252\.0\.1:5004 .*eth0 +joined", lines[1])
    assert len(lines) == 4
    assert any("[ff15::1]:5004" in line and "2001:db8:1::2" in line for line in lines)
    assert any("later0" in line and "waiting" in line for line in lines)


def test_handlers_are_a_table(daemon):
    lines = daemon.ctl("handlers").splitlines()
    assert "HANDLER" in lines[0] and len(lines) == 4
    assert any(re.match(r"lines +file .* news$", line) for line in lines)


def test_stats_are_tables_of_groups_and_handlers(daemon):
    output = daemon.ctl("stats")
    assert "KERNEL DROPPED" in output and "DELIVERED" in output
    assert re.search(r"^news ", output, re.M) and re.search(r"^lines ", output, re.M)


@pytest.mark.parametrize("command, method", [("status", "GetStatus"), ("groups", "ListGroups"),
                                             ("handlers", "ListHandlers"), ("stats", "GetStats")])
def test_json_is_the_daemons_own_answer(daemon, command, method):
    assert set(daemon.ctl(command, json_output=True)) == set(daemon.call(method))


def test_json_is_one_line_for_each_answer(daemon):
    result = daemon.ctl("status")
    assert "{" not in result
    output = subprocess.run([MCASTCTL, "-s", daemon.control_path, "--json", "status"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    assert output.count("\n") == 1 and json.loads(output)["pid"] == daemon.process.pid


def test_the_socket_may_come_from_the_environment(daemon):
    output = subprocess.run([MCASTCTL, "status"], check=True, stdout=subprocess.PIPE, text=True,
                            env={**os.environ, "MCASTD_SOCKET": daemon.control_path}).stdout
    assert str(daemon.process.pid) in output


# tail


@pytest.mark.parametrize("payload", [ALL_BYTES, HOSTILE, b"", b"plain"], ids=["all-bytes", "hostile", "empty", "plain"])
def test_tail_shows_no_control_byte_and_loses_nothing(daemon, net, payload):
    with tail(daemon, "news", "--count", "1") as process:
        send(net.peer, payload, "233.252.0.1", 5004)
        output, _ = process.communicate(timeout=15)
    assert output.count(b"\n") == 1 and not any(byte < 0x20 or byte == 0x7f for byte in output[:-1])
    assert unescape(parse_line(output[:-1])["payload"]) == payload


def test_tail_in_hex_shows_every_byte(daemon, net):
    with tail(daemon, "news", "--count", "1", "--format", "hex") as process:
        send(net.peer, ALL_BYTES, "233.252.0.1", 5004)
        output, _ = process.communicate(timeout=15)
    assert bytes.fromhex(parse_line(output[:-1])["payload"].decode()) == ALL_BYTES


def test_tail_in_raw_is_the_payload_alone(daemon, net):
    with tail(daemon, "news", "--count", "2", "--format", "raw") as process:
        send(net.peer, ALL_BYTES, "233.252.0.1", 5004)
        send(net.peer, b"\n", "233.252.0.1", 5004)
        output, _ = process.communicate(timeout=15)
    assert output == ALL_BYTES + b"\n"


def test_tail_and_a_line_file_show_the_same(daemon, net):
    with tail(daemon, "news", "--count", "1") as process:
        send(net.peer, HOSTILE + b"same", "233.252.0.1", 5004)
        output, _ = process.communicate(timeout=15)
    wait_until(lambda: output in daemon.read("lines"), "the same line in the file")


def test_tail_ends_when_nobody_reads_it_any_more(daemon, net):
    with tail(daemon, "news") as process:
        process.stdout.close()

        def ended():
            send(net.peer, b"x", "233.252.0.1", 5004)
            return process.poll() is not None

        wait_until(ended, "mcastctl tail to end")
        process.communicate()


def test_tail_of_a_group_that_is_not_there_fails(daemon):
    assert "nobody" in daemon.ctl("tail", "nobody", status=1)


def test_tail_says_when_the_daemon_goes_away(start):
    daemon = start('groups: { x: { address = "233.252.0.9"; port = 5004; interfaces = ["lo"]; }; };')
    with tail(daemon, "x") as process:
        daemon.stop()
        _, words = process.communicate(timeout=15)
    assert process.returncode == 1 and words


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


# Exit codes: 1 refused or failed, 2 usage, 3 no daemon


@pytest.mark.parametrize("arguments", [
    ("send", "nobody", "x"), ("leave", "nobody"), ("leave", "news"), ("join", "0.0.0.1:5004"),
    ("join", "233.252.0.1:5004", "--name", "news"), ("send", "news", "--file", "/nonexistent"),
    ("send", "news", "x", "--interface", "nowhere0"),
], ids=" ".join)
def test_what_is_refused_exits_with_1_and_words(daemon, arguments):
    words = daemon.ctl(*arguments, status=1)
    assert words.startswith("mcastctl: ") and len(words) > 30


def test_what_is_too_large_exits_with_1_and_words(daemon):
    words = daemon.ctl("send", "news", input="x" * (LARGEST + 1), status=1)
    assert "65507" in words


@pytest.mark.parametrize("arguments", [
    (), ("shout",), ("send",), ("send", "news", "x", "y"), ("--nonsense", "status"), ("status", "--nonsense"),
    ("status", "extra"), ("send", "news", "x", "--ttl", "256"), ("send", "news", "x", "--ttl", "x"),
    ("send", "news", "--hex", "0"), ("send", "news", "x", "--hex", "00"), ("send", "news", "x", "--interval", "5"),
    ("send", "news", "x", "--count", "0"), ("tail", "--format", "xml"), ("join", "233.252.0.1"),
    ("join", "news:5004"), ("leave",), ("-s",),
], ids=lambda arguments: " ".join(arguments) or "nothing")
def test_wrong_usage_exits_with_2_and_advice(daemon, arguments):
    words = daemon.ctl(*arguments, status=2)
    assert words.startswith("mcastctl: ") and "--help" in words.splitlines()[-1]


@pytest.mark.parametrize("command", [("status",), ("send", "news", "x"), ("tail",), ("reload",)], ids=lambda c: c[0])
def test_without_a_daemon_it_exits_with_3_and_names_the_socket(tmp_path, command):
    result = subprocess.run([MCASTCTL, "-s", str(tmp_path / "none"), *command], stdin=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)
    assert result.returncode == 3
    assert str(tmp_path / "none") in result.stderr


def test_at_a_socket_that_is_no_control_socket_it_exits_with_3(start):
    daemon = start('groups: { x: { address = "233.252.0.9"; port = 5004; interfaces = ["lo"]; socket = true; }; };')
    result = subprocess.run([MCASTCTL, "-s", daemon.group_path("x"), "status"], stderr=subprocess.PIPE, text=True)
    assert result.returncode == 3 and "group" in result.stderr


def test_help_and_version_need_no_daemon():
    commands = ("send", "tail", "status", "groups", "handlers", "stats", "join", "leave", "reload")
    output = subprocess.run([MCASTCTL, "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert all(command in output for command in commands)
    for command in commands:
        output = subprocess.run([MCASTCTL, command, "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout
        assert output.startswith(f"Usage: mcastctl {command}")
    assert "mcastctl" in subprocess.run([MCASTCTL, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout


def test_words_of_a_hostile_group_name_are_escaped(daemon):
    words = daemon.ctl("send", "\x1b[2Jname\n", "x", status=1)
    assert "\x1b" not in words and "\\x1b" in words


def test_lines_that_fail_are_named(daemon, net):
    with tutorial_receiver(net.peer, "233.252.0.1", 5004) as sock:
        words = daemon.ctl("send", "news", "--lines", input="good\n" + "x" * (LARGEST + 1) + "\n", status=1)
        assert receive(sock) == [b"good"]
    assert "line 2" in words
