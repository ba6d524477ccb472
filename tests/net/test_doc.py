"""The configurations in README.md and in the recipes of doc/: what people copy from there is right."""

import os
import re
import shlex
import subprocess

import pytest

from harness.daemon import MCASTCTL, ROOT, run_mcastd
from harness.documents import PAGES, all_configurations, configurations
from harness.topology import Namespace

BLOCKS = all_configurations()
COMMAND = re.compile(r"^    (?:\$ )?(?:[^\n]*\| )?(mcastctl .*)$|`(mcastctl [^`]*)`", re.MULTILINE)


def commands(page):
    """The words of each mcastctl command on a page, without a command that reads it. Of a synopsis, what is optional is left out."""
    with open(os.path.join(ROOT, page)) as file:
        text = re.sub(r"\[[^]\n]*\]", "", file.read().replace("join TARGET", "join 233.252.0.1:5004").replace("COMMAND", "send"))
    return [shlex.split((block or inline).split(" | ")[0], comments=True)[1:] for block, inline in COMMAND.findall(text)]


def links(page):
    """The files that a page links to, seen from the top."""
    with open(os.path.join(ROOT, page)) as file:
        found = re.findall(r"\]\(([^)#:]+)\)", file.read())
    return [os.path.normpath(os.path.join(os.path.dirname(page), link)) for link in found]


@pytest.mark.parametrize("name", BLOCKS)
def test_each_configuration_of_a_page_passes_the_check(name, tmp_path):
    if "/bin/" in BLOCKS[name] and os.stat("/bin/").st_uid != 0:
        pytest.skip("in a user namespace root's directories belong to nobody")
    path = tmp_path / "mcastd.conf"
    text = BLOCKS[name]
    for directory in "/var/log/mcastd", "/run/mcastd":
        text = text.replace(directory + "/", f"{tmp_path}/")
    text = text.replace("/usr/bin/ffmpeg", "/bin/true")  # it need not be here
    path.write_text(text + f'control: {{ socket = "{tmp_path}/socket"; }};\n')
    result = run_mcastd("-c", str(path), "--check")
    if module := re.search(r"install (mcastd-\w+) \(", result.stderr):
        pytest.skip(f"the library of {module[1]} was not there when this was built")
    assert result.returncode == 0, f"{BLOCKS[name]}\n{result.stderr}"
    # What only this machine lacks.
    assert [line for line in result.stderr.splitlines() if "keep_source" not in line and "there is no journal" not in line] == []


def test_the_recipes_and_readme_have_configurations():
    assert all(configurations(page) for page in PAGES if page not in ("doc/README.md", "doc/measure-the-way.md"))
    assert len(configurations("man/mcastd.conf.5.scd")) > 3


@pytest.fixture(scope="module")
def nowhere():
    """A host without networks, where nothing can be sent to anybody."""
    namespace = Namespace()
    yield namespace
    namespace.close()


def assert_right_usage(host, words):
    """Without a daemon it fails for that reason, and not for its words."""
    if "--reconnect" in words:
        words = [*words, "--timeout", "10ms"]
    with host:
        result = subprocess.run([MCASTCTL, *words, "--socket", "/none"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert result.returncode != 2, f"mcastctl {' '.join(words)}: {result.stderr}"


@pytest.mark.parametrize("page", PAGES)
def test_each_mcastctl_command_of_a_page_is_right_usage(page, nowhere):
    for words in commands(page):
        assert_right_usage(nowhere, words)


def test_each_example_of_the_manual_page_is_right_usage(nowhere):
    with open(os.path.join(ROOT, "man", "mcastctl.1.scd")) as file:
        examples = re.findall(r"^\$ (mcastctl .*)$", file.read(), re.MULTILINE)
    assert len(examples) > 5
    for example in examples:
        assert_right_usage(nowhere, [word for word in shlex.split(example.partition(" | ")[0])[1:] if not word.startswith("<")])


def test_the_targets_of_mcastd_in_the_readme_are_right():
    with open(os.path.join(ROOT, "README.md")) as file:
        examples = re.findall(r"^    \$ mcastd ([^-\n]+)$", file.read(), re.MULTILINE)
    assert examples
    for example in examples:
        result = run_mcastd(*shlex.split(example), "--check")
        assert (result.returncode, result.stderr) == (0, ""), f"{example}: {result.stderr}"


def test_the_pages_have_mcastctl_commands():
    assert all(commands(page) for page in PAGES if page not in ("doc/README.md", "doc/container-without-network.md"))


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_links_to_is_there(page):
    assert [link for link in links(page) if not os.path.exists(os.path.join(ROOT, link))] == []


def test_each_recipe_is_listed():
    assert set(links("doc/README.md")) == set(PAGES) - {"README.md", "doc/README.md"}
