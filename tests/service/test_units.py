"""The unit files themselves."""

import os
import re
import shutil
import subprocess

import pytest

from harness.daemon import ROOT
from harness.service import EXAMPLES, RUNNING

UNITS = ["mcastd.service", "mcastd.socket", "mcastd@lab.service", "mcastd@lab.socket", "mcastd.slice"]
MANUAL = "/usr/local/share/man"
UNIT_DIRECTORY = "/usr/local/lib/systemd/system"
EXPOSURE_MAX = 13  # tenths


def verify(system, *units):
    return system.try_run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units)


def test_nothing_in_the_units_is_wrong_or_unknown(system):
    result = verify(system, *UNITS)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_verify_would_say_so(system, service):
    """It returns 0 for an unknown key, so that its words are what counts."""
    service.drop_in("wrong", "[Service]\nRestartSecs=1\n")
    assert "RestartSecs" in verify(system, "mcastd.service").stderr


def test_nothing_in_the_examples_is_wrong_or_unknown(system, service):
    examples = [name for name in os.listdir(system.path(EXAMPLES)) if name != "README.md"]
    assert len(examples) >= 5
    for name in examples:
        system.write(f"{service.drop_ins}/{name}", system.read(f"{EXAMPLES}/{name}").decode())
    result = verify(system, "mcastd.service")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", ["mcastd", "mcastd@lab"])
def test_the_socket_may_be_started_as_often_as_the_service(system, unit):
    limits = [system.run("systemctl", "show", "--property=StartLimitIntervalUSec,StartLimitBurst", f"{unit}.{kind}") for kind in ("service", "socket")]
    assert "StartLimitBurst=60" in limits[0] and limits[0] == limits[1], limits


def exposure(installed, directory, unit, *drop_ins):
    """What systemd-analyze says of the installed unit with drop-ins, in tenths."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    text = ""
    for path in (f"{UNIT_DIRECTORY}/{unit}", *(f"{EXAMPLES}/{name}" for name in drop_ins)):
        with open(installed + path) as file:
            text += file.read()
    (directory / unit).write_text(text)
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(directory / unit)], stdout=subprocess.PIPE, text=True)
    return int(re.search(r"Overall exposure level for \S+: (\d+)\.(\d)", result.stdout).expand(r"\1\2"))


@pytest.mark.parametrize("unit", ["mcastd.service", "mcastd@.service"])
def test_the_exposure_is_small(installed, tmp_path, unit):
    assert exposure(installed, tmp_path, unit) <= EXPOSURE_MAX


def table():
    """The rows of systemd/examples/README.md: the exposure in tenths by the name of the file, "" for the unit alone."""
    with open(f"{ROOT}/systemd/examples/README.md") as file:
        rows = re.findall(r"^\| (?:\[(\S+)\]\(\1\)|the unit alone) \|.*\| (\d+)\.(\d) \|$", file.read(), re.MULTILINE)
    return {name: int(units + tenths) for name, units, tenths in rows}


def test_each_example_is_in_the_table_of_exposures():
    assert set(table()) == {"", *os.listdir(f"{ROOT}/systemd/examples")} - {"README.md"}


@pytest.mark.parametrize("name", table())
def test_the_exposure_with_an_example_is_that_of_the_table(installed, tmp_path, name):
    drop_ins = [name] if name.endswith(".conf") else []
    assert exposure(installed, tmp_path, "mcastd.service", *drop_ins) == table()[name]


def test_enabling_the_service_enables_its_socket(system, service):
    try:
        service.systemctl("enable", "mcastd")
        for unit in ("mcastd.service", "mcastd.socket"):
            assert service.systemctl("is-enabled", unit).strip() == "enabled"
    finally:
        service.systemctl("disable", "mcastd")


def test_a_stopped_service_is_started_by_a_client_unless_its_socket_is_stopped_too(system, service):
    service.start("")
    service.systemctl("stop", "mcastd.service")
    system.run("mcastctl", "status")
    assert service.show("ActiveState") == RUNNING
    service.systemctl("stop", "mcastd.socket", "mcastd.service")
    assert system.fail("mcastctl", "status")[0] == 3
    assert service.show("ActiveState") == "inactive"


def test_disabling_the_service_disables_its_socket(service):
    service.systemctl("enable", "mcastd.service")
    service.systemctl("disable", "mcastd.service")
    for unit in ("mcastd.service", "mcastd.socket"):
        assert service.show("UnitFileState", unit) == "disabled"


def test_every_user_has_both_programs_in_the_path(system):
    path = "PATH=/usr/local/bin:/usr/bin:/bin"  # Debian's, of who is not root
    for program in ("mcastd", "mcastctl"):
        assert system.run("env", path, program, "--version", user="daemon").startswith(program)


def test_the_daemon_can_be_found_where_daemons_are(system):
    assert system.run("/usr/local/sbin/mcastd", "--version").startswith("mcastd")


@pytest.mark.parametrize("unit", UNITS)
def test_systemctl_help_of_each_unit_names_manual_pages_that_are_installed(system, unit):
    system.write("/usr/local/bin/man", '#!/bin/sh\necho "$@"\n', 0o755)
    try:
        pages = system.run("systemctl", "help", unit).split("\n")
    finally:
        system.remove("/usr/local/bin/man")
    assert any(pages)
    for section, page in (line.split() for line in pages if line):  # systemd 257 has an empty line between two
        assert system.exists(f"{MANUAL}/man{section}/{page}.{section}"), page


@pytest.mark.parametrize("name", ["mcastd@", "mcastd.service", "mcastd@.service", "mcastd.socket", "mcastd@.socket", "mcastd.slice"])
def test_the_manual_page_is_found_by_the_names_of_the_units(system, name):
    assert system.read(f"{MANUAL}/man8/{name}.8") == system.read(f"{MANUAL}/man8/mcastd.8")


def test_the_daemons_are_in_a_slice_beside_those_of_services_and_users(service):
    for unit in ("mcastd.service", "mcastd@lab.service"):
        assert service.show("Slice", unit) == "mcastd.slice"
    assert service.show("CPUWeight", "mcastd.slice") == "300"


def test_booting_makes_the_user(system):
    assert system.run("getent", "passwd", "mcastd").strip().endswith(":UDP multicast daemon:/:/usr/sbin/nologin")
