"""Where a group is joined, and what its state is when it cannot be."""

import subprocess

import pytest

from harness.daemon import MCASTD
from harness.peers import has_membership, process, send
from harness.waiting import wait_until

FAMILIES = pytest.mark.parametrize("address", ["233.252.0.1", "ff15::1"], ids=["v4", "v6"])


def group(name, address, port=5004, **keys):
    keys = {"handlers": '["lines"]', **keys}
    rest = " ".join(f"{key} = {value};" for key, value in keys.items())
    return f'{name}: {{ address = "{address}"; port = {port}; {rest} }};\n'


def config(*groups):
    return f"groups: {{ {''.join(groups)} }};\n" \
        'handlers: { lines: { type = "file"; path = "$DIR/lines"; format = "line"; queue = "16M"; }; };\n'


@pytest.fixture
def interfaces(net):
    """Adds interfaces to the host, which go with the test."""
    added = []

    def add(*names, up=True):
        for name in names:
            net.host.ip(f"link add {name} type veth peer name far-{name}", *([f"link set {name} up"] if up else []))
            added.append(name)

    yield add
    net.host.ip(*(f"link del {name}" for name in added))


def states(daemon, name):
    return {m["interface"]: m["state"] for m in daemon.group(name)["memberships"]}


@FAMILIES
def test_a_group_is_joined_and_left_again(start, net, address):
    daemon = start(config(group("news", address, interfaces='["eth0"]')))
    daemon.wait_joined("news")
    assert has_membership(net.host, address)
    daemon.stop()
    assert not has_membership(net.host, address)


@FAMILIES
def test_an_interface_that_is_absent_leaves_the_membership_waiting(start, net, address):
    daemon = start(config(group("news", address, interfaces='["eth0", "later0"]')))
    assert states(daemon, "news") == {"eth0": "joined", "later0": "waiting"}
    membership = daemon.membership("news", "later0")
    assert membership["error"] and membership["since"].endswith("Z")
    send(net.peer, b"meanwhile", address, 5004)
    wait_until(lambda: b"meanwhile" in daemon.read("lines"), "the other membership to receive")


def test_a_daemon_whose_interfaces_are_all_absent_runs(start):
    daemon = start(config(group("news", "233.252.0.1", interfaces='["later0"]')))
    assert daemon.call("GetStatus")["memberships"] == {"joined": 0, "waiting": 1, "failed": 0}


@FAMILIES
def test_an_interface_that_is_down_leaves_the_membership_waiting(start, interfaces, address):
    interfaces("idle0", up=False)
    daemon = start(config(group("news", address, interfaces='["idle0"]')))
    assert states(daemon, "news") == {"idle0": "waiting"}
    assert "down" in daemon.membership("news", "idle0")["error"]


@FAMILIES
def test_a_glob_joins_on_what_it_matches(start, net, interfaces, address):
    interfaces("vlan1", "vlan20", "wlan0")
    daemon = start(config(group("news", address, interfaces='["vlan*"]')))
    assert states(daemon, "news") == {"vlan1": "joined", "vlan20": "joined"}
    assert has_membership(net.host, address, "vlan20")
    assert not has_membership(net.host, address, "wlan0")


def test_globs_know_question_marks_and_sets(start, interfaces):
    interfaces("vlan1", "vlan2", "vlan3", "vlan10")
    daemon = start(config(group("news", "233.252.0.1", interfaces='["vlan[12]"]'),
                          group("more", "233.252.0.2", interfaces='["vlan?"]')))
    assert set(states(daemon, "news")) == {"vlan1", "vlan2"}
    assert set(states(daemon, "more")) == {"vlan1", "vlan2", "vlan3"}


def test_an_interface_that_is_meant_twice_is_joined_once(start, net):
    daemon = start(config(group("news", "233.252.0.1", interfaces='["eth0", "eth*", "e*0"]')))
    assert states(daemon, "news") == {"eth0": "joined", "eth1": "joined"}
    send(net.peer, b"once", "233.252.0.1", 5004)
    daemon.wait_arrived("news", 1)


def test_a_glob_that_matches_nothing_waits(start):
    daemon = start(config(group("news", "233.252.0.1", interfaces='["nothing*"]')))
    assert states(daemon, "news") == {"nothing*": "waiting"}


def test_by_default_every_interface_that_can_do_multicast_is_joined_but_lo(start):
    daemon = start(config(group("news", "233.252.0.1")))
    assert states(daemon, "news") == {"eth0": "joined", "eth1": "joined"}


def test_lo_is_joined_when_it_is_named(start, net):
    daemon = start(config(group("news", "233.252.0.1", interfaces='["lo"]')))
    assert states(daemon, "news") == {"lo": "joined"}
    send(net.host, b"on lo", "233.252.0.1", 5004, interface="lo")
    daemon.wait_arrived("news", 1)


def test_more_groups_than_one_socket_could_join_are_joined(start, net, blast):
    """1,000 of each family; the limit of one socket is 20 and 2,340. 10,000 are in test_long.py."""
    daemon = start(config(
        *(group(f"v4-{n:03x}", f"233.252.{n // 256}.{n % 256}", interfaces='["eth0"]') for n in range(1000)),
        *(group(f"v6-{n:03x}", f"ff15::1:{n:x}", interfaces='["eth0"]') for n in range(1000))))
    assert daemon.call("GetStatus")["memberships"] == {"joined": 2000, "waiting": 0, "failed": 0}
    blast(net.peer, "233.252.0.0", 5004, 1000, groups=1000)
    blast(net.peer, "ff15::1:0", 5004, 1000, groups=1000)
    wait_until(lambda: daemon.read("lines").count(b"\n") == 2000, "one datagram for each")
    for line in daemon.read("lines").splitlines():
        fields = line.split()
        assert int(fields[1][3:], 16) == int(fields[6])  # the name, and the number of the datagram


def test_the_receive_buffer_is_as_large_as_configured(start):
    daemon = start(config(group("small", "233.252.0.1", interfaces='["eth0"]', receive_buffer='"64K"'),
                          group("large", "233.252.0.2", interfaces='["eth0"]', receive_buffer='"1M"')))
    assert daemon.membership("small", "eth0")["receiveBuffer"] == 64 << 10
    assert daemon.membership("large", "eth0")["receiveBuffer"] == 1 << 20


def test_a_smaller_receive_buffer_than_wanted_is_warned_of_with_group_key_and_sysctl(start):
    unprivileged = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    daemon = start(config(group("news", "233.252.0.1", interfaces='["eth0"]', receive_buffer='"512M"')),
                   wrapper=unprivileged)
    granted = daemon.membership("news", "eth0")["receiveBuffer"]
    assert granted < 512 << 20
    wait_until(lambda: "net.core.rmem_max" in daemon.log(), "a warning")
    assert f"group news: the receive_buffer is {granted} bytes instead of {512 << 20}" in daemon.log()


def test_smaller_receive_buffers_than_wanted_are_one_line_that_names_the_first_group(start):
    unprivileged = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    groups = [group(name, f"233.252.0.{n}", interfaces='["eth0", "eth1"]', receive_buffer='"512M"')
              for n, name in enumerate(("c", "a", "b"), 1)]
    daemon = start(config(*groups), wrapper=unprivileged)
    wait_until(lambda: "net.core.rmem_max" in daemon.log(), "a warning")
    assert daemon.log().count("receive_buffer") == 1
    assert "group a and 2 more: the receive_buffer is" in daemon.log()


def test_an_unprivileged_daemon_receives_as_well(start, net):
    unprivileged = ("setpriv", "--bounding-set=-net_admin,-net_raw", "--inh-caps=-net_admin,-net_raw")
    daemon = start(config(group("v4", "233.252.0.1", interfaces='["eth0"]'),
                          group("v6", "ff15::1", interfaces='["eth0"]')), wrapper=unprivileged)
    daemon.wait_joined("v4", "v6")
    send(net.peer, b"x", "233.252.0.1", 5004)
    send(net.peer, b"x", "ff15::1", 5004)
    daemon.wait_arrived("v4", 1)
    daemon.wait_arrived("v6", 1)


def test_a_port_that_another_program_holds_can_be_shared(start, net):
    with process(net.host, "socat", "-u", "UDP4-RECV:5004,ip-add-membership=233.252.0.1:eth0,reuseaddr", "-"):
        wait_until(lambda: has_membership(net.host, "233.252.0.1"), "socat")
        daemon = start(config(group("news", "233.252.0.1", interfaces='["eth0"]')))
        assert states(daemon, "news") == {"eth0": "joined"}


def test_more_sources_than_the_kernel_allows_are_no_silent_half_join(start):
    sources = ", ".join(f'"192.0.2.{n}"' for n in range(100, 130))
    daemon = start(config(group("news", "232.1.1.1", interfaces='["eth0"]', sources=f"[{sources}]"),
                          group("other", "232.1.1.2", interfaces='["eth0"]')))
    membership = daemon.membership("news", "eth0")
    assert membership["state"] == "joined" or "igmp_max_msf" in membership["error"]
    assert states(daemon, "other") == {"eth0": "joined"}


def test_an_ad_hoc_group_waits_for_its_interface_as_well(net):
    with process(net.host, MCASTD, "233.252.0.1:5004%later0", stderr=subprocess.PIPE) as mcastd:
        assert "later0" in mcastd.stderr.readline().decode()
        assert mcastd.poll() is None
        mcastd.terminate()
        assert mcastd.wait(15) == 0


def test_a_pattern_may_be_longer_than_any_name(start, net):
    pattern = "averylonginterfacename*"
    daemon = start(config(group("news", "233.252.0.1", interfaces=f'["{pattern}"]')))
    for name in ("long0", "long1"):
        net.host.ip(f"link add {name} type veth peer name {name}-end")
        net.host.ip(f"link delete {name}")
    daemon.ctl("reload")
    assert states(daemon, "news") == {pattern: "waiting"}
    assert daemon.log().count("waiting for") == 1
