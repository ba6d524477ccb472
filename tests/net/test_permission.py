"""Who may send to a group and receive it: one rule for its socket file and for the control socket."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile

import pytest

from harness.daemon import MCASTCTL, Daemon, subscribe
from harness.peers import receive, send, seqpacket, seqpacket_at_once, tutorial_receiver
from harness.strangers import NOBODY, as_stranger, stranger
from harness.topology import Namespace
from harness.waiting import TIMEOUT, wait_until

USER = "daemon"  # there on every Linux, with a group of the same name
GROUP = "daemon"

# In each group another key says who may.
CONFIG = """
groups: {
  plain: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; sources = ["192.0.2.2", "192.0.2.1"]; socket = true; };
  mute:  { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; socket = true; allow_send = []; };
  heard: { address = "233.252.0.3"; port = 5004; interfaces = ["eth0"]; socket = true; allow_receive = ["user:nobody"]; };
};
""" + f'user = "{USER}";\n'


def user_of(name):
    """A user by its number and its other groups; member is in the daemon's."""
    if name == "member":
        return {"uid": 65533, "groups": (pwd.getpwnam(USER).pw_gid,)}
    return {"uid": pwd.getpwnam(USER if name == "daemon" else name).pw_uid}


@pytest.fixture(scope="module")
def owned():
    """Makes directories for daemons that become USER."""
    made = []

    def make():
        made.append(tempfile.mkdtemp(prefix="mcastd-permission-"))
        os.chmod(made[-1], 0o755)
        shutil.chown(made[-1], USER)
        shutil.copy(MCASTCTL, made[-1])
        return made[-1]

    yield make
    for directory in made:
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def daemon(net, owned):
    with open("/proc/self/uid_map") as file:
        if int(file.read().split()[2]) < 65535:
            pytest.skip("there is only one user in this user namespace: run the tests as root")
    with Daemon(net.host, CONFIG, directory=owned()) as daemon:
        yield daemon


@pytest.fixture
def begin(start, owned, daemon):
    """Starts a daemon that becomes USER, for one test."""
    return lambda config: start(config + f'user = "{USER}";\n', directory=owned())


def ctl(daemon, *arguments, uid=NOBODY):
    """What mcastctl, run by another user, exits with, and what it says of that."""
    result = subprocess.run([daemon.path("mcastctl"), "-s", daemon.control_path, *arguments], stdin=subprocess.DEVNULL, text=True,
                            capture_output=True, timeout=4 * TIMEOUT, user=uid, group=uid, extra_groups=[], cwd="/")
    return result.returncode, result.stderr or result.stdout


def reload(daemon, config):
    daemon.write_config(config + f'user = "{USER}";\n')
    return daemon.call("Reload")


# The table

MAY = {
    ("plain", "root"): "sr", ("plain", "daemon"): "sr", ("plain", "member"): "sr", ("plain", "nobody"): "",
    ("mute", "root"): "r", ("mute", "daemon"): "r", ("mute", "member"): "r", ("mute", "nobody"): "",
    ("heard", "root"): "s", ("heard", "daemon"): "s", ("heard", "member"): "s", ("heard", "nobody"): "r",
}

AT_THE_CONTROL_SOCKET = """
group = sys.stdin.readline().strip()
print(call(connect(), "Send", group=group, text="x"), flush=True)
stream = connect()
stream.sendall(json.dumps({"method": "io.mcastd.Subscribe", "more": True, "parameters": {"groups": [group]}}).encode() + b"\\n")
print(answer(stream), flush=True)
"""

AT_THE_GROUP_SOCKET = """
path = sys.stdin.readline().strip()
is_stream = path.endswith(".stream")
sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if is_stream else socket.SOCK_SEQPACKET)
try:
    sock.connect(path)
    sock.send(b"\\0\\0\\0\\4text" if is_stream else b"from a program")
    print("wrote", flush=True)
except (PermissionError, BrokenPipeError) as error:
    print(type(error).__name__, flush=True)
for line in sys.stdin:
    try:
        print("data" if sock.recv(100, socket.MSG_DONTWAIT) else "closed", flush=True)
    except BlockingIOError:
        print("open", flush=True)
    except ConnectionResetError:
        print("closed", flush=True)
"""


def ask(child, line):
    child.stdin.write(line + "\n")
    child.stdin.flush()


def feed(net, daemon, group):
    send(net.peer, b"from the network", daemon.group(group)["address"], 5004)


def try_control_socket(net, daemon, group, user):
    with stranger(daemon, AT_THE_CONTROL_SOCKET, **user) as child:
        ask(child, group)
        may = "s" if child.stdout.readline() == "ok\n" else ""
        wait_until(lambda: child.poll() is not None or feed(net, daemon, group), "an answer to Subscribe")
        assert child.returncode == 0
        return may + ("r" if child.stdout.read() == "ok\n" else "")


def try_group_stream(net, daemon, group, user):
    return try_group_socket(net, daemon, group, user, ".stream")


def try_group_socket(net, daemon, group, user, suffix=""):
    """A program that may do nothing is refused by the kernel, or disconnected at once. One that may not send may have written before
    it was accepted."""
    before = daemon.group(group)
    with stranger(daemon, AT_THE_GROUP_SOCKET, **user) as child:
        def state():
            ask(child, "state")
            return child.stdout.readline().strip()

        def is_judged():
            numbers = daemon.group(group)
            return numbers["sent"] > before["sent"] or numbers["sendFailed"] > before["sendFailed"] or state() == "closed"

        ask(child, daemon.group_path(group + suffix))
        written = child.stdout.readline()
        if written == "PermissionError\n":
            return ""
        wait_until(lambda: written == "BrokenPipeError\n" or is_judged(), "the program to be judged")
        if state() == "closed":
            return ""
        may = "s" if daemon.group(group)["sent"] > before["sent"] else ""
        received = daemon.group(group)["received"]
        feed(net, daemon, group)
        wait_until(lambda: daemon.group(group)["received"] > received, "a datagram")
        return may + ("r" if state() == "data" else "")


@pytest.mark.parametrize("door", [try_control_socket, try_group_socket, try_group_stream], ids=["control", "socket", "stream"])
@pytest.mark.parametrize("group, user", MAY, ids=["-".join(row) for row in MAY])
def test_what_a_user_may_do_is_the_same_at_each_door(net, daemon, group, user, door):
    assert door(net, daemon, group, user_of(user)) == MAY[group, user]


# Refusals

@pytest.mark.parametrize("arguments, what", [
    (("send", "plain", "x"), "send to"), (("send", "plain", "x", "--ttl", "0"), "send to"), (("tail", "plain"), "receive")],
    ids=["send", "send-with-a-ttl", "tail"])
def test_by_default_a_stranger_is_refused_with_what_would_do(daemon, arguments, what):
    status, words = ctl(daemon, *arguments)
    key = "allow_receive" if what == "receive" else "allow_send"
    assert status == 1
    assert words == (f"mcastctl: {arguments[0]}: user nobody may not {what} group plain; to change that: usermod -aG {GROUP} nobody, "
                     f'and log in again; or write {key} = ["socket", "user:nobody"]; in groups.plain, {daemon.config_path}:3, '
                     "and reload\n")


def test_a_list_that_does_not_name_a_user_is_where_to_add_it(daemon):
    status, words = ctl(daemon, "send", "mute", "x", uid=0)
    assert status == 1
    assert words == ("mcastctl: send: user root may not send to group mute; to change that: add \"user:root\" to allow_send in "
                     f"groups.mute, {daemon.config_path}:4, and reload\n")


def test_tail_without_a_name_needs_one_group_that_one_may_receive(daemon, begin):
    only_plain = begin(CONFIG.replace(f'user = "{USER}";\n', "").replace('["user:nobody"]', '["user:root"]'))
    status, words = ctl(only_plain, "tail")
    assert status == 1 and "user nobody may not receive group plain" in words
    assert ctl(daemon, "tail", "--timeout", "10ms")[1] == "mcastctl: tail: timeout: no datagram came\n"


def test_events_have_a_rule_of_their_own(daemon, begin):
    status, words = ctl(daemon, "tail", "events")
    assert status == 1
    assert words == (f"mcastctl: tail: user nobody may not receive group events; to change that: usermod -aG {GROUP} nobody, and log "
                     'in again; or write allow_receive = ["socket", "user:nobody"]; in events: { ... };, and reload\n')
    told = begin('events: { allow_receive = ["user:nobody"]; socket = true; };\n')
    assert ctl(told, "tail", "events", "--timeout", "10ms")[1] == "mcastctl: tail: timeout: no datagram came\n"
    assert told.ctl("tail", "events", status=1).startswith("mcastctl: tail: user root may not receive group events; to change that: "
                                                           'add "user:root" to allow_receive in events: { ... };, ')
    with seqpacket(told.group_path("events")) as sock:
        assert sock.recv(100) == b""


def test_a_group_that_join_made_has_the_default(daemon):
    daemon.ctl("join", "233.252.0.9:5009%eth0", "--name", "joined")
    try:
        assert ctl(daemon, "tail", "joined") == (
            1, f"mcastctl: tail: user nobody may not receive group joined; to change that: usermod -aG {GROUP} nobody, and log in again\n")
        assert as_stranger(daemon, "print(call(connect(), 'Send', group='joined', text='x'))", **user_of("member")) == ["ok"]
    finally:
        daemon.ctl("leave", "joined")


def test_join_is_no_way_around_the_rule_of_a_group(daemon):
    """Root of a container that has the control socket mounted may join."""
    for address, what in ("233.252.0.2", "send to group mute"), ("233.252.0.3", "receive group heard"):
        error = daemon.error("Join", address=address, port=5004, name="another", interfaces=["eth0"])
        assert error.name == "io.mcastd.NotPermitted"
        assert error.parameters["message"].startswith(f"user root may not {what}; to change that: add ")
    daemon.call("Join", address="233.252.0.2", port=5005, name="another", interfaces=["eth0"])
    daemon.call("Leave", name="another")


def test_counters_are_for_everybody_and_addresses_of_senders_are_not(daemon):
    script = """
stream = connect()
stream.sendall(request("GetStats"))
stats = json.loads(stream.makefile().readline())["parameters"]
print(*[json.dumps(group["sources"]).replace(" ", "") for group in stats["groups"] if group["name"] != "mute"],
      all("received" in group for group in stats["groups"]), len(stats["handlers"]) > 0)"""
    for user, shown in ("nobody", ["[]", "null"]), ("member", ["null", '["192.0.2.2","192.0.2.1"]']), \
            ("daemon", ["[]", '["192.0.2.2","192.0.2.1"]']), ("root", ["[]", '["192.0.2.2","192.0.2.1"]']):
        assert as_stranger(daemon, script, **user_of(user)) == [*shown, "True", "True"]
    assert ctl(daemon, "groups")[0] == ctl(daemon, "stats", "--check")[0] == 0


def test_connections_of_one_user_with_other_groups_get_what_each_may(net, daemon):
    """Subscribers of one user share what is written to them."""
    subscribe_to_all = """
stream = connect()
stream.sendall(json.dumps({"method": "io.mcastd.Subscribe", "more": True}).encode() + b"\\n")
print(call(connect(), "GetStatus"), flush=True)
file = stream.makefile()
while sys.stdin.readline():
    print(json.loads(file.readline())["parameters"]["datagram"]["group"], flush=True)
"""
    subscribers = daemon.call("GetStatus")["subscribers"]
    with stranger(daemon, subscribe_to_all, groups=user_of("member")["groups"]) as inside, stranger(daemon, subscribe_to_all) as outside:
        wait_until(lambda: daemon.call("GetStatus")["subscribers"] == subscribers + 2, "both to subscribe")
        feed(net, daemon, "plain")
        daemon.wait_arrived("plain", daemon.arrived("plain"))
        feed(net, daemon, "heard")
        for child, groups in (inside, ("plain", "heard")), (outside, ("heard",)):
            assert child.stdout.readline() == "ok\n"
            for group in groups:
                ask(child, "next")
                assert child.stdout.readline().strip() == group


@pytest.mark.parametrize("count, answers", [(40, "ok"), (1024, "ok"), (1025, "io.mcastd.NotPermitted")])
def test_a_user_is_in_a_bounded_number_of_groups(net, daemon, count, answers):
    groups = (*user_of("member")["groups"], *range(70001, 70000 + count))
    assert as_stranger(daemon, "print(call(connect(), 'Send', group='plain', text='x'))", groups=groups) == [answers]
    assert try_group_socket(net, daemon, "plain", {"groups": groups}) == ("sr" if answers == "ok" else "")


def test_what_was_written_before_a_program_was_judged_counts(daemon):
    before = daemon.group("mute")["sendFailed"]
    daemon.pause()
    with seqpacket_at_once(daemon.group_path("mute")) as early:
        early.send(b"early")
        daemon.resume()
        wait_until(lambda: daemon.group("mute")["sendFailed"] == before + 1, "the datagram to count")
    assert "group mute: a datagram from its socket was not sent: user " in daemon.log()


def test_what_was_written_by_a_program_that_is_refused_counts(daemon):
    before = daemon.group("heard")["sendFailed"]
    daemon.pause()
    with stranger(daemon, AT_THE_GROUP_SOCKET, uid=65533) as early:
        ask(early, daemon.group_path("heard"))
        assert early.stdout.readline() == "wrote\n"
        daemon.resume()
        wait_until(lambda: daemon.group("heard")["sendFailed"] == before + 1, "the datagram to count")
        ask(early, "state")
        assert early.stdout.readline() == "closed\n"


IN_A_CONTAINER = """
import json, socket
group = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
group.connect("/mnt/run/groups/mute")
try:
    while True:
        group.send(b"x")
except BrokenPipeError:
    print("EPIPE", flush=True)
control = socket.socket(socket.AF_UNIX)
control.connect("/mnt/mcastd.sock")
control.sendall(b'{"method":"io.mcastd.Send","parameters":{"group":"mute","text":"x"}}\\n')
print(json.loads(control.makefile().readline())["error"], flush=True)
print(group.recv(100).decode(), flush=True)
"""


def test_root_of_a_container_cannot_send_to_a_group_that_nobody_may_send_to(net, daemon):
    container = Namespace()
    try:
        with container:
            child = subprocess.Popen(["unshare", "-m", "sh", "-c", 'mount --bind "$0" /mnt && exec "$@"', daemon.directory,
                                      sys.executable, "-c", IN_A_CONTAINER], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "EPIPE\n"
        assert child.stdout.readline() == "io.mcastd.NotPermitted\n"
        wait_until(lambda: child.poll() is not None or feed(net, daemon, "mute"), "the datagram inside")
        assert child.stdout.read() == "from the network\n"
        assert daemon.group("mute")["sent"] == 0
    finally:
        child.kill()
        child.communicate()
        container.close()


def test_the_file_is_open_where_a_list_names_somebody(daemon):
    modes = {name: os.stat(daemon.group_path(name)).st_mode & 0o777 for name in ("plain", "mute", "heard")}
    assert modes == {"plain": 0o660, "mute": 0o660, "heard": 0o666}


# In a user namespace

ROOT_ALONE = "unshare", "--user", "--map-root-user"
SHARED = 'groups: { news: { address = "233.252.0.5"; port = 5004; interfaces = ["eth0"]; %s }; };\n'


@pytest.fixture
def in_user_namespace(start, daemon):
    """Starts a daemon that knows root and nobody else."""

    def begin(keys):
        inside = start(SHARED % keys, wrapper=ROOT_ALONE)
        os.chmod(inside.directory, 0o755)
        shutil.copy(MCASTCTL, inside.directory)
        return inside

    return begin


@pytest.mark.parametrize("arguments, verb", [(("send", "news", "hello"), "send to"), (("tail", "news"), "receive")])
def test_a_user_whom_the_namespace_does_not_map_is_told_what_lets_everybody_and_not_to_name_who_it_seems(
        in_user_namespace, arguments, verb):
    status, words = ctl(in_user_namespace(""), *arguments, uid=1234)
    assert status == 1 and f"user nobody may not {verb} group news" in words and 'write socket_mode = "0666"' in words, words
    assert "user:nobody" not in words and "usermod" not in words, words


def test_what_a_user_whom_the_namespace_does_not_map_is_told_lets_it(in_user_namespace):
    assert ctl(in_user_namespace('allow_send = ["user:root"];'), "send", "news", "hello", uid=1234)[1].count(
        'add "socket" to allow_send and write socket_mode = "0666"') == 1
    assert ctl(in_user_namespace('allow_send = ["user:root", "socket"]; socket_mode = "0666";'), "send", "news", "hello", uid=1234)[0] == 0


@pytest.mark.parametrize("keys, key", [('allow_send = ["user:nobody"];', "allow_send"), ('allow_receive = ["group:65534"];', "allow_receive"),
                                       ('socket_group = "65534";', "socket_group")])
def test_a_start_warns_of_a_name_that_all_have_whom_the_namespace_does_not_map(in_user_namespace, keys, key):
    log = in_user_namespace(keys).log()
    assert f"groups.news: warning: {key} lets every " in log, log


# Reload

NEWS = 'groups: { news: { address = "233.252.0.4"; port = 5004; interfaces = ["eth0"]; socket = true; %s }; };\n'


def test_a_reload_ends_subscribers_who_may_no_longer_receive(begin):
    daemon = begin(NEWS % "")
    with subscribe(daemon, "news") as control, subscribe(daemon) as to_all, daemon.start_tail("news") as tail:
        reload(daemon, NEWS % 'allow_receive = ["user:nobody"];')
        for stream in control, to_all:
            reply = stream.reply()
            assert reply["error"] == "io.mcastd.NotPermitted" and reply["parameters"]["group"] == "news"
            assert reply["parameters"]["message"].startswith(
                'user root may not receive group news; to change that: add "user:root" to allow_receive in groups.news')
            assert stream.read() == b""
        assert tail.communicate(timeout=TIMEOUT)[1].startswith(b"mcastctl: tail: user root may not receive group news")
        assert tail.returncode == 1
        assert daemon.call("GetStatus")["subscribers"] == 0


def test_a_reload_keeps_those_who_may_still_receive(net, begin):
    daemon = begin(NEWS % "")
    with subscribe(daemon, "news") as control, seqpacket(daemon.group_path("news")) as sock:
        sock.send(b"first")
        assert control.result()["datagram"]["text"] == "first" and sock.recv(100) == b"first"
        reload(daemon, NEWS % 'allow_send = ["group:root"]; allow_receive = ["user:root"];')
        feed(net, daemon, "news")
        assert control.result()["datagram"]["text"] == "from the network" and sock.recv(100) == b"from the network"
        sock.send(b"second")
        assert control.result()["datagram"]["text"] == "second"


def test_a_reload_disconnects_programs_that_may_no_longer_receive(begin):
    daemon = begin(NEWS % "")
    with seqpacket(daemon.group_path("news")) as sock:
        sock.send(b"x")
        assert sock.recv(100) == b"x"
        reload(daemon, NEWS % 'allow_receive = [];')
        assert sock.recv(100) == b""
    assert "group news: disconnecting a program at its socket: user root may not receive group news" in daemon.log()


def test_a_reload_stops_programs_from_sending_and_they_still_receive(net, begin):
    daemon = begin(NEWS % "")
    with seqpacket(daemon.group_path("news")) as sock, tutorial_receiver(net.peer, "233.252.0.4", 5004) as peer:
        sock.send(b"x")
        assert receive(peer) == [b"x"] and sock.recv(100) == b"x"
        reload(daemon, NEWS % 'allow_send = [];')
        with pytest.raises(BrokenPipeError):
            sock.send(b"y")
        feed(net, daemon, "news")
        assert sock.recv(100) == b"from the network"


def test_a_reload_lets_a_connected_program_receive(net, begin):
    daemon = begin(NEWS % 'allow_receive = [];')
    with seqpacket(daemon.group_path("news")) as sock:
        sock.send(b"x")
        wait_until(lambda: daemon.group("news")["sent"] == 1, "the program to be judged")
        reload(daemon, NEWS % "")
        feed(net, daemon, "news")
        assert sock.recv(100) == b"from the network"


def test_a_changed_mode_is_for_those_who_are_connected_too(begin):
    daemon = begin(NEWS % 'loop = false; socket_mode = "0666";')
    with stranger(daemon, AT_THE_GROUP_SOCKET) as child:
        ask(child, daemon.group_path("news"))
        assert child.stdout.readline() == "wrote\n"
        wait_until(lambda: daemon.group("news")["sent"] == 1, "the program to be judged")
        reload(daemon, NEWS % "loop = false;")
        ask(child, "state")
        assert child.stdout.readline() == "closed\n"
        assert ctl(daemon, "tail", "news")[0] == 1
