"""A mosquitto of the fleet's own on a free loopback port, ended by its process id."""

from __future__ import annotations

import resource
import shutil
import socket
import subprocess
import time
from pathlib import Path

from simulator.errors import SimulatorError


def raise_file_limit(wanted: int) -> int:
    """Descriptors for `wanted` connections in this process and its children; what was had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(wanted, hard), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(min(wanted, limit), soft), limit))
        except (ValueError, OSError):
            continue
        break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Mosquitto:
    """start(), stop(), and again: sessions and retained messages are kept in `folder`, as a real broker keeps them.

    `extra` goes to the end of its configuration.
    """

    def __init__(self, folder: Path, extra: str = "") -> None:
        binary = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        if binary is None:
            raise SimulatorError("mosquitto is not installed; name a broker with --broker mqtt://HOST:PORT")
        self._binary, self._folder = binary, folder
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\nlog_type error\n"
            f"persistence true\npersistence_location {folder}/\nautosave_interval 0\n"
            f"max_queued_messages 0\nmax_inflight_messages 1000\nset_tcp_nodelay true\n{extra}"
        )

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([self._binary, "-c", str(self._config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                probe.settimeout(0.2)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        self.stop()
        raise SimulatorError(f"mosquitto did not start; see {self._folder}/mosquitto.log")

    def stop(self, *, kill: bool = False) -> None:
        """`kill`: as a crash, what it had not written to disk is gone."""
        if self._process is not None:
            (self._process.kill if kill else self._process.terminate)()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def memory_mb(self) -> float:
        """Resident memory."""
        if self._process is None:
            return 0.0
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6

    def cpu_s(self) -> float:
        """Processor seconds it has used."""
        if self._process is None:
            return 0.0
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
