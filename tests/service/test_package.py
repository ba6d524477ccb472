"""What installing, upgrading, removing and purging the Debian package does to a system."""

import os
import shutil

import pytest

from harness.daemon import ROOT
from harness.packages import Machine, needs, with_version
from harness.peers import send
from harness.service import RUNNING, Service
from harness.system import why_not
from harness.waiting import wait_until

CONFIG = """
groups: {
  news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; handlers = ["archive"]; socket = true; };
};
handlers: { archive: { type = "file"; path = "/var/log/mcastd/news.raw"; format = "raw"; }; };
"""
SERVERS = {"nats": 'servers = "nats://192.0.2.1";', "mqtt": 'servers = "mqtt://192.0.2.1";', "kafka": 'brokers = "192.0.2.1:9092";'}
SIZE = 200


def broker(kind):
    """A configuration with a handler of a type that is a module. Its broker is not there."""
    return f'handlers: {{\n  hq: {{ type = "{kind}"; site = "here"; {SERVERS[kind]} }};\n}};\n'


@pytest.fixture
def machine(tmp_path):
    """A system for this test only."""
    if reason := why_not():
        pytest.skip(reason)
    machine = Machine(tmp_path)
    yield machine
    machine.close()


@pytest.fixture
def installed_service(machine, package):
    """The service as it is after "dpkg -i" on a machine without mcastd."""
    service = Service(machine)
    machine.install(package)
    return service


@pytest.fixture(scope="module")
def newer(package, tmp_path_factory):
    """The package as of the next version."""
    return with_version(package, "9.1", str(tmp_path_factory.mktemp("newer")))


# ---- Installing ----


def test_installing_starts_the_service_and_enables_it(installed_service):
    for unit in ("mcastd.service", "mcastd.socket"):
        assert installed_service.show("ActiveState", unit) == RUNNING
        assert installed_service.systemctl("is-enabled", unit).strip() == "enabled"
    assert installed_service.show("Result") == "success"


def test_what_is_installed_can_be_used_at_once(installed_service):
    system = installed_service.system
    system.run("mcastctl", "join", "233.252.0.1:5004", "--interface", "eth0", "--name", "news")
    system.run("mcastctl", "send", "news", "hello")
    installed_service.wait_received("news")


def test_the_manual_pages_are_installed(installed_service):
    for page in ("man1/mcastctl.1", "man5/mcastd.conf.5", "man7/io.mcastd.7", "man8/mcastd.8", "man8/mcastd@.service.8"):
        assert b"\x1f\x8b" == installed_service.system.read(f"/usr/share/man/{page}.gz")[:2]


def fish_has(program):
    return shutil.which("fish") and os.path.exists(f"{ROOT}/packaging/completions/{program}.fish")


def test_the_completions_are_where_the_shells_look_for_them(installed_service):
    needs("zsh")
    system = installed_service.system
    zsh = "autoload -Uz compinit && compinit -u -D && autoload +X _mcastd _mcastctl && print $_comps[mcastd] $_comps[mcastctl]"
    assert system.run("zsh", "-fc", zsh).split() == ["_mcastd", "_mcastctl"]
    for program in ("mcastd", "mcastctl"):
        if fish_has(program):
            offered = system.run("fish", "-c", f'complete --do-complete "{program} --"')
            assert "--help" in offered and system.exists(f"/usr/share/fish/vendor_completions.d/{program}.fish")
        bash = f"source /usr/share/bash-completion/completions/{program} && complete -p {program}"
        assert system.run("bash", "-uc", bash) == f"complete -F _{program} {program}\n"


def test_installing_tells_the_journal_what_our_entries_mean(installed_service):
    assert "Defined-By: mcastd" in installed_service.system.run("journalctl", "--dump-catalog")


def test_installing_beside_what_was_installed_by_hand_says_that_this_comes_first(machine, package):
    machine.write("/usr/local/lib/systemd/system/mcastd.service", "[Service]\nExecStart=/usr/local/bin/mcastd\n")
    words = machine.try_run("dpkg", "-i", machine.copy(package)).stderr
    assert "/usr/local/lib/systemd/system/mcastd.service comes before that of this package: make uninstall" in words, words


# ---- Upgrading ----


def test_an_upgrade_restarts_the_service_once(installed_service, newer):
    def count(what):
        return installed_service.log().count(f"{what} mcastd.service")

    wait_until(lambda: count("Started") == 1, "the first start to be told")
    invocation, pid = installed_service.show("InvocationID"), installed_service.pid
    installed_service.system.install(newer)
    assert installed_service.show("ActiveState") == RUNNING
    assert installed_service.show("InvocationID") != invocation and installed_service.pid != pid
    wait_until(lambda: count("Started") == 2, "the second start to be told")
    assert count("Stopped") == 1
    assert installed_service.show("NRestarts") == "0"


def test_an_upgrade_is_a_restart_for_systemd_and_not_a_stop_and_a_start(installed_service, newer):
    """What systemd keeps for the service, it keeps over a restart only. The directory of group sockets is such a thing, too."""
    installed_service.drop_in("mark", "[Service]\nRuntimeDirectoryPreserve=restart\n")
    marked = installed_service.system.path("/run/mcastd/groups")
    before = os.stat(marked).st_ino
    installed_service.system.install(newer)
    assert os.stat(marked).st_ino == before


def test_an_upgrade_leaves_the_control_socket_open(installed_service, newer):
    before = installed_service.show("InvocationID", "mcastd.socket")
    installed_service.system.install(newer)
    assert installed_service.show("InvocationID", "mcastd.socket") == before


def test_an_upgrade_restarts_the_instances_that_run(installed_service, newer):
    instance = Service(installed_service.system, "lab")
    instance.start("")
    pid = instance.pid
    installed_service.system.install(newer)
    assert instance.show("ActiveState") == RUNNING
    assert instance.pid != pid


def test_an_upgrade_keeps_what_was_configured(installed_service, newer):
    system = installed_service.system
    edited = system.read("/etc/mcastd/mcastd.conf").decode() + "# edited\n"
    system.write("/etc/mcastd/mcastd.conf", edited)
    installed_service.configure(CONFIG)
    system.install(newer)
    assert system.read("/etc/mcastd/mcastd.conf").decode() == edited
    assert installed_service.states("news") == {"eth0": "joined"}


def test_an_upgrade_says_what_keeps_the_service_from_starting_again(installed_service, newer):
    installed_service.configure("nonsense = 1;\n")
    words = installed_service.system.try_run("dpkg", "-i", installed_service.system.copy(newer)).stderr
    assert "mcastd: warning: the service will not start again:\n" in words and "/etc/mcastd/conf.d/test.conf:1: " in words, words


def test_an_upgrade_starts_nothing_that_was_disabled(installed_service, newer):
    installed_service.systemctl("disable", "--now", "mcastd.service", "mcastd.socket")
    installed_service.system.install(newer)
    for unit in ("mcastd.service", "mcastd.socket"):
        assert installed_service.show("ActiveState", unit) == "inactive"
        assert installed_service.show("UnitFileState", unit) == "disabled"


@pytest.mark.long
def test_20_upgrades_lose_none_of_5000_datagrams_a_second(installed_service, package, blast, tmp_path, say):
    system = installed_service.system
    installed_service.configure(CONFIG.replace("port", 'receive_buffer = "4M"; port', 1))
    installed_service.reload()
    with blast.stream(system.network, "233.252.0.1", 5004, SIZE, rate=5000, interface="eth0") as stream:
        for number in range(1, 21):
            system.install(with_version(package, f"9.{number}", str(tmp_path)))
            installed_service.wait_received("news", installed_service.group("news")["received"] + 1)
    group = installed_service.group("news")
    say(f"20 upgrades: {stream.sent} datagrams sent, {group['received']} received, {group['kernelDropped']} dropped")
    recording = system.path("/var/log/mcastd/news.raw")
    wait_until(lambda: os.path.getsize(recording) == stream.sent * SIZE, "all of them in the recording")


# ---- Removing ----


def use_all(service):
    """Has the daemon and an instance make all that they make."""
    service.configure(CONFIG)
    service.restart()
    instance = Service(service.system, "lab")
    instance.configure(CONFIG.replace("/var/log/mcastd/", "/var/log/mcastd-lab/"))
    service.systemctl("enable", "--now", instance.unit)
    send(service.system, b"recorded", "233.252.0.1", 5004, "eth0")
    for name in ("mcastd", "mcastd-lab"):
        wait_until(lambda: service.system.read(f"/var/log/{name}/news.raw") == b"recorded", f"the recording of {name}")


def test_removing_keeps_configuration_and_recordings(installed_service):
    system = installed_service.system
    use_all(installed_service)
    system.remove_package()
    assert system.exists("/etc/mcastd/mcastd.conf") and system.exists(installed_service.configuration)
    assert system.read("/var/log/mcastd/news.raw") == b"recorded"


def loaded_units(service):
    return service.systemctl("list-units", "--quiet", "--plain", "--state=active,failed", "mcastd*")


def test_removing_ends_the_service_and_its_instances(installed_service):
    system = installed_service.system
    use_all(installed_service)
    system.remove_package()
    assert loaded_units(installed_service) == ""
    assert not system.exists("/run/mcastd.sock") and not system.exists("/run/mcastd-lab.sock")


def test_purging_leaves_nothing(machine, package, modules):
    before = machine.changes()
    machine.install(package, *modules.values())
    use_all(Service(machine))
    assert len(machine.changes() - before) > 30
    machine.purge()
    after = machine.changes()
    assert (sorted(after - before), sorted(before - after)) == ([], [])


def test_purging_keeps_recordings_that_were_sent_elsewhere(installed_service):
    system = installed_service.system
    system.run("install", "-D", "-o", "mcastd", "/dev/null", "/srv/recordings/news.raw")
    system.purge()
    assert system.exists("/srv/recordings/news.raw")


def test_after_a_purge_it_can_be_installed_again(installed_service, package):
    installed_service.system.purge()
    installed_service.system.install(package)
    assert installed_service.show("ActiveState") == RUNNING
    assert installed_service.systemctl("is-enabled", "mcastd.service").strip() == "enabled"


# ---- Modules ----


def refusal(service):
    """What mcastd --check says of a configuration that it does not take."""
    status, said = service.system.fail("mcastd", "--check")
    assert status == 78
    return said


@pytest.mark.parametrize("kind", SERVERS)
def test_a_type_whose_package_is_missing_is_an_error_until_it_is_installed(installed_service, modules, kind):
    installed_service.configure(broker(kind))
    assert f"test.conf:2: handlers.hq: type {kind}: install mcastd-{kind} (" in refusal(installed_service)
    installed_service.system.install(modules[kind])
    installed_service.system.run("mcastd", "--check")
    installed_service.reload()
    assert installed_service.handler("hq")["type"] == kind


def test_installing_a_module_starts_the_service_that_lacked_it(installed_service, modules):
    installed_service.configure(broker("nats"))
    installed_service.system.try_run("systemctl", "restart", installed_service.unit)
    wait_until(lambda: installed_service.show("ActiveState") == "failed", "the start to fail")
    installed_service.system.install(modules["nats"])
    assert installed_service.show("ActiveState") == RUNNING
    assert installed_service.handler("hq")["type"] == "nats"


def test_installing_a_module_leaves_alone_what_runs_or_was_stopped(installed_service, modules):
    instance = Service(installed_service.system, "lab")
    instance.start("")
    instance.systemctl("stop", instance.unit)
    pid = installed_service.pid
    installed_service.system.install(modules["nats"])
    assert installed_service.pid == pid
    assert instance.show("ActiveState") == "inactive"


def test_an_upgrade_with_modules_restarts_the_service_with_them(installed_service, package, modules, tmp_path):
    system = installed_service.system
    system.install(*modules.values())
    installed_service.configure(broker("nats"))
    installed_service.reload()
    pid = installed_service.pid
    system.install(*(with_version(old, "9.1", str(tmp_path)) for old in (package, *modules.values())))
    assert installed_service.show("ActiveState") == RUNNING and installed_service.pid != pid
    assert installed_service.handler("hq")["type"] == "nats"


def test_an_upgrade_without_the_module_that_is_installed_is_refused(installed_service, modules, newer):
    system = installed_service.system
    system.install(modules["nats"])
    pid = installed_service.pid
    _, said = system.fail("dpkg", "--install", system.copy(newer))
    assert "mcastd breaks mcastd-nats" in said
    assert installed_service.show("ActiveState") == RUNNING and installed_service.pid == pid


def test_removing_a_module_leaves_the_service_running_with_it(installed_service, modules):
    installed_service.system.install(modules["nats"])
    installed_service.configure(broker("nats"))
    installed_service.reload()
    pid = installed_service.pid
    installed_service.system.remove_package("mcastd-nats")
    assert installed_service.pid == pid and installed_service.handler("hq")["type"] == "nats"
    assert "install mcastd-nats (" in refusal(installed_service)


# ---- The RPM package, as far as a system of another distribution can tell ----


@pytest.fixture
def rpm_service(machine, rpm):
    """The service after "rpm -i", running, with an instance."""
    machine.run_rpm(rpm, "--install")
    service = Service(machine)
    service.systemctl("start", service.unit)
    Service(machine, "lab").start("")
    return service


def test_an_upgrade_with_rpm_restarts_the_service_and_its_instances_and_not_the_socket(rpm_service, rpm):
    units = ("mcastd.service", "mcastd@lab.service", "mcastd.socket")
    before = [rpm_service.show("InvocationID", unit) for unit in units]
    rpm_service.system.run_rpm(rpm, "--upgrade", "--replacepkgs")
    after = [rpm_service.show("InvocationID", unit) for unit in units]
    assert [one == other for one, other in zip(before, after)] == [False, False, True]
    assert {rpm_service.show("ActiveState", unit) for unit in units} == {RUNNING}


def test_removing_with_rpm_ends_the_service_and_its_instances(rpm_service):
    rpm_service.system.run_rpm("mcastd", "--erase")
    assert loaded_units(rpm_service) == ""
