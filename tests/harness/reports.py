"""What a port of a switch gets of IGMP and MLD reports."""

import ctypes
import errno
import select
import socket
import struct
import time

IGMP_V2_REPORT, IGMP_V3_REPORT, MLD_V1_REPORT, MLD_V2_REPORT = 0x16, 0x22, 131, 143
EXCLUDES, INCLUDES = {2, 4}, {1, 3}

SO_ATTACH_FILTER = 26

# IGMP, or IPv6 with a hop-by-hop header (bpf(7), classic): the traffic would overflow the socket.
ONLY_REPORTS = [(0x30, 0, 0, 0), (0x54, 0, 0, 0xF0), (0x15, 3, 0, 0x60), (0x30, 0, 0, 9), (0x15, 3, 0, 2), (0x06, 0, 0, 0),
                (0x30, 0, 0, 6), (0x15, 0, 1, 0), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0)]


class Reports:
    """What a port of the switch gets of reports: (group, kind of record or message, source)."""

    def __init__(self, host, interface):
        with host:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in ONLY_REPORTS))
            self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                                   struct.pack("HP", len(ONLY_REPORTS), ctypes.addressof(program)))
            self.socket.bind((interface, 3))
        self.socket.setblocking(False)
        self.seen = set()

    def read(self):
        while True:
            try:
                self.take(self.socket.recv(9000))
            except BlockingIOError:
                return self.seen
            except OSError as error:  # the interface was down
                if error.errno != errno.ENETDOWN:
                    raise

    def take(self, data):
        if data[0] >> 4 == 4 and data[9] == socket.IPPROTO_IGMP:
            body, source = data[(data[0] & 15) * 4:], socket.inet_ntoa(data[12:16])
            if body[0] == IGMP_V2_REPORT:
                self.seen.add((socket.inet_ntoa(body[4:8]), IGMP_V2_REPORT, source))
            elif body[0] == IGMP_V3_REPORT:
                self.records(body, 4, socket.AF_INET, source)
        elif data[0] >> 4 == 6 and data[6] == 0:
            source = socket.inet_ntop(socket.AF_INET6, data[8:24])
            if data[48] == MLD_V2_REPORT:
                self.records(data[48:], 16, socket.AF_INET6, source)
            elif data[48] == MLD_V1_REPORT:
                self.seen.add((socket.inet_ntop(socket.AF_INET6, data[56:72]), MLD_V1_REPORT, source))

    def records(self, body, size, family, source):
        at = 8
        for _ in range(struct.unpack_from("!H", body, 6)[0]):
            kind, more, sources = struct.unpack_from("!BBH", body, at)
            self.seen.add((socket.inet_ntop(family, body[at + 4:at + 4 + size]), kind, source))
            at += 4 + size * (1 + sources) + 4 * more

    def has(self, group, kinds, source=None):
        return any(g == group and k in kinds and source in (None, s) for g, k, s in self.read())


def first_reports_are_over(reports):
    """The kernel reports a new membership twice, within some seconds. What comes later was caused."""
    quiet = time.monotonic() + 1.5
    while time.monotonic() < quiet:
        if select.select([reports.socket], [], [], quiet - time.monotonic())[0]:
            before = len(reports.seen)
            reports.read()
            if len(reports.seen) > before:
                quiet = time.monotonic() + 1.5
    reports.seen.clear()
