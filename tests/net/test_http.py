"""The HTTP server as collectors, browsers and people who mean no good see it."""

import contextlib
import grp
import http.client
import os
import re
import socket
import stat
import subprocess
import threading
import time

import pytest

from harness.daemon import run_mcastd
from harness.peers import process
from harness.programs import resident
from harness.waiting import TIMEOUT, wait_until

PORT = 9184
GROUP = """groups: { news: { address = "233.252.0.1"; port = 5004; interfaces = ["eth0"]; receive_buffer = "16M"; }; };"""
LISTEN = ["127.0.0.1:9184", "[::1]:9184", "$DIR/http.sock", "0.0.0.0:9185"]
MOST = 16  # connections, CLIENTS_MAX
METRICS = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


def config(*listen, more=""):
    items = ", ".join(f'"{item}"' for item in listen)
    return GROUP + f"\nhttp: {{ listen = [{items}]; {more} }};\n"


CONFIG = config(*LISTEN)


def connect(daemon, address="127.0.0.1", port=PORT, source=None):
    """A connection to the server; to a UNIX socket where the address is its path, which threads may ask for, too."""
    if address.startswith("/"):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(address)
        sock.settimeout(TIMEOUT)
        return sock
    with daemon.host:
        return socket.create_connection((address, port), TIMEOUT, source_address=source and (source, 0))


def read_all(sock):
    """Whatever comes until the other side closes; a reset is an end, too."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(1 << 16):
            data += piece
    return data


def ask(daemon, request, **where):
    """What is answered to these bytes until the connection is closed."""
    with connect(daemon, **where) as sock:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(request)
        return read_all(sock)


def code_of(answer):
    found = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    return found and int(found[1])


def get(daemon, path="/metrics", method="GET", sock=None, headers=None, **where):
    """One request by a real client: the response, with its body in .body."""
    connection = http.client.HTTPConnection("localhost", timeout=TIMEOUT)
    connection.sock = sock or connect(daemon, **where)
    connection.request(method, path, headers=headers or {})
    response = connection.getresponse()
    response.body = response.read()
    if not sock:
        connection.close()
    return response


def samples(daemon, **where):
    """The metrics, {name with labels: value}."""
    response = get(daemon, **where)
    assert response.status == 200
    lines = response.body.decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}


def is_well(daemon):
    """Whether it answers a collector and people as ever."""
    return get(daemon).status == 200 and daemon.call("GetStatus")["groups"] == 1


def connections(daemon):
    return samples(daemon)["mcastd_http_connections"] - 1  # without the one that asks


@pytest.fixture(autouse=True)
def nothing_is_left(request):
    """After each test the server answers, and no connection of the test is left."""
    yield
    if "daemon" in request.fixturenames:
        daemon = request.getfixturevalue("daemon")
        wait_until(lambda: connections(daemon) == 0, "all connections to be closed")
        assert is_well(daemon)


@pytest.fixture
def begin(start, net):
    """Starts daemons for one test only, elsewhere than the one that all tests share."""
    return lambda config, **options: start(config, host=net.peer, **options)


# Answers


def test_metrics_are_served_wherever_it_listens(daemon, net):
    for where in ({}, {"address": "::1"}, {"address": daemon.path("http.sock")}, {"address": net.host.v4, "port": 9185}):
        assert "mcastd_start_time_seconds" in samples(daemon, **where)


def test_metrics_are_those_of_the_daemon(daemon):
    before = samples(daemon)
    version = daemon.call("GetStatus")["version"]
    assert before[f'mcastd_build_info{{version="{version}"}}'] == 1
    assert abs(before["mcastd_start_time_seconds"] - time.time()) < 3600
    after = samples(daemon)
    assert after["mcastd_loop_rounds_total"] > before["mcastd_loop_rounds_total"] > 0
    assert after["mcastd_loop_busy_seconds_total"] > before["mcastd_loop_busy_seconds_total"] > 0
    assert 0 < after["mcastd_loop_longest_round_seconds"] < 10
    assert after['mcastd_http_requests_total{code="200"}'] == before['mcastd_http_requests_total{code="200"}'] + 1
    assert after["mcastd_http_connections_total"] == before["mcastd_http_connections_total"] + 1
    assert after["mcastd_http_sent_bytes_total"] > before["mcastd_http_sent_bytes_total"]


def test_each_metric_is_explained_once_before_its_samples(daemon):
    lines = get(daemon).body.decode().splitlines()
    seen = []
    for line in lines:
        if line.startswith("# HELP "):
            seen.append(line.split()[2])
        elif line.startswith("# TYPE "):
            assert line.split()[2] == seen[-1]
        else:
            assert re.match(r"[a-z_]+", line)[0] == seen[-1], line
    assert len(seen) == len(set(seen)) > 5


def test_answers_may_not_be_kept_guessed_or_shared(daemon):
    response = get(daemon)
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert not [name for name in response.headers if name.startswith("Access-Control")]


def test_the_page_asks_nobody_else(daemon):
    response = get(daemon, "/")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert b'href="metrics"' in response.body and response.body.startswith(b"<!DOCTYPE html>")
    assert response.body.endswith(b"</html>\n")


@pytest.mark.parametrize("path", ["/metrics", "/", "/nothing"])
def test_head_has_the_headers_of_get_and_no_body(daemon, path):
    with_body, without = get(daemon, path), get(daemon, path, "HEAD")
    assert with_body.status == without.status
    assert not without.body
    assert without.headers["Content-Type"] == with_body.headers["Content-Type"]
    raw = ask(daemon, f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert raw.endswith(b"\r\n\r\n") and raw.count(b"\r\n\r\n") == 1


def test_a_connection_serves_many_requests_one_after_the_other(daemon):
    with connect(daemon) as sock:
        for path, method in (("/metrics", "GET"), ("/", "HEAD"), ("/", "GET"), ("/metrics", "GET")):
            assert get(daemon, path, method, sock=sock).status == 200


@pytest.mark.parametrize("more", [b"", b"Connection: keep-alive\r\n"], ids=["plain", "keep-alive"])
def test_a_client_of_http_1_0_gets_the_whole_answer_and_the_end(daemon, more):
    answer = ask(daemon, b"GET /metrics HTTP/1.0\r\n" + more + b"\r\n")
    assert code_of(answer) == 200
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head and b"Content-Length" not in head
    assert body.startswith(b"# HELP") and body.endswith(b"\n")


def test_curl_gets_metrics_by_both_ways(daemon):
    for where in (["http://127.0.0.1:9184/metrics"], ["--unix-socket", daemon.path("http.sock"), "http://mcastd/metrics"]):
        assert "mcastd_build_info" in daemon.host.run("curl", "-sSf", "--compressed", *where)


def test_nobody_gets_other_files(daemon):
    for path in ("/../../etc/passwd", "/metrics/../../../etc/passwd", "/%2e%2e/etc/passwd", "//etc/passwd", "/metrics/"):
        answer = ask(daemon, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert code_of(answer) == 404 and b"root:" not in answer


def test_an_error_does_not_repeat_what_was_asked(daemon):
    for request in (b"GET /<script>alert(1)</script> HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    b"<script>alert(1)</script> / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    b"GET / HTTP/9.<script>alert(1)</script>\r\nHost: localhost\r\n\r\n",
                    b"GET /metrics HTTP/1.1\r\nHost: <script>alert(1)</script>\r\n\r\n",
                    b"GET /metrics HTTP/1.1\r\n<script>alert(1)</script>\r\n\r\n"):
        answer = ask(daemon, request)
        assert (code_of(answer) or 0) >= 400, request
        assert b"alert" not in answer, request


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND"])
def test_other_methods_are_refused(daemon, method):
    response = get(daemon, "/metrics", method)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"
    assert response.headers["Connection"] == "close"


@pytest.mark.parametrize("more", [[], ["-H", "Expect: 100-continue"], ["-H", "Transfer-Encoding: chunked"]],
                         ids=["plain", "expect", "chunked"])
def test_a_post_is_refused_for_its_method_whatever_its_body_is(daemon, more):
    said = daemon.host.run("curl", "-sS", "-w", "%{http_code}", "-d", "hello", *more, f"http://127.0.0.1:{PORT}/metrics")
    assert said == "405 Method Not Allowed: there are GET and HEAD only\n405"


def test_each_answer_is_counted_by_its_code_also_what_libevent_refuses(daemon):
    requests = {b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello": 405,
                b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\nhello": 413,
                b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n": 200,
                b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n": 404,
                b"GET /metrics HTTP/1.1\r\nHost localhost\r\n\r\n": 400}

    def counted():
        return {code: samples(daemon).get(f'mcastd_http_requests_total{{code="{code}"}}', 0) for code in requests.values()}

    for request, code in requests.items():
        before = counted()
        assert code_of(ask(daemon, request)) == code
        after = counted()
        asked = len(before) if code == 200 else 0  # the metrics themselves
        assert after[code] == before[code] + 1 + asked, code


# What is no request


BROKEN = {
    "http-0.9": b"GET /metrics\r\n",
    "http-0.9-said": b"GET /metrics HTTP/0.9\r\nHost: localhost\r\n\r\n",
    "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls": bytes.fromhex("16030100c8010000c40303") + b"\r\n\r\n",
    "absolute": b"GET http://localhost:9184/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "foreign": b"GET http://192.0.2.9/ HTTP/1.1\r\nHost: 192.0.2.9\r\n\r\n",
    "star": b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no-host": b"GET /metrics HTTP/1.1\r\n\r\n",
    "two-hosts": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
    "no-colon": b"GET /metrics HTTP/1.1\r\nHost localhost\r\n\r\n",
    "nul": b"GET /metrics\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "connect": b"CONNECT 192.0.2.9:25 HTTP/1.1\r\nHost: 192.0.2.9:25\r\n\r\n",
    "body": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
    "head-body": b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
    "post-body": b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "chunked-huge": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    "chunked-empty": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "smuggled": b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: x, chunked\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "length-negative": b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "length-overflow": b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "expect-other": b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nExpect: gold\r\n\r\n",
    "long-line": b"GET /" + b"a" * 10000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "long-header": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 10000 + b"\r\n\r\n",
    "many-headers": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 4000 + b"\r\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_request_is_refused_and_the_connection_closed(daemon, name):
    answer = ask(daemon, BROKEN[name])
    assert code_of(answer) is None or 400 <= code_of(answer) < 500, answer
    assert len(re.findall(rb"HTTP/1\.1 \d{3} [A-Z]", answer)) <= 1
    assert b"mcastd_" not in answer and b"100 Continue" not in answer


def test_an_upgrade_is_not_taken(daemon):
    answer = ask(daemon, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUpgrade: websocket\r\n\r\n")
    assert code_of(answer) == 200 and b"Upgrade" not in answer


def test_a_request_of_a_megabyte_is_cut_off(daemon):
    before = resident(daemon.process.pid)
    for head in (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ", b"GET /",
                 b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n"):
        answer = ask(daemon, head + b"a" * 1048576)
        assert code_of(answer) in (None, 400, 413)
    assert resident(daemon.process.pid) < before + 2


def test_an_endless_request_line_takes_no_memory(daemon):
    before = resident(daemon.process.pid)
    with connect(daemon) as sock, pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(10000):
            sock.sendall(b"a" * 4096)
    assert resident(daemon.process.pid) < before + 2


# Whose name it is called by


@pytest.mark.parametrize("host", ["localhost", "localhost:9184", "127.0.0.1:9184", "[::1]:9184", "LOCALHOST"])
def test_an_address_or_localhost_is_a_good_name(daemon, host):
    assert get(daemon, headers={"Host": host}).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9184", "localhost.evil.example", "127.0.0.1.evil.example"])
def test_a_foreign_name_is_refused_on_loopback_only(daemon, host):
    assert get(daemon, headers={"Host": host}).status == 421
    assert get(daemon, headers={"Host": host}, address=daemon.path("http.sock")).status == 200
    assert get(daemon, headers={"Host": host}, port=9185).status == 200


# Many, and slow ones


def test_pipelined_requests_are_answered_in_order_one_at_a_time(daemon):
    paths = [b"/metrics", b"/", b"/nothing"]
    requests = b"".join(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path for path in paths)
    answer = ask(daemon, requests + METRICS)
    assert re.findall(rb"HTTP/1\.1 (\d{3}) ", answer) == [b"200", b"200", b"404"]  # an error closes
    assert answer.index(b"# HELP") < answer.index(b"<!DOCTYPE")


def test_thousands_of_pipelined_requests_that_nobody_reads_take_no_memory(daemon):
    before = resident(daemon.process.pid)
    with connect(daemon) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                sock.sendall(METRICS * 1000)
        assert is_well(daemon)
    assert resident(daemon.process.pid) < before + 3


def test_a_hundred_that_say_nothing_keep_nobody_out(daemon):
    before = samples(daemon)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connect(daemon)) for _ in range(100)]
        wait_until(lambda: samples(daemon)["mcastd_http_connections_total"] >= before["mcastd_http_connections_total"] + 101,
                   "all to be accepted")
        after = samples(daemon)
        assert after["mcastd_http_connections"] <= MOST
        assert after["mcastd_http_displaced_connections_total"] >= before["mcastd_http_displaced_connections_total"] + 80
        assert read_all(silent[0]) == b""
        assert is_well(daemon)


def test_one_that_opens_many_displaces_its_own(daemon):
    """Connections by UNIX sockets are charged to another user than those by TCP."""
    with connect(daemon, address=daemon.path("http.sock")) as calm, contextlib.ExitStack() as stack:
        for _ in range(3 * MOST):
            stack.enter_context(connect(daemon, source=f"127.0.0.{1 + _}"))
        wait_until(lambda: connections(daemon) >= MOST - 1, "the connections")
        assert get(daemon, sock=calm).status == 200


def test_an_answer_under_way_is_not_displaced_by_silent_ones(daemon):
    with connect(daemon) as slow, contextlib.ExitStack() as stack:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(METRICS * 3)
        silent = [stack.enter_context(connect(daemon)) for _ in range(2 * MOST)]
        assert read_all(silent[0]) == b""
        assert is_well(daemon)
        data = b""
        while data.count(b"\r\n0\r\n\r\n") < 3:
            piece = slow.recv(100)
            assert piece
            data += piece


def test_one_that_reads_a_byte_at_a_time_gets_its_answer_and_holds_up_nobody(daemon):
    with connect(daemon) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        slow.sendall(METRICS)
        for _ in range(50):
            assert len(slow.recv(1)) == 1
            assert is_well(daemon)


def test_those_that_leave_in_the_middle_leave_nothing_behind(daemon):
    for _ in range(100):
        with connect(daemon) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.sendall(METRICS if _ % 2 else METRICS[:20])
    wait_until(lambda: connections(daemon) == 0, "all to be gone")


def test_a_half_closed_connection_ends(daemon):
    with connect(daemon) as sock:
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""


@pytest.mark.long
def test_one_that_asks_nothing_or_never_to_the_end_is_closed(daemon):
    before = samples(daemon)["mcastd_http_timed_out_connections_total"]
    with connect(daemon) as silent, connect(daemon) as slow:
        begin, sent = time.monotonic(), 0
        slow.settimeout(1)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while time.monotonic() < begin + 60:
                slow.sendall(METRICS[sent % 20:][:1])  # a byte a second
                sent += 1
                with contextlib.suppress(TimeoutError):
                    slow.recv(1)
        assert 9 < time.monotonic() - begin < 20
        assert read_all(silent) == b""
    assert samples(daemon)["mcastd_http_timed_out_connections_total"] == before + 2


@pytest.mark.long
def test_one_that_does_not_read_its_answers_is_closed(daemon):
    before = samples(daemon)["mcastd_http_timed_out_connections_total"]
    with connect(daemon) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                sock.sendall(METRICS * 1000)
        wait_until(lambda: samples(daemon)["mcastd_http_timed_out_connections_total"] == before + 1, "the end", 60)


# The file


def test_the_socket_file_has_its_mode_and_group(begin):
    group = grp.getgrnam("daemon")
    daemon = begin(config("$DIR/http.sock", more='socket_mode = "0660"; socket_group = "daemon";'))
    status = os.stat(daemon.path("http.sock"))
    assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o660 and status.st_gid == group.gr_gid


def test_everybody_may_connect_to_the_socket_by_default(begin):
    daemon = begin(config("$DIR/http.sock"))
    assert stat.S_IMODE(os.stat(daemon.path("http.sock")).st_mode) == 0o666


def test_the_socket_file_goes_with_the_daemon(begin, tmp_path):
    path = str(tmp_path / "http.sock")
    daemon = begin(config(path))
    assert os.path.exists(path)
    daemon.stop()
    assert not os.path.exists(path)


def test_a_stale_socket_file_is_replaced(begin, tmp_path):
    path = str(tmp_path / "http.sock")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    daemon = begin(config(path))
    assert get(daemon, address=path).status == 200


def test_another_file_is_not_replaced(net, tmp_path):
    path = tmp_path / "http.sock"
    path.write_text("precious")
    result = check(net, tmp_path, str(path), status=78)
    assert "is not a socket" in result and path.read_text() == "precious"


# Off


def test_without_it_nothing_listens(begin):
    daemon = begin(GROUP)
    assert daemon.host.run("ss", "-ltnH").strip() == ""
    assert not os.path.exists(daemon.path("http.sock"))


def test_targets_of_the_command_line_listen_nowhere(net):
    with process(net.peer, os.environ.get("MCASTD", "build/mcastd"), "233.252.0.9:5009%eth0", stderr=subprocess.PIPE) as child:
        assert child.stderr.readline()
        assert net.peer.run("ss", "-ltnH").strip() == ""


# Reload


def listening(daemon):
    return sorted(line.split()[3] for line in daemon.host.run("ss", "-ltnH").splitlines())


def reload(daemon, text, status=0):
    daemon.write_config(text)
    return daemon.ctl("reload", status=status)


def test_a_reload_turns_it_on_and_off(begin):
    daemon = begin(GROUP)
    reload(daemon, config("127.0.0.1:9184", "$DIR/http.sock"))
    assert samples(daemon)["mcastd_loop_rounds_total"] >= 1
    assert get(daemon, address=daemon.path("http.sock")).status == 200
    with connect(daemon) as kept:
        assert get(daemon, sock=kept).status == 200
        assert "http: changed: listen" in reload(daemon, GROUP)
        assert listening(daemon) == [] and not os.path.exists(daemon.path("http.sock"))
        assert read_all(kept) == b""


def test_a_reload_leaves_what_has_not_changed_connected(begin):
    daemon = begin(config("127.0.0.1:9184", "$DIR/http.sock"))
    with connect(daemon) as tcp, connect(daemon, address=daemon.path("http.sock")) as unix:
        assert get(daemon, sock=tcp).status == get(daemon, sock=unix).status == 200
        inode = os.stat(daemon.path("http.sock")).st_ino
        reload(daemon, config("[::1]:9184", "$DIR/http.sock", "127.0.0.1:9184"))
        assert get(daemon, sock=tcp).status == get(daemon, sock=unix).status == 200
        assert os.stat(daemon.path("http.sock")).st_ino == inode
        assert listening(daemon) == ["127.0.0.1:9184", "[::1]:9184"]
        reload(daemon, config("$DIR/http.sock"))
        assert get(daemon, sock=unix).status == 200
        assert read_all(tcp) == b""


def test_one_reload_changes_an_address_to_all_and_back_and_is_never_without_one(begin, net):
    daemon = begin(config("127.0.0.1:9184"))
    for item in "0.0.0.0:9184", "127.0.0.1:9184":
        with connect(daemon) as before:
            assert get(daemon, sock=before).status == 200
            reload(daemon, config(item))
            assert listening(daemon) == [item] and get(daemon).status == 200
            assert read_all(before) == b""
    with net.peer, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError):
            other.bind(("0.0.0.0", 9184))


def test_an_address_that_is_not_replaced_after_all_goes_on(begin, net):
    daemon = begin(config("127.0.0.1:9184"))
    with net.peer, socket.create_server(("127.0.0.1", 9199)), connect(daemon) as kept:
        assert "port 9199 is in use" in reload(daemon, config("0.0.0.0:9184", "127.0.0.1:9199"), status=1)
        assert listening(daemon) == ["127.0.0.1:9184", "127.0.0.1:9199"]
        assert get(daemon, sock=kept).status == get(daemon).status == 200


def test_a_reload_changes_the_mode_of_a_socket_and_is_never_without_one(begin):
    daemon = begin(config("$DIR/http.sock", "127.0.0.1:9184"))
    path = daemon.path("http.sock")
    failures, done = [], threading.Event()

    def watch():
        while not done.is_set():
            try:
                connect(daemon, address=path).close()
            except OSError as error:
                failures.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for mode in ("0600", "0644", "0660"):
        reload(daemon, config("$DIR/http.sock", "127.0.0.1:9184", more=f'socket_mode = "{mode}";'))
        assert stat.S_IMODE(os.stat(path).st_mode) == int(mode, 8)
        assert get(daemon, address=path).status == 200
    done.set()
    watcher.join()
    assert not [error for error in failures if isinstance(error, (FileNotFoundError, ConnectionRefusedError))]
    assert os.listdir(daemon.directory).count("http.sock.new") == 0


def test_a_reload_that_fails_changes_nothing(begin, net):
    daemon = begin(config("127.0.0.1:9184"))
    with net.peer, socket.create_server(("127.0.0.1", 9199)), connect(daemon) as kept:
        assert get(daemon, sock=kept).status == 200
        error = reload(daemon, config("[::1]:9184", "$DIR/http.sock", "127.0.0.1:9199"), status=1)
        assert "127.0.0.1:9199: port 9199 is in use" in error
        assert listening(daemon) == ["127.0.0.1:9184", "127.0.0.1:9199"]
        assert not os.path.exists(daemon.path("http.sock"))
        assert get(daemon, sock=kept).status == 200


# Checks


def check(net, tmp_path, *listen, status=0, more=""):
    path = tmp_path / "mcastd.conf"
    text = config(*listen, more=more).replace("$DIR", str(tmp_path))
    path.write_text(f'{text}control: {{ socket = "{tmp_path}/mcastd.sock"; }};\nrun_directory = "{tmp_path}/run";\n')
    with net.peer:
        result = run_mcastd("--check", "-c", str(path))
    assert result.returncode == status, result
    return result.stdout + result.stderr


def test_a_check_of_a_good_configuration_leaves_nothing_behind(net, tmp_path):
    assert "warning" not in check(net, tmp_path, "127.0.0.1:9184", "[::1]:9184", "$DIR/http.sock")
    assert not (tmp_path / "http.sock").exists()


def test_a_check_finds_a_port_in_use(net, tmp_path):
    with net.peer, socket.create_server(("127.0.0.1", 9184)):
        assert "mcastd.conf:2: http.listen: 127.0.0.1:9184: port 9184 is in use" in check(net, tmp_path, "127.0.0.1:9184", status=78)


def test_a_check_finds_a_directory_that_is_not_there(net, tmp_path):
    said = check(net, tmp_path, "$DIR/none/http.sock", status=78)
    assert "none/http.sock: No such file or directory; create its directory" in said


def test_a_check_warns_of_what_other_hosts_can_reach(net, tmp_path):
    assert "0.0.0.0:9184\" can be reached from other hosts" in check(net, tmp_path, "0.0.0.0:9184")


def test_a_check_beside_the_daemon_that_runs_finds_nothing(begin, net):
    daemon = begin(config("127.0.0.1:9184", "[::1]:9184", "$DIR/http.sock"))
    with net.peer:
        result = run_mcastd("--check", "-c", daemon.config_path)
    assert result.returncode == 0, result
    assert is_well(daemon)


# Datagrams


def test_no_datagram_is_lost_while_it_is_asked_and_abused(daemon, net, blast):
    path, before = daemon.path("http.sock"), daemon.group("news")
    done, answered = threading.Event(), []

    def scrape():
        while not done.is_set():
            answered.append(get(daemon, address=path).status)

    def abuse():
        while not done.is_set():
            with contextlib.suppress(OSError), connect(daemon, address=path) as sock:
                sock.sendall(METRICS * 20)

    threads = [threading.Thread(target=target) for target in (scrape, abuse, abuse)]
    for thread in threads:
        thread.start()
    sent = blast(net.peer, "233.252.0.1", 5004, 20000, rate=20000)
    done.set()
    for thread in threads:
        thread.join()
    wait_until(lambda: daemon.group("news")["received"] - before["received"] == sent, "all datagrams")
    assert set(answered) == {200}
