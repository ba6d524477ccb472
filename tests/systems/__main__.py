"""Makes minimal roots of Debian, and shows in each what has to work there.

    python3 -m systems DIRECTORY [--systems SUITE...] [--steps STEP...]

`make check-systems` runs it. Needs root, debootstrap, and a mirror in the apt sources of this machine; where one of them is
missing, it says so and does nothing. Everything is in DIRECTORY: the bare roots and the packages that apt has fetched, which
later runs use again, what is done in the roots, which begins again with each run, and the logs. The last lines are a table of
systems and steps. Exits with 1 when a step has failed.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time

from systems.root import Failed, LeftOut, Root, mirror
from systems.steps import STEPS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SUITES = ["bookworm", "trixie"]
LINES_SHOWN = 40  # of the log of a step that has failed


def say(text):
    print(text, flush=True)


def why_not():
    """Why nothing can be shown here, or None."""
    if os.geteuid() != 0:
        return "it needs root"
    for program in ("debootstrap", "unshare", "pivot_root", "ip"):
        if not shutil.which(program):
            return f"there is no {program}"
    if not mirror():
        return "apt of this machine knows no mirror of Debian"
    return None


def run_step(directory, suite, name, function):
    """Returns the result as the table shows it, and whether it is a failure."""
    path = os.path.join(directory, suite, f"{name}.log")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    began = time.monotonic()
    with open(path, "w") as log:
        try:
            note, failed = function(Root(suite, directory, log)), False
        except LeftOut as reason:
            return f"left out: {reason}", False
        except (Failed, subprocess.CalledProcessError) as failure:
            note, failed = str(failure), True
    seconds = time.monotonic() - began
    if failed:
        with open(path) as log:
            say("".join(log.readlines()[-LINES_SHOWN:]))
        return f"FAILED after {seconds:.0f} s, see {path}", True
    return f"ok, {seconds:.0f} s: {note}", False


def run_all(directory, suites, names, archive, address):
    """Returns the rows of the table: system, step, result, whether it failed."""
    rows = []
    for suite in suites:
        steps = [("root", lambda root: root.make(address))]
        steps += [(step.__name__, lambda root, step=step: step(root, archive)) for step in STEPS if step.__name__ in names]
        for name, function in steps:
            result, failed = run_step(directory, suite, name, function)
            rows.append((suite, name, result, failed))
            say(f"{suite} {name}: {result}")
            if not os.path.exists(os.path.join(directory, suite, "base")):
                break
    return rows


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = [step.__name__ for step in STEPS]
    parser = argparse.ArgumentParser(usage=__doc__.split("\n")[2].strip())
    parser.add_argument("--systems", nargs="+", default=SUITES, metavar="SUITE")
    parser.add_argument("--steps", nargs="+", default=names, choices=names, metavar="STEP")
    parser.add_argument("directory")
    arguments = parser.parse_args()
    if reason := why_not():
        say(f"check-systems: {reason}, and {' and '.join(arguments.systems)} were left out")
        return 0
    directory = os.path.abspath(arguments.directory)
    archive = os.path.join(directory, "mcastd.tar.gz")
    os.makedirs(directory, exist_ok=True)
    subprocess.run([os.path.join(ROOT, "packaging", "dist"), archive], check=True)
    rows = run_all(directory, arguments.systems, arguments.steps, archive, mirror())
    say("")
    for suite, name, result, _ in rows:
        say(f"{suite:10} {name:10} {result}")
    return 1 if any(failed for *_, failed in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
