"""The configurations that people copy: those in README.md, doc/, man/ and etc/."""

import glob
import os
import re

from harness.daemon import ROOT

PAGES = ["README.md", *(os.path.relpath(path, ROOT) for path in sorted(glob.glob(f"{ROOT}/doc/*.md")))]
MANUAL = [os.path.relpath(path, ROOT) for path in sorted(glob.glob(f"{ROOT}/man/*.scd"))]
EXAMPLES = [os.path.relpath(path, ROOT) for path in sorted(glob.glob(f"{ROOT}/etc/conf.d/*.example"))]
COMMENTED = "etc/mcastd.conf"

FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"(?:#|//) (\S+)\n")
INDENTED = re.compile(r"(?:^    .*\n(?:\n(?=    ))?)+", re.MULTILINE)
BEGIN = re.compile(r"(groups|handlers|control|events|http): \{")


def read(path):
    with open(os.path.join(ROOT, path)) as file:
        return file.read()


def indented(page):
    """The indented blocks of a page: commands, what they print, programs."""
    return [re.sub("^    ", "", block, flags=re.MULTILINE) for block in INDENTED.findall(read(page))]


def programs(page):
    """The programs of a page, by the name of the file that their first line says."""
    return {named[1]: block for block in FENCED.findall(read(page)) if (named := NAMED.match(block))}


def configurations(page):
    """The blocks of a page that begin as a configuration does; of an example all of it, and of etc/mcastd.conf what is commented
    out, at once. Programs, users and groups that are not there are others."""
    text = read(page)
    if page in EXAMPLES:
        blocks = [text]
    elif page == COMMENTED:
        parts = re.findall(r"^#(?:groups|handlers): \{\n(?:#.*\n)*?#\};\n", text, re.MULTILINE)
        blocks = [re.sub("^#", "", "".join(parts), flags=re.MULTILINE)]
    else:
        blocks = FENCED.findall(text) + indented(page)
        blocks = [block for block in blocks if BEGIN.match(block)]
    if page in MANUAL:
        blocks = [block.replace("\\", "") for block in blocks]
    for named, instead in (('"/usr/local/bin/[^"]*"', '"/bin/true"'), ('"(user:|group:)(alice|operators)"', r'"\1daemon"')):
        blocks = [re.sub(named, instead, block) for block in blocks]
    return blocks


def all_configurations():
    """All of them, by the page and a number: {"README.md-0": text}."""
    return {f"{page}-{number}": block for page in (*PAGES, *MANUAL, *EXAMPLES, COMMENTED)
            for number, block in enumerate(configurations(page))}
