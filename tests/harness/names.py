"""A DNS server that knows some names: for hosts whose programs look them up as everywhere, by /etc/resolv.conf."""

import contextlib
import socket
import struct
import threading

A, NAME_ERROR, ANSWER, REFERENCE = 1, 3, 0x8180, 0xc00c  # RFC 1035


class Names:
    """Listens at an address of a host. addresses is {name: IPv4 address}; .asked has the names that were asked for."""

    def __init__(self, host, address, addresses):
        self.addresses, self.asked = addresses, set()
        with host:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind((address, 53))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread up; an unconnected socket says that it is not connected
        self.thread.join()
        self.socket.close()

    def serve(self):
        while True:
            query, client = self.socket.recvfrom(512)
            if not query:
                return
            self.socket.sendto(self.answer(query), client)

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, kind, question = ".".join(labels), query[at + 2], query[12:at + 5]
        self.asked.add(name)
        address = self.addresses.get(name)
        records = b""
        if address and kind == A:
            records = struct.pack("!HHHIH", REFERENCE, A, 1, 60, 4) + socket.inet_aton(address)
        flags = ANSWER | (0 if address else NAME_ERROR)
        return query[:2] + struct.pack("!HHHHH", flags, 1, bool(records), 0, 0) + question + records
