"""rsyslog, syslog-ng, logger and logrotate with what doc/into-a-log-system.md says: what a group carries arrives there, all of it, once."""

import json
import os
import re
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest

from harness.discovery import Program, find, need
from harness.documents import configurations, indented
from harness.peers import send, tutorial_sender
from harness.waiting import wait_until

PAGE = "doc/into-a-log-system.md"
GROUP, PORT = "233.252.0.6", 5009
COUNT, RATE = 300, 1000  # datagrams, and a second


def config(word, **places):
    """The page's configuration of mcastd that has this word, with other places."""
    return moved(next(block for block in configurations(PAGE) if word in block), places)


def theirs(word, **places):
    """The page's configuration of another program that has this word, with other places."""
    return moved(next(block for block in indented(PAGE) if word in block), places)


def moved(text, places):
    for name, place in places.items():
        text = text.replace({"socket": "/run/feed.sock", "log": "/var/log/feed.log", "logs": "/var/log/mcastd"}[name], place)
    return text


def readings(count=COUNT):
    return [json.dumps({"sensor": f"s{number}", "temperature": number / 10}) for number in range(count)]


def send_all(net, payloads):
    with tutorial_sender(net.peer, GROUP) as sock:
        for payload in payloads:
            sock.sendto(payload.encode(), (GROUP, PORT))
            time.sleep(1 / RATE)


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return file.read().splitlines()


@pytest.fixture
def places(tmp_path):
    """Where the socket and the log of the page are in a test."""
    return {"socket": str(tmp_path / "feed.sock"), "log": str(tmp_path / "feed.log")}


@contextmanager
def rsyslog(net, tmp_path, text):
    need("rsyslogd")
    path = tmp_path / "rsyslog.conf"
    path.write_text(f'global(workDirectory="{tmp_path}")\n' + text.replace(
        'module(load="imuxsock")', 'module(load="imuxsock" SysSock.Use="off")'))  # /dev/log is this machine's
    with Program(net.host, find("rsyslogd"), "-n", "-i", "NONE", "-f", str(path)) as program:
        yield program


@contextmanager
def syslog_ng(net, tmp_path, text):
    need("syslog-ng")
    path = tmp_path / "syslog-ng.conf"
    version = re.search(r"Config version: (\S+)", subprocess.run([find("syslog-ng"), "--version"], capture_output=True, text=True).stdout)
    path.write_text(f"@version: {version[1]}\n{text}")
    own = [option for name in ("persist-file", "control", "pidfile") for option in (f"--{name}", str(tmp_path / name))]
    with Program(net.host, find("syslog-ng"), "-F", "--no-caps", "-e", "-f", str(path), *own) as program:
        yield program


# Sockets


def test_rsyslog_gets_each_payload_as_it_came(start, net, tmp_path, places):
    with rsyslog(net, tmp_path, theirs("input(", **places)):
        wait_until(lambda: os.path.exists(places["socket"]), "the socket of rsyslog")
        daemon = start(config('type = "unix"', **places))
        payloads = [*readings(), "<13>no header: at all", "two\nlines"]
        send_all(net, payloads)
        wanted = [payload.replace("\n", "#012") for payload in payloads]
        wait_until(lambda: len(lines_of(places["log"])) >= len(wanted), "the lines")
    assert lines_of(places["log"]) == wanted
    assert daemon.handler("syslog")["delivered"] == len(wanted)


def test_a_burst_into_rsyslog_loses_nothing(start, net, tmp_path, places):
    """At once, many times what the socket of rsyslog has room for."""
    with rsyslog(net, tmp_path, theirs("input(", **places)) as program:
        wait_until(lambda: os.path.exists(places["socket"]), "the socket of rsyslog")
        daemon = start(config('type = "unix"', **places).replace('["eth0"]', '["eth0"]; receive_buffer = "8M"'))
        program.process.send_signal(signal.SIGSTOP)
        with tutorial_sender(net.peer, GROUP) as sock:
            for payload in readings(5000):
                sock.sendto(payload.encode(), (GROUP, PORT))
        wait_until(lambda: daemon.handler("syslog")["queued"] > 4000, "the queue to fill")
        program.process.send_signal(signal.SIGCONT)
        wait_until(lambda: len(lines_of(places["log"])) >= 5000, "the lines")
    assert lines_of(places["log"]) == readings(5000)
    assert daemon.handler("syslog")["delivered"] == 5000


def test_a_program_of_any_user_may_write_to_the_socket_of_rsyslog(net, tmp_path, places):
    with rsyslog(net, tmp_path, theirs("input(", **places)):
        wait_until(lambda: os.path.exists(places["socket"]), "the socket of rsyslog")
        # It is there before its mode is set.
        wait_until(lambda: os.stat(places["socket"]).st_mode & 0o002, "a mode with which anybody may write to it")


def test_what_comes_while_rsyslog_is_gone_is_counted_as_absent(start, net, tmp_path, places):
    daemon = start(config('type = "unix"', **places))
    for number in range(2):
        send_all(net, ["nobody"] * 5)
        wait_until(lambda: daemon.handler("syslog")["dropped"]["absent"] == 5 * (number + 1), "the drops")
        with rsyslog(net, tmp_path, theirs("input(", **places)):
            before = len(lines_of(places["log"]))
            wait_until(lambda: os.path.exists(places["socket"]), "the socket of rsyslog")
            send_all(net, readings(5))
            wait_until(lambda: len(lines_of(places["log"])) == before + 5, "the lines")
    assert lines_of(places["log"]) == 2 * readings(5)


@pytest.mark.long  # where syslog-ng is: Debian installs it in the place of rsyslog only
def test_syslog_ng_takes_the_json_apart(start, net, tmp_path, places):
    with syslog_ng(net, tmp_path, theirs("json-parser", **places)):
        wait_until(lambda: os.path.exists(places["socket"]), "the socket of syslog-ng")
        daemon = start(config('type = "unix"', **places))
        send_all(net, readings())
        wait_until(lambda: len(lines_of(places["log"])) >= COUNT, "the lines")
    assert lines_of(places["log"]) == [f"s{number} {payload}" for number, payload in enumerate(readings())]
    assert daemon.handler("syslog")["delivered"] == COUNT


def test_logger_hands_each_line_to_rsyslog(start, net, tmp_path, places):
    need("logger")
    template = theirs("input(", **places).replace("%rawmsg%", "%syslogtag% %pri-text% %msg%")
    with rsyslog(net, tmp_path, template.replace(' UseSpecialParser="off" ParseHostname="off"', "")):
        wait_until(lambda: os.path.exists(places["socket"]), "the socket of rsyslog")
        start(config("logger").replace('"/usr/bin/logger"', f'"/usr/bin/logger", "--socket", "{places["socket"]}"'))
        send_all(net, readings())
        wait_until(lambda: len(lines_of(places["log"])) >= COUNT, "the lines")
    heads = {line.partition("{")[0] for line in lines_of(places["log"])}
    assert heads == {"feed: local0.info  "}
    assert [line[line.index("{"):] for line in lines_of(places["log"])] == readings()


# logrotate


@pytest.fixture
def logrotate(tmp_path):
    """Runs logrotate on the directory, with what the page says and a change to it, for as long as the block may last."""
    need("logrotate")

    @contextmanager
    def run(change):
        path = tmp_path / "logrotate.conf"
        path.write_text(theirs("delaycompress", logs=str(tmp_path)).replace("su mcastd mcastd", "su root root").replace("nocreate", change))
        path.chmod(0o644)
        with subprocess.Popen([find("logrotate"), "--force", "--state", str(tmp_path / "state"), str(path)],
                              stderr=subprocess.PIPE, text=True) as process:
            yield
            assert (process.communicate()[1], process.returncode) == ("", 0)

    return run


def recorded(directory):
    """The payloads in all files of the recording, whole lines only."""
    texts = []
    for name in os.listdir(directory):
        if name.startswith("feed.ndjson"):
            path = os.path.join(directory, name)
            texts.append(subprocess.run(["gzip", "-dcf", path], stdout=subprocess.PIPE, check=True).stdout.decode())
    found = []
    for line in "\n".join(texts).splitlines():
        try:
            found.append(json.loads(line)["text"])
        except ValueError:
            pass
    return found


def rotate_under_traffic(net, logrotate, change):
    """Has logrotate at work five times while datagrams come. Returns their payloads."""
    payloads = [f"n{number}" for number in range(5 * COUNT)]
    for first in range(0, len(payloads), COUNT):
        with logrotate(change):
            send_all(net, payloads[first:first + COUNT])
    return payloads


def start_recording(start, net, directory):
    """The daemon of the page, which has written something: what is empty is not rotated."""
    daemon = start(config('format = "json"', logs=str(directory)))
    send(net.peer, b"begin", GROUP, PORT)
    wait_until(lambda: daemon.handler("lines")["delivered"] == 1, "the first to be written")
    return daemon


@pytest.mark.parametrize("change", ["nocreate", "create 0640 root root"], ids=["nocreate", "create"])
def test_logrotate_loses_nothing_and_doubles_nothing(start, net, tmp_path, logrotate, change):
    daemon = start_recording(start, net, tmp_path)
    sent = ["begin", *rotate_under_traffic(net, logrotate, change)]
    wait_until(lambda: daemon.handler("lines")["delivered"] == len(sent), "all to be written")
    assert sorted(recorded(tmp_path)) == sorted(sent)
    names = sorted(name for name in os.listdir(tmp_path) if name.startswith("feed"))
    assert names == ["feed.ndjson", "feed.ndjson.1", *(f"feed.ndjson.{number}.gz" for number in range(2, 6))]


def test_copytruncate_doubles_nothing_and_the_file_begins_again(start, net, tmp_path, logrotate, say):
    daemon = start_recording(start, net, tmp_path)
    sent = ["begin", *rotate_under_traffic(net, logrotate, "copytruncate")]
    wait_until(lambda: daemon.handler("lines")["delivered"] == len(sent), "all to be written")
    found = recorded(tmp_path)
    say(f"copytruncate, five times in {len(sent)} datagrams: {len(sent) - len(found)} lost")
    assert len(set(found)) == len(found) and set(found) <= set(sent)
    with open(tmp_path / "feed.ndjson", "rb") as file:
        assert file.read(1) == b"{"  # no hole where it was truncated


def test_copytruncate_loses_nothing_that_was_written_before(start, net, tmp_path, logrotate):
    daemon = start(config('format = "json"', logs=str(tmp_path)))
    for number in range(3):
        send(net.peer, b"n%d" % number, GROUP, PORT)
        wait_until(lambda: daemon.handler("lines")["delivered"] == number + 1, "it to be written")
        with logrotate("copytruncate"):
            pass
    assert sorted(recorded(tmp_path)) == ["n0", "n1", "n2"]
