"""What is wrong between the sender and the host: nothing comes in."""

import contextlib
import re
import socket

from harness.daemon import Daemon
from harness.faults.table import fault
from harness.lab import HOST, PORT, Frames, Receiver, fragments, nft, sh, spoil, tagged
from harness.tunnels import frame, packet
from harness.waiting import wait_until

BOTH = 4, 6
OTHER = "233.252.0.98"
SILENT = {"wire": False, "unnamed": "user nobody"}


@fault("not-on-wire", families=BOTH, **SILENT)
def sender_is_silent(lab):
    lab.is_silent = True
    lab.repairs.append(lambda: lab.add_stream(lab.peer, lab.group, PORT))


@fault("not-on-wire", **SILENT, plain=False)
def unicast_sender_is_silent(lab):
    lab.group = HOST[4]
    lab.is_silent = True


@fault("not-on-wire", **SILENT, plain=False, ways=("target",), families=BOTH)
def unicast_sender_is_silent_and_no_interface_named(lab):
    lab.group, lab.interfaces, lab.is_silent = HOST[lab.family], [], True


@fault("not-on-wire", **SILENT, plain=False, ways=("target",))
def sender_to_all_addresses_is_silent(lab):
    lab.group = "0.0.0.0"
    lab.is_silent = True


@fault("not-on-wire", **SILENT)
def sender_is_silent_among_noise(lab):
    """Other groups come, and are refused by a firewall, by the reverse path and as nobody has the port."""
    sender_is_silent(lab)
    add_noise(lab)


def add_noise(lab):
    nft(lab.host, "table ip noise { chain input { type filter hook input priority 0; udp dport 6000 counter drop; }; }")
    lab.peer.ip("address add 203.0.113.7/32 dev eth0")
    with lab.host, open("/proc/sys/net/ipv4/conf/eth0/rp_filter", "w") as file:
        file.write("1")
    for group, port in (OTHER, 6000), ("233.252.0.99", 6001):
        lab.stack.enter_context(contextlib.closing(Receiver(lab.host, group, port, "eth0")))
    lab.add_stream(lab.peer, OTHER, 6000)
    lab.add_stream(lab.peer, "233.252.0.99", 6001, source="203.0.113.7")
    lab.add_stream(lab.peer, "233.252.0.99", 6009)


@fault("not-on-wire", **SILENT)
def sender_is_silent_among_damage(lab):
    """What comes of another group is broken, in each way that there is, and another program loses for want of a buffer."""
    sender_is_silent(lab)
    add_damage(lab)


def add_damage(lab):
    lab.stack.enter_context(contextlib.closing(Receiver(lab.host, OTHER, 6000, "eth0")))
    full = lab.stack.enter_context(contextlib.closing(Receiver(lab.host, "233.252.0.99", 6001, "eth0")))
    full.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
    lab.add_stream(lab.peer, "233.252.0.99", 6001)

    def make(number):
        data = packet("192.0.2.1", OTHER, 6000, b"x" * 1200)
        return [frame(spoil(data, 26)), frame(spoil(data, 10)), frame(data[:24] + b"\x09\0" + data[26:]), tagged(frame(data), 100),
                frame(fragments(data, 800)[0])]

    lab.keep(Frames(lab.peer, make, rate=25))


@fault("not-on-wire", base="routed", **SILENT)
def no_router_forwards_the_group(lab):
    lab.options["source"] = "192.0.2.77"
    lab.peer.ip("address add 192.0.2.77/24 dev eth0")
    lab.repairs.append(lambda: lab.add_stream(lab.peer, lab.group, PORT))


@fault("not-on-wire", base="routed", **SILENT)
def ttl_is_one_behind_a_router(lab):
    lab.options["ttl"] = 1
    lab.repairs.append(lambda: lab.add_stream(lab.peer, lab.group, PORT))


@fault("not-on-wire", base="switched", families=BOTH, **SILENT)
def a_firewall_between_drops(lab):
    nft(lab.switch, "table bridge guard { chain forward { type filter hook forward priority 0; udp dport 5004 counter drop; }; }")
    lab.repair_with("nft delete table bridge guard", host=lab.switch)


@fault("not-on-wire", families=BOTH, **SILENT)
def sender_uses_another_group(lab):
    lab.options["group"] = {4: "233.252.0.11", 6: "ff15::11"}[lab.family]
    lab.repairs.append(lambda: setattr(lab, "group", lab.options["group"]))


@fault("switch-forgot", "not-on-wire", base=None, families=BOTH, wire=False, ways=("root", "user", "nobody"),
       unnamed="user nobody", pasted=True)
def switch_forgot_the_host(lab):
    lab.snooping(3)
    lab.before_look.append(lambda: wait_forgotten(lab))


@fault("refresh-impossible", base=None, wire=False, plain=False, ways=("target",), also=("not-on-wire",))
def switch_forgot_and_mcastd_has_the_group(lab):
    """The doctor is asked for the address of a group of a daemon."""
    lab.snooping(3)
    daemon = Daemon(lab.host, f'groups: {{ news: {{ address = "{lab.group}"; port = {PORT}; interfaces = ["eth0"]; }}; }};\n')
    lab.stack.callback(daemon.kill)
    daemon.wait_joined("news")
    lab.before_look.append(lambda: wait_forgotten(lab))


def wait_asked(lab):
    """Until the host has heard the older querier, by which it reports from then on."""
    wait_until(lambda: re.search(r"eth0 .* V2$", sh(lab.host, "cat /proc/net/igmp"), re.MULTILINE), "the querier to be heard")


REPORTS_ARE_DROPPED = {"output": "table inet fw { chain out { type filter hook output priority 0; policy drop; "
                                 "meta l4proto { tcp, udp, ipv6-icmp } accept; }; }",
                       "postrouting": "table inet fw { chain out { type filter hook postrouting priority 0; ip protocol igmp drop; }; }"}


@fault("report-blocked", base=None, wire=False, plain=False, ways=("root", "target"), pasted=True)
def output_drops_reports_and_an_older_querier_asks(lab):
    lab.asked(before=lambda: nft(lab.host, REPORTS_ARE_DROPPED["output"]))
    lab.before_look.append(lambda: wait_asked(lab))


@fault("report-blocked", base=None, wire=False, plain=False, ways=("root", "target"), pasted=True)
def postrouting_drops_reports_and_an_older_querier_asks(lab):
    lab.asked(before=lambda: nft(lab.host, REPORTS_ARE_DROPPED["postrouting"]))
    lab.before_look.append(lambda: wait_asked(lab))


@fault("report-blocked", base=None, wire=False, plain=False, ways=("root", "target"), pasted=True)
def egress_drops_reports_and_an_older_querier_asks(lab):
    lab.asked()
    nft(lab.host, "table netdev fw { chain out { type filter hook egress device eth0 priority 0; ip protocol igmp drop; }; }")
    lab.before_look += [lambda: wait_asked(lab), lambda: wait_forgotten(lab)]


@fault("queries-blocked", base=None, wire=False, plain=False, ways=("root",), pasted=True, families=BOTH)
def input_drops_queries(lab):
    lab.asked(version=3, before=lambda: nft(lab.host, "table inet fw { chain in { type filter hook input priority 0; policy drop; "
                                            "udp dport 5004 accept; icmpv6 type { 135, 136 } accept; }; }"))
    lab.before_look.append(lambda: wait_forgotten(lab))


@fault("queries-blocked", base=None, wire=False, plain=False, ways=("root",), pasted=True)
def input_drops_igmp(lab):
    lab.asked(version=3, before=lambda: nft(lab.host, "table inet fw { chain in { type filter hook input priority 0; "
                                            "ip protocol igmp drop; }; }"))
    lab.before_look.append(lambda: wait_forgotten(lab))


@fault("queries-blocked", base=None, wire=False, plain=False, ways=("root",), pasted=True)
def input_drops_igmp_of_an_older_querier(lab):
    lab.asked(before=lambda: nft(lab.host, "table inet fw { chain in { type filter hook input priority 0; ip protocol igmp drop; }; }"))
    lab.before_look.append(lambda: wait_forgotten(lab))


@fault("refresh-impossible", base=None, families=BOTH, wire=False, ways=("root", "user", "nobody"), also=("not-on-wire",))
def switch_forgot_and_another_program_has_the_group(lab):
    lab.snooping(3)
    lab.stack.enter_context(contextlib.closing(Receiver(lab.host, lab.group, PORT, "eth0")))
    lab.before_look.append(lambda: wait_forgotten(lab))


def wait_forgotten(lab):
    """Until a switch has ceased to send the group: no datagram of ten has come."""
    watch = lab.watch()

    def has_died():
        before = watch.read()
        lab.stream.wait(10)
        return watch.read() == before

    wait_until(has_died, "the switch to forget")
    watch.close()
