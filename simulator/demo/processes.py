"""The processes of the demo: broker, traffic server, daemon. Each is started in a host, and ended by its process id."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, ClassVar

from simulator.demo.network import BROKER_ADDRESS, OPERATOR, SetupError, inside

BROKER_PORT, SERVER_PORT = 1883, 5001
# Without `user root` it would become another user, which root of an ordinary user's namespace may not: setgroups(2) is
# denied there (user_namespaces(7)).
MOSQUITTO_CONF = (
    "user root\nlistener {port} {address}\nallow_anonymous true\npersistence false\nmax_packet_size 2000000\n"
)


class Processes:
    """Everything that was started and must be gone at the end."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: list[IO[bytes]] = []

    def start(self, host: str, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a process in a host, in place of an ended one of that name; what it prints goes to NAME.log."""
        log = (self._out / f"{name}.log").open("ab")
        self._logs.append(log)
        process = subprocess.Popen(["ip", "netns", "exec", host, *command], stdout=log, stderr=log)
        self._running[name] = process
        return process

    def all_run(self) -> None:
        """SetupError names a process that ended by itself, and what it said last."""
        for name, process in self._running.items():
            if (status := process.poll()) is not None:
                said = (self._out / f"{name}.log").read_text("utf-8", "replace").strip().splitlines()
                raise SetupError(f"the {name} ended with status {status}: {said[-1] if said else 'it said nothing'}")

    def wait_until(self, ready: Callable[[], object], timeout_s: float, what: str) -> Any:
        """Poll until something true comes; SetupError names what never came, or at once the process that ended."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.all_run()
            if result := ready():
                return result
            time.sleep(0.1)
        raise SetupError(f"not within {timeout_s:.0f} s: {what}")

    def close(self) -> None:
        for load in list(Load.running):
            load.stop()
        for process in reversed(self._running.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(3)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        for log in self._logs:
            log.close()


def start_broker(processes: Processes, out: Path) -> str:
    """mosquitto where it is installed, an embedded broker otherwise; returns which."""
    mosquitto = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if mosquitto:
        conf = out / "mosquitto.conf"
        conf.write_text(MOSQUITTO_CONF.format(port=BROKER_PORT, address=BROKER_ADDRESS))
        processes.start(OPERATOR, "broker", mosquitto, "-c", str(conf))
    else:
        if find_spec("amqtt") is None:
            raise ModuleNotFoundError("neither mosquitto nor amqtt", name="amqtt")
        processes.start(OPERATOR, "broker", sys.executable, "-m", "simulator.demo.embedded_broker", str(BROKER_PORT))
    processes.wait_until(lambda: _answers(BROKER_PORT), 15, "the broker listens")
    return "mosquitto" if mosquitto else "amqtt (embedded)"


def start_server(processes: Processes) -> None:
    """The host on the internet that the household loads from and to."""
    module = "simulator.demo.load"
    processes.start(OPERATOR, "server", sys.executable, "-m", module, "serve", BROKER_ADDRESS, str(SERVER_PORT))
    processes.wait_until(lambda: _answers(SERVER_PORT), 15, "the traffic server listens")


def _answers(port: int) -> bool:
    with inside(OPERATOR), contextlib.suppress(OSError), socket.create_connection((BROKER_ADDRESS, port), timeout=1):
        return True
    return False


class Load:
    """One run of simulator.demo.load in the household."""

    running: ClassVar[set[Load]] = set()

    def __init__(self, *words: str) -> None:
        command = ["ip", "netns", "exec", "household", sys.executable, "-m", "simulator.demo.load", *words]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.running.add(self)

    def result(self) -> Any:
        output, _ = self._process.communicate(timeout=120)
        self.running.discard(self)
        if self._process.returncode != 0:
            raise SetupError("the household's load failed")
        return json.loads(output)

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()
        self.running.discard(self)


def flows(direction: str, seconds: float, count: int = 4) -> Load:
    return Load(direction, BROKER_ADDRESS, str(SERVER_PORT), str(seconds), str(count))


def pings(seconds: float) -> Load:
    return Load("ping", BROKER_ADDRESS, str(seconds))
