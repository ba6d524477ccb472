"""The service manager on the other side of $NOTIFY_SOCKET: one that does not read, and what its fd store holds.

tests/service has the real one, which always reads.
"""

import array
import os
import signal
import socket
import struct
import sys

import pytest

from harness.daemon import balance
from harness.peers import tutorial_sender
from harness.waiting import TIMEOUT, wait_until
from net import test_metrics

IP_MSFILTER, MCAST_INCLUDE = 41, 1

NEWS = 'news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["raw"]; };\n'
RAW = 'handlers: { raw: { type = "file"; path = "$DIR/raw"; format = "raw"; }; };\n'


def config(*groups):
    return f"groups: {{\n{''.join(groups)}}};\n{RAW}"


def group(number):
    return f'g{number}: {{ address = "233.252.1.{number}"; port = 5004; interfaces = ["eth0"]; }};\n'


class Manager:
    """Receives what services tell, and holds the sockets that they store, as many as it has room for."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(TIMEOUT)
        self.path = path
        self.told = []
        self.stored = []  # of (name, fd)

    def close(self):
        self.socket.close()
        for _, fd in self.stored:
            os.close(fd)

    def fill(self):
        """Leaves no room for a message."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            try:
                while True:
                    other.sendto(b"FILLER=1", self.path)
            except BlockingIOError:
                pass

    def read(self):
        """The next message."""
        data, rights, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(4))
        fds = array.array("i", b"".join(data for _, _, data in rights))
        fields = dict(line.split("=", 1) for line in data.decode().splitlines())
        if "FDSTORE" in fields:
            self.stored.append((fields["FDNAME"], fds[0]))
        elif "FDSTOREREMOVE" in fields:
            for name, fd in self.stored:
                if name == fields["FDNAME"]:
                    os.close(fd)
            self.stored = [item for item in self.stored if item[0] != fields["FDNAME"]]
        if "FILLER" not in fields:
            self.told.append(fields)
        return fields

    def read_all(self):
        """Reads what waits, without waiting for more."""
        self.socket.setblocking(False)
        try:
            while True:
                self.read()
        except BlockingIOError:
            pass
        finally:
            self.socket.settimeout(TIMEOUT)

    def wait_told(self, name, value="1"):
        while self.read().get(name) != value:
            pass

    def told_of(self, *names):
        """The messages with one of these fields, as the name of the field, in order."""
        return [name for fields in self.told for name in names if name in fields]


@pytest.fixture(params=["path", "abstract"])
def any_manager(request, net, tmp_path, monkeypatch):
    yield from make_manager(net, str(tmp_path / "notify") if request.param == "path" else "\0mcastd-test", monkeypatch)


@pytest.fixture
def manager(net, tmp_path, monkeypatch):
    yield from make_manager(net, str(tmp_path / "notify"), monkeypatch)


def make_manager(net, path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", path.replace("\0", "@"))
    with net.host:
        manager = Manager(path)
    yield manager
    manager.close()


@pytest.fixture
def full(manager):
    manager.fill()
    return manager


MORE_THAN_ONE_ROUND_OF_THE_LOOP_READS = 300


def assert_all_is_received_before_the_stop(daemon, net):
    daemon.pause()
    with tutorial_sender(net.peer, "233.252.0.1") as sock:
        for _ in range(MORE_THAN_ONE_ROUND_OF_THE_LOOP_READS):
            sock.sendto(b"x", ("233.252.0.1", 5004))
    daemon.signal(signal.SIGTERM)
    daemon.resume()
    assert daemon.process.wait(TIMEOUT) == 0
    assert daemon.read("raw") == b"x" * MORE_THAN_ONE_ROUND_OF_THE_LOOP_READS


# One that does not read


def test_the_daemon_answers_while_the_service_manager_does_not_read(start, full, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    daemon = start(config(NEWS))
    daemon.call("Reload")
    assert daemon.call("GetStatus")["groups"] == 1


def test_sigterm_ends_the_daemon_while_the_service_manager_does_not_read(start, full):
    daemon = start(config(NEWS))
    daemon.signal(signal.SIGTERM)
    assert daemon.process.wait(TIMEOUT) == 0


def test_what_there_was_no_room_for_is_told_in_order_when_there_is(start, any_manager, net):
    with net.host:
        any_manager.fill()
    daemon = start(config(NEWS))
    daemon.call("Reload")
    any_manager.wait_told("RELOADING")
    any_manager.wait_told("READY")
    assert any_manager.told_of("READY", "RELOADING") == ["READY", "RELOADING", "READY"]
    assert any_manager.told[-1]["STATUS"] == "1 group: 1 membership joined, 0 waiting, 0 failed"
    daemon.signal(signal.SIGTERM)
    any_manager.wait_told("STOPPING")
    assert daemon.process.wait(TIMEOUT) == 0


def test_the_newest_state_is_told_after_more_changes_than_can_wait(start, full):
    daemon = start(config(NEWS))
    for number in range(1, 40):
        daemon.write_config(config(NEWS, *map(group, range(number))))
        daemon.call("Reload")
    full.wait_told("STATUS", "40 groups: 40 memberships joined, 0 waiting, 0 failed")


def test_readiness_is_told_after_more_statuses_than_can_wait(start, full):
    daemon = start(config(NEWS))
    for number in range(1, 40):
        daemon.call("Join", address=f"233.252.1.{number}", port=5004, interfaces=["eth0"])
    full.wait_told("STATUS", "40 groups: 40 memberships joined, 0 waiting, 0 failed")
    assert full.told_of("READY", "STATUS") == ["READY", "STATUS", "STATUS"]


def test_the_watchdog_is_told_again_when_there_is_room_again(start, full, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    start(config(NEWS))
    for _ in range(10):
        full.wait_told("WATCHDOG")
    wait_until(lambda: full.read_all() or len(full.stored) == 2, "the counters and the socket to be stored")


def test_the_socket_that_takes_the_place_of_a_removed_one_is_stored(start, manager):
    """Both have one name in the fd store."""
    daemon = start("""groups: { a: { address = "233.252.0.1"; port = 5001; interfaces = ["eth0"]; socket = true; }; };""")
    wait_until(lambda: len(stored_names(manager)) == 4, "the sockets and the counters to be stored")
    before = stored_names(manager)
    os.remove(daemon.group_path("a"))
    manager.told.clear()
    daemon.ctl("reload")
    wait_until(lambda: manager.read_all() or manager.told_of("READY"), "the end of the reload")
    wait_until(lambda: stored_names(manager) == before, "the new socket to be stored")
    assert len(manager.stored) == 4


def test_what_could_not_be_stored_is_received_before_the_stop(start, full, net):
    assert_all_is_received_before_the_stop(start(config(NEWS)), net)


# What it holds


HAND_OVER = """
import os, socket, sys
path, *command = sys.argv[1:]
with socket.socket(socket.AF_UNIX) as control:
    control.connect(path)
    names, fds, _, _ = socket.recv_fds(control, 65536, 250)
for fd in fds:  # out of the way of their places
    os.dup2(fd, fd + 1000)
for number in range(len(fds)):
    os.dup2(fds[number] + 1000, 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names.decode())
os.closerange(3 + len(fds), 1300)
os.execv(command[0], command)
"""


def start_with(start, stored, tmp_path, text, control=None, **options):
    """Starts a daemon that is given what is stored; control: the path of its control socket, where that is among it."""
    path = str(tmp_path / "hand-over")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        daemon = start(text, wrapper=(sys.executable, "-c", HAND_OVER, path), wait=False, **options)
        listening.settimeout(TIMEOUT)
        with listening.accept()[0] as connection:
            socket.send_fds(connection, [":".join(name for name, _ in stored).encode()], [fd for _, fd in stored])
    os.unlink(path)
    daemon.control_path = control or daemon.control_path
    daemon.wait_until_ready()
    return daemon


def test_commands_in_the_log_name_the_socket_that_systemd_listens_on(start, tmp_path):
    """Whatever control.socket says, which is not used then."""
    path = str(tmp_path / "lab.sock")
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(path)
        passed.listen()
        daemon = start_with(start, [("control", passed.fileno())], tmp_path, control=path, text="""groups: {
            quiet: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; expect_within = "200ms"; }; };""")
    wait_until(lambda: f"to find out why: mcastctl -s {path} doctor quiet\n" in daemon.log(), "the line about silence")
    os.unlink(path)  # it is systemd's, which leaves it there


def stored_names(manager):
    manager.read_all()
    return {name for name, _ in manager.stored}


def end_abruptly(daemon):
    daemon.process.kill()
    daemon.process.wait()


@pytest.fixture
def earlier(start, manager):
    """The manager with what a killed daemon of ten groups has left: their sockets and the counters."""
    daemon = start(config(*map(group, range(1, 11))))
    wait_until(lambda: len(stored_names(manager)) == 11, "the sockets and the counters to be stored")
    end_abruptly(daemon)
    return manager


def test_what_an_earlier_run_has_stored_takes_its_place_in_the_fd_store(start, earlier, tmp_path, monkeypatch):
    monkeypatch.setenv("FDSTORE", "15")
    before = stored_names(earlier)
    daemon = start_with(start, earlier.stored, tmp_path, config(*map(group, range(1, 21))))
    assert "at most 15 sockets: 6 memberships will be joined again after a restart" in daemon.log()
    wait_until(lambda: len(stored_names(earlier)) >= 15, "the store to be full")
    daemon.signal(signal.SIGTERM)
    assert daemon.process.wait(TIMEOUT) == 0
    assert len(stored_names(earlier)) == 15 and before < stored_names(earlier)


def test_what_leaves_the_fd_store_makes_room_for_what_comes(start, earlier, tmp_path, monkeypatch):
    monkeypatch.setenv("FDSTORE", "11")
    before = stored_names(earlier)
    daemon = start_with(start, earlier.stored, tmp_path, config(*map(group, range(6, 16))))
    assert "will be joined again" not in daemon.log()
    wait_until(lambda: len(stored_names(earlier) - before) == 5, "the new sockets to be stored")
    assert len(stored_names(earlier)) == 11


def test_what_the_fd_store_had_no_room_for_is_received_before_the_stop(start, earlier, net, tmp_path, monkeypatch):
    monkeypatch.setenv("FDSTORE", "11")
    daemon = start_with(start, earlier.stored, tmp_path, config(*map(group, range(1, 11)), NEWS))
    assert_all_is_received_before_the_stop(daemon, net)


def test_a_program_reads_its_input_to_the_end_before_it_is_ended(start, manager, net, programs):
    """Also where a stop has one second only, as the sockets are stored."""
    script = programs.write("script", 'cat >"$1/all"; echo whole >"$1/end"')
    daemon = start(f'''groups: {{ {NEWS.replace("raw", "run")} }};
        handlers: {{ run: {{ type = "pipe"; command = ["{script}", "$DIR"]; framing = "raw"; }}; }};''')
    wait_until(lambda: stored_names(manager), "the socket to be stored")
    with tutorial_sender(net.peer, "233.252.0.1") as sock:
        for _ in range(100):
            sock.sendto(b"x" * 100, ("233.252.0.1", 5004))
    wait_until(lambda: daemon.handler("run")["delivered"] == 100, "all to be delivered")
    daemon.signal(signal.SIGTERM)
    assert daemon.process.wait(TIMEOUT) == 0
    assert daemon.read("end") == b"whole\n" and daemon.read("all") == b"x" * 10000


def test_the_numbers_of_a_relays_interfaces_continue(start, manager, net, tmp_path):
    """What went to an interface that the configuration no longer names stays in the sum."""
    def relay(to):
        return (f'''groups: {{ news: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"];
                relay: {{ to = [{to}]; }}; }}; }};\n''')

    def relayed(daemon, copies):
        with tutorial_sender(net.peer, "233.252.0.1") as sock:
            sock.sendto(b"x", ("233.252.0.1", 5004))
        wait_until(lambda: daemon.handler("news.relay")["received"] == copies, f"{copies} copies")

    daemon = start(relay('"eth1", "gone0"'))
    relayed(daemon, 2)
    relayed(daemon, 4)
    wait_until(lambda: len(stored_names(manager)) == 2, "the socket and the counters to be stored")
    end_abruptly(daemon)
    daemon = start_with(start, manager.stored, tmp_path, relay('"eth1"'))
    relayed(daemon, 5)
    interfaces = {i["interface"]: i for i in daemon.handler("news.relay")["interfaces"]}
    assert interfaces["eth1"]["delivered"] == 3
    assert interfaces[None]["received"] == interfaces[None]["dropped"]["absent"] == 2


def test_restarts_are_counted_as_long_as_the_counters_are_stored(start, manager, tmp_path):
    text = config(NEWS) + 'http: { listen = ["127.0.0.1:9184"]; };\n'

    def restarts(daemon):
        return test_metrics.value(test_metrics.scrape(daemon), "mcastd_restarts_total")

    daemon = start(text)
    assert restarts(daemon) == 0
    for number in 1, 2:
        wait_until(lambda: {"counters"} < stored_names(manager), "the socket and the counters to be stored")
        end_abruptly(daemon)
        daemon = start_with(start, manager.stored, tmp_path, text)
        assert restarts(daemon) == number


def kill_in_traffic(start, manager, net, blast, tmp_path, text, kills, **options):
    """Kills daemons that follow each other. Returns the last one and the number of datagrams sent."""
    daemon = start(text, **options)
    with blast.stream(net.peer, "233.252.0.1", 5004, 64, rate=50_000, bulk=True) as stream:
        for _ in range(kills):
            before = daemon.arrived("news")
            wait_until(lambda: daemon.arrived("news") > before + 500, "the stream")
            wait_until(lambda: {"counters"} < stored_names(manager), "the socket and the counters to be stored")
            end_abruptly(daemon)
            daemon = start_with(start, manager.stored, tmp_path, text, **options)
    return daemon, stream.sent


def assert_all_is_known_of_the_handler(daemon, read):
    if read == "recorded":
        assert daemon.handler("raw")["received"] == daemon.group("news")["received"]
        assert balance(daemon.handler("raw")) == 0


READ = {"counted": "", "recorded": ' handlers = ["raw"];', "coalesced": " coalesce = true;", "refused": ' block_sources = ["192.0.2.99"];'}


@pytest.mark.parametrize("read", READ)
def test_daemons_that_are_killed_in_traffic_leave_nothing_unexplained(start, manager, net, blast, tmp_path, read):
    text = config(f'news: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"];{READ[read]} }};')
    daemon, sent = kill_in_traffic(start, manager, net, blast, tmp_path, text, 3)
    daemon.wait_arrived("news", sent)
    assert_all_is_known_of_the_handler(daemon, read)


@pytest.mark.long
@pytest.mark.parametrize("read", READ)
def test_250_daemons_that_are_killed_in_traffic_leave_nothing_unexplained(
        start, manager, net, blast, tmp_path, say, release, read):
    text = config(f'news: {{ address = "233.252.0.1"; port = 5004; interfaces = ["eth0"];{READ[read]} }};')
    daemon, sent = kill_in_traffic(start, manager, net, blast, tmp_path, text, 250, binary=release)
    daemon.wait_arrived("news", sent)
    assert_all_is_known_of_the_handler(daemon, read)
    group = daemon.group("news")
    say(f"{read}: {sent:,} sent over 250 kills = {group['received']:,} received + {group['kernelDropped']:,} dropped by the kernel")


def test_the_counters_of_a_membership_go_on_after_the_daemon_was_killed(start, manager, net, tmp_path):
    daemon = start(config(NEWS))
    wait_until(lambda: len(stored_names(manager)) == 2, "the socket and the counters to be stored")
    with tutorial_sender(net.peer, "233.252.0.1") as sock:
        for _ in range(3):
            sock.sendto(b"abc", ("233.252.0.1", 5004))
        wait_until(lambda: daemon.arrived("news") == 3, "three datagrams")
        end_abruptly(daemon)
        sock.sendto(b"d", ("233.252.0.1", 5004))
        daemon = start_with(start, manager.stored, tmp_path, config(NEWS))
        wait_until(lambda: daemon.arrived("news") == 4, "the one that came meanwhile")
    membership = daemon.membership("news", "eth0")
    assert (membership["received"], membership["receivedBytes"], membership["joins"]) == (4, 10, 1)
    assert membership["lastReceived"] == daemon.group("news")["lastReceived"]


def change_filter(host, fd, sources):
    """Has the stored socket take these senders only, as while it is reported again; where there are none, it leaves."""
    group, interface = (socket.inet_aton(address) for address in ("233.252.0.1", host.v4))
    with socket.socket(fileno=os.dup(fd)) as stored:
        if sources:
            stored.setsockopt(socket.IPPROTO_IP, IP_MSFILTER, group + interface + struct.pack("=II", MCAST_INCLUDE, len(sources))
                              + b"".join(map(socket.inet_aton, sources)))
        else:
            stored.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, group + interface)


@pytest.mark.parametrize("sources, joins", [(["192.0.2.1"], 1), ([], 2)])
@pytest.mark.parametrize("blocked", ["", 'block_sources = ["203.0.113.9"];'])
def test_a_socket_that_was_being_reported_at_a_kill_takes_all_senders_again(start, manager, net, tmp_path, sources, joins, blocked):
    text = config(NEWS.replace("};", f"{blocked} }};"))
    daemon = start(text)
    wait_until(lambda: len(stored_names(manager)) == 2, "the socket and the counters to be stored")
    end_abruptly(daemon)
    change_filter(net.host, next(fd for name, fd in manager.stored if name != "counters"), sources)
    daemon = start_with(start, manager.stored, tmp_path, text)
    with tutorial_sender(net.peer, "233.252.0.1") as sock:
        sock.sendto(b"x", ("233.252.0.1", 5004))
        wait_until(lambda: daemon.arrived("news") == 1, "the datagram")
    assert daemon.membership("news", "eth0")["joins"] == joins
