"""A web server on loopback for what diagnosis fetches."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class Pages(BaseHTTPRequestHandler):
    """/zeros/N sends N zeros, POST swallows, everything else is 404."""

    def do_GET(self) -> None:
        size = int(self.path.rpartition("/")[2]) if self.path.startswith("/zeros/") else -1
        self.send_response(200 if size >= 0 else 404)
        self.send_header("Content-Length", str(max(0, size)))
        self.end_headers()
        try:
            for _ in range(max(0, size) // 10_000):
                self.wfile.write(b"\0" * 10_000)
        except OSError:
            self.close_connection = True  # the agent has had enough

    def do_POST(self) -> None:
        left = int(self.headers["Content-Length"])
        while left > 0 and (part := self.rfile.read(min(65_536, left))):
            left -= len(part)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def pages() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
