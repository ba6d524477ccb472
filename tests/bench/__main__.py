"""Measures mcastd against other programs, and prints a table.

    python3 -m bench [--quick] [--list] [--only NAME...] [--readme] --programs DIRECTORY --output DIRECTORY

Needs root, for network namespaces that it makes itself, and two cores: one for the sender, one for the receiver.
`make bench` builds what it needs and runs it. With --quick there are fewer and shorter runs, and it fails when a
ratio misses its limit and is worse than in the table in tests/bench/README.md by more than a factor of two, but for ratios that
depend on what a system call costs on this machine. --only takes the beginnings of names, as --list prints
them. --readme writes the table into that file, when all of it was measured. Whether limits are reached does not matter to the
exit code: no timed test fails on a noisy machine.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
import traceback

from bench import programs, report, suite
from bench.case import Bench
from bench.lan import RECEIVER_CORE, lan

TRIES = 2  # more, for what is far off
README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md")


def read_arguments():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n")[2].strip())
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--readme", action="store_true")
    parser.add_argument("--programs", required=True)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    if arguments.readme and (arguments.only or arguments.quick):
        parser.error("--readme is for the whole table: without --only and --quick")
    return arguments


def say(text):
    print(text, flush=True)


def run_cases(bench, cases):
    """Measures all of it. A case that breaks costs itself only, and is told at the end."""
    rows, broken = [], []
    for case in cases:
        began = time.monotonic()
        try:
            for row in case.run(bench):
                rows.append(row)
                say(report.text_line(row))
        except Exception:
            broken.append(case.name)
            say(f"{case.name} broke:\n{traceback.format_exc()}")
        if os.environ.get("BENCH_TIMES"):
            say(f"    {case.name}: {time.monotonic() - began:.1f} s")
    return rows, broken


def write(output, rows, seconds):
    os.makedirs(output, exist_ok=True)
    with open(os.path.join(output, "results.json"), "w") as file:
        file.write(report.as_json(rows, seconds=round(seconds)))
    with open(os.path.join(output, "table.md"), "w") as file:
        file.write(report.table(rows) + "\n")
    suite.draw(os.path.join(output, "scale.svg"), rows)


def try_again(bench, cases, rows):
    """Measures again what is far off README.md: on a noisy machine once is no finding. Returns what is off every time."""
    known = report.read_readme(README)
    strays = report.strayed(rows, known)
    for _ in range(TRIES):
        again = [case for case in cases if any(name.startswith(case.name) for name in strays)]
        if not again:
            break
        say("\nAgain, as they are far worse than README.md:")
        still = report.strayed(run_cases(bench, again)[0], known)
        strays = {name: line for name, line in strays.items() if name in still}
    return strays


def say_not_compared(rows):
    new = report.not_compared(rows, report.read_readme(README))
    if new:
        say("Not in README.md:\n" + "\n".join(" / ".join(filter(None, key)) for key in new))


def use_memory():
    """Recordings and sockets go to memory: a disk is not what is measured."""
    if os.path.ismount("/dev/shm") and os.access("/dev/shm", os.W_OK):
        tempfile.tempdir = "/dev/shm"


def main():
    arguments = read_arguments()
    cases = suite.chosen(arguments.only)
    if arguments.list:
        say("\n".join(case.name for case in cases))
        return 0
    if os.geteuid() != 0 or RECEIVER_CORE is None:
        say(f"the bench needs root and two cores, one each for the sender and the receiver; "
            f"this process may run on {len(os.sched_getaffinity(0))}")
        return 1
    programs.programs_directory = os.path.abspath(arguments.programs)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    use_memory()
    began = time.monotonic()
    with lan() as net:
        bench = Bench(net, arguments.quick, say)
        rows, broken = run_cases(bench, cases)
        strays = try_again(bench, cases, rows) if arguments.quick else []
    seconds = time.monotonic() - began
    write(arguments.output, rows, seconds)
    say(f"\n{report.table(rows)}\n\n{report.machine()}; {seconds:.0f} s\n{report.summary(rows)}")
    say(f"Also in {arguments.output}: results.json, table.md, scale.svg")
    if arguments.quick:
        say_not_compared(rows)
    if strays:
        say("Worse than README.md by more than a factor of two, every time:\n" + "\n".join(strays.values()))
    if broken:
        say(f"Broke: {', '.join(broken)}")
    if arguments.readme and broken:
        say("README.md is left as it was: some of the table is missing")
    elif arguments.readme:
        report.write_readme(README, rows)
    return 1 if broken or strays else 0


if __name__ == "__main__":
    sys.exit(main())
