"""The manual pages and the completions of the shells: nothing that the programs have is missing there, the pages render
without a warning, and what they show as a configuration is one."""

import os
import re
import shutil
import subprocess
import tempfile

import pytest

from harness.daemon import MCASTCTL, MCASTD, ROOT, run_mcastd
from harness.terminal import Tmux
from harness.waiting import TIMEOUT, wait_until

PAGES = ["mcastctl.1", "mcastd.conf.5", "io.mcastd.7", "mcastd.8"]
COMPLETIONS = os.path.join(ROOT, "packaging", "completions")

CONFIG = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["to-nowhere"]; };
  other: { address = "233.252.0.2"; port = 5004; interfaces = ["eth0"]; };
};
handlers: {
  to-nowhere: { type = "unix"; path = "/nowhere"; };
  to-file: { type = "file"; path = "$DIR/file"; };
};
"""


def page_path(page):
    path = os.path.join(os.path.dirname(MCASTD), "man", page)
    assert os.path.exists(path), f"there is no {path}: run make man"
    return path


def render(page):
    """The page as a reader sees it, on one line. Whoever formats it must have nothing to complain about."""
    path = page_path(page)
    with open(path) as file:
        source = file.read()
    if shutil.which("groff"):
        tables = ["-t"] if source.startswith("'\\\" t\n") else []  # as man(1) reads it
        command = ["groff", "-man", *tables, "-ww", "-Tutf8"]
        # One sheet, as on a terminal, and long enough: tbl(1) complains about whatever cell meets the end of one.
        source = f".pl 10000i\n.lf 1 {path}\n{source}"
    elif shutil.which("mandoc"):
        command = ["mandoc", "-Tutf8"]
    else:
        pytest.skip("needs groff or mandoc")
    result = subprocess.run(command, input=source, capture_output=True, text=True, timeout=TIMEOUT)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    text = re.sub("\x1b\\[[0-9;]*m|.\b", "", result.stdout)
    return " ".join(re.sub("[\N{HYPHEN}\N{SOFT HYPHEN}]\n\\s*", "", text).split())


def source_of(page):
    """The page as scdoc got it, and the sections and subsections of it by their headings."""
    with open(page_path(page) + ".scd") as file:
        source = file.read()
    parts = re.split("^#+ (.*)\n", source, flags=re.MULTILINE)
    return source, dict(zip(parts[1::2], parts[2::2]))


def plain(source):
    return source.replace("\\", "")


# ---- What the programs themselves say that there is ----

def known_keys(tmp_path, config):
    """The keys that the daemon names to somebody who has written one that there is not."""
    path = tmp_path / "keys.conf"
    path.write_text(config)
    errors = run_mcastd("--check", "-c", str(path)).stderr
    return re.search('unknown key "zzzzzzzz", known: (.*)', errors).group(1).split(", ")


def handler_types(tmp_path):
    path = tmp_path / "types.conf"
    path.write_text('handlers: { out: { type = "zzzzzzzz"; }; };\n')
    return re.search(r"\(there are (.*)\)", run_mcastd("--check", "-c", str(path)).stderr).group(1).split(", ")


def help_of(program, *arguments):
    result = subprocess.run([program, *arguments, "--help"], capture_output=True, text=True, timeout=TIMEOUT)
    assert result.returncode == 0, result.stderr
    return result.stdout


def commands():
    """The commands of mcastctl, and what --help shows behind each."""
    listed = help_of(MCASTCTL).split("Commands:\n")[1].split("\n\n")[0]
    rows = [re.split("  +", line.strip())[0].split(" ") for line in listed.splitlines() if not line.startswith("   ")]
    assert len(rows) > 5, listed
    return {row[0]: row[1:] for row in rows}


def options(program, *arguments):
    """The options that --help shows, each with its short form if it has one."""
    found = re.findall("^ +(-[^ ].*?)(?:  |$)", help_of(program, *arguments), flags=re.MULTILINE)
    names = [name for row in found for name in re.findall("(?:^| )(-[-a-zA-Z]+)", row)]
    assert "--help" in names, found
    return names


def formats(*command):
    """What --format can be, as the program says to somebody who has written another one."""
    result = subprocess.run([*command, "--format", "zzz"], capture_output=True, text=True, timeout=TIMEOUT)
    return set(re.split(", | and ", re.search("is none of (.*?)[;\n]", result.stderr).group(1)))


def filter_keys(*command):
    """The keys of --where, likewise."""
    result = subprocess.run([*command, "--where", "zzzzzzzz=1"], capture_output=True, text=True, timeout=TIMEOUT)
    return {f"{key}=" for key in re.search("known: (.*?)[;\n]", result.stderr).group(1).split(", ")}


def interface():
    with open(os.path.join(ROOT, "src", "control", "io.mcastd.varlink")) as file:
        return re.findall("^(type|method|error) ([A-Za-z]+)", file.read(), flags=re.MULTILINE)


# ---- Pages ----

@pytest.mark.parametrize("page", PAGES)
def test_page_renders_without_a_warning(page):
    assert "SEE ALSO" in render(page)


@pytest.mark.parametrize("page", PAGES)
def test_page_has_no_directive_and_no_markup_left(page):
    text = render(page).replace("vlan*", "").replace("/*", "")
    assert not re.search(r"@[A-Z]+|\*\w|\w\*[ .,]", text), text


@pytest.mark.parametrize("page", PAGES)
def test_page_refers_to_pages_that_exist(page):
    ours = {re.sub(r"\.(\d)$", r"(\1)", name) for name in PAGES}
    named = set(re.findall(r"[\w.]*mcast[\w.]*\(\d\)", render(page)))
    assert named <= ours, named - ours


def key_sections(tmp_path):
    """Where each key is to be explained: pairs of a heading and the keys."""
    good = 'address = "233.252.0.1"; port = 5004; path = "/x"; command = ["/x"];'
    top = known_keys(tmp_path, "zzzzzzzz = 1;\n")
    parts = {"groups": "GROUPS", "handlers": "HANDLERS", "control": "CONTROL", "http": "HTTP", "events": "EVENTS"}
    assert set(parts) <= set(top)
    yield "THE DAEMON ITSELF", set(top) - set(parts)
    yield "GROUPS", known_keys(tmp_path, f"groups: {{ g: {{ zzzzzzzz = 1; {good} }}; }};\n")
    relay = known_keys(tmp_path, f"groups: {{ g: {{ relay: {{ zzzzzzzz = 1; }}; interfaces = \"a*\"; {good} }}; }};\n")
    assert {"rate", "to"} <= set(relay)
    yield "CONTROL", known_keys(tmp_path, "control: { zzzzzzzz = 1; };\n")
    yield "HTTP", known_keys(tmp_path, "http: { zzzzzzzz = 1; };\n")
    yield "EVENTS", known_keys(tmp_path, "events: { zzzzzzzz = 1; };\n")
    kinds = {kind: set(known_keys(tmp_path, f'handlers: {{ h: {{ type = "{kind}"; zzzzzzzz = 1; {good} }}; }};\n'))
             for kind in handler_types(tmp_path)}
    common = set.intersection(*kinds.values())
    for kind, keys in kinds.items():
        yield kind, keys - common
    yield "Relays", set(relay) - common
    not_of_filter = {"type", "queue", "queue_datagrams", "drop", "strip"}
    yield "HANDLERS", [key for key in common if key in not_of_filter]
    yield "What a handler gets", [key for key in common if key not in not_of_filter]


def test_every_key_is_explained(tmp_path):
    _, sections = source_of("mcastd.conf.5")
    missing = [f"{heading}: {key}" for heading, keys in key_sections(tmp_path) for key in keys
               if f"*{key}* = " not in plain(sections.get(heading, ""))]
    assert not missing


def test_the_example_configuration_has_every_key(tmp_path):
    """etc/mcastd.conf explains them for those who read no manual page."""
    with open(os.path.join(ROOT, "etc", "mcastd.conf")) as file:
        text = file.read()
    missing = [key for _, keys in key_sections(tmp_path) for key in keys
               if not re.search(rf"\b{re.escape(key.rpartition('.')[2])}\b", text)]
    assert not missing


def test_readme_has_every_type_of_handler_and_every_command(tmp_path):
    with open(os.path.join(ROOT, "README.md")) as file:
        text = file.read()
    assert [kind for kind in handler_types(tmp_path) if f"| `{kind}` |" not in text] == []
    assert [name for name in commands() if not re.search(rf"`(mcastctl )?{name}\b", text)] == []


def test_every_type_of_value_is_explained():
    source, sections = source_of("mcastd.conf.5")
    used = set(re.findall(r"^\*.*\* = _(\w+)_", source, flags=re.MULTILINE))
    assert {"string", "size"} <= used
    assert not [name for name in used if f"_{name}_" not in sections["VALUES"]]


def test_every_type_of_handler_has_a_section(tmp_path):
    _, sections = source_of("mcastd.conf.5")
    assert not [kind for kind in handler_types(tmp_path) if kind not in sections]


def test_every_command_and_option_is_explained():
    source, _ = source_of("mcastctl.1")
    missing = [f"mcastctl {command}" for command in commands() if f"\n*mcastctl {command}*" not in source]
    for command in commands():
        part = source.split(f"\n*mcastctl {command}*")[-1]
        missing += [f"{command} {option}" for option in options(MCASTCTL, command)
                    if f"*{option}*" not in part and f"*{option}*" not in source.split("# SENDING")[0]]
    assert not missing


def test_every_option_of_the_daemon_is_explained():
    _, sections = source_of("mcastd.8")
    assert not [option for option in options(MCASTD) if f"*{option}*" not in sections["OPTIONS"]]


def test_everything_of_the_interface_is_described():
    _, sections = source_of("io.mcastd.7")
    assert len(interface()) > 20
    missing = [name for keyword, name in interface() if keyword != "error" and f"{keyword} {name}" not in
               sections.get(name, "")]
    missing += [name for keyword, name in interface() if keyword == "error" and
                (f"error {name} " not in sections["ERRORS"] or f"*{name}*" not in sections["ERRORS"])]
    assert not missing


def test_every_counter_and_reason_is_explained(tmp_path, start):
    """What handlers count under names of their own: all reasons, and the counters of each type that has some."""
    config = "".join(f'h-{kind}: {{ type = "{kind}"; {keys} }};\n' for kind, keys in {
        "exec": 'command = ["/bin/true"];', "pipe": 'command = ["/bin/cat"];', "log": "",
        "file": 'path = "$DIR/file";', "pcapng": 'path = "$DIR/file.pcapng";', "unix": 'path = "/nowhere";',
        "udp": 'address = "192.0.2.1"; port = 9;'}.items())
    if os.stat("/bin/").st_uid != 0:
        config = "".join(line for line in config.splitlines() if "command" not in line)
    reasons, counters = source_of("mcastd.8")[1]["ACCOUNTING"], source_of("mcastd.conf.5")[0]
    for handler in start(f"handlers: {{ {config} }};\n").call("ListHandlers")["handlers"]:
        assert not [reason for reason in handler["dropped"] if f"*{reason}*\n" not in reasons]
        assert not [counter for counter in handler["counters"] if f"*{counter}*" not in counters]


# ---- Completions ----

COMPLETE = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"_$1" "$1"
[ ${#COMPREPLY[@]} = 0 ] || printf "%s\\n" "${COMPREPLY[@]}"
"""


def complete(*words, program="mcastctl", socket="/nonexistent"):
    """What bash offers for the last of these words, which are those that readline makes of the line."""
    path = os.path.join(COMPLETIONS, f"{program}.bash")
    environment = {**os.environ, "PATH": f"{os.path.dirname(MCASTCTL)}:{os.environ['PATH']}", "MCASTD_SOCKET": socket}
    result = subprocess.run(["bash", "-uc", COMPLETE, "bash", path, program, *words], env=environment,
                            capture_output=True, text=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return set(result.stdout.splitlines())


def test_bash_completes_every_command():
    assert complete("") == set(commands())


def test_bash_completes_every_option_of_every_command():
    for command in commands():
        assert complete(command, "-") == set(options(MCASTCTL, command))


def test_bash_completes_options_before_the_command():
    assert complete("--js") == {"--json"}
    assert complete("--json", "sta") == {"stats", "status"}


def test_bash_completes_values_of_options():
    assert complete("tail", "--format", "") == formats(MCASTCTL, "tail", "x")
    assert complete("send", "--interface", "lo") == {"lo"}


def test_bash_completes_values_behind_an_equals_sign():
    """Which readline takes for the end of a word."""
    assert complete("tail", "--format", "=", "j") == {"json"}
    assert complete("tail", "--format", "=") == formats(MCASTCTL, "tail", "x")


def test_bash_completes_groups_and_handlers_that_there_are(start):
    socket = start(CONFIG).control_path
    assert complete("send", "", socket=socket) == {"news", "other"}
    assert complete("tail", "news", "o", socket=socket) == {"other"}
    assert complete("replay", "FILE", "--map", "233.252.0.1", ":", "5004", "=", "n", socket=socket) == {"news"}
    assert complete("probe", "", socket=socket) == {"send", "news", "other"}
    assert complete("probe", "send", "", socket=socket) == complete("senders", "", socket=socket) == {"news", "other"}
    assert complete("probe", "news", "", socket=socket) == complete("probe", "send", "news", "", socket=socket) == set()
    assert complete("-s", socket, "rotate", "to") == {"to-file"}
    assert complete(f"-s{socket}", "rotate", "to") == {"to-file"}
    assert complete("join", "--handler", "l", socket=socket) == {"log"}


def test_bash_completes_no_group_where_something_else_belongs(start):
    socket = start(CONFIG).control_path
    assert complete("send", "news", "", socket=socket) == set()
    assert complete("send", "news", "--count", "", socket=socket) == set()
    assert complete("status", "", socket=socket) == set()


def test_bash_completes_a_group_with_a_colon_in_its_name(start):
    daemon = start(CONFIG)
    daemon.ctl("join", "[ff15::1]:5004", "--interface", "eth0")
    daemon.ctl("join", "233.252.0.9:5004", "--interface", "eth0")
    assert complete("tail", "233", ":", "50", socket=daemon.control_path) == set()
    assert complete("tail", "233.252.0.9", ":", "50", socket=daemon.control_path) == {"5004"}
    assert complete("tail", "\\[ff", socket=daemon.control_path) == {"\\[ff15::1\\]:5004"}
    assert complete("tail", "\\[ff15", "::", "1", socket=daemon.control_path) == {"1\\]:5004"}


def test_bash_completes_the_interface_of_a_target():
    assert complete("send", "233.252.0.1", ":", "5004%l") == {"5004%lo"}
    assert complete("join", "233.252.0.1", ":", "5004%l") == {"5004%lo"}


def test_bash_completes_the_groups_that_can_be_left(start):
    daemon = start(CONFIG)
    daemon.ctl("join", "233.252.0.9:5004%eth0")
    assert complete("leave", "233.252.0.9", ":", "5004%", socket=daemon.control_path) == {"5004%eth0"}


def test_bash_offers_what_can_be_left_and_rotated_only(start):
    daemon = start(CONFIG)
    daemon.ctl("join", "233.252.0.9:5004%eth0", "--name", "joined")
    assert complete("leave", "", socket=daemon.control_path) == {"joined"}
    assert complete("--socket", daemon.control_path, "leave", "j") == {"joined"}
    assert complete("rotate", "", socket=daemon.control_path) == {"to-file"}
    assert complete("handlers", "to", socket=daemon.control_path) == {"to-nowhere", "to-file"}


def test_bash_offers_nothing_twice(start):
    socket = start(CONFIG).control_path
    assert complete("tail", "news", "", socket=socket) == {"other", "events"}
    assert complete("send", "news,", socket=socket) == {"news,other"}
    assert complete("send", "news,o", socket=socket) == {"news,other"}
    assert "--reconnect" not in complete("tail", "--reconnect", "--", socket=socket)
    assert {"--where", "--count"} <= complete("tail", "--where", "sources", "=", "::1", "--", socket=socket)


def test_bash_offers_events_where_they_can_be_had(start):
    socket = start(CONFIG + 'events: { handlers = ["log"]; };\n').control_path
    assert complete("tail", "e", socket=socket) == {"events"}
    assert complete("send", "e", socket=socket) == set()


def test_bash_completes_the_keys_of_filters():
    assert complete("tail", "--where", "") == filter_keys(MCASTCTL, "tail", "x")
    assert complete("tail", "--where", "sou") == {"sources="}
    assert complete("--where", "", program="mcastd") == filter_keys(MCASTD, "233.252.0.1:5004")
    assert complete("--format", "", program="mcastd") == formats(MCASTD, "233.252.0.1:5004")


def test_bash_is_quiet_without_a_daemon():
    assert complete("send", "") == set()
    assert complete("join", "--handler", "") == set()


def test_bash_completes_the_daemon():
    assert complete("-", program="mcastd") == set(options(MCASTD))
    assert complete("233.252.0.1", ":", "5004%l", program="mcastd") == {"5004%lo"}


def test_zsh_knows_every_option_of_the_daemon():
    with open(os.path.join(COMPLETIONS, "_mcastd")) as file:
        text = file.read()
    assert not [option for option in options(MCASTD) if not re.search(rf"(?<![\w-]){option}(?![\w-])", text)]


@pytest.mark.parametrize("file", ["_mcastctl", "_mcastd"])
def test_zsh_reads_its_completions(file):
    if not shutil.which("zsh"):
        pytest.skip("needs zsh")
    result = subprocess.run(["zsh", "-n", os.path.join(COMPLETIONS, file)], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr


@pytest.mark.parametrize("file", ["mcastctl.fish", "mcastd.fish"])
def test_fish_reads_its_completions(file, tmp_path):
    if not shutil.which("fish"):
        pytest.skip("needs fish")
    result = subprocess.run(["fish", "--no-config", "-n", os.path.join(COMPLETIONS, file)], capture_output=True, text=True,
                            env={**os.environ, "HOME": str(tmp_path)})
    assert (result.returncode, result.stderr) == (0, ""), result.stderr


def fish(line, program="mcastctl", socket="/nonexistent"):
    """What fish offers for the end of a line."""
    if not shutil.which("fish"):
        pytest.skip("needs fish")
    script = f"source {os.path.join(COMPLETIONS, program)}.fish; complete -C $LINE"
    environment = {**os.environ, "PATH": f"{os.path.dirname(MCASTCTL)}:{os.environ['PATH']}", "MCASTD_SOCKET": socket,
                   "LINE": f"{program} {line}"}
    with tempfile.TemporaryDirectory() as home:  # where fish makes directories
        environment |= {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home}
        result = subprocess.run(["fish", "--no-config", "-c", script], env=environment, capture_output=True, text=True,
                                timeout=TIMEOUT, stdin=subprocess.DEVNULL)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return {row.split("\t")[0] for row in result.stdout.splitlines()}


def test_fish_completes_commands_options_and_values():
    assert fish("") == set(commands())
    assert fish("tail --") == {option for option in options(MCASTCTL, "tail") if option.startswith("--")}
    assert fish("tail --format ") == formats(MCASTCTL, "tail", "x")
    assert fish("tail --format=p") == {"--format=pcapng"}
    assert fish("tail --where ") == filter_keys(MCASTCTL, "tail", "x")
    assert fish("send --interface l") >= {"lo"}
    assert fish("send 233.252.0.1:5004%lo") == {"233.252.0.1:5004%lo"}
    assert fish("help joi") == {"join"}


def test_fish_completes_groups_and_handlers_that_there_are(start):
    daemon = start(CONFIG)
    daemon.ctl("join", "233.252.0.9:5004%eth0", "--name", "joined")
    socket = daemon.control_path
    assert fish("send ", socket=socket) == {"news", "other", "joined"}
    assert fish("send news,", socket=socket) == {"news,other", "news,joined"}
    assert fish("send news ", socket=socket) == set()
    assert fish("tail news ", socket=socket) == {"other", "joined", "events"}
    assert fish("replay FILE --map 233.252.0.1=n", socket=socket) == {"233.252.0.1=news"}
    assert fish("probe ", socket=socket) == {"send", "news", "other", "joined"}
    assert fish("probe send n", socket=socket) == {"news"} and fish("probe news ", socket=socket) == set()
    assert fish(f"-s {socket} leave ") == {"joined"}
    assert fish("rotate ", socket=socket) == {"to-file"}
    assert fish("handlers ", socket=socket) == {"to-file", "to-nowhere", "log", "journal"}


def test_fish_completes_the_daemon():
    assert fish("--", program="mcastd") == {option for option in options(MCASTD) if option.startswith("--")}
    assert fish("--format ", program="mcastd") == formats(MCASTD, "233.252.0.1:5004")
    assert fish("--where ", program="mcastd") == filter_keys(MCASTD, "233.252.0.1:5004")
    assert fish("233.252.0.1:5004%l", program="mcastd") >= {"233.252.0.1:5004%lo"}


@pytest.fixture(scope="module")
def zsh(tmp_path_factory):
    """Returns what zsh shows in a terminal after a line and Tab; with one candidate, the line itself."""
    if not shutil.which("zsh") or not shutil.which("tmux"):
        pytest.skip("needs zsh and tmux")
    home = tmp_path_factory.mktemp("zsh")

    def zsh(line, socket="/nonexistent"):
        with Tmux(width=120) as tmux:
            tmux.type(f"cd {home}; HOME={home} MCASTD_SOCKET={socket} PATH={os.path.dirname(MCASTCTL)}:$PATH "
                      f"PS1='zsh%# ' zsh -f -i")
            tmux.wait_for("zsh#")
            tmux.type(f"fpath=({COMPLETIONS} $fpath); autoload -U compinit; compinit -u -D; clear; PS1='done%# '; bindkey -e")
            tmux.wait_for("done#")
            tmux.run("send-keys", "-l", line)
            wait_until(lambda: line.strip() in tmux.text(), "the line")
            tmux.press("Tab")
            tmux.run("send-keys", "-l", " # end")
            wait_until(lambda: "# end" in tmux.text(), "the completion")
            return tmux.text()

    return zsh


def test_zsh_completes_what_is_possible_only(zsh, start):
    daemon = start(CONFIG)
    daemon.ctl("join", "233.252.0.9:5004%eth0", "--name", "joined")
    socket = daemon.control_path
    assert "mcastctl leave joined" in zsh("mcastctl leave ", socket)
    assert "mcastctl rotate to-file" in zsh("mcastctl rotate ", socket)
    assert "mcastctl send news,other" in zsh("mcastctl send news,o", socket)
    assert "mcastctl tail news joined" in zsh("mcastctl tail news j", socket)
    assert "mcastctl probe send" in zsh("mcastctl probe s", socket)
    assert "mcastctl probe news" in zsh("mcastctl probe n", socket)
    assert "mcastctl probe send news" in zsh("mcastctl probe send n", socket)
    assert "mcastctl tail --format pcapng" in zsh("mcastctl tail --format p", socket)
    assert "mcastctl tail --where block_sources=" in zsh("mcastctl tail --where bl", socket)
    assert "mcastd --where=block_sources=" in zsh("mcastd --where=bl", socket)
