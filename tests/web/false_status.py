"""A server that has the daemon's page, and whatever a test wants in its status.json."""

import http.server
import json
import os
import threading
import time

from harness.daemon import MCASTD

POLICY = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src *"


def page_file():
    return os.path.join(os.path.dirname(MCASTD), "gen", "http", "page", "index.html")


def group(name, **more):
    return {"name": name, "address": "233.252.0.1", "port": 5004, "memberships": [{"interface": "eth0"}], **more}


class FalseStatus:
    """In it, every answer has the members of status. Its policy lets markup do what it wants: what the page leaves undone is the
    page's merit."""

    def __init__(self, host, **status):
        self.status = {"version": "0", "pid": 1, "startedMs": 1000, "groups": [], "handlers": [], "events": [], **status}
        with open(page_file(), "rb") as file:
            self.page = file.read()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                is_page = self.path == "/"
                body = outer.page if is_page else outer.make() if self.path == "/status.json" else b""
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8" if is_page else "application/json")
                self.send_header("Content-Security-Policy", POLICY)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        with host:
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def make(self):
        now = time.time_ns() // 1000000
        loop = {"rounds": 1, "busyMicroseconds": 1, "longestMicroseconds": 1}
        return json.dumps({"timestampMs": now, "clockMs": now % 10**9, "loop": loop, **self.status}).encode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
