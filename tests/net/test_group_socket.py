"""A group is a file: what is written to it is sent, what is read from it was received."""

import os
import select
import socket
import stat
import subprocess
import threading

import pytest

from harness.peers import LARGEST, process, receive, send, seqpacket, seqpacket_at_once, stream_at_once, tutorial_receiver
from harness.records import ALL_BYTES
from harness.topology import Namespace
from harness.waiting import wait_until
from net import FAMILIES

CONFIG = """
groups: {
  news4:   { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; };
  news6:   { address = "ff15::1";     port = 5004; interfaces = ["eth0"]; socket = true; };
  readers: { address = "233.252.0.2"; port = 5005; interfaces = ["eth0"]; socket = true; };
  large:   { address = "233.252.0.3"; port = 5006; interfaces = ["eth0"]; socket = true; };
  busy:    { address = "233.252.0.4"; port = 5007; interfaces = ["eth0"]; socket = true; handlers = ["raw"];
             receive_buffer = "8M"; };
  private: { address = "233.252.0.5"; port = 5008; interfaces = ["eth0"]; socket = true; socket_mode = "0600"; };
  shared:  { address = "233.252.0.6"; port = 5009; interfaces = ["eth0"]; socket = true; socket_mode = "0666";
             socket_group = "root"; };
  filled:  { address = "233.252.0.8"; port = 5011; interfaces = ["eth0"]; socket = true; socket_empty = false; };
  closed:  { address = "233.252.0.7"; port = 5010; interfaces = ["eth0"]; };
};
handlers: { raw: { type = "file"; path = "$DIR/raw"; format = "raw"; }; };
"""

ADDRESS = {"4": "233.252.0.1", "6": "ff15::1"}


def member(daemon, group):
    return seqpacket(daemon.group_path(group))


def wait_read_by(sock, daemon, net, group):
    """Waits until a fresh connection receives: the daemon accepts it in its own time."""
    numbers = daemon.group(group)
    sock.settimeout(0.05)

    def receives():
        send(net.other, b"are you there?", numbers["address"], numbers["port"])
        try:
            return sock.recv(100)
        except TimeoutError:
            return None

    wait_until(receives, "the group socket to be read by us")
    arrived = daemon.arrived(group)
    send(net.other, b"last", numbers["address"], numbers["port"])
    daemon.wait_arrived(group, arrived + 1)
    sock.settimeout(15)
    while sock.recv(100) != b"last":
        pass
    return sock


@FAMILIES
def test_what_is_written_is_sent(daemon, net, family):
    with tutorial_receiver(net.peer, ADDRESS[family], 5004) as peer, member(daemon, f"news{family}") as sock:
        sock.send(ALL_BYTES)
        sock.send(b"second")
        assert receive(peer, 2) == [ALL_BYTES, b"second"]


@FAMILIES
def test_what_arrives_is_read(daemon, net, family):
    with wait_read_by(member(daemon, f"news{family}"), daemon, net, f"news{family}") as sock:
        send(net.peer, ALL_BYTES, ADDRESS[family], 5004)
        send(net.peer, b"second", ADDRESS[family], 5004)
        assert receive(sock, 2) == [ALL_BYTES, b"second"]


def socat(daemon, net, group, port, *payloads):
    """What socat prints of a group, which ends at the first empty datagram that it gets."""
    address = daemon.group(group)["address"]
    before = daemon.group(group)
    reader = subprocess.Popen(
        ["socat", "-u", f"UNIX-CONNECT:{daemon.group_path(group)},type=5", "STDOUT"], stdout=subprocess.PIPE)
    with reader:
        def reads():
            send(net.other, b"?", address, port)
            return select.select([reader.stdout], [], [], 0.05)[0]

        wait_until(reads, "socat to print")
        for payload in payloads:
            send(net.peer, payload, address, port)
        read = b""
        while not read.endswith(b"end") and (some := os.read(reader.stdout.fileno(), 4096)):
            read += some
        ended = not read.endswith(b"end")
        reader.kill()
    return read.lstrip(b"?"), ended, daemon.group(group)["emptySkipped"] - before["emptySkipped"]


def test_socat_ends_at_a_datagram_without_payload(daemon, net):
    assert socat(daemon, net, "large", 5006, b"a", b"", b"b", b"end") == (b"a", True, 0)


def test_socat_reads_on_where_the_group_does_not_pass_empty_datagrams(daemon, net):
    assert socat(daemon, net, "filled", 5011, b"a", b"", b"", b"b", b"", b"end") == (b"abend", False, 3)
    assert daemon.group("filled")["unread"] == 0


def test_datagrams_without_payload_are_sent(daemon, net):
    with tutorial_receiver(net.peer, ADDRESS["4"], 5004) as peer, member(daemon, "news4") as sock:
        for payload in (b"", b"", b"after", b""):
            sock.send(payload)
        sock.send(b"last")
        assert receive(peer, 5) == [b"", b"", b"after", b"", b"last"]


def test_a_datagram_without_payload_right_before_closing_is_sent(daemon, net):
    with tutorial_receiver(net.peer, ADDRESS["4"], 5004) as peer:
        for number in range(20):
            with member(daemon, "news4") as sock:
                sock.send(b"%d" % number)
                sock.send(b"")
            assert receive(peer, 2) == [b"%d" % number, b""]


def test_what_was_written_is_sent_although_the_program_leaves_something_unread(daemon, net):
    """The kernel then reports a reset before it hands over what was written (unix(7))."""
    with tutorial_receiver(net.peer, ADDRESS["4"], 5004) as peer:
        with wait_read_by(member(daemon, "news4"), daemon, net, "news4") as sock:
            send(net.other, b"unread", ADDRESS["4"], 5004)
            sock.recv(100, socket.MSG_PEEK)
            daemon.pause()
            for payload in (b"first", b"", b"last"):
                sock.send(payload)
        daemon.resume()
        while receive(peer) != [b"unread"]:
            pass
        assert receive(peer, 3) == [b"first", b"", b"last"]


def test_datagrams_without_payload_are_read(daemon, net):
    with wait_read_by(member(daemon, "news4"), daemon, net, "news4") as sock:
        send(net.peer, b"", ADDRESS["4"], 5004)
        send(net.peer, b"next", ADDRESS["4"], 5004)
        assert receive(sock, 2) == [b"", b"next"]


def test_a_program_that_only_writes_may_close_its_reading_half(daemon, net):
    with tutorial_receiver(net.peer, ADDRESS["4"], 5004) as peer, member(daemon, "news4") as sock:
        sock.shutdown(socket.SHUT_RD)
        unread = daemon.group("news4")["unread"]
        send(net.other, b"for nobody", ADDRESS["4"], 5004)
        assert receive(peer) == [b"for nobody"]
        sock.send(b"still sending")
        assert receive(peer) == [b"still sending"]
        assert daemon.group("news4")["unread"] == unread


def test_a_program_that_only_reads_may_close_its_writing_half(daemon, net):
    with wait_read_by(member(daemon, "news4"), daemon, net, "news4") as sock:
        sock.shutdown(socket.SHUT_WR)
        send(net.other, b"still reading", ADDRESS["4"], 5004)
        assert receive(sock) == [b"still reading"]


def test_largest_datagrams_go_both_ways(daemon, net):
    payload = os.urandom(LARGEST)
    with tutorial_receiver(net.peer, "233.252.0.3", 5006) as peer, member(daemon, "large") as sock:
        wait_read_by(sock, daemon, net, "large")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        while receive(peer) != [b"last"]:
            pass
        sock.send(payload)
        assert receive(peer) == [payload]
        assert receive(sock) == [payload]


def test_what_is_too_large_is_refused_and_the_socket_stays_usable(daemon, net):
    with tutorial_receiver(net.peer, "233.252.0.3", 5006) as peer, member(daemon, "large") as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.send(bytes(LARGEST + 1))
        sock.send(b"small")
        assert receive(peer) == [b"small"]
    wait_until(lambda: "65507" in daemon.log(), "a word about it in the log")
    assert daemon.group("large")["sendFailed"] == 1


def test_every_program_at_the_socket_gets_every_datagram(daemon, net):
    members = [wait_read_by(member(daemon, "readers"), daemon, net, "readers") for _ in range(5)]
    send(net.peer, b"for all", "233.252.0.2", 5005)
    for sock in members:
        payload = b""
        while payload != b"for all":  # before it lies what was sent while the others came
            payload = sock.recv(100)
        sock.close()


def test_a_program_that_does_not_read_costs_the_others_nothing(daemon, net, blast):
    with member(daemon, "busy") as idle, wait_read_by(member(daemon, "busy"), daemon, net, "busy") as sock:
        before, read = daemon.arrived("busy"), 0
        for _ in range(20):
            blast(net.peer, "233.252.0.4", 5007, 100, 1000)
            for _ in range(100):
                assert len(sock.recv(2000)) == 1000
                read += 1
        assert read == daemon.arrived("busy") - before == 2000
        while (oldest := idle.recv(2000)) in (b"are you there?", b"last"):
            pass
        assert len(oldest) == 1000  # still connected, with what fitted into its buffer


def read_with_gaps(sock):
    """Reads all that waits. Returns how many datagrams that were, and the gaps that they told of."""
    count, gaps = 0, []
    sock.setblocking(False)
    while True:
        try:
            data, descriptors, _, _ = socket.recv_fds(sock, 2000, 1)
        except BlockingIOError:
            return count, gaps
        count += 1
        for descriptor in descriptors:
            with os.fdopen(descriptor, "rb") as file:
                gaps.append(file.read())


def test_a_program_that_did_not_read_is_told_of_the_gap(daemon, net, blast):
    with wait_read_by(member(daemon, "busy"), daemon, net, "busy") as sock:
        unread, arrived = daemon.group("busy")["unread"], daemon.arrived("busy")
        daemon.wait_arrived("busy", arrived + blast(net.peer, "233.252.0.4", 5007, 4000, 1000))
        missed = daemon.group("busy")["unread"] - unread
        assert missed > 0
        assert read_with_gaps(sock) == (4000 - missed, [])
        blast(net.peer, "233.252.0.4", 5007, 100, 10)
        daemon.wait_arrived("busy", arrived + 4100)
        assert read_with_gaps(sock) == (100, [b"gap %d\n" % missed])


def test_slow_readers_do_not_pile_up_gaps(daemon, net, blast):
    """Each gap is a file; a reader that is always a little too slow has no more than a few waiting for it."""
    with wait_read_by(member(daemon, "busy"), daemon, net, "busy") as sock:
        unread, arrived = daemon.group("busy")["unread"], daemon.arrived("busy")
        for n in range(400):
            daemon.wait_arrived("busy", arrived + 200 * n + blast(net.peer, "233.252.0.4", 5007, 200, 200))
            for _ in range(20):
                sock.recv(2000)
        assert daemon.group("busy")["unread"] > unread
        assert len(read_with_gaps(sock)[1]) < 10


def test_a_program_that_knows_nothing_of_gaps_reads_on_after_one(daemon, net, blast):
    with wait_read_by(member(daemon, "busy"), daemon, net, "busy") as sock:
        arrived, unread = daemon.arrived("busy"), daemon.group("busy")["unread"]
        daemon.wait_arrived("busy", arrived + blast(net.peer, "233.252.0.4", 5007, 4000, 1000))
        assert daemon.group("busy")["unread"] > unread
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            while sock.recv(2000):
                pass
        send(net.peer, b"after", "233.252.0.4", 5007)
        sock.settimeout(15)
        assert sock.recv(2000) == b"after"


def test_an_empty_datagram_can_be_told_from_the_end(daemon, net):
    with wait_read_by(member(daemon, "news4"), daemon, net, "news4") as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        send(net.peer, b"", ADDRESS["4"], 5004)
        data, control, _, _ = sock.recvmsg(100, 100)
        assert data == b"" and control


def test_sent_datagrams_are_counted(daemon):
    before = daemon.group("closed")["sent"], daemon.group("private")["sent"]
    with member(daemon, "private") as sock:
        sock.send(b"four")
        sock.send(b"")
    wait_until(lambda: daemon.group("private")["sent"] == before[1] + 2, "the counter")
    assert daemon.group("private")["sentBytes"] == 4
    assert daemon.group("closed")["sent"] == before[0]


def test_file_permissions_are_as_configured(daemon):
    modes = {name: stat.S_IMODE(os.stat(daemon.group_path(name)).st_mode) for name in ("news4", "private", "shared")}
    assert modes == {"news4": 0o660, "private": 0o600, "shared": 0o666}
    assert os.stat(daemon.group_path("shared")).st_gid == 0


def test_only_groups_that_ask_for_it_have_a_socket(daemon):
    names = set(os.listdir(daemon.path("run", "groups")))
    groups = {"news4", "news6", "readers", "large", "busy", "private", "shared", "filled"}
    assert names == groups | {f"{name}.stream" for name in groups}


def listening(daemon):
    """The paths that ss shows of the daemon's listening sockets."""
    with daemon.host:
        lines = subprocess.run(["ss", "-xlH"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {words[4] for words in map(str.split, lines) if words[4].startswith(daemon.directory)}


def test_sockets_are_named_as_their_files_also_after_a_reload_that_changes_them(start):
    config = """groups: { a: { address = "233.252.0.9"; port = 5004; interfaces = ["lo"]; socket = true; %s };
        b: { address = "233.252.0.10"; port = 5004; interfaces = ["lo"]; socket = true; }; };
        http: { listen = ["$DIR/http"]; socket_mode = "%s"; };"""
    daemon = start(config % ("", "0660"))
    paths = {daemon.path("http"), daemon.control_path} | {
        daemon.group_path(name) for name in ("a", "a.stream", "b", "b.stream")}
    for keys, mode in (("", "0660"), ('socket_mode = "0600"; ttl = 3;', "0600"), ("ttl = 4;", "0666")):
        daemon.write_config(config % (keys, mode))
        daemon.ctl("reload")
        assert listening(daemon) == paths
        for path in paths:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET if path[-2:] in ("/a", "/b") else socket.SOCK_STREAM) as sock:
                sock.connect(path)
                assert sock.getpeername() == path


def test_a_reload_changes_the_permissions_of_the_files_that_are_there(start):
    config = """groups: { a: { address = "233.252.0.9"; port = 5004; interfaces = ["lo"]; socket = true; %s }; };"""
    daemon = start(config % "")
    files = [daemon.group_path("a"), daemon.group_path("a.stream")]
    before = [os.stat(file).st_ino for file in files]
    daemon.write_config(config % 'socket_mode = "0606";')
    daemon.ctl("reload")
    assert [stat.S_IMODE(os.stat(file).st_mode) for file in files] == [0o606, 0o606]
    assert [os.stat(file).st_ino for file in files] == before


@pytest.mark.parametrize("change", ["ttl = 2;", ""], ids=["group", "nothing"])
def test_a_file_that_somebody_removed_is_there_again_after_a_reload(start, change):
    """Whatever the reload changes."""
    config = """groups: { a: { address = "233.252.0.9"; port = 5004; interfaces = ["lo"]; socket = true; %s }; };"""
    daemon = start(config % "")
    with member(daemon, "a") as before:
        os.remove(daemon.group_path("a"))
        daemon.write_config(config % change)
        daemon.ctl("reload")
        with member(daemon, "a") as after:
            before.send(b"to both")
            assert after.recv(10) == before.recv(10) == b"to both"
    assert "group a: its socket a was removed by somebody, and is there again\n" in daemon.log()


def test_a_file_in_whose_place_another_program_listens_does_not_keep_a_reload_from_the_rest(start):
    config = """groups: { a: { address = "233.252.0.9"; port = 5004; interfaces = ["lo"]; socket = true; };
        b: { address = "233.252.0.10"; port = 5004; interfaces = ["lo"]; %s }; };"""
    daemon = start(config % "")
    os.remove(daemon.group_path("a"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
        other.bind(daemon.group_path("a"))
        other.listen()
        daemon.write_config(config % "socket = true;")
        daemon.ctl("reload")
        with member(daemon, "b"):
            assert "group a: its socket was removed by somebody, and cannot be made again: " in daemon.log()
    os.remove(daemon.group_path("a"))
    daemon.ctl("reload")
    with member(daemon, "a"):
        assert "group a: its socket a was removed by somebody, and is there again\n" in daemon.log()


def test_a_reload_that_fails_leaves_no_file_of_a_new_group(start):
    config = """groups: { a: { address = "233.252.0.9"; port = 5004; interfaces = ["lo"]; socket = true; %s }; %s };"""
    daemon = start(config % ("", ""))
    os.mkdir(daemon.group_path("z"))
    new = " ".join('%s: { address = "233.252.0.%d"; port = 5004; interfaces = ["lo"]; socket = true; };' % (name, number)
                   for name, number in (("b", 11), ("z", 12)))
    daemon.write_config(config % ("ttl = 2;", new))
    assert "z is there and is not a socket" in daemon.ctl("reload", status=1)
    assert sorted(os.listdir(daemon.path("run", "groups"))) == ["a", "a.stream", "z"]
    with member(daemon, "a") as sock:
        assert sock.getpeername() == daemon.group_path("a")


def test_no_connection_fails_while_a_reload_changes_the_group(start):
    config = """groups: { a: { address = "233.252.0.9"; port = 5004; interfaces = ["lo"]; socket = true; ttl = %d; }; };"""
    daemon = start(config % 1)
    failures, done = [], threading.Event()

    def connect():
        while not done.is_set():
            try:
                for path, open_at in ((daemon.group_path("a"), seqpacket_at_once), (daemon.group_path("a.stream"), stream_at_once)):
                    open_at(path).close()
            except BlockingIOError:
                pass  # more wait than the queue takes: the program waits, too
            except OSError as error:
                failures.append(str(error))

    thread = threading.Thread(target=connect)
    thread.start()
    try:
        for ttl in range(2, 12):
            daemon.write_config(config % ttl)
            daemon.ctl("reload")
    finally:
        done.set()
        thread.join()
    assert not failures


def test_socket_files_are_removed_at_the_end(start):
    daemon = start("""groups: {
        gone: { address = "233.252.0.9"; port = 5004; interfaces = ["lo"]; socket = true; }; };""")
    assert os.path.exists(daemon.group_path("gone"))
    daemon.process.terminate()
    assert daemon.process.wait(15) == 0
    assert not os.path.exists(daemon.group_path("gone"))


def test_a_start_removes_what_is_left_of_groups_that_are_no_more(start, directory):
    one, two = ('%s: { address = "233.252.0.%d"; port = 5004; interfaces = ["eth0"]; socket = true; };' % of for of in (("one", 1), ("two", 2)))
    start(f"groups: {{ {one} {two} }};", directory=directory).kill()
    sockets = f"{directory}/run/groups"
    assert {"two", "two.stream"} <= set(os.listdir(sockets))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as bound, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others:
        bound.bind(f"{sockets}/bound")  # and does not listen yet
        others.bind(f"{sockets}/others")
        open(f"{sockets}/file", "w").close()
        start(f"groups: {{ {one} }};", directory=directory)
        wait_until(lambda: set(os.listdir(sockets)) == {"one", "one.stream", "bound", "others", "file"}, "the rest to be removed")


def test_a_container_without_network_gets_multicast_through_the_file(daemon, net):
    container = Namespace()
    try:
        with tutorial_receiver(net.peer, ADDRESS["4"], 5004) as peer:
            connection = f"UNIX-CONNECT:{daemon.group_path('news4')},type=5"
            container.run("socat", "-u", "-", connection, input="from inside")
            assert receive(peer) == [b"from inside"]
            with process(container, "socat", "-u", connection, "-") as inside:
                def has_received():
                    send(net.peer, b"x", ADDRESS["4"], 5004)
                    return select.select([inside.stdout], [], [], 0)[0]

                wait_until(has_received, "a datagram inside")
                assert os.read(inside.stdout.fileno(), 1) == b"x"
    finally:
        container.close()


def test_a_bind_mount_is_enough(daemon, net, tmp_path):
    (tmp_path / "socket").touch()
    script = 'mount --bind "$0" "$1" && printf mounted | socat -u - UNIX-CONNECT:"$1",type=5'
    with tutorial_receiver(net.peer, ADDRESS["4"], 5004) as peer:
        subprocess.run(["unshare", "-m", "sh", "-c", script, daemon.group_path("news4"), str(tmp_path / "socket")],
                       check=True, timeout=30)
        assert receive(peer) == [b"mounted"]
