"""Captures of every form and link type, made byte by byte where no program makes them, and packets in them."""

import struct

S = 1_000_000_000
START = 1764012799 * S + 123456000
MACS = bytes.fromhex("01005e7c0001020000000001")
GROUP, GROUP6 = bytes([233, 252, 0, 1]), bytes.fromhex("ff15" + 27 * "0" + "1")

# What stands before an IP packet on each link type, by its version; None: it does not carry that version.
LINKS = {
    "null-little": (0, struct.pack("<I", 2), struct.pack("<I", 24)),
    "null-big": (0, struct.pack(">I", 2), struct.pack(">I", 24)),
    "null-freebsd": (0, struct.pack("<I", 2), struct.pack("<I", 28)),
    "null-macos": (0, struct.pack("<I", 2), struct.pack("<I", 30)),
    "ethernet": (1, MACS + b"\x08\x00", MACS + b"\x86\xdd"),
    "vlan": (1, MACS + b"\x81\x00\x00\x05\x08\x00", MACS + b"\x81\x00\x00\x05\x86\xdd"),
    "qinq": (1, MACS + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x08\x00", MACS + b"\x88\xa8\x00\x05\x81\x00\x00\x06\x86\xdd"),
    "qinq-9100": (1, MACS + b"\x91\x00\x00\x05\x81\x00\x00\x06\x08\x00", MACS + b"\x91\x00\x00\x05\x81\x00\x00\x06\x86\xdd"),
    "ppp": (9, b"\xff\x03\x00\x21", b"\xff\x03\x00\x57"),
    "raw-12": (12, b"", b""),
    "raw-14": (14, b"", b""),
    "ppp-hdlc": (50, b"\xff\x03\x00\x21", b"\xff\x03\x00\x57"),
    "raw-101": (101, b"", b""),
    "loop": (108, struct.pack(">I", 2), struct.pack(">I", 24)),
    "sll": (113, bytes(14) + b"\x08\x00", bytes(14) + b"\x86\xdd"),
    "ipv4": (228, b"", None),
    "ipv6": (229, None, b""),
    "sll2": (276, b"\x08\x00" + bytes(18), b"\x86\xdd" + bytes(18)),
}


def udp(payload, port=5004):
    return struct.pack(">4H", 4000, port, len(payload) + 8, 0) + payload


def checked(datagram, source=bytes([192, 0, 2, 1]), group=GROUP):
    """The datagram with its checksum, as it is sent between these addresses: RFC 768; RFC 8200, 8.1."""
    data = source + group + struct.pack(">HH", 17, len(datagram)) + datagram + bytes(len(datagram) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return datagram[:6] + struct.pack(">H", total ^ 0xFFFF or 0xFFFF) + datagram[8:]


def ip4(payload, protocol=17, fragment=0, identification=0, options=b"", source=bytes([192, 0, 2, 1]), group=GROUP):
    return struct.pack(">BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), identification, fragment,
                       1, protocol, 0, source, group) + options + payload


def ip6(payload, next_header=17, group=GROUP6):
    return struct.pack(">IHBB16s16s", 6 << 28, len(payload), next_header, 1, bytes(15) + b"\x01", group) + payload


def fragments4(payload, identification, size=1480):
    """The IP packets of one datagram, in their order."""
    data = checked(udp(payload))
    return [ip4(data[at:at + size], fragment=at // 8 | (0x2000 if at + size < len(data) else 0), identification=identification)
            for at in range(0, len(data), size)]


def fragments6(payload, identification, size=1448):
    data = checked(udp(payload), bytes(15) + b"\x01", GROUP6)
    return [ip6(struct.pack(">BBHI", 17, 0, at | (at + size < len(data)), identification) + data[at:at + size], 44)
            for at in range(0, len(data), size)]


def version(packet):
    return packet[0] >> 4


def on_link(link, packet):
    """A frame, or None where the link does not carry it."""
    head = LINKS[link][1 if version(packet) == 4 else 2]
    return None if head is None else head + packet


def pcap(link, packets, magic=0xA1B2C3D4, order="<", snap=262144):
    """A classic pcap of (time in ns, frame)."""
    tick = 1 if magic == 0xA1B23C4D else 1000
    more = struct.pack(order + "IHBB", 2, 0x0800, 0, 0) if magic == 0xA1B2CD34 else b""
    return struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link) + b"".join(
        struct.pack(order + "4I", time // S, time % S // tick, min(snap, len(frame)), len(frame)) + more + frame[:snap]
        for time, frame in packets)


def block(kind, body, order="<"):
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def pcapng(link, packets, order="<", kind=6):
    """A pcapng of (time in ns, frame); kind is that of the packets' blocks: 6, or 2 as very old programs wrote."""
    number = struct.pack(order + "I", 0) if kind == 6 else struct.pack(order + "HH", 0, 0)
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order) + block(
        1, struct.pack(order + "HHI", link, 0, 0) + struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0), order) + b"".join(
            block(kind, number + struct.pack(order + "4I", time >> 32, time & 0xFFFFFFFF, len(frame), len(frame)) + frame, order)
            for time, frame in packets)
