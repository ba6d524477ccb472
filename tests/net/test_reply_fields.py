"""That a datagram is a reply is told wherever its fields are told, and of no other datagram."""

import json
import socket

from harness.daemon import Daemon, with_journal
from harness.peers import receiver_on, send
from harness.programs import command
from harness.waiting import wait_until
from net.test_journal import parse_entry

GROUP, PORT = "233.252.8.1", 5801


def config(handlers, *names):
    listed = ", ".join(f'"{name}"' for name in names)
    return f"""
      groups: {{ asks: {{ address = "{GROUP}"; port = {PORT}; interfaces = ["eth0"]; replies = true; handlers = [{listed}]; }}; }};
      handlers: {{ {handlers} }};"""


def ask(daemon, net):
    """Sends "question" to the group, of which the daemon gets a copy, and an "answer" back from the peer."""
    with receiver_on(net.peer, GROUP, PORT, "eth0") as sock:
        daemon.call("Send", group="asks", text="question")
        payload, sender = sock.recvfrom(100)
    assert payload == b"question"
    send(net.peer, b"answer", *sender[:2])


def test_the_journal_tells_which_is_a_reply(net, tmp_path):
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(path)
        journal.settimeout(15)
        with Daemon(net.host, config("", "journal"), wrapper=with_journal(path)) as daemon:
            ask(daemon, net)
            entries = {}
            while len(entries) < 2:
                entry = parse_entry(journal.recv(1 << 16))
                entries[entry.get("MCASTD_PAYLOAD")] = entry.get("MCASTD_REPLY")
    assert entries == {b"question": None, b"answer": b"true"}


def test_the_environment_of_programs_tells_which_is_a_reply(start, net, programs):
    script = programs.write("env", 'name=$(cat); env >"$1/$name.new" && mv "$1/$name.new" "$1/$name"')
    daemon = start(config(f'run: {{ type = "exec"; command = {command(script, "$DIR")}; }};', "run"))
    ask(daemon, net)
    wait_until(lambda: daemon.handler("run")["delivered"] == 2 and daemon.read("question") and daemon.read("answer"), "both")
    assert b"MCASTD_REPLY" not in daemon.read("question")
    assert b"\nMCASTD_REPLY=true\n" in b"\n" + daemon.read("answer")


def test_json_for_a_program_that_keeps_running_tells_which_is_a_reply(start, net, programs):
    script = programs.write("keep", 'exec cat >"$1/records"')
    daemon = start(config(f'keep: {{ type = "pipe"; command = {command(script, "$DIR")}; framing = "json"; }};', "keep"))
    ask(daemon, net)
    wait_until(lambda: daemon.read("records").count(b"\n") == 2, "both")
    records = map(json.loads, daemon.read("records").splitlines())
    assert {record["text"]: record.get("reply") for record in records} == {"question": None, "answer": True}


def test_tail_with_json_tells_which_is_a_reply(start, net):
    daemon = start(config(""))
    with daemon.ctl_start("--json", "tail", "asks", "--count", "2") as tail:
        wait_until(lambda: daemon.call("GetStatus")["subscribers"], "the subscription")
        ask(daemon, net)
        output, _ = tail.communicate(timeout=15)
    datagrams = [json.loads(line)["datagram"] for line in output.splitlines()]
    assert {datagram["text"]: datagram.get("reply") for datagram in datagrams} == {"question": None, "answer": True}


def test_tail_shows_a_reply_with_its_sender_in_each_format(start, net):
    daemon = start(config(""))
    with daemon.ctl_start("tail", "asks", "--count", "2") as lines, \
            daemon.ctl_start("tail", "asks", "--count", "2", "--format", "json") as objects:
        wait_until(lambda: daemon.call("GetStatus")["subscribers"] == 2, "the subscriptions")
        ask(daemon, net)
        shown, _ = lines.communicate(timeout=15)
        output, _ = objects.communicate(timeout=15)
    question, answer = map(json.loads, output.splitlines())
    assert question.get("reply") is None and answer["reply"] is True
    assert f" asks {net.peer.v4}:{answer['sourcePort']} eth0 6 answer\n".encode() in shown
