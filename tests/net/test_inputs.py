"""What comes in from a broker, and leaves to groups: with an engine and a broker of the tests (harness/brokered.py)."""

import signal
import socket
import struct
import subprocess
import threading
import time
from random import Random

import pytest

from harness.brokered import Broker, place_with_engine
from harness.peers import IP_RECVTTL, receive, receiver_on, send
from harness.waiting import TIMEOUT, wait_until
from net import FAMILIES
from net.test_service_manager import end_abruptly, manager, start_with, stored_names  # noqa: F401 (a fixture)

PORT = 5999
SO_RCVBUFFORCE = 33
LARGEST = {"4": 65507, "6": 65527}
ADDRESS = {"4": "233.252.0.1", "6": "ff15::1"}


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return place_with_engine(tmp_path_factory.mktemp("place")).mcastd


@pytest.fixture
def brokers(tmp_path):
    brokers = {}

    def broker(name="hq"):
        if name not in brokers:
            brokers[name] = Broker(str(tmp_path / f"{name}.sock"))
        return brokers[name]

    yield broker
    for broker in brokers.values():
        broker.close()


@pytest.fixture
def broker(brokers):
    return brokers()


def group(name="news", keys="", family="4", inputs='"hq"', interfaces='"eth0"'):
    return f'{name}: {{ address = "{ADDRESS[family]}"; port = 5004; interfaces = [{interfaces}]; ' \
           f'{f"inputs = [{inputs}];" if inputs else ""} {keys} }};\n'


def config(tmp_path, *groups, handlers=("hq",), keys="", port=PORT, more=""):
    for name in handlers:
        (tmp_path / name).touch()
    engines = "".join(f'{name}: {{ type = "nats"; servers = ["nats://127.0.0.1"]; site = "here"; '
                      f'credentials = "{tmp_path}/{name}"; {keys} }};\n' for name in handlers)
    return f"import_port = {port};\ngroups: {{ {''.join(groups)} }};\nhandlers: {{ {engines} {more} }};\n"


@pytest.fixture
def begin(start, binary, broker, tmp_path):
    """Starts a daemon with these groups, and waits until they are joined."""

    def begin(*groups, **options):
        daemon = start(config(tmp_path, *groups, **options), binary=binary)
        wait_until(lambda: all(m["state"] == "joined" for g in daemon.call("ListGroups")["groups"]
                               for m in g["memberships"] if g["name"] != "lost"), "the groups to be joined")
        return daemon

    return begin


def numbered(part, parts, count, padding=0):
    """The payloads of one part of so many, of which each has its number."""
    return [b"%06d" % n + bytes(padding) for n in range(part * count // parts, (part + 1) * count // parts)]


def came_in(daemon, handler="hq"):
    return daemon.handler(handler)["input"]


def reload(daemon, text):
    daemon.write_config(text)
    return daemon.ctl("reload")


# ---- Out to the network ----


@FAMILIES
def test_what_comes_in_leaves_from_import_port_as_the_group_sends(begin, broker, net, family):
    daemon = begin(group(family=family, keys="ttl = 7; dscp = 46;"))
    with receiver_on(net.peer, ADDRESS[family], 5004, "eth0") as receiver:
        receiver.setsockopt(*{"4": (socket.IPPROTO_IP, IP_RECVTTL, 1),
                              "6": (socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)}[family])
        broker.publish("news", b"hello")
        payload, ancillary, _, source = receiver.recvmsg(2000, 200)
    assert payload == b"hello" and source[:2] == (getattr(net.host, f"v{family}"), PORT)
    assert struct.unpack("@i", ancillary[0][2])[0] == 7
    broker.wait_acknowledged()
    assert (daemon.group("news")["sent"], daemon.group("news")["sentBytes"]) == (1, 5)
    assert came_in(daemon) == {
        "groups": ["news"], "taken": 1, "sent": 1, "dropped": dict(own=0, duplicate=0, size=0, send=0, shutdown=0),
        "waiting": 0, "waitingBytes": 0, "gaps": 0}


@FAMILIES
def test_receivers_on_this_host_get_it_as_well(begin, broker, family):
    daemon = begin(group(family=family, keys='handlers = ["hq"];'))
    broker.publish("news", b"hello")
    wait_until(lambda: daemon.group("news")["received"] == 1, "the group to hear it")
    assert daemon.group("news")["sent"] == 1


def test_without_loop_only_others_get_it(begin, broker, net):
    daemon = begin(group(keys="loop = false;"))
    with receiver_on(net.peer, ADDRESS["4"], 5004, "eth0") as receiver:
        broker.publish("news", b"hello")
        assert receive(receiver) == [b"hello"]
        send(net.peer, b"end", ADDRESS["4"], 5004)
        wait_until(lambda: daemon.group("news")["received"], "a datagram")
    assert daemon.group("news")["received"] == 1


def test_it_leaves_by_each_interface_of_the_group_and_comes_back_once(begin, broker, net):
    daemon = begin(group(interfaces='"eth0", "eth1"'))
    with receiver_on(net.peer, ADDRESS["4"], 5004, "eth0") as near, \
            receiver_on(net.side, ADDRESS["4"], 5004, "eth0") as far:
        broker.publish("news", b"hello")
        assert receive(near) == receive(far) == [b"hello"]
    wait_until(lambda: daemon.group("news")["echoed"], "the second copy")
    assert (daemon.group("news")["received"], daemon.group("news")["sent"]) == (1, 1)


def test_a_relay_does_not_pass_it_on(begin, broker, net):
    daemon = begin(group(keys="relay: { };", interfaces='"eth0", "eth1"'))
    with receiver_on(net.peer, ADDRESS["4"], 5004, "eth0") as near, \
            receiver_on(net.side, ADDRESS["4"], 5004, "eth0") as far:
        broker.publish("news", b"hello")
        assert receive(near) == receive(far) == [b"hello"]
        wait_until(lambda: daemon.handler("news.relay")["received"], "the relay to see it")
        send(net.peer, b"end", ADDRESS["4"], 5004)
        assert receive(far) == [b"end"]
    assert daemon.handler("news.relay")["delivered"] == 1


def test_many_arrive_in_order_and_are_acknowledged(begin, broker, net):
    daemon = begin(group())
    payloads = [b"%06d" % n for n in range(5000)]
    with receiver_on(net.peer, ADDRESS["4"], 5004, "eth0") as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        broker.publish("news", *payloads)
        assert receive(receiver, len(payloads)) == payloads
    broker.wait_acknowledged()
    assert came_in(daemon)["sent"] == daemon.group("news")["sent"] == len(payloads)


# ---- What is not sent ----


@FAMILIES
def test_what_no_datagram_can_be_is_dropped_for_its_size(begin, broker, net, family):
    daemon = begin(group(family=family))
    with receiver_on(net.peer, ADDRESS[family], 5004, "eth0") as receiver:
        broker.publish("news", bytes(LARGEST[family] + 1), bytes(100000), bytes(LARGEST[family]), b"end")
        assert [len(receiver.recv(70000)) for _ in range(2)] == [LARGEST[family], 3]
    broker.wait_acknowledged()
    came = came_in(daemon)
    assert (came["taken"], came["sent"], came["dropped"]["size"]) == (4, 2, 2)
    assert daemon.group("news")["sendFailed"] == 2


def test_a_group_that_cannot_send_does_not_hold_up_the_others(begin, broker, net):
    daemon = begin(group(), 'lost: { address = "233.252.0.9"; port = 5004; interfaces = ["nowhere0"]; inputs = ["hq"]; };')
    with receiver_on(net.peer, ADDRESS["4"], 5004, "eth0") as receiver:
        broker.publish("lost", *[b"lost"] * 200)
        broker.publish("news", b"hello")
        assert receive(receiver) == [b"hello"]
    broker.wait_acknowledged()
    came = came_in(daemon)
    assert (came["sent"], came["dropped"]["send"]) == (1, 200)
    assert daemon.group("lost")["sendFailed"] == 200
    warning = 'group lost: a datagram that came in by handler hq was not sent: there is no interface "nowhere0"'
    assert daemon.log().count("group lost: a datagram that came in by handler hq was not sent: ") == 1, warning


def test_an_import_port_that_another_program_holds_is_named(begin, broker, net):
    with net.host:
        holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with holder:
        holder.bind(("", PORT))
        daemon = begin(group())
        error = f"import_port {PORT} is held by a program that does not share it (SO_REUSEADDR); ss -lunp may show which"
        assert daemon.group("news")["outgoing"][0]["error"] == error
        broker.publish("news", b"x")
        broker.wait_acknowledged()
    assert came_in(daemon)["dropped"]["send"] == 1


def test_what_no_group_takes_is_dropped_and_said(begin, broker):
    daemon = begin(group(), group("other", inputs="", interfaces='"eth1"'))
    broker.publish("nobody", b"x")
    broker.publish("other", b"x")
    broker.wait_acknowledged()
    assert came_in(daemon)["dropped"]["send"] == 2
    assert daemon.group("other")["sent"] == 0
    assert 'handler hq: a datagram that came in for group nobody was not sent: no group of this name has "hq" in its ' \
           "inputs\n" in daemon.log()


def test_what_an_engine_drops_itself_and_what_never_came_is_counted(begin, broker):
    daemon = begin(group())
    broker.wait_groups("news")
    broker.count(b"D\x00")
    broker.count(b"D\x01")
    broker.count(b"G" + struct.pack("=q", 7))
    broker.count(b"G" + struct.pack("=q", -2))
    wait_until(lambda: came_in(daemon)["gaps"] == 5, "the gaps")
    came = came_in(daemon)
    assert (came["taken"], came["dropped"]["own"], came["dropped"]["duplicate"]) == (2, 1, 1)
    assert daemon.ctl("stats", "--check") == "every datagram is accounted for\n"


# ---- A busy network ----


@pytest.fixture
def limit(net):
    """Limits what the host can send to the side."""

    def limit(rate):
        try:
            net.host.run(*f"tc qdisc replace dev eth1 root tbf rate {rate} burst 20k limit 50m".split())
        except subprocess.CalledProcessError:
            pytest.skip("this kernel has no queueing discipline tbf")

    yield limit
    net.host.run("tc", "qdisc", "del", "dev", "eth1", "root", check=False)


def test_a_busy_network_is_waited_for_and_other_handlers_go_on(begin, broker, brokers, net, limit):
    limit("20mbit")
    other, count = brokers("other"), 6000
    daemon = begin(group("slow", interfaces='"eth1"', keys="loop = false;"), group("fast", inputs='"other"'),
                   handlers=("hq", "other"))
    received = []
    with receiver_on(net.side, ADDRESS["4"], 5004, "eth0") as slow, \
            receiver_on(net.peer, ADDRESS["4"], 5004, "eth0") as fast:
        slow.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        reader = threading.Thread(target=lambda: received.extend(slow.recv(2000)[:6] for _ in range(count)))
        reader.start()
        broker.publish("slow", *[b"%06d" % n + bytes(1394) for n in range(count)])
        wait_until(lambda: came_in(daemon)["waitingBytes"] > 3 << 20, "the ring to be full")
        other.publish("fast", b"hello")
        assert receive(fast) == [b"hello"]
        assert came_in(daemon)["waitingBytes"] <= 4 << 20
        reader.join(4 * TIMEOUT)
    # The kernel takes them from the queue on two processors, which may overtake one another.
    assert sorted(received) == [b"%06d" % n for n in range(count)]
    broker.wait_acknowledged()
    assert came_in(daemon)["sent"] == count


@pytest.fixture
def flooded(begin, broker):
    """A daemon that sends what comes in for one group as fast as it can, and more always waits; the other group receives."""
    daemon = begin(group("flood", interfaces='"eth1"', keys="loop = false;"),
                   group("calm", inputs="", keys='receive_buffer = "64M";'))
    broker.wait_groups("flood")
    broker.flood("flood", bytes(64))
    wait_until(lambda: came_in(daemon)["waiting"] and came_in(daemon)["sent"] > 10000, "the flood")
    return daemon


def test_a_flood_that_comes_in_holds_up_neither_receiving_nor_control(flooded, net):
    for count in range(1, 51):
        send(net.peer, b"x", ADDRESS["4"], 5004)
        wait_until(lambda: flooded.group("calm")["received"] == count, "a datagram")
    wait_until(lambda: came_in(flooded)["waiting"], "the flood to be ahead")
    assert not flooded.group("calm")["kernelDropped"]


@pytest.mark.long
def test_beside_a_flood_that_comes_in_another_group_loses_nothing(flooded, net, blast):
    before = came_in(flooded)["sent"]
    sent = blast(net.peer, ADDRESS["4"], 5004, 500_000, interface="eth0", rate=50_000)
    flooded.wait_arrived("calm", sent)
    calm = flooded.group("calm")
    assert (calm["received"], calm["kernelDropped"]) == (sent, 0)
    assert came_in(flooded)["waiting"] and came_in(flooded)["sent"] - before > sent / 2


@pytest.mark.long
def test_beside_a_flood_that_comes_in_control_answers_within_a_tenth_of_a_second(flooded, net, blast):
    times = []
    with blast.stream(net.peer, ADDRESS["4"], 5004, 64, rate=50_000, interface="eth0"), flooded.connect() as control:
        for _ in range(500):
            began = time.monotonic()
            control.call("GetStatus")
            times.append(time.monotonic() - began)
            time.sleep(0.01)
    assert sorted(times)[475] < 0.1  # the machine may stop any program for longer


# ---- Reload ----


def test_the_handler_is_told_which_groups_take_what_comes_in(begin, broker, tmp_path):
    one, two = group("one"), group("two", interfaces='"eth1"')
    daemon = begin(one)
    broker.wait_groups("one")
    reload(daemon, config(tmp_path, one, two))
    broker.wait_groups("one", "two")
    reload(daemon, config(tmp_path, two))
    broker.wait_groups("two")
    assert broker.sessions == 1


def test_a_handler_without_groups_is_told_of_none(begin, broker, tmp_path):
    daemon = begin(group())
    reload(daemon, config(tmp_path, group(inputs="")))
    broker.wait_groups()
    assert came_in(daemon)["groups"] == []


def test_another_import_port_is_used_from_the_reload_on(begin, broker, net, tmp_path):
    daemon = begin(group())
    assert "import_port: changed" in reload(daemon, config(tmp_path, group(), port=6001))
    with receiver_on(net.peer, ADDRESS["4"], 5004, "eth0") as receiver:
        broker.publish("news", b"hello")
        payload, source = receiver.recvfrom(2000)
    assert (payload, source[1]) == (b"hello", 6001)


def test_a_reload_that_changes_the_handler_loses_and_repeats_nothing(begin, broker, net, limit, tmp_path):
    """The network is slow, so that much waits whenever the handler is replaced."""
    limit("50mbit")
    news, count, received = group(interfaces='"eth1"', keys="loop = false;"), 9000, []
    daemon = begin(news)
    with receiver_on(net.side, ADDRESS["4"], 5004, "eth0") as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        reader = threading.Thread(target=lambda: received.extend(payload[:6] for payload in receive(receiver, count)))
        reader.start()
        for part in range(3):
            broker.publish("news", *numbered(part, 3, count, padding=1394))
            wait_until(lambda: came_in(daemon)["waiting"] > 100, "something to wait")
            reload(daemon, config(tmp_path, news, keys=f"window = {100 + part};"))
        broker.wait_acknowledged()
        reader.join(TIMEOUT)
    assert sorted(received) == [b"%06d" % n for n in range(count)]
    wait_until(lambda: broker.finished == 3, "all but the last to have ended")
    assert (broker.sessions, broker.most) == (4, 1)
    assert came_in(daemon)["sent"] == came_in(daemon)["taken"] == count


def forgetting(brokers, tmp_path):
    """A broker that forgets what it has handed over, as one of MQTT."""
    brokers().forgets = True
    return brokers(), lambda *groups, keys="": config(tmp_path, *groups, keys="metadata = false; " + keys)


def test_what_a_broker_has_handed_over_for_good_outlives_a_reload(start, binary, brokers, net, tmp_path):
    broker, text = forgetting(brokers, tmp_path)
    daemon = start(text(group()), binary=binary)
    count, received = 20000, []
    with receiver_on(net.peer, ADDRESS["4"], 5004, "eth0") as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        reader = threading.Thread(target=lambda: received.extend(receive(receiver, count)))
        reader.start()
        for part in range(5):
            broker.publish("news", *numbered(part, 5, count))
            reload(daemon, text(group(), keys=f"window = {100 + part};"))
        reader.join(TIMEOUT)
    assert received == [b"%06d" % n for n in range(count)]
    assert came_in(daemon)["sent"] == came_in(daemon)["taken"] == count


def test_what_a_broker_has_handed_over_for_good_is_sent_before_the_stop(start, binary, brokers, net, tmp_path):
    broker, text = forgetting(brokers, tmp_path)
    count, received = 50000, []
    with receiver_on(net.peer, ADDRESS["4"], 5004, "eth0") as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 128 << 20)
        reader = threading.Thread(target=lambda: received.extend(receive(receiver, count)))
        reader.start()
        for part in range(4):
            broker.publish("news", *numbered(part, 4, count))
            daemon = start(text(group()), binary=binary)
            wait_until(lambda: came_in(daemon)["sent"], "something to be sent")
            if part < 3:
                daemon.stop()
        reader.join(TIMEOUT)
    assert received == [b"%06d" % n for n in range(count)]


def test_a_reload_that_changes_the_group_loses_nothing(begin, broker, net, tmp_path):
    daemon = begin(group())
    count, received = 20000, []
    with receiver_on(net.peer, ADDRESS["4"], 5004, "eth0") as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        reader = threading.Thread(target=lambda: received.extend(receive(receiver, count)))
        reader.start()
        for part in range(5):
            broker.publish("news", *numbered(part, 5, count))
            reload(daemon, config(tmp_path, group(keys=f"dscp = {part};")))
        reader.join(TIMEOUT)
    assert received == [b"%06d" % n for n in range(count)]
    assert came_in(daemon)["sent"] == count


def storm(random, tmp_path):
    """A configuration that differs from the others in what handlers, groups and inputs are."""
    names = random.sample(["hq", "other"], random.choice([1, 2, 2]))
    lists = ["", *[f'"{name}"' for name in names], ", ".join(f'"{name}"' for name in names)]
    keys = f"dscp = {random.randrange(2)};"
    groups = [group(name, inputs=random.choice(lists), keys=f"{keys} handlers = [{random.choice(lists)}];", family=family)
              for name, family in (("news", "4"), ("more", "6")) if random.random() < 0.8]
    return config(tmp_path, *groups, handlers=names, port=random.choice([PORT, PORT, 6001]),
                  keys=f"window = {random.randrange(100, 103)};")


@pytest.mark.long
def test_a_storm_of_reloads_under_traffic_both_ways_keeps_the_account_exact(start, binary, brokers, net, tmp_path):
    random = Random(14)
    hq, other = brokers("hq"), brokers("other")
    daemon = start(config(tmp_path, group(), handlers=("hq", "other")), binary=binary)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for broker in hq, other:
            broker.publish(random.choice(["news", "more", "nobody"]), *[b"x" * random.randrange(1000)] * random.randrange(300))
        send(net.peer, b"y", ADDRESS["4"], 5004)
        daemon.write_config(storm(random, tmp_path))
        if random.random() < 0.5:
            daemon.call("Reload")
        else:
            daemon.process.send_signal(signal.SIGHUP)
        assert daemon.ctl("stats", "--check") == "every datagram is accounted for\n"
    daemon.write_config(config(tmp_path, group(), group("more", family="6"), handlers=("hq", "other")))
    daemon.call("Reload")
    hq.publish("news", b"end")
    hq.wait_acknowledged()


# ---- Stop ----


def test_a_stop_sends_what_was_taken_and_leaves_the_rest_to_the_next_run(start, binary, broker, net, tmp_path):
    count, received, text = 50000, [], config(tmp_path, group())
    with receiver_on(net.peer, ADDRESS["4"], 5004, "eth0") as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 128 << 20)
        reader = threading.Thread(target=lambda: received.extend(receive(receiver, count)))
        reader.start()
        for part in range(4):
            broker.publish("news", *numbered(part, 4, count))
            daemon = start(text, binary=binary)
            wait_until(lambda: came_in(daemon)["sent"], "something to be sent")
            if part < 3:
                daemon.stop()
                broker.wait_disconnected()
        broker.wait_acknowledged()
        reader.join(TIMEOUT)
    assert received == [b"%06d" % n for n in range(count)]


def test_a_stop_in_the_middle_of_a_reload_drops_nothing(start, binary, broker, net, tmp_path):
    count, received, groups = 60000, [], 1500
    more = [f'm{n}: {{ address = "233.252.1.{n % 250 + 1}"; port = {6000 + n}; interfaces = ["eth0"]; }};' for n in range(groups)]
    with receiver_on(net.peer, ADDRESS["4"], 5004, "eth0") as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 128 << 20)
        reader = threading.Thread(target=lambda: received.extend(receive(receiver, count)))
        reader.start()
        for part in range(3):
            broker.publish("news", *[b"%06d" % n for n in range(part * count // 3, (part + 1) * count // 3)])
            daemon = start(config(tmp_path, group()), binary=binary)
            wait_until(lambda: came_in(daemon)["sent"], "something to be sent")
            daemon.write_config(config(tmp_path, group(), *more, keys=f"window = {100 + part};"))
            daemon.process.send_signal(signal.SIGHUP)
            wait_until(lambda: daemon.call("GetStatus")["groups"] > 2 + part * groups // 4, "groups to be added")
            daemon.process.terminate()
            assert daemon.process.wait(TIMEOUT) == 0
            assert "dropped" not in daemon.log()
        start(config(tmp_path, group()), binary=binary)
        broker.wait_acknowledged()
        reader.join(TIMEOUT)
    assert received == [b"%06d" % n for n in range(count)]


def test_what_cannot_be_sent_before_the_stop_is_not_acknowledged(start, binary, broker, net, limit, tmp_path, directory):
    limit("1mbit")
    text = config(tmp_path, group(interfaces='"eth1"', keys="loop = false;"))
    daemon = start(text, binary=binary, directory=directory)
    broker.publish("news", *[bytes(1400)] * 2500)
    wait_until(lambda: came_in(daemon)["taken"] == 2500 and came_in(daemon)["waiting"] > 1000, "much to wait")
    daemon.stop()
    assert 0 < broker.acknowledged < 2500
    assert "that came in dropped, not sent before it had to stop\n" in daemon.log()


def test_what_waited_when_the_daemon_was_killed_is_counted_and_comes_again(
        start, binary, broker, net, limit, manager, tmp_path, directory):  # noqa: F811
    limit("1mbit")
    text = config(tmp_path, group(interfaces='"eth1"', keys="loop = false;"))
    daemon = start(text, binary=binary, directory=directory)
    wait_until(lambda: "counters" in stored_names(manager), "the counters to be stored")
    broker.publish("news", *[bytes(1400)] * 2500)
    wait_until(lambda: came_in(daemon)["taken"] == 2500 and came_in(daemon)["waiting"] > 1000, "much to wait")
    end_abruptly(daemon)
    broker.wait_disconnected()
    acknowledged, text = broker.acknowledged, config(tmp_path, group())
    second = start_with(start, manager.stored, tmp_path, text, binary=binary, directory=directory)
    broker.wait_acknowledged()
    came = came_in(second)
    assert came["dropped"]["shutdown"] > 1000 and came["waiting"] == 0
    assert came["taken"] - came["dropped"]["shutdown"] == came["sent"] >= 2500 > acknowledged
    assert f'handler hq: {came["dropped"]["shutdown"]} datagrams that came in dropped, still waiting when the daemon ' \
           "ended\n" in second.log()
