"""The HTTP server in the sandbox of the units."""

import os
import stat

import pytest

from harness.service import Service

CONFIG = """
groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; }; };
http: { listen = ["127.0.0.1:PORT", "[::1]:PORT", "/run/DIRECTORY/http.sock"]; };
"""
FIRST = CONFIG.replace("PORT", "9184").replace("DIRECTORY", "mcastd")
LAB = CONFIG.replace("PORT", "9185").replace("DIRECTORY", "mcastd-lab")


def assert_serves(service, port):
    for where in ([f"http://127.0.0.1:{port}/metrics"], [f"http://[::1]:{port}/metrics"],
                  ["--unix-socket", f"/run/{service.name}/http.sock", "http://mcastd/metrics"]):
        assert "mcastd_build_info" in service.system.run("curl", "-gsSf", *where)


@pytest.fixture
def lab(system):
    service = Service(system, "lab")
    yield service
    service.clean_up()


def test_the_daemon_and_an_instance_serve_beside_each_other(service, lab):
    service.start(FIRST)
    lab.start(LAB)
    assert_serves(service, 9184)
    assert_serves(lab, 9185)


def test_it_is_back_after_a_restart_a_crash_and_a_reload(service):
    service.start(FIRST)
    service.restart()
    assert_serves(service, 9184)
    pid = service.pid
    service.kill("SIGKILL")
    service.wait_restarted(pid)
    assert_serves(service, 9184)
    service.configure(FIRST.replace("};\nhttp: {", '};\nhttp: { socket_mode = "0660";'))
    service.reload()
    assert_serves(service, 9184)
    assert stat.S_IMODE(os.stat(service.system.path("/run/mcastd/http.sock")).st_mode) == 0o660


def test_a_check_beside_the_running_service_finds_nothing(service):
    service.start(FIRST)
    said = service.system.run("mcastd", "--check")
    assert "no errors" in said and "warning" not in said, said
    assert_serves(service, 9184)
