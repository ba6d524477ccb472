"""What was measured: rows, as a table for people and as JSON for programs."""

import json
import os
import platform
import re
from dataclasses import asdict, dataclass

from bench.lan import RECEIVER_CORE, SENDER_CORE
from bench.measure import Spread

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


@dataclass(frozen=True)
class Limit:
    """What the figure has to be."""

    at_most: float = None
    at_least: float = None

    def holds(self, value):
        return value <= self.at_most if self.at_least is None else value >= self.at_least

    def __str__(self):
        return f"≤ {figure(self.at_most)}" if self.at_least is None else f"≥ {figure(self.at_least)}"


@dataclass
class Row:
    name: str  # of the row, for programs: it does not change
    work: str
    against: str
    unit: str
    spread: Spread = None  # None: not measured, and the note says why
    limit: Limit = None
    ours: str = ""
    theirs: str = ""
    note: str = ""
    steady: bool = False  # it depends little on the machine: bench-quick compares it with README

    @property
    def wants_more(self):
        """Whether more is better."""
        return self.limit.at_least is not None if self.limit else self.unit in ("x less CPU", "x its rate")

    @property
    def verdict(self):
        if not self.limit:
            return ""
        if not self.spread:
            return "not measured"
        return "reached" if self.limit.holds(self.spread.median) else "not reached"


def figure(value):
    """A number as people read it: three digits, and commas from a thousand on."""
    if value == 0:
        return "0"
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1e}"


def measured(row):
    if not row.spread:
        return "-"
    text = f"{figure(row.spread.median)} {row.unit}".rstrip()
    if len(row.spread.values) > 1:
        text += f" ({figure(row.spread.low)} to {figure(row.spread.high)})"
    return text


HEAD = ("work", "against", "measured (quartiles)", "has to be", "", "mcastd", "the other", "note")


def cells(row):
    return (row.work, row.against, measured(row), str(row.limit or ""), row.verdict, row.ours, row.theirs)


def text_line(row):
    """A row while the bench runs."""
    limit = f", limit {row.limit}: {row.verdict}" if row.limit else ""
    both = f"   [{row.ours or '-'} | {row.theirs or '-'}]" if row.ours or row.theirs else ""
    note = f"   {row.note}" if row.note else ""
    against = f" / {row.against}" if row.against else ""
    return f"{row.work}{against}: {measured(row)}{limit}{both}{note}"


def table(rows):
    """In Markdown. The notes stand below, with numbers: in the table they would take the room of the figures."""
    notes = list(dict.fromkeys(row.note for row in rows if row.note))
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for row in rows:
        number = str(notes.index(row.note) + 1) if row.note else ""
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in (*cells(row), number)) + " |")
    return "\n".join([*lines, "", *(f"{number}. {note}" for number, note in enumerate(notes, 1))])


def machine():
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    return (f"{model.group(1) if model else platform.machine()}, {os.cpu_count()} cores (sender on {SENDER_CORE}, receiver on "
            f"{RECEIVER_CORE}), Linux {platform.release()}")


def summary(rows):
    verdicts = [row.verdict for row in rows if row.limit]
    counts = (f"{verdicts.count(word)} {word}" for word in ("reached", "not reached", "not measured"))
    return ", ".join(counts)


def as_json(rows, **facts):
    body = [{**asdict(row), "verdict": row.verdict, "limit": str(row.limit or "")} for row in rows]
    return json.dumps({**facts, "machine": machine(), "rows": body}, indent=1)


def readme_block(rows):
    """What stands in README.md between the two marks: the rows with a limit, and the instructions."""
    text = table([row for row in rows if row.limit or row.steady or row.unit.startswith("x ")])
    return "\n".join([BEGIN, text, "", f"{machine()}. `make bench` makes this table.", END])


def write_readme(path, rows):
    with open(path) as file:
        text = file.read()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    with open(path, "w") as file:
        file.write(before + readme_block(rows) + after)


def read_readme(path):
    """The figures in README.md, by work and what it is compared with."""
    with open(path) as file:
        block = file.read().partition(BEGIN)[2].partition(END)[0]
    found = {}
    for line in block.splitlines()[3:]:
        columns = [column.strip() for column in line.strip("|").split("|")]
        if len(columns) >= 5 and columns[2][:1].isdigit():
            found[columns[0], columns[1]] = float(columns[2].split()[0].replace(",", ""))
    return found


def strayed(rows, known):
    """Rows whose ratio is worse than what README says by more than a factor of two, and misses its limit: {name: words about it}."""
    strays = {}
    for row in rows:
        before = known.get((row.work, row.against))
        # Instructions depend on how many datagrams come at once, and so on how busy the machine is.
        if not row.steady or row.unit == "instructions" or not row.spread or not before or row.verdict == "reached":
            continue
        if row.spread.median < before / 2 if row.wants_more else row.spread.median > before * 2:
            strays[row.name] = (f"{row.work} / {row.against}: {figure(row.spread.median)} {row.unit}, "
                                f"README.md says {figure(before)}")
    return strays


def not_compared(rows, known):
    """The steady rows that README.md has not got, by work and what it is compared with."""
    return [(row.work, row.against) for row in rows if row.spread and row.steady and (row.work, row.against) not in known]
