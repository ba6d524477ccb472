"""What is wrong between the sender and the host: nothing comes in."""

import contextlib

from harness.faults.table import fault
from harness.lab import PORT, Receiver, nft
from harness.waiting import wait_until

BOTH = 4, 6
SILENT = {"wire": False, "unnamed": "user nobody"}


@fault("not-on-wire", families=BOTH, **SILENT)
def sender_is_silent(lab):
    lab.is_silent = True
    lab.repairs.append(lambda: lab.add_stream(lab.peer, lab.group, PORT))


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
    for group, port in ("233.252.0.98", 6000), ("233.252.0.99", 6001):
        lab.stack.enter_context(contextlib.closing(Receiver(lab.host, group, port, "eth0")))
    lab.add_stream(lab.peer, "233.252.0.98", 6000)
    lab.add_stream(lab.peer, "233.252.0.99", 6001, source="203.0.113.7")
    lab.add_stream(lab.peer, "233.252.0.99", 6009)


@fault("not-on-wire", base="routed", **SILENT)
def ttl_is_one_behind_a_router(lab):
    lab.options["ttl"] = 1
    lab.repairs.append(lambda: lab.add_stream(lab.peer, lab.group, PORT))


@fault("not-on-wire", base="switched", families=BOTH, **SILENT)
def a_firewall_between_drops(lab):
    nft(lab.switch, "table bridge guard { chain forward { type filter hook forward priority 0; udp dport 5004 counter drop; }; }")
    lab.repair_with("nft delete table bridge guard", host=lab.switch)


@fault("not-on-wire", **SILENT)
def sender_uses_another_group(lab):
    lab.options["group"] = "233.252.0.11"
    lab.repairs.append(lambda: setattr(lab, "group", "233.252.0.11"))


@fault("switch-forgot", "not-on-wire", base=None, families=BOTH, wire=False, ways=("root", "user", "nobody"), pasted=True)
def switch_forgot_the_host(lab):
    lab.snooping(3)
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
