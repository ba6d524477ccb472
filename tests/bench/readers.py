"""Programs that read what a receiver hands over to UNIX sockets, see readers.c."""

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import replace

from bench import programs
from bench.lan import SENDER_CORE
from harness.waiting import wait_until


@contextmanager
def reading(net, kind, path, connections, *call):
    """Readers on the sender's core: the receiver's is the receiver's alone. Gives a function that says what they have read so
    far."""
    if kind != "dgram":
        wait_until(lambda: os.path.exists(path), path)
    command = [programs.built("readers"), kind, path, str(connections), *call]
    process = programs.start(net.host, SENDER_CORE, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask():
        process.stdin.write("\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    try:
        if process.stdout.readline() != "READY\n":
            raise RuntimeError("the readers did not start")
        yield ask
    finally:
        programs.stop(process)


def handing_over(receiver, kind, path):
    """A receiver with a program that reads at a path in its directory. What has been read counts as delivered."""
    @contextmanager
    def start(net):
        with receiver.start(net) as running:
            with reading(net, kind, os.path.join(running.directory, path), 1) as read:
                yield replace(running, delivered=lambda: read()["messages"])

    return replace(receiver, start=start)
