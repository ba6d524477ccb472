"""Modules: where they are looked for, when they are opened, and what is said when one is not there."""

import os
import shutil
import subprocess
from glob import glob

import pytest

from harness.daemon import MCASTD, run_mcastd
from harness.modules import Place, version
from harness.peers import send
from harness.waiting import wait_until

GROUP = 'groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = [%s]; }; };\n'
NATS = """handlers: {
  hq: { type = "nats"; servers = "nats://192.0.2.1"; site = "here"; };
};
"""
SECOND = '  second: { type = "nats"; servers = "nats://192.0.2.2"; site = "here"; };\n'
TWO = NATS.replace("};\n", "};\n" + SECOND, 1)
PLAIN = GROUP % '"log"'
USED = NATS + GROUP % '"hq"'


@pytest.fixture
def place(tmp_path, monkeypatch):
    place = Place(tmp_path / "place")
    monkeypatch.setenv("MODULE_TRACE", place.trace)
    return place


@pytest.fixture
def check(place, tmp_path):
    """mcastd --check of a configuration, in its place. Returns its exit status, and what it says without the path."""
    def check(config):
        path = tmp_path / "mcastd.conf"
        path.write_text(config)
        result = run_mcastd("--check", "-c", str(path), executable=place.mcastd)
        return result.returncode, result.stderr.replace(f"{path}:", "")

    return check


def missing(place):
    return f"2: handlers.hq: type nats: install mcastd-nats (there is no {place.module('nats')})"


# ---- When ----


def test_a_module_is_opened_only_when_a_handler_has_its_type(place, check):
    place.make_module("nats")
    assert check(PLAIN) == (0, "")
    assert place.opened() == []
    assert check(USED) == (0, "")
    assert place.opened() == [f"nats {version()}"]


def test_of_several_modules_the_others_are_left_alone(place, check):
    for name in ("nats", "mqtt", "kafka"):
        place.make_module(name)
    assert check(TWO)[0] == 0
    assert place.opened() == [f"nats {version()}"]


def test_a_reload_opens_a_module_and_keeps_it(place, start):
    module = place.make_module("nats")
    daemon = start(PLAIN, binary=place.mcastd)
    daemon.write_config(USED)
    daemon.call("Reload")
    assert place.opened() == [f"nats {version()}"]
    daemon.write_config(PLAIN)
    daemon.call("Reload")
    os.remove(module)
    daemon.write_config(TWO + GROUP % '"hq", "second"')
    daemon.call("Reload")
    assert place.opened() == [f"nats {version()}"]


def test_a_handler_of_a_module_is_delivered_to(place, start, net):
    place.make_module("nats")
    daemon = start(USED, binary=place.mcastd)
    send(net.peer, b"hello", "233.252.0.1", 5004)
    wait_until(lambda: daemon.handler("hq")["delivered"] == 1, "the delivery")
    assert daemon.handler("hq")["type"] == "nats"


# ---- Where ----


def test_a_program_outside_of_bin_has_its_modules_below_it(tmp_path, monkeypatch):
    place = Place(tmp_path / "place", "build")
    monkeypatch.setenv("MODULE_TRACE", place.trace)
    place.make_module("nats")
    (tmp_path / "mcastd.conf").write_text(NATS)
    command = ("--check", "-c", str(tmp_path / "mcastd.conf"))
    assert run_mcastd(*command, executable=place.mcastd).returncode == 78
    place.make_module("nats", below="build")
    assert run_mcastd(*command, executable=place.mcastd).returncode == 0
    assert place.opened() == [f"nats {version()}"]


def test_a_module_of_another_version_is_never_opened(place, check):
    place.make_module("nats", "0.0.9")
    place.make_module("nats", "9.9.9")
    assert check(USED) == (78, missing(place) + "\n")
    assert place.opened() == []


def test_no_variable_leads_elsewhere(place, check, monkeypatch, tmp_path):
    elsewhere = Place(tmp_path / "elsewhere")
    module = elsewhere.make_module("nats")
    monkeypatch.setenv("LD_LIBRARY_PATH", os.path.dirname(module))
    monkeypatch.chdir(os.path.dirname(module))
    assert check(USED) == (78, missing(place) + "\n")
    assert place.opened() == []


# ---- Where there is none ----


def test_check_names_the_package_and_the_handler(place, check):
    assert check(USED) == (78, missing(place) + "\n")


def test_check_names_every_handler(place, check):
    status, errors = check(TWO)
    assert status == 78
    assert errors.splitlines() == [missing(place), missing(place).replace("2: handlers.hq", "3: handlers.second")]


def test_a_start_fails_with_the_same_words(place, tmp_path, net):
    path = tmp_path / "mcastd.conf"
    path.write_text(USED)
    result = run_mcastd("-c", str(path), host=net.host, executable=place.mcastd)
    assert result.returncode == 78
    assert f"{path}:{missing(place)}\n" in result.stderr


def test_a_reload_fails_and_nothing_has_changed(place, start):
    daemon = start(PLAIN, binary=place.mcastd)
    daemon.write_config(USED)
    error = daemon.error("Reload")
    assert error.parameters["errors"] == [f"{daemon.config_path}:{missing(place)}"]
    assert daemon.group("news")["handlers"] == ["log"]
    assert {handler["name"] for handler in daemon.call("ListHandlers")["handlers"]} == {"journal", "log"}
    place.make_module("nats")
    daemon.call("Reload")
    assert daemon.group("news")["handlers"] == ["hq"]


def test_a_program_that_was_replaced_says_so(place, start):
    daemon = start(PLAIN, binary=place.mcastd)
    os.remove(place.mcastd)
    shutil.copy(MCASTD, place.mcastd)
    daemon.write_config(USED)
    [error] = daemon.error("Reload").parameters["errors"]
    assert error.endswith(f"type nats: this mcastd, version {version()}, has been replaced: restart it, and install mcastd-nats")


def test_a_program_that_was_replaced_by_the_same_version_has_its_modules(place, start):
    daemon = start(PLAIN, binary=place.mcastd)
    os.remove(place.mcastd)
    place.make_module("nats")
    daemon.write_config(USED)
    daemon.call("Reload")
    assert place.opened() == [f"nats {version()}"]


# ---- Where it is of no use ----


def refused(path, what):
    return 78, f"2: handlers.hq: type nats: install mcastd-nats again: {path} {what}\n"


@pytest.mark.parametrize("part", [0.01, 0.1, 0.3])
def test_a_module_that_is_cut_off_is_named(place, check, part):
    path = place.make_module("nats")
    os.truncate(path, int(os.path.getsize(path) * part))
    assert check(USED) == refused(path, "is not whole")


def test_a_reload_outlives_a_module_that_is_cut_off(place, start):
    daemon = start(PLAIN, binary=place.mcastd)
    os.truncate(place.make_module("nats"), 4000)
    daemon.write_config(USED)
    [error] = daemon.error("Reload").parameters["errors"]
    assert error.endswith(" is not whole")
    assert daemon.group("news")["handlers"] == ["log"]


def test_a_module_for_another_architecture_is_named(place, check):
    path = place.make_module("nats")
    with open(path, "r+b") as file:
        file.seek(18)  # e_machine
        machine = file.read(2)
        file.seek(18)
        file.write(bytes(byte ^ 0xff for byte in machine))
    assert check(USED) == refused(path, "is for another architecture")


def test_a_fifo_in_the_place_of_a_module_is_named(place, check):
    path = place.make_module("nats")
    os.remove(path)
    os.mkfifo(path)
    assert check(USED) == refused(path, "is not a regular file")


@pytest.mark.parametrize("size", [0, 1, 63])
def test_a_file_that_is_no_library_is_named(place, check, size):
    path = place.make_module("nats")
    os.truncate(path, size)
    assert check(USED) == refused(path, "is no module")


def test_what_is_no_module_is_named(place, check):
    path = place.make_module("nats", symbol="motor")
    assert check(USED) == refused(path, "is no module")


def test_a_module_that_may_not_be_read_is_named(place, check):
    path = place.make_module("nats")
    os.remove(path)
    os.mkdir(path)
    status, errors = check(USED)
    assert status == 78 and f"install mcastd-nats again: {path}" in errors


# ---- The modules of this build ----


def libraries(path):
    """What the loader loads with a file."""
    lines = subprocess.check_output(["ldd", path], text=True).splitlines()
    return {line.split("=>")[1].split()[0] for line in lines if "=> /" in line}


def defined(path):
    lines = subprocess.check_output(["nm", "-D", "--defined-only", "--format=posix", path], text=True).splitlines()
    return {line.split()[0].split("@")[0] for line in lines if line.split()[1] in "TDBRVW"}


DIRECTORY = os.path.join(os.path.dirname(MCASTD), "lib", "mcastd", version())
BUILT = sorted(os.path.basename(path).removesuffix(".so") for path in glob(f"{DIRECTORY}/*.so"))


@pytest.fixture(params=BUILT)
def name(request):
    return request.param


@pytest.fixture
def module(name):
    return f"{DIRECTORY}/{name}.so"


def test_the_daemon_itself_needs_no_library_of_a_broker():
    names = [os.path.basename(path) for path in libraries(MCASTD)]
    assert names and not [name for name in names if "nats" in name or "mosquitto" in name or "kafka" in name]


def test_nothing_of_the_daemon_replaces_a_function_of_a_library(module):
    """The loader would take the daemon's."""
    ours = {name for name in defined(MCASTD) if not name.startswith(("_", "optarg", "optind", "std", "environ"))}
    others = libraries(module) - libraries(MCASTD)
    assert "log_event" in ours and others
    for library in others:
        assert not ours & defined(library), library


def test_a_module_shows_one_name(module):
    assert {name for name in defined(module) if not name.startswith("_")} == {"engine"}


SERVERS = {"nats": 'servers = "nats://127.0.0.1:1";', "mqtt": 'servers = "mqtt://127.0.0.1:1";', "kafka": 'brokers = "127.0.0.1:1";'}


def test_a_module_finds_all_that_it_needs(name, tmp_path):
    path = tmp_path / "mcastd.conf"
    path.write_text(f'handlers: {{ hq: {{ type = "{name}"; site = "here"; {SERVERS[name]} }}; }};\n')
    result = run_mcastd("--check", "-c", str(path))
    assert (result.returncode, result.stderr) == (0, "")
