"""An update server as hawkBit's DDI describes it, for what gooseBit does not serve: cancelling, windows, ended actions.

Played from the API's description, not hawkBit itself: it answers with what `links` and `pages` hold, and keeps what
it is told.
"""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Mapping
from typing import Any

TENANT = "/DEFAULT"


class HawkBit:
    """`with HawkBit() as server`: `links` of a poll, `pages` by path, `statuses` that a path answers with."""

    def __init__(self) -> None:
        self.links: dict[str, str] = {}  # name -> path, or a whole address
        self.pages: dict[str, bytes] = {}
        self.statuses: dict[str, int] = {}
        self.told: list[tuple[str, dict[str, Any]]] = []  # path below the device, body
        self.silent = False  # it takes what it is told, and the line breaks before the answer
        self.tokens: set[str] = set()
        played = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                played.tokens.add(self.headers.get("Authorization", ""))
                body = played.page(self.path)
                self.answer(404 if body is None else 200, body or b"")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                played.told.append((self.path.split("/", 5)[5], body))
                if played.silent:
                    self.close_connection = True
                else:
                    self.answer(200, b"")

            do_PUT = do_POST

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(played.statuses.get(self.path, status))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return self.origin + TENANT

    def __enter__(self) -> HawkBit:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def page(self, path: str) -> bytes | None:
        if path in self.pages:
            return self.pages[path]
        if path.count("/") != 4:  # no poll: /DEFAULT/controller/v1/DEVICE
            return None
        links = {name: {"href": self.address(link)} for name, link in self.links.items()}
        return json.dumps({"config": {"polling": {"sleep": "00:05:00"}}, "_links": links}).encode()

    def address(self, link: str) -> str:
        return link if "://" in link else self.origin + link

    def offer(self, action: str, artifact: Mapping[str, Any], *, version: str = "0.9.0", update: str = "forced") -> str:
        """A deployment of one file; the path of its link."""
        link = f"{TENANT}/controller/v1/one/deploymentBase/{action}"
        file = {**artifact, "_links": {"download": {"href": self.address(artifact["_links"])}}}
        chunk = {"part": "os", "name": "agent", "version": version, "artifacts": [file]}
        deployment = {"download": "forced", "update": update, "chunks": [chunk]}
        self.pages[link] = json.dumps({"id": action, "deployment": deployment}).encode()
        self.links = {"deploymentBase": link}
        return link

    def cancel(self, action: str) -> None:
        link = f"{TENANT}/controller/v1/one/cancelAction/{action}"
        self.pages[link] = json.dumps({"id": action, "cancelAction": {"stopId": action}}).encode()
        self.links = {"cancelAction": link}

    def feedback(self) -> list[tuple[str, str, str]]:
        """Path, execution and result of what it was told, oldest first, without the attributes."""
        return [
            (path, body["status"]["execution"], body["status"]["result"]["finished"])
            for path, body in self.told
            if path != "configData"
        ]
