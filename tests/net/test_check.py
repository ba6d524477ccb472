"""Configurations that are broken: each error names file and line, says what is wrong and what would do."""

import os
import re

import pytest

from harness.daemon import run_mcastd

GOOD = 'groups: { news: { address = "233.252.0.1"; port = 5004; }; };\n'


def group(*lines):
    """A good group, in which the given lines begin at line 5."""
    return "\n".join(["groups: {", "  news: {", '    address = "233.252.0.1";', "    port = 5004;",
                      *(f"    {line}" for line in lines), "  };", "};"]) + "\n"


def handler(*lines):
    """A handler, the lines of which begin at line 3."""
    return "\n".join(["handlers: {", "  out: {", *(f"    {line}" for line in lines), "  };", "};"]) + "\n"


# Each: the file, the line that is to be named, and what the message is to contain.
BROKEN = {
    "unknown-key": (group("recieve_buffer = \"4M\";"), 5, ["recieve_buffer", "did you mean", "receive_buffer"]),
    "unknown-section": ("grups: { };\n", 1, ["grups", "did you mean", "groups"]),
    "unknown-handler": (group('handlers = ["jornal"];'), 5, ["jornal", "did you mean", "journal"]),
    "unknown-handler-type": (handler('type = "fiel";'), 3, ["fiel", "did you mean", "file"]),
    "unknown-handler-key": (handler('type = "file";', 'path = "/tmp/x";', 'formt = "json";'), 5, ["formt", "format"]),
    "unknown-choice": (handler('type = "file";', 'path = "/tmp/x";', 'format = "xml";'), 5, ["xml", "json"]),
    "missing-address": ("groups: {\n  news: { port = 5004; };\n};\n", 2, ["address"]),
    "missing-port": ('groups: {\n  news: { address = "233.252.0.1"; };\n};\n', 2, ["port"]),
    "missing-type": ("handlers: {\n  out: { };\n};\n", 2, ["type"]),
    "missing-path": (handler('type = "file";'), 2, ["path"]),
    "not-an-address": ('groups: { news: {\n  address = "news.example";\n port = 5004; }; };\n', 2, ["news.example"]),
    "no-address-of-a-host": ('groups: { news: {\n  address = "0.0.0.1";\n port = 5004; }; };\n', 2, ["0.0.0.1", "host"]),
    "port-0": ('groups: { news: { address = "233.252.0.1";\n port = 0; }; };\n', 2, ["port", "65535"]),
    "port-65536": ('groups: { news: { address = "233.252.0.1";\n port = 65536; }; };\n', 2, ["port", "65535"]),
    "port-string": ('groups: { news: { address = "233.252.0.1";\n port = "5004"; }; };\n', 2, ["port", "number"]),
    "ttl-256": (group("ttl = 256;"), 5, ["ttl", "255"]),
    "bool-number": (group("loop = 1;"), 5, ["loop", "true"]),
    "size-number": (group("receive_buffer = 4194304;"), 5, ["receive_buffer", "\"4M\""]),
    "size-unit": (group('receive_buffer = "4MB";'), 5, ["4MB"]),
    "size-small": (group('receive_buffer = "1";'), 5, ["receive_buffer", "4K"]),
    "integer-overflow": (group("ttl = 5000000000;"), 5, ["5000000000"]),
    "leading-zero": (group("ttl = 010;"), 5, ["010"]),
    "mode": (group("socket = true;", 'socket_mode = "0999";'), 6, ["0999", "0660"]),
    "mode-number": (group("socket = true;", "socket_mode = 660;"), 6, ["socket_mode", "\"0660\""]),
    "socket-group": (group("socket = true;", 'socket_group = "no-such-group";'), 6, ["no-such-group"]),
    "mode-without-socket": (group('socket_mode = "0600";'), 5, ["socket_mode", "socket = true"]),
    "sources-and-blocked": (group('sources = ["192.0.2.7"];', 'block_sources = ["192.0.2.8"];'), 6,
                            ["block_sources", "sources"]),
    "source-family": (group('sources = ["2001:db8::1"];'), 5, ["2001:db8::1", "IPv4"]),
    "source-multicast": (group('sources = ["233.252.0.2"];'), 5, ["233.252.0.2", "unicast"]),
    "interface-name": (group('interfaces = ["eth 0"];'), 5, ["eth 0"]),
    "interface-long": (group('interfaces = ["a-name-of-16-byte"];'), 5, ["15"]),
    "interfaces-empty": (group("interfaces = [];"), 5, ["interfaces"]),
    "relative-path": (handler('type = "file";', 'path = "news.log";'), 4, ["news.log", "absolute"]),
    "include": ('@include "other.conf"\n', 1, ["@include", "conf.d"]),
    "syntax": (GOOD + "groups\n", 2, ["syntax"]),
    "unclosed-brace": ("groups: {\n  news: {\n", 2, ["never closed"]),
    "unclosed-string": ('groups: {\n news: { address = "233.252.0.1;\n }; };\n', 2, ["closing"]),
    "group-twice": (GOOD.replace("};\n", '\n news: { address = "233.252.0.2"; port = 5004; }; };\n'), 2, ["news"]),
    "same-group-twice": ('groups: {\n a: { address = "233.252.0.1"; port = 1; };\n'
                         ' b: { address = "233.252.0.1"; port = 1; };\n};\n', 3, ["b"]),
    "file-twice": ('handlers: {\n a: { type = "file"; path = "/tmp/x"; };\n b: { type = "pcapng"; path = "/tmp/x"; };\n};\n',
                   3, ["handlers.b", "the same file as handlers.a"]),
    "nul": ("groups: { };\n\0", 2, ["NUL"]),
    "udp-port": (handler('type = "udp";', 'address = "192.0.2.1";'), 2, ["port"]),
    "queue-that-is-none": (handler('type = "udp";', 'address = "192.0.2.1";', "port = 1;", 'queue = "lots";'), 6, ["queue", "lots"]),
    "burst-of-no-rate": (handler('type = "log";', 'rate = "fast";', "burst = 5;"), 4, ["rate", "fast"]),
    "queue": (handler('type = "log";', 'queue = "lots";'), 4, ["queue", "lots"]),
}


@pytest.fixture
def check(tmp_path):
    """Writes mcastd.conf, and conf.d/NAME.conf for other names, and returns status and lines of mcastd --check."""

    def check(text, **conf_d):
        for name, text in {"mcastd": text, **conf_d}.items():
            path = tmp_path / ("mcastd.conf" if name == "mcastd" else f"conf.d/{name}.conf")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        result = run_mcastd("-c", str(tmp_path / "mcastd.conf"), "--check")
        return result.returncode, (result.stdout + result.stderr).replace(f"{tmp_path}/", "").splitlines()

    return check


@pytest.mark.parametrize("case", BROKEN)
def test_broken_configurations_are_refused_with_file_line_and_a_hint(check, case):
    text, line, words = BROKEN[case]
    status, lines = check(text)
    assert status == 78
    found = [message for message in lines if message.startswith(f"mcastd.conf:{line}: ")]
    assert found, lines
    assert any(all(word in message for word in words) for message in found), lines


@pytest.mark.parametrize("case", BROKEN)
def test_one_mistake_is_one_error(check, case):
    _, lines = check(BROKEN[case][0])
    assert len(lines) == 1, lines


def test_all_errors_are_told_in_one_run(check):
    status, lines = check(group("ttl = 256;", "loop = 1;", "colour = 5;", 'handlers = ["nobody"];'))
    assert status == 78
    assert [line.split(":")[1] for line in lines] == ["5", "6", "7", "8"]


def test_errors_of_every_file_are_told(check):
    status, lines = check(group("ttl = 256;"), a="groups: {\n", b="nonsense: {};\n")
    assert status == 78
    files = {line.split(":")[0] for line in lines}
    assert files == {"mcastd.conf", "conf.d/a.conf", "conf.d/b.conf"}


def test_a_group_defined_in_two_files_names_both_places(check):
    status, lines = check(GOOD, a="\n" + GOOD)
    assert status == 78
    assert any("mcastd.conf:1" in line and "conf.d/a.conf:2" in line for line in lines), lines


def test_a_good_configuration_is_summarized(check):
    status, lines = check(GOOD)
    assert status == 0
    assert "1 group" in " ".join(lines)


def test_files_of_conf_d_are_read_in_the_order_of_their_names(start):
    daemon = start("")
    os.mkdir(daemon.path("conf.d"))
    for name, group_name in (("b.conf", "b"), ("a.conf", "a"), ("ignored.bak", "c")):
        with open(daemon.path("conf.d", name), "w") as file:
            file.write(GOOD.replace("news", group_name).replace("0.1", f"0.{ord(group_name)}"))
    daemon.call("Reload")
    assert {group["name"] for group in daemon.call("ListGroups")["groups"]} == {"a", "b"}


def test_handlers_of_one_file_serve_groups_of_another(check):
    status, _ = check('groups: { news: { address = "233.252.0.1"; port = 5004; handlers = ["out"]; }; };',
                      a=handler('type = "file";', 'path = "/tmp/x";'))
    assert status == 0


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    result = run_mcastd("-c", str(tmp_path / "none.conf"), "--check")
    assert result.returncode == 78
    assert "none.conf" in result.stderr


def test_a_directory_is_not_a_configuration(tmp_path):
    result = run_mcastd("-c", str(tmp_path), "--check")
    assert result.returncode == 78 and str(tmp_path) in result.stderr


def test_a_file_full_of_garbage_is_refused_in_few_words(tmp_path):
    (tmp_path / "mcastd.conf").write_bytes(os.urandom(100000))
    result = run_mcastd("-c", str(tmp_path / "mcastd.conf"), "--check")
    assert result.returncode == 78
    assert 1 <= len(result.stderr.splitlines()) <= 202
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f]", result.stderr)


def test_a_file_of_deep_brackets_is_refused(check):
    status, lines = check("x: " + "{ a: " * 100000)
    assert status == 78 and len(lines) <= 3


def test_the_daemon_itself_refuses_to_start_with_a_broken_configuration(tmp_path):
    (tmp_path / "mcastd.conf").write_text(group("ttl = 256;"))
    result = run_mcastd("-c", str(tmp_path / "mcastd.conf"))
    assert result.returncode == 78
    assert "mcastd.conf:5:" in result.stderr


@pytest.mark.parametrize("argument, why", [
    ("233.252.0.1", "write ADDRESS:PORT"), ("0.0.0.1:5004", "is no address of a host"),
    ("233.252.0.1:0", "port: 0 is out of range"), ("233.252.0.1:5004%a/b", '"a/b" cannot be an interface'),
    ("233.252.0.1:5004,source=x", 'sources: "x" is not an IP address'),
    ("233.252.0.1:5004,colour=red", 'unknown setting "colour"'), ("[ff15::1:5004", "write ADDRESS:PORT")])
def test_broken_groups_on_the_command_line_are_refused_with_the_reason(argument, why):
    result = run_mcastd(argument)
    assert result.returncode == 78
    assert f"{argument.split(',')[0]}: " in result.stderr and why in result.stderr


def test_unknown_options_are_wrong_usage():
    result = run_mcastd("--nonsense")
    assert result.returncode == 2 and "nonsense" in result.stderr


def test_help_and_version_succeed():
    assert run_mcastd("--help").stdout.startswith("Usage: mcastd")
    assert re.match(r"mcastd \d", run_mcastd("--version").stdout)
