"""An operator's download server over TLS: ranges, and a line that breaks after so many bytes."""

from __future__ import annotations

import http.server
import re
import socket
import ssl
import threading
from pathlib import Path

from tests.mqtt.pki import Pki


class Publisher:
    """`with Publisher(folder) as server`: `files` by name; `breaks`: where bodies end too early, in turn."""

    def __init__(self, folder: Path) -> None:
        self.pki = Pki(folder)
        self.pki.issue("server", "localhost", host="127.0.0.1")
        self.files: dict[str, bytes] = {}
        self.breaks: list[int] = []
        self.ranges = True
        self.asked: list[tuple[str, str]] = []  # path, range
        publisher = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                publisher.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # Segments as on a line with an MTU of 1500; the loopback's would be 64 kB.
        self._server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1_460)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pki.path("server.pem"), self.pki.path("server.key"))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def base(self) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}/feed"

    def __enter__(self) -> Publisher:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        """One file, from where it is asked for."""
        wanted = request.headers.get("Range", "")
        self.asked.append((request.path, wanted))
        content = self.files.get(request.path.rpartition("/")[2])
        if content is None:
            request.send_response(404)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        found = re.fullmatch(r"bytes=(\d+)-", wanted)
        start = int(found[1]) if found and self.ranges else 0
        body = content[start:]
        request.send_response(206 if found and self.ranges else 200)
        if found and self.ranges:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.breaks:
            request.wfile.write(body[: self.breaks.pop(0)])
            request.close_connection = True
        else:
            request.wfile.write(body)
