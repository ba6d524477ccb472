"""A packet filter in a namespace: nf_tables by netlink, as nft(8) is not everywhere."""

import errno
import socket
import struct

NETLINK_NETFILTER = 12
NFNL_SUBSYS_NFTABLES = 10
BATCH_BEGIN, BATCH_END = 0x10, 0x11
NEWTABLE, DELETE_TABLE, NEWCHAIN, NEWRULE = 0, 2, 3, 6
REQUEST, ACK, CREATE = 1, 4, 0x400
NFPROTO_INET = 1
PRE_ROUTING, LOCAL_OUT = 0, 3
META_L4PROTO = 16
TRANSPORT_HEADER = 2


def attribute(kind, value, nested=False):
    size = 4 + len(value)
    return struct.pack("=HH", size, kind | (0x8000 if nested else 0)) + value + bytes(-size % 4)


def nest(kind, *parts):
    return attribute(kind, b"".join(parts), nested=True)


def number(kind, value):
    return attribute(kind, struct.pack("!I", value))


def name(kind, value):
    return attribute(kind, value.encode() + b"\0")


def expression(kind, *parts):
    return nest(1, name(1, kind), nest(2, *parts))


def message(kind, flags, sequence, resource, body=b"", protocol=socket.AF_UNSPEC):
    return struct.pack("=IHHII", 20 + len(body), kind, flags, sequence, 0) + struct.pack(
        "!BBH", protocol, 0, resource) + body


def refuse_one_in(host, count):
    """The host refuses each count-th IPv4 packet that its programs send: send() fails with EPERM. Returns False where the
    kernel cannot do that."""
    every = [
        expression("numgen", number(1, 1), number(2, count), number(3, 0)),
        expression("cmp", number(1, 1), number(2, 0), nest(3, attribute(1, bytes(4)))),
        expression("immediate", number(1, 0), nest(2, nest(2, number(1, 0)))),
    ]
    bodies = [
        (NEWTABLE, name(1, "refuse")),
        (NEWCHAIN, name(1, "refuse") + name(3, "output") + nest(4, number(1, LOCAL_OUT), number(2, 0)) +
         name(7, "filter")),
        (NEWRULE, name(1, "refuse") + name(2, "output") + nest(4, *every)),
    ]
    return transact(host, bodies, CREATE)


def refuse_nothing(host):
    assert transact(host, [(DELETE_TABLE, name(1, "refuse"))])


def equals(value):
    return expression("cmp", number(1, 1), number(2, 0), nest(3, attribute(1, bytes([value]))))


def hear_no_query(host):
    """The host gets no query of IGMP or MLD. Returns False where the kernel cannot do that."""
    bodies = [
        (NEWTABLE, name(1, "quiet")),
        (NEWCHAIN, name(1, "quiet") + name(3, "input") + nest(4, number(1, PRE_ROUTING), number(2, 0)) + name(7, "filter")),
    ]
    for protocol, kind in ((socket.IPPROTO_IGMP, 0x11), (socket.IPPROTO_ICMPV6, 130)):
        drop = [
            expression("meta", number(1, 1), number(2, META_L4PROTO)), equals(protocol),
            expression("payload", number(1, 1), number(2, TRANSPORT_HEADER), number(3, 0), number(4, 1)), equals(kind),
            expression("immediate", number(1, 0), nest(2, nest(2, number(1, 0)))),
        ]
        bodies.append((NEWRULE, name(1, "quiet") + name(2, "input") + nest(4, *drop)))
    return transact(host, bodies, CREATE, NFPROTO_INET)


def transact(host, bodies, flags=0, family=socket.AF_INET):
    """All of it or nothing. Returns False where the kernel has no such thing."""
    batch = message(BATCH_BEGIN, REQUEST, 0, NFNL_SUBSYS_NFTABLES)
    for i, (kind, body) in enumerate(bodies):
        batch += message(NFNL_SUBSYS_NFTABLES << 8 | kind, REQUEST | ACK | flags, i + 1, 0, body, family)
    batch += message(BATCH_END, REQUEST, len(bodies) + 1, NFNL_SUBSYS_NFTABLES)
    try:
        with host:
            netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    except OSError:
        return False
    with netlink:
        netlink.settimeout(10)
        netlink.send(batch)
        answered = 0
        while answered < len(bodies):
            data = netlink.recv(65536)
            while data:
                size, kind = struct.unpack_from("=IH", data)
                error = -struct.unpack_from("=i", data, 16)[0]
                if error in (errno.EOPNOTSUPP, errno.ENOENT, errno.EPERM):
                    return False
                assert kind == 2 and not error, (kind, error)
                answered += 1
                data = data[size + 3 & ~3:]
    return True
