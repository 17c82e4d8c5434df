"""A PostgreSQL cluster of a test's own: a temporary folder, a unix socket in it, no port; ended by its process id."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

SETTINGS = (
    "listen_addresses = ''", "shared_buffers = 256MB", "max_wal_size = 2GB", "autovacuum_naptime = 10s",
    "unix_socket_permissions = 0777", "log_min_messages = warning", "logging_collector = off",
)  # fmt: skip


def binaries() -> Path | None:
    """Where Debian puts the newest server; it is not on the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class Postgres:
    """`with Postgres(folder) as server`: `server.dsn`; kill() and start() as often as wanted."""

    def __init__(self, folder: Path, settings: Sequence[str] = ()) -> None:
        where = binaries()
        if where is None:
            raise FileNotFoundError("PostgreSQL is not installed (Debian: postgresql)")
        self._binaries, self.folder = where, folder
        self._data = folder / "data"
        # initdb and postgres refuse to run as root.
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", str(self._data), "-U", "office", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        with (self._data / "postgresql.conf").open("a") as config:
            config.write("\n".join((*SETTINGS, f"unix_socket_directories = '{folder}'", *settings, "")))

    @property
    def dsn(self) -> str:
        return f"host={self.folder} user=office dbname=postgres"

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [str(self._binaries / program), *words], check=True, cwd=self.folder, user=self._user,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def start(self, wait_s: float = 120.0) -> Postgres:
        """Ready when it returns. After a kill -9 it does not start before the last of the old backends has ended."""
        ready = [str(self._binaries / "pg_isready"), "-q", "-h", str(self.folder), "-U", "office"]
        deadline = time.monotonic() + wait_s
        self._spawn()
        while subprocess.run(ready, check=False).returncode != 0:
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)  # another process's start cannot be awaited otherwise
            if self._process is not None and self._process.poll() is not None:
                self._spawn()
        return self

    def _spawn(self) -> None:
        command = [str(self._binaries / "postgres"), "-D", str(self._data)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, user=self._user, stdout=log, stderr=log)

    def kill(self) -> None:
        """kill -9, as a crash; its backends end by themselves when they see it gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def __enter__(self) -> Postgres:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
