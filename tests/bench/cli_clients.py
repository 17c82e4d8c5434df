"""Fifty clients on the control socket, one of them hung: how long the others wait.

The server runs in a process of its own, as the daemon does. The hung client asks for ten large answers and reads none;
every other asks for `status` again and again, all at once.

Run: python -m tests.bench.cli_clients
"""

from __future__ import annotations

import json
import multiprocessing
import socket
import sys
import tempfile
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from agent.control.client import ControlClient
from tests.bench.rows import Bench
from tests.cli import sample
from tests.control.conftest import Table, serving

CLIENTS, CALLS, LIMIT_MS = 50, 20, 200.0


class Agent(Table):
    async def _status(self, args: dict[str, Any], progress: Any) -> Any:
        return sample.status()


def daemon(path: Path, ready: Event, done: Event) -> None:
    with serving(path, Agent()):
        ready.set()
        done.wait()


def hang(path: Path) -> socket.socket:
    """A client that asks and never reads."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "huge", "params": {"bytes": 500_000}}).encode() + b"\n"
    client.sendall(line * 10)
    return client


def ask(path: Path, start: threading.Barrier, taken: list[float]) -> None:
    with ControlClient(path, timeout_s=30) as client:
        start.wait()
        for _ in range(CALLS):
            began = time.perf_counter()
            client.call("status")
            taken.append((time.perf_counter() - began) * 1000)


def main() -> int:
    bench = Bench("cli_clients", 7)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "control.sock"
        ready, done = multiprocessing.Event(), multiprocessing.Event()
        process = multiprocessing.Process(target=daemon, args=(path, ready, done))
        process.start()
        ready.wait(30)
        hung = hang(path)
        taken: list[float] = []
        start = threading.Barrier(CLIENTS - 1)
        threads = [threading.Thread(target=ask, args=(path, start, taken)) for _ in range(CLIENTS - 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        hung.close()
        done.set()
        process.join()
    taken.sort()
    middle, most, worst = taken[len(taken) // 2], taken[int(len(taken) * 0.99)], taken[-1]
    text = f"median {middle:.0f} ms, p99 {most:.0f} ms, worst {worst:.0f} ms of {len(taken)} answers"
    what = f"{CLIENTS} clients at once, one hung: answer to `status`"
    bench.row(what, f"within {LIMIT_MS:.0f} ms", text, len(taken) == (CLIENTS - 1) * CALLS and worst <= LIMIT_MS)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
