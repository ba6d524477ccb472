"""Fixtures of the service tests: python3 -m pytest tests/service, as root. They have a systemd of their own, in
namespaces of their own, and leave nothing of this machine touched. "make install" builds what they test, as it is
released: the sanitizers would not fit into the unit's sandbox."""

import os
import subprocess

import pytest

from harness.daemon import ROOT
from harness.packages import MODULES, clean_environment, make, needs, only, pkgbuild, unpacked
from harness.service import Service
from harness.system import System, why_not

QUICK = "-O0 -g"  # what is looked at is in which package, and a build like this takes half the time


def pytest_terminal_summary(terminalreporter):
    if reason := why_not():
        terminalreporter.write_line(f"\nSKIPPED what needs a systemd of its own: {reason}")


@pytest.fixture(scope="session")
def installed(release, tmp_path_factory):
    """A directory with what "make install" installs, in the places that it has by default."""
    directory = str(tmp_path_factory.mktemp("installed"))
    build = os.path.dirname(release)
    subprocess.run(
        ["make", "-j2", "-C", ROOT, "install", f"BUILD={build}", "SANITIZE=", "PREFIX=/usr/local", "SYSCONFDIR=/etc",
         f"DESTDIR={directory}"], check=True, env=clean_environment(), stdout=subprocess.DEVNULL)
    return directory


@pytest.fixture(scope="session")
def system(request):
    """One booted system for all tests, with mcastd installed, and nothing of it running."""
    if reason := why_not():
        pytest.skip(reason)
    system = System(request.getfixturevalue("installed"))
    try:
        system.run("journalctl", "--update-catalog")
        yield system
    finally:
        system.close()


@pytest.fixture
def service(system):
    """mcastd.service, not running, and without any configuration."""
    service = Service(system)
    yield service
    service.clean_up()


@pytest.fixture
def remove_recording(system):
    yield
    system.try_run("rm", "-f", "/var/log/mcastd/raw")


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """A directory with what "make deb" makes in it."""
    needs("dpkg-buildpackage", "dh", "scdoc")
    build = str(tmp_path_factory.mktemp("packages"))
    make("deb", build)
    return build


@pytest.fixture(scope="session")
def package(build):
    """The Debian package."""
    return only(f"{build}/deb/mcastd_*.deb")


@pytest.fixture(scope="session")
def modules(build):
    """The Debian packages of the modules, by the type of handler."""
    return {name: only(f"{build}/deb/mcastd-{name}_*.deb") for name in MODULES}


@pytest.fixture(scope="session")
def rpm_directory(tmp_path_factory):
    """What "make rpm" makes, but for the optimiser."""
    needs("rpmbuild", "scdoc")
    directory = str(tmp_path_factory.mktemp("rpm"))
    make("dist", directory)
    subprocess.run([f"{ROOT}/packaging/build-rpm", only(f"{directory}/mcastd-*.tar.gz"), f"{directory}/rpm",
                    "--define", f"optflags {QUICK}"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return f"{directory}/rpm"


@pytest.fixture(scope="session")
def rpm(rpm_directory):
    return only(f"{rpm_directory}/mcastd-[0-9]*.rpm")


@pytest.fixture(scope="session")
def arch(tmp_path_factory):
    """What PKGBUILD makes when it is run as makepkg would, but for the optimiser: the directory of the packages."""
    needs("scdoc")
    directory = str(tmp_path_factory.mktemp("arch"))
    make("dist", directory)
    unpacked(only(f"{directory}/mcastd-*.tar.gz"), f"{directory}/src")
    pkgbuild(f"srcdir={directory}/src; export MAKEFLAGS=-j2 CFLAGS='{QUICK}'; cd $srcdir; build;"
             f'for name in ${{pkgname[@]}}; do pkgdir={directory}/pkg/$name; cd "$srcdir"; package_$name; done')
    return f"{directory}/pkg"
