"""/metrics, the alerts and the dashboard, as Prometheus and its promtool see them."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import urllib.parse

import pytest

from harness import exposition
from harness.documents import indented
from harness.peers import process
from harness.waiting import TIMEOUT, wait_until
from net.test_metrics import CONFIG, MONITORING, PORT, config, fetch, make_busy

pytestmark = pytest.mark.skipif(not shutil.which("promtool"), reason="needs prometheus")

SECONDS = 60  # that Prometheus scrapes, once a second
WEB = 9090

assert CONFIG


def promtool(*arguments, **options):
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=4 * TIMEOUT, **options)


@pytest.fixture
def daemon(start):
    return start(config("senders = true;"))


# promtool


def test_promtool_finds_nothing_wrong(daemon, net, blast):
    make_busy(daemon, net)
    with blast.stream(net.peer, "233.252.0.1", 5004, 64, rate=20_000, bulk=True):
        for _ in range(5):
            data = fetch(daemon)
            result = promtool("check", "metrics", input=data.decode())
            assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    names = set(exposition.parse(data))
    assert len(names) > 50 and "mcastd_sender_received_total" in names


@pytest.mark.parametrize("command, name", [("check", "mcastd-alerts.yml"), ("test", "mcastd-alerts_test.yml")])
def test_the_alerts_are_right(command, name):
    result = promtool(command, "rules", name, cwd=MONITORING)
    assert result.returncode == 0 and "SUCCESS" in result.stdout, result.stdout + result.stderr


def test_each_expression_of_the_dashboard_is_right(tmp_path):
    with open(os.path.join(MONITORING, "mcastd-dashboard.json")) as file:
        panels = json.load(file)["panels"]
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    assert len(expressions) > 30
    rules = [{"record": f"panel:{number}", "expr": re.sub(r"\$\w+", ".*", text.replace("$__rate_interval", "1m"))}
             for number, text in enumerate(expressions)]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    result = promtool("check", "rules", str(path))
    assert result.returncode == 0 and f"{len(rules)} rules found" in result.stdout, result.stdout + result.stderr


def block(beginning):
    """The block of the recipe that begins so."""
    [text] = [text for text in indented("doc/monitoring.md") if text.startswith(beginning)]
    return text


def test_promtool_takes_the_configuration_of_the_recipe(tmp_path):
    path = tmp_path / "prometheus.yml"
    path.write_text(block("scrape_configs:").replace("/usr/local/share/mcastd/monitoring", MONITORING))
    result = promtool("check", "config", str(path))
    assert result.returncode == 0 and "rules found" in result.stdout, result.stdout + result.stderr


def test_promtool_takes_each_query_of_the_recipe(tmp_path):
    queries = [line for line in block("# loss of the kernel").splitlines() if not line.startswith("#")]
    assert len(queries) == 3
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "recipe", "rules": [
        {"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]}]}))
    result = promtool("check", "rules", str(path))
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_file_for_the_textfile_collector_comes_from_the_unix_socket(start, tmp_path):
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    daemon = start(config().replace(f'"127.0.0.1:{PORT}"', '"$DIR/http.sock"'))
    path = tmp_path / "mcastd.prom"
    with open(path, "wb") as file:
        subprocess.run(["curl", "-sf", "--unix-socket", daemon.path("http.sock"), "http://localhost/metrics"], stdout=file, check=True)
    result = promtool("check", "metrics", input=path.read_text())
    assert result.returncode == 0, result.stderr


# Prometheus


class Prometheus:
    """A server that scrapes once a second, with the rules that are installed."""

    def __init__(self, host, directory):
        self.host = host
        self.directory = str(directory)
        scrape = {"job_name": "mcastd", "static_configs": [{"targets": [f"127.0.0.1:{PORT}"]}]}
        with open(os.path.join(self.directory, "prometheus.yml"), "w") as file:
            json.dump({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "scrape_configs": [scrape],
                       "rule_files": [os.path.join(MONITORING, "mcastd-alerts.yml")]}, file)
        self.command = ["prometheus", f"--config.file={self.directory}/prometheus.yml",
                        f"--storage.tsdb.path={self.directory}/data", f"--web.listen-address=127.0.0.1:{WEB}"]

    def get(self, path):
        connection = http.client.HTTPConnection("localhost", timeout=TIMEOUT)
        with self.host:
            connection.sock = socket.create_connection(("127.0.0.1", WEB), TIMEOUT)
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        if response.status == 503:
            raise ConnectionRefusedError("Prometheus is not ready")
        answer = json.loads(text)
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        """{labels without __name__, job and instance: value}"""
        result = self.get("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))["result"]
        return {tuple(sorted((name, text) for name, text in item["metric"].items() if name not in ("__name__", "job", "instance"))):
                float(item["value"][1]) for item in result}

    def is_up(self):
        try:
            return self.query("up") == {(): 1}
        except OSError:
            return False

    def alerts(self):
        return {(alert["labels"]["alertname"], alert["labels"].get("group") or alert["labels"].get("handler"))
                for alert in self.get("/api/v1/alerts")["alerts"] if alert["state"] == "firing"}


def test_prometheus_scrapes_alerts_and_sees_the_right_rate(start, net, blast, tmp_path, say):
    daemon = start(config().replace("1h", "2s"))
    server = Prometheus(net.host, tmp_path)
    with open(tmp_path / "log", "w") as log, process(net.host, *server.command, stdout=log, stderr=log):
        wait_until(server.is_up, "Prometheus to scrape", 4 * TIMEOUT)
        with blast.stream(net.peer, "233.252.0.2", 5004, 64, rate=1000):
            wait_until(lambda: sum(server.query("count_over_time(up[5m])").values()) >= SECONDS, "the scrapes", 3 * SECONDS)

            def is_right():
                """In a window of 10 s in which a busy machine did not hold up the sender."""
                rate = server.query("rate(mcastd_group_received_total{group='both'}[10s])")
                return list(rate.values()) == [pytest.approx(1000, rel=0.1)]

            wait_until(is_right, "the right rate", 4 * TIMEOUT)
        assert set(server.query("min_over_time(up[5m])").values()) == {1}
        samples = server.query("scrape_samples_scraped")
        assert list(samples.values())[0] == len([line for line in fetch(daemon).splitlines() if not line.startswith(b"#")])
        wait_until(lambda: ("McastdGroupSilent", "news") in server.alerts(), "the alert about silence")
        fired = server.alerts()
        assert not [alert for alert in fired if "Unbalanced" in alert[0]]
        took = server.query("max_over_time(scrape_duration_seconds[5m])")
        say(f"Prometheus: {SECONDS} scrapes of {list(samples.values())[0]:.0f} samples, the longest took {list(took.values())[0] * 1000:.1f} ms;"
            f" firing: {', '.join(sorted({name for name, _ in fired}))}")
    assert "scrape failed" not in (tmp_path / "log").read_text().lower()


def test_a_restart_is_an_alert(start, net, tmp_path):
    server = Prometheus(net.host, tmp_path)
    directory = tmp_path / "daemon"
    directory.mkdir()
    with open(tmp_path / "log", "w") as log, process(net.host, *server.command, stdout=log, stderr=log):
        for _ in range(2):
            daemon = start(config(), directory=str(directory))
            wait_until(server.is_up, "Prometheus to scrape", 4 * TIMEOUT)
            before = sum(server.query("count_over_time(mcastd_start_time_seconds[5m])").values())
            wait_until(lambda: sum(server.query("count_over_time(mcastd_start_time_seconds[5m])").values()) > before + 1, "two scrapes")
            daemon.stop()
        wait_until(lambda: "McastdRestarted" in {name for name, _ in server.alerts()}, "the alert about the restart")
