"""Prometheus' text format, version 0.0.4, read as strictly as a collector may; and the metrics as the manual has them."""

import os
import re
from collections import namedtuple

from harness.daemon import MCASTD, ROOT

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'({NAME})(?:\{{(.*)\}})? (-?\d+(?:\.\d+)?)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
UNITS = re.compile(r"millis|micro|_ms\b|minutes|hours|kilo|mega|percent|_info_total|_gauge|_counter")

Family = namedtuple("Family", "type help samples")  # samples: {labels as sorted (name, value): value}


def labels_of(text):
    """{name: value} of what is between the braces."""
    labels, at = {}, 0
    while at < len(text):
        found = LABEL.match(text, at)
        assert found, f"wrong labels: {text[at:]!r}"
        assert found[1] not in labels, f"a label twice: {text!r}"
        labels[found[1]] = re.sub(r'\\([\\"n])', lambda escape: {"n": "\n"}.get(escape[1], escape[1]), found[2])
        at = found.end()
    return labels


def check_name(name, kind):
    assert name.startswith("mcastd_"), name
    assert name.endswith("_total") == (kind == "counter"), f"{name} is a {kind}"
    assert not UNITS.search(name) and name == name.lower(), name


def parse(data):
    """{name: Family}. A metric has one head, before its samples; all of them stand together; no series comes twice. A summary is the
    metrics of its sum and its count."""
    text = data.decode()
    assert text.endswith("\n") and "\r" not in text and "\n\n" not in text
    families, name = {}, None
    for line in text[:-1].split("\n"):
        if found := re.fullmatch(rf"# HELP ({NAME}) (.+)", line):
            name = found[1]
            assert name not in families, f"{name} has two heads"
            families[name] = Family(None, found[2], {})
        elif found := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|summary)", line):
            assert found[1] == name and families[name].type is None and not families[name].samples, line
            families[name] = families[name]._replace(type=found[2])
            check_name(name, found[2])
        else:
            found = SAMPLE.fullmatch(line)
            assert found, f"no sample: {line!r}"
            if families.get(name) and families[name].type == "summary" and found[1] in (f"{name}_sum", f"{name}_count"):
                series = families.setdefault(found[1], Family(f"{found[1].rpartition('_')[2]} of a summary", families[name].help, {}))
            else:
                assert found[1] == name and families[name].type, f"{line!r} is not below its head"
                series = families[name]
            labels = tuple(sorted(labels_of(found[2] or "").items()))
            assert labels not in series.samples, f"twice: {line!r}"
            series.samples[labels] = float(found[3])
    for name in [name for name, family in families.items() if family.type == "summary"]:
        assert families.pop(name) and families[f"{name}_sum"].samples.keys() == families[f"{name}_count"].samples.keys(), name
    assert all(family.samples for family in families.values()), "there is a head without samples"
    return families


Row = namedtuple("Row", "labels type field")  # field: "Group.received", or None


def rows():
    """{metric: Row}, as mcastd(8) has them: it is made of the daemon's table."""
    with open(os.path.join(os.path.dirname(MCASTD), "man", "mcastd.8.scd")) as file:
        text = file.read().replace("\\", "")
    found = re.findall(r"^\*(mcastd_\w+)\*(?:\{_([\w, ]+)_\})?, (counter|gauge|(?:sum|count) of a summary)\n"
                       r"\t.*?(?: _([\w.]+)\._\*(\w+)\*)?$", text, re.MULTILINE)
    return {name: Row(tuple(labels.split(", ")) if labels else (), kind, type_ and f"{type_}.{field}")
            for name, labels, kind, type_, field in found}


def interface_fields():
    """The numbers in the answers of the control socket, ["Group.received", ...], and the times and flags that are metrics."""
    with open(os.path.join(ROOT, "src", "control", "io.mcastd.varlink")) as file:
        text = re.sub(r"^#.*\n", "", file.read(), flags=re.MULTILINE)
    fields = []
    for name, body in re.findall(r"^type (\w+) \(\n(.*?)\n\)", text, re.MULTILINE | re.DOTALL):
        fields += [f"{name}.{field}" for field, kind in re.findall(r"(\w+): ([^,\n]+)", body)
                   if kind.strip("?") in ("int", "float", "[string]int", "bool") or field.startswith("last") and field != "lastError"
                   or field == "refreshed"]
    return fields
