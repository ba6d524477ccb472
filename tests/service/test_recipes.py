"""The recipes of doc/ as a reader follows them: the configuration into the file that the page names, its programs where it says, and
its commands as they are typed."""

import json
import re

import pytest

from harness.documents import FENCED, indented, read
from harness.peers import send, seqpacket
from harness.waiting import wait_until

SUDO = """#!/bin/sh
if [ "$1" = -u ]; then
	user=$2; shift 2
	exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"
fi
exec "$@"
"""
GROUP, PORT = "233.252.0.1", 5004


class Reader:
    """Somebody at a shell of the system, with sudo."""

    def __init__(self, system, page):
        self.system, self.page, self.text = system, page, read(page)
        self.written = []
        self.write("/usr/local/bin/sudo", SUDO, 0o755)

    def write(self, path, text, mode=0o644):
        self.system.write(path, text, mode)
        self.written.append(path)

    def configure(self, number=0):
        """The configuration of that number on the page, in the file that the page names."""
        self.write(re.search("`(/etc/mcastd/conf.d/[^`]*)`", self.text + " `/etc/mcastd/conf.d/recipe.conf`")[1],
                   FENCED.findall(self.text)[number])

    def block(self, beginning):
        """The block of the page that begins so."""
        [block] = [block for block in indented(self.page) if block.startswith(beginning)]
        return block

    def lines(self, beginning):
        """The commands of such a block."""
        return [line.removeprefix("$ ") for line in self.block(beginning).splitlines()]

    def type(self, command):
        return self.system.run("bash", "-c", command)

    def type_all(self, beginning):
        return [self.type(line) for line in self.lines(beginning)]

    def try_to_type(self, command):
        return self.system.try_run("bash", "-c", command)

    def close(self):
        for path in set(self.written):
            self.system.remove(path)


@pytest.fixture(scope="module")
def people(system):
    system.run("sh", "-c", "groupadd -f operators; id alice || useradd alice; id bob || useradd bob; usermod -aG operators bob")
    yield
    system.run("sh", "-c", "userdel alice && userdel bob && groupdel operators")


@pytest.fixture
def follow(system, service, people):
    """Begins with a page, on a system where the service runs without groups."""
    readers = []

    def follow(page):
        readers.append(Reader(system, page))
        return readers[-1]

    service.start("")
    yield follow
    for reader in readers:
        reader.close()


# ---- Be alarmed when a feed is silent ----


@pytest.fixture
def alarmed(follow):
    reader = follow("doc/alarm-on-silence.md")
    reader.configure()
    reader.write("/usr/local/bin/feed-alarm", reader.block("#!/bin/sh\n"))
    return reader


def alarms(reader, since):
    return [json.loads(entry["MESSAGE"]) for entry in reader.system.entries("-t", "feed-alarm", since=since)]


def test_silence_and_its_end_ring_the_alarm(alarmed, system, service):
    since = system.now()
    asks, _ = alarmed.lines("mcastctl groups feed --json")
    alarmed.type_all("sudo chmod 755 ")
    send(system, b"still here", GROUP, PORT, "eth0")
    service.wait_received("feed")
    alarmed.type(asks)

    def told():
        return [(event["state"], event["group"]) for event in alarms(alarmed, since) if event["event"] == "silence"]

    wait_until(lambda: told() == [("begin", "feed")], "the alarm")
    assert alarmed.try_to_type(asks).returncode == 1
    shown, _ = alarmed.type_all("mcastctl groups feed  ")
    assert "SILENT" in shown and "yes" in shown
    wait_until(lambda: told() == [("begin", "feed"), ("end", "feed")], "the end of the alarm")
    [begin, _] = [event for event in alarms(alarmed, since) if event["event"] == "silence"]
    assert 5000 <= begin["milliseconds"]


def test_an_interface_that_is_not_there_rings_the_alarm_too(alarmed, system):
    since = system.now()
    alarmed.write("/etc/mcastd/conf.d/feed.conf", FENCED.findall(alarmed.text)[0].replace('"eth0"', '"feed0"'))
    alarmed.type_all("sudo chmod 755 ")
    wait_until(lambda: [(event["membership"], event["interface"]) for event in alarms(alarmed, since)] == [("waiting", "feed0")],
               "the alarm")


def test_a_script_without_a_daemon_notices_silence(alarmed):
    _, command = alarmed.lines("mcastctl groups feed --json")
    assert alarmed.try_to_type(command).returncode == 1
    assert alarmed.type(f"(sleep 1; mcastctl send {GROUP}:{PORT}%eth0 x) & {command}").endswith(" x\n")


def test_events_are_in_the_journal_and_at_a_socket(alarmed, system, service):
    since = system.now()
    rows = dict(re.findall(r"^\| (in [^|]*) \| (.*) \|$", alarmed.text, re.MULTILINE))
    journal, command = re.findall("`([^`]*)`", rows["in the journal"])[:2]
    sockets, path = re.findall("`([^`]*)`", rows["in another program"])
    [config] = re.findall(r"^groups: \{\n.*?^\};\n", alarmed.text, re.MULTILINE | re.DOTALL)
    events = journal.replace("};", sockets.removeprefix("events: { "))
    alarmed.write("/etc/mcastd/conf.d/feed.conf", config.replace('"5s"', '"100ms"') + events)
    alarmed.type("mcastctl reload")
    with seqpacket(system.path(path)) as program:
        alarmed.type("mcastctl send feed test")  # ends a silence, and another one begins
        assert json.loads(program.recv(65536))["event"] == "silence"
    wait_until(lambda: "silence" in alarmed.type(command.replace(" -f", "") + f" --since {since}"), "the event in the journal")
    wait_until(lambda: "group feed: silent: " in service.log(), "the line of the log")


# ---- One user sends to one group and not to another ----


@pytest.fixture
def plant(follow):
    reader = follow("doc/who-may-send.md")
    reader.configure()
    return reader


def test_alice_sends_to_the_one_group_and_not_to_the_other(plant, service):
    *commands, refused = plant.lines("sudo mcastd --check")
    for command in commands:
        plant.type(command)
    service.wait_received("telemetry")
    result = plant.try_to_type(refused)
    assert result.returncode == 1 and "allow_send" in result.stderr, result.stderr
    plant.type("sudo -u bob mcastctl send valves close")
    service.wait_received("valves")
    assert plant.try_to_type("mcastctl send valves close").returncode == 1  # root is not in the list
    assert service.group("valves")["received"] == 1


def test_the_firewall_leaves_the_group_to_the_daemon(plant, service):
    service.reload()
    try:
        plant.type_all("sudo nft add table")
        for user in "alice", "root":
            result = plant.try_to_type(f"sudo -u {user} mcastctl send 233.252.0.2:5004%eth0 close")
            assert result.returncode == 1 and "a firewall rule of this host refuses it" in result.stderr, result.stderr
        plant.type("sudo -u bob mcastctl send valves close")
        service.wait_received("valves")
        plant.type("sudo -u alice mcastctl send 233.252.0.1:5004%eth0 21.5")
    finally:
        plant.try_to_type("nft delete table inet plant")


# ---- Log what matters, and limit the rest ----


def test_what_matters_is_in_the_journal_and_the_rest_in_a_file(follow, system, service):
    reader, since = follow("doc/log-what-matters.md"), system.now()
    reader.configure()
    try:
        reader.type_all("sudo mcastd --check")
        wait_until(lambda: system.exists("/var/log/mcastd/devices.log") and
                   system.read("/var/log/mcastd/devices.log").count(b"\n") == 2, "both lines in the file")
        alarms, errors = re.findall(r"^\| `(journalctl [^`]*)`", reader.text, re.MULTILINE)
        wait_until(lambda: "pump 4: timeout" in reader.try_to_type(errors).stdout, "what grep lets through")
        wait_until(lambda: "ALARM pump 3" in reader.type(alarms), "the alarm")
        [alarm] = system.entries("MCASTD_GROUP=devices", since=since)
        assert alarm["MCASTD_PAYLOAD"] == "ALARM pump 3"
        assert service.handler("alarms")["filtered"] == 1
        reader.type("seq 1000 | sudo mcastctl send devices --lines")
        service.wait_received("devices", 1002)
        assert service.handler("all")["dropped"]["rate"] > 0
    finally:
        system.try_run("rm", "-f", "/var/log/mcastd/devices.log")


# ---- Monitoring ----


def test_metrics_are_served_by_tcp_and_by_a_file_for_a_collector(follow, system):
    reader = follow("doc/monitoring.md")
    reader.configure()
    *_, metric = reader.type_all("sudo mcastd --check")
    assert 'mcastd_group_received_total{group="feed"}' in metric
    reader.write("/etc/mcastd/conf.d/http.conf", FENCED.findall(reader.text)[0].replace(
        'listen = ["127.0.0.1:9184"];', re.search(r"`(listen = \[[^`]*\])`", reader.text)[1] + ";"))
    system.run("systemctl", "reload", "mcastd")
    directory = "/var/lib/prometheus/node-exporter"
    system.run("mkdir", "-p", directory)
    try:
        reader.type(reader.block("curl -sf --unix-socket"))
        assert b'mcastd_group_received_total{group="feed"}' in system.read(f"{directory}/mcastd.prom")
    finally:
        system.run("rm", "-f", f"{directory}/mcastd.prom")


# ---- A container without a network ----


def in_container(program):
    """Runs a program of Python as that page does, without docker: no network, and the directory of group sockets."""
    return ("unshare", "--net", "--mount", "sh", "-euc", 'mkdir -p /groups; mount --bind /run/mcastd/groups /groups; exec python3 -c "$0"',
            program)


def python_of(reader):
    [_, program] = reader.block("docker run ").rstrip().removesuffix("'").split(" python3 -c '\n")
    return program


def test_a_program_without_a_network_sends_to_the_group_and_receives_it(follow, service, system):
    reader = follow("doc/container-without-network.md")
    reader.configure()
    service.reload()
    assert system.run(*in_container(python_of(reader))) == "b'hello from a container'\n"


def test_a_program_without_a_network_only_reads_the_group(follow, service, system):
    reader = follow("doc/container-without-network.md")
    reader.configure(1)
    service.reload()
    send_always = python_of(reader).replace("news.send", "\nwhile True: news.send").partition("; print")[0]
    assert "BrokenPipeError" in system.fail(*in_container(send_always))[1]
    assert service.group("news")["sent"] == 0
    listen = python_of(reader).replace('news.send(b"hello from a container"); ', "")
    send_often = f"(while sleep 0.1; do mcastctl send {GROUP}:{PORT}%eth0 news; done) & "
    assert system.run("sh", "-c", f'{send_often} "$@"; kill $!', "sh", *in_container(listen)) == "b'news'\n"


# ---- README.md ----


def test_the_first_steps_of_the_readme_lead_to_a_group_that_alice_uses(follow, service, system):
    reader = follow("README.md")
    steps, alices = reader.block("$ sudo make install").split("\n\n")
    install, *script = steps.replace("$ ", "").splitlines()
    assert install.startswith("sudo make install")  # done
    try:
        reader.written.append("/etc/mcastd/conf.d/news.conf")
        service.systemctl("stop", "mcastd.socket", "mcastd.service")
        said = reader.try_to_type("set -e\n" + "\n".join(script))
        assert said.returncode == 0 and "no errors: 1 group" in said.stdout + said.stderr, said.stderr
        add, send_one, tail, groups = (line.removeprefix("$ ").partition(" #")[0] for line in alices.splitlines())
        reader.type(f"USER=alice; {add}")
        assert "eth0" in reader.type(f"sudo -u alice {groups}")
        shown = reader.type(f"(until mcastctl status --json | grep -q '\"subscribers\":1'; do sleep 0.1; done; sudo -u alice {send_one}) &"
                            f" sudo -u alice {tail} --count 1 --timeout 20s")
        assert shown.endswith(" hello\n")
    finally:
        service.systemctl("disable", "mcastd.service")


def test_a_second_daemon_runs_beside_the_first(follow, system):
    reader = follow("README.md")
    reader.write("/etc/mcastd/lab.conf", 'groups: { lab: { address = "233.252.0.9"; port = 5010; interfaces = ["eth0"]; }; };\n')
    try:
        check, enable, groups, log, stop = reader.lines("$ sudo mcastd -c /etc/mcastd/lab.conf")
        reader.type(check)
        reader.type(enable)
        assert "lab" in reader.type(groups) and "lab" not in reader.type("mcastctl groups")
        assert "lab" in reader.type("export MCASTD_SOCKET=/run/mcastd-lab.sock; mcastctl groups")
        wait_until(lambda: "joined" in reader.type(log), "the log of the instance")
        reader.type(stop)
        assert reader.try_to_type(groups).returncode == 3
    finally:
        reader.try_to_type("systemctl disable --now mcastd@lab.socket mcastd@lab.service; rm -rf /var/log/mcastd-lab")
