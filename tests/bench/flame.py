"""Where the time goes: flame graphs of the daemon at some kinds of work, as SVG.

    python3 -m bench.flame --programs DIRECTORY --output DIRECTORY [NAME...]

`make bench-profile` runs it. Each graph is of all threads of the daemon; a frame is as wide as the time that was spent in it and
in what it called. Frames of the kernel are blue. perf takes the samples (linux-perf in Debian).
"""

import argparse
import html
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter

from bench import programs, receivers
from bench.case import FLOOD
from bench.__main__ import use_memory
from bench.lan import RECEIVER_CORE, lan
from bench.programs import Load

SECONDS, FREQUENCY = 2, 2999
WIDTH, LINE, MARGIN, CHARACTER = 1200, 17, 10, 6.6  # pixels
NARROW = 0.0005  # of the whole: what is narrower is left out

SPREAD = Load(rate=200_000, groups=1000)
WORK = {
    "count": (receivers.mcastd(), FLOOD),
    "groups": (receivers.counting("mcastd", receivers.mcastd_config(groups=1000), 1000), SPREAD),
    "sequence": (receivers.mcastd(keys='sequence = "rtp";'), FLOOD.changed(layout="rtp")),
    "raw": (receivers.recorder(), FLOOD),
    "json": (receivers.recorder(form="json"), FLOOD.changed(layout="text")),
    "pcapng": (receivers.recorder("pcapng"), Load(size=1400, rate=200_000)),
    "relay": (receivers.relay(), FLOOD),
}


def record(pid, path):
    """Takes samples of a process for a while."""
    subprocess.run(["perf", "record", "-q", "-o", path, "-e", "cpu-clock", "-F", str(FREQUENCY), "-g", "-p", str(pid), "--",
                    "sleep", str(SECONDS)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def read_stacks(path):
    """How often each stack was seen: tuples of (function, whether it is the kernel's), the outermost first."""
    text = subprocess.run(["perf", "script", "-i", path, "-F", "comm,ip,sym,dso"], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True).stdout
    stacks = Counter()
    for sample in text.split("\n\n"):
        name, *lines = sample.strip("\n").split("\n")
        frames = [line.split(None, 1)[1] for line in lines if len(line.split(None, 1)) == 2]
        stack = [(frame.rpartition(" (")[0] or "?", frame.rpartition(" ")[2].startswith(("([", "["))) for frame in reversed(frames)]
        if stack:
            stacks[tuple([(name.strip(), False), *stack])] += 1
    return stacks


def measure(net, receiver, load):
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, receiver.start(net) as running:
        sending = load.changed(seconds=SECONDS + 1, address=receiver.group).start(net)
        time.sleep(0.5)
        record(running.pid, os.path.join(directory, "perf.data"))
        programs.stop(sending)
        return read_stacks(os.path.join(directory, "perf.data"))


def merge(stacks):
    """A tree: name and whether it is the kernel's, to the count and the tree below."""
    tree = {}
    for stack, count in stacks.items():
        level = tree
        for frame in stack:
            node = level.setdefault(frame, [0, {}])
            node[0] += count
            level = node[1]
    return tree


def depth_of(tree):
    return 1 + max(map(depth_of, (below for _, below in tree.values()))) if tree else 0


def draw_frames(tree, left, depth, height, scale, total):
    """The lines of SVG of a tree, whose outermost frames are at the bottom."""
    for (name, is_kernel), (count, below) in sorted(tree.items()):
        width = count * scale
        if count >= NARROW * total:
            y, shown = height - MARGIN - (depth + 1) * LINE, name[:max(0, int((width - 4) / CHARACTER))]
            title = html.escape(f"{name}: {count / total:.1%}")
            yield (f'<g><title>{title}</title><rect x="{left:.1f}" y="{y}" width="{max(width - 0.5, 0.2):.1f}" height="{LINE - 1}" '
                   f'fill="{"#9dbcd4" if is_kernel else "#f0b478"}"/><text x="{left + 2:.1f}" y="{y + 12}">'
                   f'{html.escape(shown) if len(shown) > 2 else ""}</text></g>')
            yield from draw_frames(below, left, depth + 1, height, scale, total)
        left += width


def draw(title, stacks):
    tree, total = merge(stacks), max(sum(stacks.values()), 1)
    height = (depth_of(tree) + 2) * LINE + 2 * MARGIN
    frames = draw_frames(tree, MARGIN, 0, height, (WIDTH - 2 * MARGIN) / total, total)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{MARGIN}" y="{MARGIN + 10}" font-size="13">{html.escape(title)}: {total:,} samples</text>', *frames, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n")[2].strip())
    parser.add_argument("--programs", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*WORK, []], default=[])
    arguments = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("perf") or RECEIVER_CORE is None:
        print("profiles need root, two cores, and perf (linux-perf)")
        return 1
    programs.programs_directory = os.path.abspath(arguments.programs)
    os.makedirs(arguments.output, exist_ok=True)
    use_memory()
    with lan() as net:
        for name in arguments.names or WORK:
            stacks = measure(net, *WORK[name])
            path = os.path.join(arguments.output, f"{name}.svg")
            with open(path, "w") as file:
                file.write(draw(name, stacks))
            print(f"{path}: {sum(stacks.values()):,} samples", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
