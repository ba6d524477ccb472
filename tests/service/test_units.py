"""The unit files themselves."""

import os
import shutil
import subprocess

import pytest

from harness.service import EXAMPLES

UNITS = ["mcastd.service", "mcastd.socket", "mcastd@lab.service", "mcastd@lab.socket"]
EXPOSURE_MAX, EXPOSURE_KEEP_SOURCE_MAX = 13, 16  # tenths


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
    examples = os.listdir(system.path(EXAMPLES))
    assert len(examples) >= 5
    for name in examples:
        system.write(f"{service.drop_ins}/{name}", system.read(f"{EXAMPLES}/{name}").decode())
    result = verify(system, "mcastd.service")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", ["mcastd.service", "mcastd@.service"])
def test_the_exposure_is_small(installed, say, unit):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_MAX}",
         f"{installed}/usr/local/lib/systemd/system/{unit}"], stdout=subprocess.PIPE, text=True)
    assert result.returncode == 0, result.stdout
    say(result.stdout.splitlines()[-1].lstrip("→ ").encode("ascii", "ignore").decode().strip())


def test_the_exposure_with_keep_source_is_small(installed, say, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    unit = tmp_path / "mcastd.service"
    unit.write_text("".join(open(f"{installed}/{path}").read() for path in (
        "usr/local/lib/systemd/system/mcastd.service", f"{EXAMPLES}/relay-keeps-source.conf")))
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_KEEP_SOURCE_MAX}", str(unit)],
        stdout=subprocess.PIPE, text=True)
    assert result.returncode == 0, result.stdout
    say(result.stdout.splitlines()[-1].lstrip("→ ").encode("ascii", "ignore").decode().strip())


def test_enabling_the_service_enables_its_socket(system, service):
    try:
        service.systemctl("enable", "mcastd")
        for unit in ("mcastd.service", "mcastd.socket"):
            assert service.systemctl("is-enabled", unit).strip() == "enabled"
    finally:
        service.systemctl("disable", "mcastd")


def test_booting_makes_the_user(system):
    assert system.run("getent", "passwd", "mcastd").strip().endswith(":UDP multicast daemon:/:/usr/sbin/nologin")
