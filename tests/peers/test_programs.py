"""Into programs of others as they are: rsyslog at a UNIX socket, ffmpeg at the end of a pipe, the samples of an RTP sender in a file."""

import os
import re
import shutil
import signal
import subprocess
from contextlib import contextmanager

import pytest

from harness.daemon import balance
from harness.peers import process
from harness.programs import command
from harness.waiting import wait_until

GROUP, PORT = "233.252.0.61", 5004


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"needs {program}")


def config(handler):
    return f"""
      groups: {{ feed: {{ address = "{GROUP}"; port = {PORT}; interfaces = ["eth0"]; handlers = ["out"]; receive_buffer = "16M"; }}; }};
      handlers: {{ out: {{ {handler} }}; }};"""


def wait_settled(daemon, received):
    daemon.wait_arrived("feed", received)
    wait_until(lambda: daemon.handler("out")["received"] == daemon.group("feed")["received"], "all to be received")
    numbers = daemon.wait_idle("out")
    assert balance(numbers) == 0 and daemon.group("feed")["kernelDropped"] == 0
    return numbers


# rsyslog


class Rsyslog:
    """Its input for local programs, at a socket of the test, and a file of the lines."""

    def __init__(self, host, directory):
        self.host, self.directory = host, directory
        self.socket, self.out = os.path.join(directory, "syslog"), os.path.join(directory, "lines")
        with open(os.path.join(directory, "rsyslog.conf"), "w") as file:
            file.write(f"""
                global(workDirectory="{directory}")
                main_queue(queue.type="LinkedList" queue.size="200000" queue.timeoutEnqueue="60000" queue.timeoutShutdown="60000")
                module(load="imuxsock" SysSock.Use="off")
                template(name="line" type="string" string="%rawmsg%\\n")
                input(type="imuxsock" Socket="{self.socket}" RateLimit.Interval="0" UseSpecialParser="off")
                action(type="omfile" file="{self.out}" template="line")
                """)

    @contextmanager
    def running(self):
        """It ends with SIGTERM, as its service does, and writes what it has."""
        pid = os.path.join(self.directory, "pid")
        arguments = ["-n", "-f", os.path.join(self.directory, "rsyslog.conf"), "-i", pid]
        with process(self.host, "rsyslogd", *arguments, stdout=subprocess.DEVNULL) as rsyslogd:
            wait_until(lambda: os.path.exists(self.socket) and os.path.exists(pid), "rsyslogd to listen")
            yield rsyslogd
            rsyslogd.send_signal(signal.SIGTERM)
            rsyslogd.wait(60)

    def lines(self):
        with open(self.out, "rb") as file:
            return file.read().splitlines()


@needs("rsyslogd")
def test_rsyslog_gets_every_line_of_a_fast_feed(net, start, blast, say, tmp_path):
    rsyslog = Rsyslog(net.host, str(tmp_path))
    daemon = start(config(f'type = "unix"; path = "{rsyslog.socket}";'))
    with rsyslog.running():
        sent = blast(net.peer, GROUP, PORT, 100_000, tag="<13>feed", rate=20_000)
        numbers = wait_settled(daemon, sent)
        wait_until(lambda: len(rsyslog.lines()) >= sent, "rsyslog to read what lies in its socket, which ends with it")
    lines = rsyslog.lines()
    say(f"{sent} sent, {numbers['delivered']} delivered, {len(lines)} in the file, queue at most {numbers['queuedMax']}")
    assert numbers["delivered"] == sent == len(lines) == len(set(lines))


@needs("rsyslogd")
def test_rsyslog_may_end_and_return_and_only_what_came_meanwhile_is_lost(net, start, blast, say, tmp_path):
    rsyslog = Rsyslog(net.host, str(tmp_path))
    daemon = start(config(f'type = "unix"; path = "{rsyslog.socket}";'))
    with net.host, open("/proc/sys/net/unix/max_dgram_qlen") as file:
        room = int(file.read()) + 1
    with blast.stream(net.peer, GROUP, PORT, tag="<13>feed", rate=10_000) as stream:
        for _ in range(2):
            with rsyslog.running():
                before = daemon.handler("out")["delivered"]
                wait_until(lambda: daemon.handler("out")["delivered"] > before + 5000, "lines to be delivered")
            absent = daemon.handler("out")["dropped"]["absent"]
            wait_until(lambda: daemon.handler("out")["dropped"]["absent"] > absent + 100, "it to be missed")
        with rsyslog.running():
            before = daemon.handler("out")["delivered"]
            wait_until(lambda: daemon.handler("out")["delivered"] > before + 5000, "lines to be delivered")
            os.kill(stream.pid, signal.SIGTERM)
            daemon.wait_idle("out")
    numbers = wait_settled(daemon, stream.sent)
    lines = rsyslog.lines()
    unread = numbers["delivered"] - len(lines)
    say(f"{stream.sent} sent, {numbers['delivered']} delivered, {numbers['dropped']['absent']} absent, {len(lines)} in the file")
    assert numbers["delivered"] + numbers["dropped"]["absent"] == stream.sent
    assert len(lines) == len(set(lines))
    # What lay in its socket when it ended, each time.
    assert 0 <= unread <= 3 * room


# ffmpeg


def ffmpeg(*arguments, host=None):
    words = ["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments]
    if host:
        return host.run(*words, timeout=120)
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=120).stdout


def frames(text):
    """The hashes of the frames, as the muxer framemd5 writes them."""
    return re.findall(r"\b[0-9a-f]{32}\b", "\n".join(line for line in text.splitlines() if not line.startswith("#")))


def udp(scheme, host, options):
    return f"{scheme}://{GROUP}:{PORT}?localaddr={host.v4}&ttl=2&{options}"


@needs("ffmpeg")
@pytest.mark.parametrize("strip", ["none", "rtp"])
def test_ffmpeg_decodes_every_frame_of_mpeg_ts_that_a_pipe_hands_it(net, start, programs, say, tmp_path, strip):
    movie = str(tmp_path / "movie.ts")
    ffmpeg("-f", "lavfi", "-i", "testsrc=duration=3:rate=25:size=320x240", "-c:v", "mpeg2video", "-b:v", "4M", "-f", "mpegts", movie)
    expected = frames(ffmpeg("-i", movie, "-f", "framemd5", "-"))
    script = programs.write("decode", 'exec ffmpeg -nostdin -v error -y -f mpegts -i pipe:0 -f framemd5 "$1/frames" 2>"$1/errors"')
    daemon = start(config(f'type = "pipe"; command = {command(script, "$DIR")}; framing = "raw"; strip = "{strip}";'))
    if strip == "rtp":
        target = ["-f", "rtp_mpegts", udp("rtp", net.peer, "pkt_size=1328")]
    else:
        target = ["-f", "mpegts", udp("udp", net.peer, "pkt_size=1316")]
    ffmpeg("-re", "-i", movie, "-c", "copy", *target, host=net.peer)
    wait_until(lambda: daemon.group("feed")["received"], "the stream")
    numbers = wait_settled(daemon, daemon.group("feed")["received"])
    assert numbers["delivered"] == numbers["received"] > 100
    daemon.write_config(config('type = "log";'))
    daemon.ctl("reload")  # the program sees the end
    wait_until(lambda: len(frames(daemon.read("frames").decode())) == len(expected) == 75, "all frames")
    say(f"strip {strip}: {numbers['delivered']} datagrams, {len(expected)} frames")
    # The sender of TS in RTP keeps the end of the last frame to itself.
    whole = len(expected) - (strip == "rtp")
    assert frames(daemon.read("frames").decode())[:whole] == expected[:whole]
    assert strip == "rtp" or daemon.read("errors") == b""


@needs("ffmpeg")
def test_the_samples_of_an_rtp_sender_are_in_a_file_bit_for_bit(net, start, say):
    """RTCP goes to the same port, as some senders have it (RFC 5761)."""
    source = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=3", "-ac", "2", "-c:a", "pcm_s16be"]
    daemon = start(config('type = "file"; path = "$DIR/audio.s16be"; format = "raw"; strip = "rtp";'))
    ffmpeg(*source, "-f", "s16be", daemon.path("expected"))
    ffmpeg("-re", *source, "-f", "rtp", udp("rtp", net.peer, f"rtcpport={PORT}"), host=net.peer)
    wait_until(lambda: daemon.group("feed")["received"], "the stream")
    numbers = wait_settled(daemon, daemon.group("feed")["received"])
    say(f"{numbers['delivered']} of RTP, {numbers['dropped']['strip']} of RTCP")
    assert numbers["dropped"]["strip"] >= 1
    assert numbers["delivered"] + numbers["dropped"]["strip"] == numbers["received"]
    assert daemon.read("audio.s16be") == daemon.read("expected") != b""
