"""The real daemon as a process in a namespace of its own, and its real CLI beside it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent import config as configuration
from agent.clock import Clock
from agent.plan import Ledger
from agent.store import Database
from tests.netns import Namespace
from tests.waiting import wait_for

EXECUTABLE = Path(sys.executable).with_name("modem-agent")


def until(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Poll another process until something holds; nothing tells us when it does."""
    return wait_for("what a test waits for", true, patience_s=seconds)


class Running:
    """A daemon below `folder`; `extra` is more TOML."""

    def __init__(self, namespace: Namespace, folder: Path, extra: str = "") -> None:
        self.namespace, self.folder = namespace, folder
        self.file = folder / "config.toml"
        self.port = folder / "modem0"
        self.file.write_text(
            f'[device]\nstate_dir = "{folder}/state"\nrun_dir = "{folder}/run"\n'
            f'[modem]\nport = "{self.port}"\npoll_s = 1\n[wan]\ninterfaces = ["wan0"]\n{extra}'
        )
        self.process: subprocess.Popen[str] | None = None

    def seed(self, used_bytes: int) -> None:
        """A month in which so much was used already."""
        config = configuration.load(self.file)
        ledger = replace(Ledger.new(config.plan, Clock(config.clock, floor=None).now()), fresh=False)
        with Database.open(self.folder / "state" / "agent.db") as database, database.transaction():
            database.keep(replace(ledger, received_bytes=used_bytes))

    def start(self) -> None:
        with (self.folder / "daemon.log").open("a") as log:
            self.process = self.namespace.popen(
                str(EXECUTABLE), "run", "--config", str(self.file), stdout=log, stderr=log
            )
        until(lambda: self.ask("status"))

    def ask(self, *words: str) -> Any:
        """A verb of the CLI with --json; None when it fails."""
        done = self.cli(*words, "--json")
        return json.loads(done.stdout) if done.stdout.strip() and done.returncode == 0 else None

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ["ip", "netns", "exec", self.namespace.name, str(EXECUTABLE), *words, "--config", str(self.file)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    @property
    def modem_state(self) -> str:
        return str((self.ask("status") or {"modem": {}})["modem"].get("state"))

    def counted(self) -> int:
        usage = self.ask("usage")["usage"]
        return int(usage["received_bytes"] + usage["sent_bytes"])

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self) -> tuple[int, float]:
        """Exit status, and the seconds it took."""
        assert self.process is not None
        begin = time.monotonic()
        self.process.terminate()
        status = self.process.wait(15)
        return status, time.monotonic() - begin

    def log(self) -> str:
        return (self.folder / "daemon.log").read_text()


@contextlib.contextmanager
def daemon(namespace: Namespace, folder: Path, extra: str = "", *, used_bytes: int | None = None) -> Iterator[Running]:
    """A running daemon, gone at the end."""
    running = Running(namespace, folder, extra)
    if used_bytes is not None:
        running.seed(used_bytes)
    running.start()
    try:
        yield running
    finally:
        if running.process is not None and running.process.poll() is None:
            running.process.kill()
            running.process.wait()


def kernel_ip_bytes(namespace: Namespace, link: str = "wan0") -> int:
    """What the kernel counted on an Ethernet link, both ways, less its 14 bytes a packet."""
    for line in namespace.run("cat", "/proc/net/dev").splitlines():
        name, _, rest = line.partition(":")
        if name.strip() == link:
            words = [int(word) for word in rest.split()]
            return words[0] + words[8] - 14 * (words[1] + words[9])
    raise AssertionError(f"no link {link}")
