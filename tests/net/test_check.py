"""Configurations that are broken: each error names file and line, says what is wrong and what would do."""

import os
import re
import shutil
import subprocess
import tempfile

import pytest

from harness.daemon import MCASTD, ROOT, run_mcastd
from harness.terminal import run_in_terminal
from harness.waiting import TIMEOUT

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
    "injection": ('groups: { news: { address = "192.0.2.1"; port = 5004;\n handlers = ["out"]; }; };\n'
                  + handler('type = "udp";', 'address = "233.252.0.1";', "port = 5004;"), 2, ["sources"]),
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
    "unknown-user": (group('allow_send = ["user:no-such-user"];'), 5, ["no-such-user", "create it"]),
    "unknown-group": (group('allow_receive = ["group:no-such-group"];'), 5, ["no-such-group", "create it"]),
    "neither-user-nor-group": (group('allow_receive = ["root"];'), 5, ["\"root\"", "user:NAME"]),
    "empty-without-socket": (group('socket_empty = false;'), 5, ["socket_empty", "socket = true"]),
    "sources-and-blocked": (group('sources = ["192.0.2.7"];', 'block_sources = ["192.0.2.8"];'), 6,
                            ["block_sources", "sources"]),
    "source-family": (group('sources = ["2001:db8::1"];'), 5, ["2001:db8::1", "IPv4"]),
    "source-multicast": (group('sources = ["233.252.0.2"];'), 5, ["233.252.0.2", "unicast"]),
    "interface-name": (group('interfaces = ["eth 0"];'), 5, ["eth 0"]),
    "interface-long": (group('interfaces = ["%s"];' % ("a" * 128)), 5, ["127"]),
    "interface-with-parent": (group('interfaces = ["eth0@if2"];'), 5, ["eth0@if2", "leave out"]),
    "interfaces-in-one-string": (group('interfaces = "eth0,eth1";'), 5, ['["eth0", "eth1"]']),
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
    "file-in-dev-shm-twice": (
        'handlers: {\n a: { type = "file"; path = "/dev/shm/mcastd-none"; };\n b: { type = "pcapng"; path = "/dev/shm/mcastd-none"; };\n};\n',
        3, ["handlers.b", "the same file as handlers.a"]),
    "nul": ("groups: { };\n\0", 2, ["NUL"]),
    "udp-port": (handler('type = "udp";', 'address = "192.0.2.1";'), 2, ["port"]),
    "udp-to-everyone": (handler('type = "udp";', 'address = "255.255.255.255"; port = 1;'), 2,
                        ["handlers.out.interface", "must be set", 'interface = "eth0";']),
    "udp-to-nobody": (handler('type = "udp";', 'address = "0.0.0.0";', "port = 1;"), 4, ["0.0.0.0", "127.0.0.1"]),
    "udp-to-nobody-of-ipv6": (handler('type = "udp";', 'address = "::";', "port = 1;"), 4, ["\"::\"", "as ::1 for this one"]),
    "udp-to-a-mapped-address": (handler('type = "udp";', 'address = "::ffff:192.0.2.1";', "port = 1;"), 4, ["write 192.0.2.1"]),
    "udp-to-no-host": (handler('type = "udp";', 'address = "0.0.0.1";', "port = 1;"), 4, ["0.0.0.1", "no address of a host"]),
    "udp-from-nobody": (handler('type = "udp";', 'address = "192.0.2.1"; port = 1;', 'source_address = "0.0.0.0";'), 5,
                        ["source_address", "cannot be sent from"]),
    "udp-to-its-own-group-by-0.0.0.0": (
        'groups: { g: { address = "127.0.0.1"; port = 5001; handlers = ["out"]; }; };\n'
        'handlers: { out: { type = "udp"; port = 5001;\naddress = "0.0.0.0"; }; };\n', 3, ["0.0.0.0", "127.0.0.1"]),
    "unknown-user-to-run-as": ('\nuser = "no-such-user";\n', 2, ["user: this system has no user no-such-user", "useradd"]),
    "unknown-group-to-run-as": ('user = "root";\ngroup = "no-such-group";\n', 2, ["group: this system has no group", "groupadd"]),
    "group-without-user": ('\ngroup = "daemon";\n', 2, ["group: ", 'user = "mcastd";']),
    "queue-that-is-none": (handler('type = "udp";', 'address = "192.0.2.1";', "port = 1;", 'queue = "lots";'), 6, ["queue", "lots"]),
    "burst-of-no-rate": (handler('type = "log";', 'rate = "fast";', "burst = 5;"), 4, ["rate", "fast"]),
    "rate-number": (handler('type = "log";', "rate = 50;"), 4, ["rate", "\"50/s\""]),
    "events-without-a-sender": ('events: {\n handlers = ["out"];\n};\nhandlers: { out: { type = "udp"; address = "192.0.2.1";'
                                ' port = 1; keep_source = true; }; };\n', 2, ["out", "keep_source", "remove"]),
    "relay-that-strips": (group('interfaces = ["eth0", "eth1"];', 'relay: { strip = "rtp"; };'), 6, ["groups.news.relay:", "strip", "known"]),
    "relay-of-one-interface": (group('interfaces = ["eth0"];', "relay: { };"), 6, ["groups.news.relay:", "eth0", "name others"]),
    "relay-at-the-top": ("relay: { };\n", 1, ["relay", "groups: {", "relay: { ... };"]),
    "relay-as-a-type": (handler('type = "relay";'), 3, ["relay", "groups: {", "relay: { ... };"]),
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


def test_a_handlers_interface_is_shown_without_control_characters(check):
    _, lines = check('groups: { g: { address = "233.252.0.1"; port = 5004; interfaces = ["eth*"]; handlers = ["out"]; }; };\n'
                     'handlers: { out: { type = "udp"; address = "233.252.0.1"; port = 5004; interface = "eth\\x1b"; }; };\n')
    assert len(lines) == 2 and all("eth\\x1b" in line and "\x1b" not in line for line in lines), lines


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
    status, (line,) = check(GOOD)
    assert status == 0 and re.fullmatch(r"mcastd.conf: no errors: 1 groups?, 2 handlers \(checked as user \w+\)", line)


SITES = """groups: { lan: { address = "233.252.0.1"; port = 5004; interfaces = ["%s"]; handlers = ["site"]; };
  vpn: { address = "0.0.0.0"; port = 5010; interfaces = ["wg0"]; sources = ["10.8.0.2"]; handlers = ["back"]; }; };
handlers: { site: { type = "udp"; address = "10.8.0.2"; port = 5010; %s };
  back: { type = "udp"; address = "233.252.0.1"; port = 5004; interface = "eth0"; loop = %s; }; };
"""


def test_what_the_daemon_sends_with_loop_and_passes_on_to_a_host_is_warned_of(check):
    status, lines = check(SITES % ("eth0", "", "true"))
    assert status == 0 and lines[-1].startswith('mcastd.conf:1: groups.lan: warning: "site" passes on to a host what "back" sends')


@pytest.mark.parametrize("interface, more, loop", [
    ("eth0", "", "false"), ("eth1", "", "true"), ("eth0", 'filter: { sources = ["192.0.2.0/24"]; };', "true"),
    ("eth0", 'filter: { block_sources = ["192.0.2.1"]; };', "true")])
def test_what_does_not_come_back_to_the_daemon_is_not_warned_of(check, interface, more, loop):
    _, lines = check(SITES % (interface, more, loop))
    assert not [line for line in lines if '"back"' in line]


WARNED = 'groups: { routing: { address = "224.0.0.18"; port = 5004; interfaces = ["eth0"]; }; };\n'
WARNING = "mcastd.conf:1: groups.routing: warning: 224.0.0.18 is used by VRRP"


def test_warnings_are_printed_and_are_no_errors(tmp_path):
    (tmp_path / "mcastd.conf").write_text(WARNED)
    result = run_mcastd("-c", str(tmp_path / "mcastd.conf"), "--check")
    assert result.returncode == 0
    assert "mcastd.conf: no errors: 1 group, 2 handlers, 1 warning (checked as user " in result.stdout
    assert WARNING in result.stderr and len(result.stderr.splitlines()) == 1


def test_only_what_is_no_address_of_this_host_now_is_warned_of(net, tmp_path):
    """What is one, the kernel's table tells: own addresses, broadcast addresses of its networks, what each host has."""
    shown = net.host.run("ip", "-6", "address", "show", "dev", "eth0", "scope", "link")
    link_local = re.search("inet6 (fe80::[^/]*)/", str(shown))[1]
    ours = (net.host.v4, "192.0.2.255", "255.255.255.255", "127.0.0.1", "0.0.0.0", net.host.v6, link_local, "::1", "::")
    not_ours = (net.peer.v4, "198.18.0.255", net.peer.v6, "fe80::1234")
    (tmp_path / "mcastd.conf").write_text("groups: {\n" + "".join(
        f'  g{i}: {{ address = "{address}"; port = {5000 + i}; interfaces = ["eth0"]; }};\n'
        for i, address in enumerate(ours + not_ours)) + "};\n")
    result = run_mcastd("-c", str(tmp_path / "mcastd.conf"), "--check", host=net.host)
    lines = result.stderr.splitlines()
    assert result.returncode == 0 and len(lines) == len(not_ours), lines
    for address, line in zip(not_ours, lines, strict=True):
        assert f"warning: {address} is no " in line and "address of this host now: the group waits until it is" in line


def test_an_error_is_told_without_warnings(check):
    status, lines = check(WARNED, a='groups: { a: { address = "x"; port = 5004; }; };')
    assert status == 78
    assert [line.split(":")[0] for line in lines] == ["conf.d/a.conf"]


def test_a_check_names_all_that_a_start_by_hand_would_stop_at(tmp_path):
    (tmp_path / "file").mkdir()
    (tmp_path / "groups").write_text("")
    (tmp_path / "mcastd.conf").write_text(
        'groups: { news: { address = "233.252.0.1"; port = 5004; socket = true; }; };\n'
        f'handlers: {{ a: {{ type = "file"; path = "{tmp_path}/file"; }};\n b: {{ type = "file"; path = "{tmp_path}/none/x"; }}; }};\n'
        f'run_directory = "{tmp_path}"; control: {{ socket = "{tmp_path}/socket"; }};\n')
    result = run_mcastd("-c", str(tmp_path / "mcastd.conf"), "--check")
    lines = result.stderr.replace(f"{tmp_path}/", "").splitlines()
    assert result.returncode == 78
    assert lines[0].startswith("mcastd.conf:2: handlers.a: opening file: Is a directory")
    assert lines[1].startswith("mcastd.conf:3: handlers.b: opening none/x: No such file or directory; create its directory")
    assert lines[2].startswith("mcastd.conf:1: groups.news: making the directory groups: Not a directory")
    assert re.fullmatch(r"\(checked as user \w+\)", lines[3]) and len(lines) == 4


def test_a_control_socket_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    for path, words in ((f"{tmp_path}/none/socket", "No such file or directory; create its directory"),
                        (f"{tmp_path}/file", "is there and is not a socket")):
        (tmp_path / "mcastd.conf").write_text(f'control: {{ socket = "{path}"; }};\n')
        result = run_mcastd("-c", str(tmp_path / "mcastd.conf"), "--check")
        assert result.returncode == 78 and f"control socket: {path}" in result.stderr and words in result.stderr


def test_what_the_running_daemon_holds_is_not_in_the_way_of_a_check(start):
    daemon = start('groups: { news: { address = "233.252.0.1"; port = 5004; socket = true; handlers = ["out"]; }; };\n'
                   'handlers: { out: { type = "file"; path = "$DIR/out"; }; };\n')
    result = run_mcastd("-c", daemon.config_path, "--check")
    assert result.returncode == 0, result.stderr
    assert daemon.call("GetStatus")["groups"] == 1
    other = start('groups: { news: { address = "233.252.0.1"; port = 5004; handlers = ["out"]; }; };\n'
                  'handlers: { out: { type = "file"; path = "$DIR/other"; }; };\n')
    other.write_config(f'handlers: {{ out: {{ type = "file"; path = "{daemon.path("out")}"; }}; }};\n')
    result = run_mcastd("-c", other.config_path, "--check")
    assert result.returncode == 78 and "another program writes to it" in result.stderr


def test_a_dry_run_of_a_reload_finds_what_is_in_the_way_of_a_group_socket(start):
    daemon = start("")
    os.makedirs(daemon.path("run", "groups", "news"))
    daemon.write_config('groups: { news: { address = "233.252.0.1"; port = 5004; socket = true; }; };\n')
    assert "news is there and is not a socket" in str(daemon.error("Reload", dryRun=True).parameters)


def test_groups_of_the_command_line_are_warned_of():
    result = run_mcastd("232.1.2.3:5004", "--check")
    assert result.returncode == 0
    assert "group 232.1.2.3:5004: warning: 232.1.2.3 is for source-specific multicast" in result.stderr


def test_a_start_and_a_reload_log_warnings_once(start):
    daemon = start(WARNED)
    assert daemon.log().count(WARNING) == 1
    daemon.call("Reload", dryRun=True)
    assert daemon.log().count(WARNING) == 1
    daemon.call("Reload")
    assert daemon.log().count(WARNING) == 2


def test_files_of_conf_d_are_read_in_the_order_of_their_names(check):
    """Of two that define the same group, the later one is refused."""
    status, lines = check("", b=GOOD, a=GOOD)
    assert status == 78
    assert lines == ["conf.d/b.conf:1: groups.news: already defined at conf.d/a.conf:1, rename or remove one of them"]


def test_the_groups_of_all_conf_files_in_conf_d_are_joined(start):
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
    assert (result.returncode, result.stderr) == (78, f"{tmp_path}/none.conf: cannot open it: No such file or directory\n")


def test_a_directory_is_not_a_configuration(tmp_path):
    result = run_mcastd("-c", str(tmp_path), "--check")
    assert result.returncode == 78 and f"{tmp_path}: is not a regular file" in result.stderr


@pytest.mark.parametrize("garbage, lines", [
    (os.urandom(100000) + b"\0", 1), (os.urandom(100000).replace(b"\0", b""), 201)], ids=["with-nul", "without-nul"])
def test_a_file_full_of_garbage_is_refused_in_few_words(tmp_path, garbage, lines):
    (tmp_path / "mcastd.conf").write_bytes(garbage)
    result = run_mcastd("-c", str(tmp_path / "mcastd.conf"), "--check")
    assert result.returncode == 78
    assert result.stderr.count("\n") == lines
    assert re.fullmatch(r"and \d+ more errors" if lines > 1 else ".*: there is a NUL byte, .*", result.stderr.splitlines()[-1])
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f]", result.stderr)


def test_a_file_of_deep_brackets_is_refused(check):
    status, lines = check("x: " + "{ a: " * 100000 + "1")
    assert status == 78
    assert lines == ["mcastd.conf:1: syntax error, brackets are more than 16 deep, is one not closed?"]


def test_the_daemon_itself_refuses_to_start_with_a_broken_configuration(tmp_path):
    (tmp_path / "mcastd.conf").write_text(group("ttl = 256;"))
    result = run_mcastd("-c", str(tmp_path / "mcastd.conf"))
    assert result.returncode == 78
    assert "mcastd.conf:5: groups.news.ttl: 256 is out of range, use 0 to 255" in result.stderr


@pytest.mark.parametrize("argument, why", [
    ("233.252.0.1", "write ADDRESS:PORT"), ("0.0.0.1:5004", "is no address of a host"),
    ("233.252.0.1:0", 'port "0" is not a number from 1 to 65535'), ("233.252.0.1:5004%a/b", '"a/b" cannot be an interface'),
    ("233.252.0.1:5004,source=x", 'source "x" is not an IP address'),
    ("233.252.0.1:5004,colour=red", 'unknown setting "colour"'), ("[ff15::1:5004", "write ADDRESS:PORT")])
def test_broken_groups_on_the_command_line_are_refused_with_the_reason(argument, why):
    result = run_mcastd(argument)
    assert result.returncode == 78
    assert f"{argument}: " in result.stderr and why in result.stderr


def test_unknown_options_are_wrong_usage():
    result = run_mcastd("--nonsense")
    assert result.returncode == 2 and "nonsense" in result.stderr


def test_help_and_version_succeed():
    result = run_mcastd("--help")
    assert result.returncode == 0 and result.stdout.startswith("Usage: mcastd ")
    with open(os.path.join(ROOT, "VERSION")) as file:
        version = file.read().strip()
    result = run_mcastd("--version")
    assert (result.returncode, result.stdout) == (0, f"mcastd {version}\n")


def test_a_wrong_target_is_shown_without_control_characters():
    result = run_mcastd("233.252.0.1\x1b[31m:5004")
    assert result.returncode == 78
    assert "\\x1b[31m" in result.stderr and "\x1b" not in result.stderr, result.stderr
def test_the_environment_names_the_configuration(tmp_path):
    (tmp_path / "other.conf").write_text("groups: { };\n")
    environment = {**os.environ, "MCASTD_CONFIG": str(tmp_path / "other.conf")}
    assert run_mcastd("--check", env=environment).stdout.startswith(f"{tmp_path}/other.conf: no errors: 0 groups")


def test_option_c_stands_above_the_environment(tmp_path):
    (tmp_path / "mcastd.conf").write_text("groups: { };\n")
    environment = {**os.environ, "MCASTD_CONFIG": "/nowhere"}
    result = run_mcastd("-c", str(tmp_path / "mcastd.conf"), "--check", env=environment)
    assert result.stdout.startswith(f"{tmp_path}/mcastd.conf: no errors")


def test_a_check_that_takes_longer_than_a_second_says_so_on_a_terminal(tmp_path):
    path = tmp_path / "mcastd.conf"
    path.write_text(f'run_directory = "{tmp_path}/run"; control: {{ socket = "{tmp_path}/sock"; }};\n')
    slow = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(path), "-e", "inject=openat:delay_enter=2500000:when=1"]
    status, output = run_in_terminal([*slow, MCASTD, "--check", "-c", str(path)], err_only=True,
                                     ASAN_OPTIONS="detect_leaks=0")  # LeakSanitizer does not work under strace
    shown, _, rest = output.rpartition("\r")
    assert status == 0
    assert re.fullmatch(r"checking the configuration: 1 s\x1b\[K\r(checking the configuration: \d s\x1b\[K\r?)+", shown), output
    assert rest == "\x1b[K"


def test_a_check_that_is_soon_over_says_nothing_of_it(tmp_path):
    path = tmp_path / "mcastd.conf"
    path.write_text(f'run_directory = "{tmp_path}/run"; control: {{ socket = "{tmp_path}/sock"; }};\n')
    assert run_in_terminal([MCASTD, "--check", "-c", str(path)], err_only=True) == (0, "")


@pytest.fixture
def nobody(net):
    """What mcastd says as a user who may do nothing. The program may lie where other users cannot get to: it is copied."""
    with tempfile.TemporaryDirectory(prefix="mcastd-nobody-") as directory:
        os.chmod(directory, 0o755)
        program = shutil.copy(MCASTD, directory)

        def nobody(config, *arguments):
            path = os.path.join(directory, "mcastd.conf")
            with open(path, "w") as file:
                file.write(config.replace("$DIR", directory))
            with net.host:
                return subprocess.run([program, "-c", path, *arguments], user=65534, group=65534, extra_groups=[], cwd="/", text=True,
                                      stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT).stderr

        yield nobody


SYSCTL = "sysctl -w net.ipv4.ip_unprivileged_port_start="


def test_a_low_port_outside_of_the_service_takes_a_sysctl(nobody):
    control = 'control: { socket = "/tmp/mcastd-test-none"; };\n'
    said = nobody(control + 'groups: { ptp: { address = "224.0.1.129"; port = 319; interfaces = ["eth0"]; }; };', "--check")
    assert f"port 319 takes CAP_NET_BIND_SERVICE, and the group is not joined: {SYSCTL}319" in said
    said = nobody(control + 'http: { listen = ["127.0.0.1:80"]; };', "--check")
    assert f"127.0.0.1:80: Permission denied; choose a port from 1024 on, or {SYSCTL}80" in said


@pytest.mark.parametrize("arguments", [["--check"], []])
def test_a_directory_of_another_user_is_named_where_the_control_socket_cannot_be_made(nobody, arguments):
    said = nobody('control: { socket = "$DIR/socket"; };\n', *arguments)
    assert re.search(r"socket: Permission denied; the daemon's user, nobody, may not write to /tmp/mcastd-nobody-\w+ "
                     r"\(of user root, mode 0755\): chown or chmod it", said), said


# Where this machine has one, an empty directory is mounted over it.
WITHOUT_JOURNAL = 'test ! -e /run/systemd/journal || mount -t tmpfs none /run/systemd/journal; exec "$1" -c "$2" --check'


def test_a_journal_that_is_not_there_is_a_warning_of_who_uses_it(tmp_path):
    group = 'groups: { news: { address = "233.252.0.1"; port = 5004; handlers = ["HANDLER"]; }; };\n'
    for handler in "journal", "log":
        (tmp_path / "mcastd.conf").write_text(group.replace("HANDLER", handler) + f'control: {{ socket = "{tmp_path}/socket"; }};\n')
        result = subprocess.run(["unshare", "-m", "sh", "-c", WITHOUT_JOURNAL, "sh", MCASTD, str(tmp_path / "mcastd.conf")],
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT)
        assert result.returncode == 0 and ("there is no journal" in result.stderr) == (handler == "journal")
