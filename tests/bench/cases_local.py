"""Into a program that speaks sockets: what handing a datagram over to another process costs."""

from bench import receivers
from bench.case import Comparison
from bench.programs import Load
from bench.readers import handing_over
from bench.report import Limit

SOCKET, UNIX = "into a group socket's reader, 64 B", "into a datagram socket, 64 B"

# As much as all of them hand over without loss: socat can do little more.
LOAD = Load(segmented=True, rate=60_000)

group_socket = handing_over(receivers.mcastd(keys="socket = true;"), "seqpacket", "run/groups/g0")
unix = handing_over(receivers.mcastd(handler='type = "unix"; path = "$DIR/reader";'), "dgram", "reader")
socat = handing_over(receivers.socat_unix, "dgram", "reader")
sends = handing_over(receivers.raw("sends", "raw recvmmsg(64) and send", ["reader", 1, 0]), "seqpacket", "reader")

CASES = [
    Comparison("into/socket-socat", SOCKET, group_socket, socat, load=LOAD),
    Comparison("into/socket-raw", SOCKET, group_socket, sends, Limit(at_most=1.3), less=False, load=LOAD),
    Comparison("into/unix-socat", UNIX, unix, socat, load=LOAD),
]
