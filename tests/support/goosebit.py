"""A real gooseBit, an update server that serves hawkBit's DDI, on a loopback port; its own API beside it.

`python -m tests.support.goosebit PORT` is the server's process: its database is made by its own migrations first.
"""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.mqtt.broker import free_port, wait_for_port

VERSION = "0.9.0"  # of the software that the tests offer
DESCRIPTION = """software = {{
  version = "{version}";
  hardware-compatibility: [ "default" ];
  files: ( {{ filename = "{file}"; path = "/"; }} );
}}
"""


def cpio(files: Mapping[str, bytes]) -> bytes:
    """The archive that SWUpdate reads: cpio(5), new ASCII format."""
    made = b""
    for name, data in {**files, "TRAILER!!!": b""}.items():
        fields = [0, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        made += b"070701" + b"".join(b"%08X" % value for value in fields) + name.encode() + b"\0"
        made += bytes(-len(made) % 4) + data
        made += bytes(-len(made) % 4)
    return made


def archive(version: str, file: str, package: bytes) -> bytes:
    described = DESCRIPTION.format(version=version, file=file).encode()
    return cpio({"sw-description": described, file: package})


class GooseBit:
    """`with GooseBit(folder) as server`; `server.url` is the tenant's address."""

    def __init__(self, folder: Path) -> None:
        if importlib.util.find_spec("goosebit") is None:
            pytest.skip("gooseBit: not installed (it needs Python 3.11)")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._port, self._login = folder, free_port(), ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/DEFAULT"

    def __enter__(self) -> GooseBit:
        settings = {
            "GOOSEBIT_DB_URI": f"sqlite:///{self._folder}/db.sqlite3",
            "GOOSEBIT_ARTIFACTS_DIR": f"{self._folder}/artifacts",
            "GOOSEBIT_POLL_TIME": "00:00:01",
        }
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.goosebit", str(self._port)],
                env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            wait_for_port(self._port, self._process, 120.0)
            form = urlencode({"username": "desk@example.org", "password": "desk"})
            self._login = self.ask("POST", "/setup", form, "application/x-www-form-urlencoded")["access_token"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def ask(self, method: str, path: str, body: str | bytes | None = None, kind: str = "application/json") -> Any:
        """One request to its own API, as its page makes it."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {"Content-Type": kind} if body is not None else {}
        if self._login:
            headers["Authorization"] = f"Bearer {self._login}"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        assert answer.status == 200, f"{method} {path}: {answer.status} {text}"
        return json.loads(text)

    def upload(self, name: str, content: bytes) -> int:
        """The software's number."""
        edge = uuid.uuid4().hex
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = head.encode() + content + f"\r\n--{edge}--\r\n".encode()
        done = self.ask("PUT", "/api/v1/software", body, f"multipart/form-data; boundary={edge}")
        return int(done["id"])

    def roll_out(self, software: int) -> None:
        order = {"name": "test", "feed": "default", "software_id": software}
        self.ask("PUT", "/api/v1/rollouts", json.dumps(order))

    def counts(self) -> tuple[int, int]:
        """Successes and failures of its one roll-out."""
        (found,) = self.ask("GET", "/api/v1/rollouts")["rollouts"]
        return found["success_count"], found["failure_count"]

    def devices(self) -> dict[str, dict[str, Any]]:
        return {device["id"]: device for device in self.ask("GET", "/api/v1/devices")["devices"]}

    def force(self, device: str) -> None:
        """Offer it again to a device that has failed."""
        order = {"devices": [device], "force_update": True}
        self.ask("PATCH", "/ui/bff/devices", json.dumps(order))


async def _serve(port: int) -> None:
    import aerich
    import goosebit
    import uvicorn
    from goosebit.db.config import TORTOISE_CONF

    migrations = Path(goosebit.__file__).parent / "db" / "migrations"
    command = aerich.Command(tortoise_config=TORTOISE_CONF, app="models", location=str(migrations))
    await command.init()
    await command.upgrade(run_in_transaction=True)
    await command.aclose()
    await uvicorn.Server(uvicorn.Config(goosebit.app, host="127.0.0.1", port=port)).serve()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
