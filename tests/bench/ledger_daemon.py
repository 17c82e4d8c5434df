"""The agent's own daemon for the ledger's benches: on a line, without modem and broker."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from agent.control.client import ControlClient
from agent.errors import AgentError
from agent.plan import Ledger
from agent.store import Database

EXECUTABLE = Path(sys.executable).with_name("modem-agent")


class Daemon:
    """`modem-agent run` with the given lines in section [plan]."""

    def __init__(self, folder: Path, *, plan: str = "", state: Path | None = None) -> None:
        self.folder = folder
        self.state = state or folder / "state"
        self.file = folder / "config.toml"
        self.socket = folder / "run" / "control.sock"
        shutil.rmtree(folder / "run", ignore_errors=True)
        (folder / "run").mkdir(parents=True)
        self.state.mkdir(exist_ok=True)
        self.file.write_text(
            f'[device]\nid = "bench"\nstate_dir = "{self.state}"\nrun_dir = "{folder}/run"\n'
            f'[modem]\nport = "{folder}/no-modem"\n[wan]\ninterfaces = ["wan*"]\n[clock]\nsource = "system"\n'
            f'[log]\nlevel = "error"\n[plan]\n{plan}\n'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        with (self.folder / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(EXECUTABLE), "run", "--config", str(self.file)], stdout=log, stderr=log, start_new_session=True
            )
        limit = time.monotonic() + 60
        while not self.socket.exists():
            if time.monotonic() > limit or self.process.poll() is not None:
                raise RuntimeError(f"the daemon does not start: {(self.folder / 'daemon.log').read_text()[-500:]}")
            time.sleep(0.01)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)

    def counted(self) -> tuple[int, int]:
        """Received and sent of the period, as `modem-agent usage` tells them."""
        with ControlClient(self.socket, timeout_s=60) as client:
            usage = client.call("usage")["usage"]
        return usage["received_bytes"], usage["sent_bytes"]

    def counted_until(self, received: int, sent: int, timeout_s: float = 60) -> tuple[int, int]:
        """What it has counted once that is as much as asked for, or when the time is over."""
        limit = time.monotonic() + timeout_s
        found = (-1, -1)  # no answer is not an answer of nothing
        while time.monotonic() < limit:
            with contextlib.suppress(AgentError, OSError):
                found = self.counted()
            if found[0] >= received and found[1] >= sent:
                break
            time.sleep(0.02)
        return found

    def ledger(self) -> Ledger:
        """What the disk holds."""
        with Database.open_readonly(self.state / "agent.db") as database:
            found = database.load_ledger()
        assert found is not None
        return found
