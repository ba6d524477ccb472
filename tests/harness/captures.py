"""Recordings of packets, read by the book, and by Wireshark's and tcpdump's own readers."""

import shutil
import struct
import subprocess

import pytest

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6


def blocks(data):
    """The blocks of a pcapng file as (type, body), read by the book: every length twice, nothing left over."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length >= 12 and length % 4 == 0 and at + length <= len(data), f"a bad length at {at}"
        assert struct.unpack_from("<I", data, at + length - 4)[0] == length, f"two lengths at {at}"
        yield kind, data[at + 8:at + length - 4]
        at += length


def options(body):
    at = 0
    while at < len(body):
        code, length = struct.unpack_from("<HH", body, at)
        if not code:
            break
        yield code, body[at + 4:at + 4 + length]
        at += 4 + (length + 3 & ~3)


def statistics(data, codes=(4, 5, 8)):
    """The last counts of each interface: {name: (received, dropped, delivered)}; by the kernel, with kernel."""
    names, counts = [], {}
    for kind, body in blocks(data):
        if kind == SECTION:
            names = []
        elif kind == INTERFACE:
            names.append(dict(options(body[8:]))[2].decode())
        elif kind == STATISTICS:
            values = dict(options(body[12:]))
            counts[names[struct.unpack_from("<I", body)[0]]] = tuple(
                struct.unpack("<Q", values[code])[0] for code in codes)
    return counts


def run_reader(*command, path):
    """Runs a program that reads a recording from its standard input. It must have nothing to complain about."""
    with open(path, "rb") as file:
        result = subprocess.run(command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
    complaints = [line for line in result.stderr.splitlines()
                  if not line.startswith(("Running as user", "reading from file"))]
    assert result.returncode == 0 and not complaints, (command, result.returncode, result.stderr)
    return result.stdout


def tshark(path, *fields):
    """One row for each packet."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    arguments = [argument for field in fields for argument in ("-e", field)]
    output = run_reader("tshark", "-n", "-r", "-", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
                        "-T", "fields", "-E", "separator=/t", *arguments, path=path)
    return [line.split("\t") for line in output.splitlines()]


def tcpdump(path):
    """What tcpdump says to each packet."""
    if not shutil.which("tcpdump"):
        pytest.skip("tcpdump is not installed")
    # As root, it wants to become somebody else, who does not exist in an ordinary user's namespace.
    with open("/proc/self/setgroups") as file:
        nobody = ["unshare", "-U", "--map-user=65534", "--map-group=65534"] if file.read().strip() == "deny" else []
    output = run_reader(*nobody, "tcpdump", "-n", "-v", "-v", "-t", "-r", "-", path=path)
    return output.replace("\n    ", " ").splitlines()
