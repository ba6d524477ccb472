"""systemd's varlinkctl, a client that nobody here has written, at the control socket."""

import json
import shutil
import subprocess

import pytest

from harness import with_us
from harness.daemon import ROOT
from harness.peers import send
from harness.waiting import TIMEOUT, wait_until

CONFIG = """
groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; socket = true; }; };
"""


def version():
    """Of systemd, or 0 without varlinkctl."""
    if not shutil.which("varlinkctl"):
        return 0
    return int(subprocess.check_output(["varlinkctl", "--version"], text=True).split()[1].split("~")[0].split(".")[0])


pytestmark = pytest.mark.skipif(version() < 257, reason="needs the varlinkctl of systemd 257")


def varlinkctl(*arguments, **options):
    """Returns what it printed; it must succeed without a complaint."""
    options = {"stdin": subprocess.DEVNULL, "text": True, "timeout": TIMEOUT, **options}
    if "input" in options:
        del options["stdin"]
    result = subprocess.run(["varlinkctl", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr + result.stdout
    return result.stdout


def test_info_says_whom_it_has_reached(daemon):
    info = json.loads(varlinkctl("info", "--json=short", daemon.control_path))
    assert info["product"] == "mcastd"
    assert sorted(info["interfaces"]) == ["io.mcastd", "org.varlink.service"]


def test_introspect_reads_the_description(daemon):
    described = varlinkctl("introspect", daemon.control_path, "io.mcastd")
    for method in ("Send", "Subscribe", "GetStatus", "ListGroups", "Reload"):
        assert f"method {method}" in described


def test_the_description_is_valid():
    varlinkctl("validate-idl", f"{ROOT}/src/control/io.mcastd.varlink")


def test_the_description_of_the_running_daemon_is_valid_too(daemon):
    varlinkctl("validate-idl", input=varlinkctl("introspect", daemon.control_path, "io.mcastd"))


def test_a_call_is_answered(daemon):
    groups = json.loads(varlinkctl("call", "--json=short", daemon.control_path, "io.mcastd.ListGroups", "{}"))["groups"]
    assert groups[0]["name"] == "news" and groups[0]["memberships"][0]["state"] == "joined"


def test_a_call_sends_a_datagram(daemon):
    before = daemon.group("news")["sent"]
    varlinkctl("call", daemon.control_path, "io.mcastd.Send", '{"group": "news", "text": "hello"}')
    assert daemon.group("news")["sent"] == before + 1


def test_an_error_is_told_by_its_name(daemon):
    result = subprocess.run(
        ["varlinkctl", "call", daemon.control_path, "io.mcastd.Send", '{"group": "nowhere", "text": "x"}'],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT)
    assert result.returncode != 0 and "io.mcastd." in result.stderr


def test_more_gets_each_datagram(daemon, net):
    before = daemon.call("GetStatus")["subscribers"]
    with with_us.start(
            ["varlinkctl", "call", "--more", "--json=short", daemon.control_path, "io.mcastd.Subscribe", '{"groups": ["news"]}'],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: daemon.call("GetStatus")["subscribers"] > before, "the subscription")
            for payload in ("one", "two"):
                send(net.peer, payload.encode(), "233.252.0.1", 5004)
                line = process.stdout.readline()
                assert json.loads(line.lstrip("\x1e"))["datagram"]["text"] == payload
        finally:
            process.kill()
