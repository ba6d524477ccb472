"""mcastctl send as scripts use it: lines and their ends, several groups at once, and an input that is empty."""

import contextlib
import json
import os
import subprocess

import pytest

from harness.daemon import MCASTCTL, SANITIZER_REPORT
from harness.peers import receive, tutorial_receiver
from harness.waiting import TIMEOUT

CONFIG = """
groups: {
  news:   { address = "233.252.9.1"; port = 5901; interfaces = ["eth0"]; };
  alerts: { address = "233.252.9.2"; port = 5902; interfaces = ["eth0"]; };
  other:  { address = "233.252.9.3"; port = 5903; interfaces = ["eth0"]; };
  closed: { address = "233.252.9.4"; port = 5904; interfaces = ["absent0"]; };
};
"""
ADDRESS = {"news": "233.252.9.1", "alerts": "233.252.9.2", "other": "233.252.9.3"}
PORT = {"news": 5901, "alerts": 5902, "other": 5903}
TARGETS = ["233.252.9.1:5901%eth0", "233.252.9.2:5902%eth0"]


def send(daemon, *arguments, text=b"", status=0):
    """Runs mcastctl send in the daemon's host. Returns standard output and standard error."""
    with daemon.host:
        result = subprocess.run([MCASTCTL, "-s", daemon.control_path, "send", *arguments], input=text, capture_output=True,
                                timeout=TIMEOUT)
    assert result.returncode == status, result
    assert not SANITIZER_REPORT.search(result.stderr.decode()), result
    return result.stdout.decode(), result.stderr.decode()


@contextlib.contextmanager
def receivers(net, *names):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(tutorial_receiver(net.peer, ADDRESS[name], PORT[name])) for name in names]


# Lines


@pytest.mark.parametrize("text, payloads", [
    (b"one\r\ntwo\r\n", [b"one\r\n", b"two\r\n"]),
    (b"one\ntwo\n", [b"one", b"two"]),
    (b"one\r\ntwo\nthree", [b"one\r\n", b"two", b"three"]),
    (b"\r\n\n", [b"\r\n", b""]),
    (b"one\rtwo\nthree\r", [b"one\rtwo", b"three\r"])], ids=["crlf", "lf", "mixed", "blank", "cr"])
def test_a_line_is_sent_without_its_lf_but_with_its_cr_lf(daemon, net, text, payloads):
    with receivers(net, "news") as (news,):
        assert send(daemon, "news", "--lines", text=text) == ("", "")
        assert receive(news, len(payloads)) == payloads


@pytest.mark.parametrize("text, payloads", [
    (b"$GPGGA,1*00\n$GPGGA,2*00\r\n$GPGGA,3*00", [b"$GPGGA,1*00\r\n", b"$GPGGA,2*00\r\n", b"$GPGGA,3*00\r\n"]),
    (b"\n\r\n\r", [b"\r\n", b"\r\n", b"\r\n"])], ids=["sentences", "blank"])
def test_with_crlf_each_line_ends_in_cr_lf(daemon, net, text, payloads):
    with receivers(net, "news") as (news,):
        assert send(daemon, "news", "--lines", "--crlf", text=text) == ("", "")
        assert receive(news, len(payloads)) == payloads


@pytest.mark.parametrize("text", [b"$GPGGA*00", b"$GPGGA*00\r", b"$GPGGA*00\r\n"])
def test_with_crlf_text_ends_in_cr_lf_once(daemon, net, text):
    with receivers(net, "news") as (news,):
        send(daemon, "news", "--crlf", text)
        assert receive(news) == [b"$GPGGA*00\r\n"]


@pytest.mark.parametrize("arguments", [("--crlf",), ("--crlf", "--file", "/dev/null"), ("--crlf", "--hex", "00"), ("--crlf", "-")], ids=" ".join)
def test_crlf_is_for_lines_and_text(daemon, arguments):
    assert "--crlf is for --lines and TEXT" in send(daemon, "news", *arguments, status=2)[1]


def test_the_end_of_a_line_counts_to_its_size(daemon, net):
    most = 65507
    with receivers(net, "news") as (news,):
        send(daemon, "news", "--lines", text=b"x" * (most - 2) + b"\r\n")
        assert receive(news) == [b"x" * (most - 2) + b"\r\n"]
    assert send(daemon, "news", "--lines", "--crlf", text=b"x" * (most - 1) + b"\n", status=1)[1]
    assert "line 2: a datagram holds at most 65527 bytes, and 65507 with IPv4" in send(
        daemon, "news", "--lines", "--crlf", text=b"a\n" + b"x" * 65526 + b"\n", status=1)[1]


# Several groups


def test_several_groups_get_each_payload(daemon, net):
    with receivers(net, "news", "alerts", "other") as sockets:
        assert send(daemon, "news,alerts,other", "hello") == ("", "")
        assert [receive(sock) for sock in sockets] == [[b"hello"]] * 3


def test_several_groups_get_each_line_and_more_than_the_window_holds(daemon, net):
    lines = [b"line %d" % i for i in range(150)]
    with receivers(net, "news", "alerts") as sockets:
        send(daemon, "news,alerts", "--lines", text=b"\n".join(lines))
        assert [receive(sock, len(lines)) for sock in sockets] == [lines] * 2


def test_several_groups_get_all_of_standard_input(daemon, net):
    with receivers(net, "news", "alerts") as sockets:
        send(daemon, "news,alerts", text=b"one\ntwo\n")
        assert [receive(sock) for sock in sockets] == [[b"one\ntwo\n"]] * 2


def test_several_targets_get_each_payload(daemon, net):
    with receivers(net, "news", "alerts") as sockets:
        send(daemon, ",".join(TARGETS), "hello", "--count", "2")
        assert [receive(sock, 2) for sock in sockets] == [[b"hello"] * 2] * 2


def test_the_source_of_a_target_is_no_other_name(daemon, net):
    word = f"{TARGETS[0]},source={net.host.v4},{TARGETS[1]}"
    with receivers(net, "news", "alerts") as sockets:
        send(daemon, word, "hello")
        assert [receive(sock) for sock in sockets] == [[b"hello"]] * 2


def test_what_one_group_refuses_the_others_get(daemon, net):
    with receivers(net, "news", "other") as sockets:
        output, errors = send(daemon, "news,absent,closed,other", "--lines", text=b"one\ntwo\n", status=1)
        assert [receive(sock, 2) for sock in sockets] == [[b"one", b"two"]] * 2
    lines = errors.splitlines()
    assert sum('absent: line 1: there is no group "absent"' in line for line in lines) == 1 and not output
    assert sum("closed: line 1: " in line for line in lines) == 1
    assert lines[-1] == "mcastctl: send: sent to 2 of 4: news, other"


def test_where_all_groups_refuse_nobody_is_named(daemon):
    _, errors = send(daemon, "absent,missing", "hello", status=1)
    assert "absent: there is no group" in errors and "missing: there is no group" in errors and "sent to" not in errors


def test_answers_of_several_groups_have_their_names(daemon):
    for names in (["news", "alerts"], TARGETS):
        output, _ = send(daemon, "--json", ",".join(names), "hello", "--count", "2")
        answers = [json.loads(line) for line in output.splitlines()]
        assert [(answer["group"], answer["bytes"]) for answer in answers] == [(name, 5) for name in names] * 2


def test_the_answer_of_one_group_has_no_name(daemon):
    assert json.loads(send(daemon, "--json", "news", "hello")[0]) == {"bytes": 5}


@pytest.mark.parametrize("word, why", [
    ("news,", "a name is missing at a comma"), (",news", "a name is missing at a comma"),
    ("news,,alerts", "a name is missing at a comma"), ("news,news", "'news' is named twice"),
    (f"news,{TARGETS[0]}", "name one kind only"), (f"{TARGETS[0]},news", "news"), (",".join(f"g{i}" for i in range(65)), "there are 65 names: at most 64")])
def test_wrong_lists_of_names_are_wrong_usage(daemon, word, why):
    assert why in send(daemon, word, "hello", status=2)[1]


def test_a_target_that_cannot_be_sent_to_does_not_keep_others(daemon, net):
    with receivers(net, "news") as (news,):
        _, errors = send(daemon, f"233.252.9.2:5902%absent0,{TARGETS[0]}", "hello", status=1)
        assert receive(news) == [b"hello"]
    assert "absent0" in errors and f"sent to 1 of 2: {TARGETS[0]}" in errors


# Empty input


@pytest.mark.parametrize("arguments, status", [((), 1), (("--lines",), 0), (("--lines", "--crlf"), 0)], ids=str)
def test_an_empty_input_sends_nothing_and_says_so(daemon, arguments, status):
    before = daemon.group("news")["sent"]
    assert "standard input is empty, nothing was sent" in send(daemon, "news", *arguments, status=status)[1]
    assert daemon.group("news")["sent"] == before


def test_a_pipe_that_gave_nothing_is_told_and_how_to_send_an_empty_datagram(daemon, net):
    reader, writer = os.pipe()
    os.close(writer)
    with net.host:
        result = subprocess.run([MCASTCTL, "-s", daemon.control_path, "send", "news"], stdin=reader, capture_output=True, text=True,
                                timeout=TIMEOUT)
    os.close(reader)
    assert result.returncode == 1 and "mcastctl send news ''" in result.stderr
    with receivers(net, "news") as (news,):
        send(daemon, "news", "")
        assert receive(news) == [b""]
