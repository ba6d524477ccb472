"""The packages themselves: what is in them, and that building them gives the same ones everywhere."""

import os
import subprocess

import pytest

from harness.daemon import ROOT
from harness.packages import make, needs, only, pkgbuild, query, unpacked


def read(path):
    with open(path, "rb") as file:
        return file.read()


VERSION = read(f"{ROOT}/VERSION").decode().strip()


def files_below(directory):
    return {os.path.join(where, name)[len(directory):] for where, _, names in os.walk(directory) for name in names}


def test_lintian_finds_no_fault(build):
    needs("lintian")
    result = subprocess.run(
        ["lintian", "--pedantic", "--fail-on", "error,warning,pedantic", only(f"{build}/deb/*.changes")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.fixture(scope="module")
def rebuilt(build, tmp_path_factory):
    """What "make deb" makes when the source archive has been unpacked elsewhere, where files are for their owner only. And
    what the directory of the sources had in it before and after."""
    directory = str(tmp_path_factory.mktemp("rebuilt"))
    sources = unpacked(only(f"{build}/mcastd-*.tar.gz"), f"{directory}/sources")
    before = files_below(sources)
    make("deb", f"{directory}/build", sources, umask=0o077)
    return f"{directory}/build", before, files_below(sources)


@pytest.mark.long
@pytest.mark.parametrize("name", ["deb/mcastd_*.deb", "deb/mcastd-dbgsym_*.deb", "deb/mcastd-nats_*.deb",
                                  "deb/mcastd-mqtt_*.deb", "deb/mcastd-kafka_*.deb", "deb/mcastd_*.tar.xz", "mcastd-*.tar.gz"])
def test_the_debian_packages_are_the_same_wherever_they_are_built(build, rebuilt, name):
    assert read(only(f"{build}/{name}")) == read(only(f"{rebuilt[0]}/{name}"))


@pytest.mark.long
def test_building_packages_leaves_the_source_tree_as_it_is(rebuilt):
    _, before, after = rebuilt
    assert before == after


def test_objects_are_the_same_wherever_they_are_built(build, release, tmp_path):
    """One in the source tree with another BUILD, the other where the source archive was unpacked. Both of them include what was
    generated."""
    sources = unpacked(only(f"{build}/mcastd-*.tar.gz"), f"{tmp_path}/src")
    for name in ("src/control/methods/service.o", "src/http/index.o"):
        elsewhere = make(f"{sources}/build/{name}", f"{sources}/build", sources)
        assert read(elsewhere) == read(os.path.join(os.path.dirname(release), name))


def test_the_manual_pages_are_the_same_wherever_they_are_built(installed, arch):
    """But for the place of what they name."""
    for page in ("man1/mcastctl.1", "man5/mcastd.conf.5", "man7/io.mcastd.7", "man8/mcastd.8"):
        here = read(f"{installed}/usr/local/share/man/{page}")
        assert here.replace(b"/usr/local/share/", b"/usr/share/") == read(f"{arch}/mcastd/usr/share/man/{page}")


def test_every_package_has_the_version_of_the_program(package, rpm):
    assert subprocess.check_output(["dpkg-deb", "--field", package, "Version"], text=True).strip() == VERSION
    assert query(rpm, "--queryformat", "%{version}") == VERSION
    assert pkgbuild("echo $pkgver").strip() == VERSION


def debian_files(package):
    lines = subprocess.check_output(["dpkg-deb", "--contents", package], text=True).splitlines()
    return {line.split()[5].removeprefix(".") for line in lines if not line.startswith("d")}


def rpm_files(package):
    lines = query(package, "--queryformat", r"[%{filemodes:perms} %{filenames}\n]").splitlines()
    return {line.split()[1] for line in lines if not line.startswith("d")}


def alike(files):
    """Without what differs between distributions."""
    def usual(path):
        path = path.replace("/sbin/", "/bin/").replace("/vendor-completions/", "/site-functions/").removesuffix(".gz")
        return f"/usr{path}" if path.startswith("/lib/") else path

    return {usual(path) for path in files if not path.startswith(("/usr/share/doc/", "/usr/share/licenses/",
                                                                  "/usr/lib/.build-id/"))}


def test_the_rpm_package_has_all_that_the_debian_one_has(package, rpm):
    assert alike(rpm_files(rpm)) == alike(debian_files(package))


def test_the_arch_package_has_all_that_the_debian_one_has(package, arch):
    assert alike(files_below(f"{arch}/mcastd")) == alike(debian_files(package))


LIBRARIES = {"nats": "libnats", "mqtt": "libmosquitto", "kafka": "librdkafka"}


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_package_of_a_module_has_that_module(build, rpm_directory, arch, name):
    module = {f"/usr/lib/mcastd/{VERSION}/{name}.so"}
    assert alike(debian_files(only(f"{build}/deb/mcastd-{name}_*.deb"))) == module
    assert alike(rpm_files(only(f"{rpm_directory}/mcastd-{name}-[0-9]*.rpm"))) == module
    assert alike(files_below(f"{arch}/mcastd-{name}")) == module


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_package_of_a_module_needs_its_library_and_the_daemon_of_its_version(build, rpm_directory, name):
    depends = subprocess.check_output(
        ["dpkg-deb", "--field", only(f"{build}/deb/mcastd-{name}_*.deb"), "Depends"], text=True)
    assert f"mcastd (= {VERSION})" in depends and f", {LIBRARIES[name]}" in depends
    requires = query(only(f"{rpm_directory}/mcastd-{name}-[0-9]*.rpm"), "--requires")
    assert f" = {VERSION}-1" in requires and f"\n{LIBRARIES[name]}" in requires


def test_every_package_keeps_the_configuration_that_was_edited(package, rpm):
    configuration = "/etc/mcastd/mcastd.conf"
    assert subprocess.check_output(["dpkg-deb", "--info", package, "conffiles"], text=True).split() == [configuration]
    assert query(rpm, "--configfiles").split() == [configuration]
    backup = 'eval "$(declare -f package_mcastd | grep backup=)"; echo "/${backup[*]}"'
    assert pkgbuild(backup).split() == [configuration]


def test_the_arch_package_has_its_programs_where_arch_has_them(arch):
    assert {"/usr/bin/mcastd", "/usr/bin/mcastctl", "/usr/lib/systemd/system/mcastd.service"} <= files_below(
        f"{arch}/mcastd")
