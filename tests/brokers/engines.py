"""RabbitMQ with its MQTT plug-in and NATS with JetStream, each a private process on free loopback ports."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.mqtt.broker import free_port, wait_for_port


class Engine:
    """One broker process; `stop` and `start` keep what it has stored."""

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def command(self) -> tuple[list[str], dict[str, str]]:
        raise NotImplementedError

    def start(self) -> None:
        words, environment = self.command()
        with open(self.folder / "output", "ab") as output:
            self.process = subprocess.Popen(
                words, env={**os.environ, **environment}, stdout=output, stderr=output, start_new_session=True
            )
        wait_for_port(self.port, self.process, 90)

    def stop(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)
            self.process = None


def found(program: str, *elsewhere: str) -> str:
    for candidate in (program, *elsewhere):
        path = shutil.which(candidate)
        if path is not None:
            return path
    pytest.skip(f"{program}: not installed")


class Nats(Engine):
    name = "nats"

    def command(self) -> tuple[list[str], dict[str, str]]:
        config = self.folder / "nats.conf"
        config.write_text(
            f'server_name: test\nlisten: "127.0.0.1:{free_port()}"\n'
            f'jetstream {{ store_dir: "{self.folder}/store" }}\nmqtt {{ listen: "127.0.0.1:{self.port}" }}\n'
        )
        return [found("nats-server", "/usr/sbin/nats-server"), "-c", str(config)], {}


class Rabbit(Engine):
    """Runs the server itself, not Debian's wrapper, which would switch to the system's user and folders."""

    name = "rabbitmq"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._dist, self._epmd = free_port(), free_port()

    def command(self) -> tuple[list[str], dict[str, str]]:
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp = none\nmqtt.listeners.tcp.1 = 127.0.0.1:{self.port}\nmqtt.allow_anonymous = true\n"
            "mqtt.default_user = guest\nmqtt.default_pass = guest\nmqtt.prefetch = 20\nlog.file.level = info\n"
        )
        (self.folder / "enabled_plugins").write_text("[rabbitmq_mqtt].\n")
        environment = {
            "HOME": str(self.folder),  # of the Erlang cookie
            "RABBITMQ_NODENAME": "agent-test@localhost",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_DIST_PORT": str(self._dist),
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        return [found("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")], environment

    def stop(self) -> None:
        super().stop()
        epmd = shutil.which("epmd")  # Erlang's port mapper outlives its nodes; this one is ours, by its port
        if epmd is not None:
            subprocess.run(
                [epmd, "-port", str(self._epmd), "-kill"], env={**os.environ, "ERL_EPMD_ADDRESS": "127.0.0.1"},
                capture_output=True, check=False,
            )  # fmt: skip


ENGINES: tuple[type[Engine], ...] = (Nats, Rabbit)
