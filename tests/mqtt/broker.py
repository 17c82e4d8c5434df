"""A real mosquitto on a free loopback port, started and stopped by its process id."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 10.0) -> None:
    """Until something listens; the process must still live."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"broker ended with {process.returncode}"
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)  # another process's start cannot be awaited otherwise
    raise AssertionError(f"nothing listens on port {port}")


class Mosquitto:
    """`extra` goes into the configuration; the retained messages and sessions live in `folder` between two starts."""

    def __init__(self, folder: Path, extra: str = "allow_anonymous true\n", *, tls: str = "") -> None:
        binary = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        if binary is None:
            pytest.skip("mosquitto: not installed")
        self.binary, self.folder, self.port = binary, folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.config = folder / "mosquitto.conf"
        folder.chmod(0o755)
        self.config.write_text(
            f"listener {self.port} 127.0.0.1\n{tls}"
            f"set_tcp_nodelay true\npersistence true\npersistence_location {folder}/\nautosave_interval 0\n"
            f"log_dest file {folder}/mosquitto.log\nlog_type all\nuser root\n{extra}"
        )

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> Mosquitto:
        self.process = subprocess.Popen([self.binary, "-c", str(self.config)])
        wait_for_port(self.port, self.process)
        return self

    def stop(self, *, kill: bool = False) -> None:
        if self.process is not None:
            if kill:
                self.process.kill()
            else:
                self.process.terminate()
            self.process.wait(10)
            self.process = None

    def log(self) -> str:
        return (self.folder / "mosquitto.log").read_text(errors="replace")

    def __enter__(self) -> Mosquitto:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop(kill=True)
