"""Datagrams that arrive, but not as the host takes them."""

import struct

from harness.faults.table import fault
from harness.lab import fragments, spoil, tagged
from harness.tunnels import frame

BOTH = 4, 6


def header(lab):
    """Bytes of the IP header."""
    return 20 if lab.family == 4 else 40


def change(lab, function):
    """function(packet, number) makes frames of an IP packet."""
    lab.change = function
    lab.repairs.append(lambda: setattr(lab, "change", lambda packet, number: [frame(packet)]))


@fault("bad-udp-checksum", families=BOTH)
def udp_checksum_is_wrong(lab):
    change(lab, lambda packet, number: [frame(spoil(packet, header(lab) + 6))])


@fault("bad-udp-checksum", families=(6,), unnamed="user nobody")
def udp_checksum_is_missing(lab):
    """Zero, which IPv6 forbids (RFC 8200, 8.1)."""
    change(lab, lambda packet, number: [frame(packet[:46] + bytes(2) + packet[48:])])


@fault("bad-ip-checksum")
def ip_checksum_is_wrong(lab):
    change(lab, lambda packet, number: [frame(spoil(packet, 10))])


@fault("bad-length", families=BOTH, also=("bad-udp-checksum",))
def udp_length_is_more_than_there_is(lab):
    at = header(lab) + 4
    change(lab, lambda packet, number: [frame(packet[:at] + struct.pack("!H", 900) + packet[at + 2:])])


@fault("vlan-tagged", families=BOTH)
def tagged_and_no_vlan_interface(lab):
    change(lab, lambda packet, number: [tagged(frame(packet), 100)])


@fault("fragments-missing", families=BOTH)
def later_fragments_are_lost(lab):
    lose(lab, slice(0, 1))


@fault("fragments-missing", families=BOTH)
def first_fragments_are_lost(lab):
    lose(lab, slice(1, None))


@fault("fragments-missing")
def last_fragments_are_lost(lab):
    lose(lab, slice(0, -1))


def lose(lab, kept):
    lab.options["size"] = 3000
    lab.change = lambda packet, number: [frame(piece) for piece in fragments(packet)[kept]]
    lab.repairs.append(lambda: setattr(lab, "change", lambda packet, number: map(frame, fragments(packet))))


@fault("mac-collision", families=BOTH, arrives="all", unnamed="user nobody")
def another_group_on_the_same_mac_address(lab):
    lab.add_stream(lab.peer, "238.252.0.10" if lab.family == 4 else "ff05::10", 5004)


@fault("bad-length")
def ip_packet_is_shorter_than_it_says(lab):
    change(lab, lambda packet, number: [frame(packet)[:50]])


# Not in the table of causes.

@fault(unnamed="target root user nobody")
def source_address_is_zero(lab):
    lab.options["source"] = "0.0.0.0"
    lab.change = lambda packet, number: [frame(packet)]


@fault(unnamed="target root user nobody", also=("not-on-wire",))
def frames_go_to_another_station(lab):
    change(lab, lambda packet, number: [b"\2\0\0\0\0\x77" + frame(packet)[6:]])
