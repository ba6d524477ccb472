"""doc/into-a-log-system.md before a real journald: its commands, and rsyslog that reads the journal."""

import json

import pytest

from harness.discovery import find, need
from harness.documents import configurations, indented
from harness.peers import send
from harness.waiting import wait_until

PAGE = "doc/into-a-log-system.md"
GROUP, PORT = "233.252.0.5", 5008
OUTPUT = "/var/log/sensors.log"


@pytest.fixture
def sensors(service):
    service.start(next(block for block in configurations(PAGE) if 'fields = "json"' in block))
    return service


def block_with(word):
    return next(block for block in indented(PAGE) if word in block)


def test_the_commands_of_the_page_show_the_fields_of_json(sensors):
    commands = block_with("journalctl JSON_SENSOR=hall").splitlines()[-2:]
    assert [command.split()[0] for command in commands] == ["mcastctl", "journalctl"]
    sensors.system.run("sh", "-c", commands[0])
    shown = wait_until(lambda: sensors.system.run("sh", "-c", f"{commands[1]} --quiet --since {sensors.since}"), "the entry")
    entry = json.loads(shown)
    assert {name: value for name, value in entry.items() if not name.startswith("_")} == {
        "MCASTD_GROUP": "sensors", "MCASTD_SOURCE": "192.0.2.1", "JSON_SENSOR": "hall", "JSON_TEMPERATURE": "21.5"}


def test_collectors_find_the_datagrams_by_the_id_that_the_page_gives(sensors):
    send(sensors.system, b'{"sensor": "yard"}', GROUP, PORT, "eth0")
    match = next(word for word in block_with("filebeat.inputs").split() if word.startswith("MESSAGE_ID="))
    [entry] = wait_until(lambda: sensors.system.entries(match, since=sensors.since), "the entry")
    assert (entry["MCASTD_GROUP"], entry["JSON_SENSOR"]) == ("sensors", "yard")
    for block in indented(PAGE):
        if "journald" in block or "systemd" in block or "loki.source.journal" in block:
            assert match.partition("=")[2] in block


def test_logger_reaches_dev_log_from_within_the_sandbox(service):
    service.start(next(block for block in configurations(PAGE) if "/usr/bin/logger" in block))
    send(service.system, b"pump 3: on", "233.252.0.6", 5009, "eth0")
    [entry] = wait_until(lambda: service.system.entries("SYSLOG_IDENTIFIER=feed", since=service.since), "the line")
    assert (entry["MESSAGE"], entry["PRIORITY"], entry["SYSLOG_FACILITY"]) == ("pump 3: on", "6", "16")


@pytest.fixture
def rsyslog(system):
    """With what the page says, until the test ends."""
    need("rsyslogd")
    system.write("/etc/collector.conf", 'global(workDirectory="/run")\n' + block_with("imjournal"))
    system.run("systemd-run", "--quiet", "--unit=collector", find("rsyslogd"), "-n", "-i", "NONE", "-f", "/etc/collector.conf")
    yield
    system.try_run("systemctl", "stop", "collector")
    system.try_run("rm", "-f", OUTPUT, "/etc/collector.conf", "/run/imjournal.state")


def test_rsyslog_reads_the_fields_from_the_journal(sensors, rsyslog):
    system = sensors.system

    def lines():
        return system.read(OUTPUT).decode().splitlines() if system.exists(OUTPUT) else []

    def is_reading():
        send(system, b'{"sensor": "first", "temperature": 0}', GROUP, PORT, "eth0")
        return lines()

    wait_until(is_reading, "rsyslog to read the journal")
    for number in range(50):
        send(system, json.dumps({"sensor": f"s{number}", "temperature": number / 10}).encode(), GROUP, PORT, "eth0")
    wait_until(lambda: any(" s49 " in line for line in lines()), "the lines")
    found = [line.split(" ", 1) for line in lines()]
    assert [rest for _, rest in found if not rest.startswith("first ")] == [f"s{number} {number / 10}" for number in range(50)]
    assert all(stamp.endswith("Z") for stamp, _ in found)
