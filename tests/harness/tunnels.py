"""A program's end of a tun or tap interface, and the packets that it puts in."""

import fcntl
import os
import socket
import struct

TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454CA, 1, 2, 0x1000


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(source, group, port, payload):
    """An IP packet with a UDP datagram (RFC 768, RFC 791, RFC 8200)."""
    family = socket.AF_INET6 if ":" in group else socket.AF_INET
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, group)
    udp = struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload
    sum_ = checksum(ends + struct.pack("!II", len(udp), socket.IPPROTO_UDP) + udp) or 0xFFFF
    udp = udp[:6] + struct.pack("!H", sum_) + udp[8:]
    if family == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, len(udp), socket.IPPROTO_UDP, 8) + ends + udp
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 8, socket.IPPROTO_UDP, 0) + ends
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp


def frame(ip_packet):
    """An Ethernet frame with an IP packet to a group."""
    if ip_packet[0] >> 4 == 6:
        return b"\x33\x33" + ip_packet[36:40] + b"\x02\0\0\0\0\x09" + b"\x86\xdd" + ip_packet
    return b"\x01\0\x5e" + bytes([ip_packet[17] & 0x7F]) + ip_packet[18:20] + b"\x02\0\0\0\0\x09\x08\0" + ip_packet


class Tunnel:
    """The interface is there for as long as this is."""

    def __init__(self, host, name, mode="tun"):
        self.mode = mode
        with host:
            self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            flags = (IFF_TUN if mode == "tun" else IFF_TAP) | IFF_NO_PI
            fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))

    def put_in(self, source, group, port, payload):
        data = packet(source, group, port, payload)
        os.write(self.fd, data if self.mode == "tun" else frame(data))

    def close(self):
        os.close(self.fd)
