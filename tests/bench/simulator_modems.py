"""200 simulated modules on ptys in one process: how long each takes to answer while all are asked at once.

.venv/bin/python -m tests.bench.simulator_modems
"""

from __future__ import annotations

import multiprocessing
import os
import select
import sys
import tempfile
import time
from contextlib import ExitStack
from multiprocessing.synchronize import Event
from pathlib import Path

from simulator import Host, serve
from tests.bench.rows import Bench

MODEMS, ROUNDS, TARGET_MS = 200, 20, 20.0
COMMANDS = (b"AT\r", b"AT+CSQ\r", b'AT+QENG="servingcell"\r', b"AT+CEREG?\r", b"AT+QNWINFO\r")


def host(folder: str, ready: Event, done: Event) -> None:
    """The process that is measured: one loop, 200 modules."""
    with ExitStack() as stack:
        running = Host().start()
        stack.callback(running.close)
        for number in range(MODEMS):
            stack.enter_context(serve("quectel-ec25", link=Path(folder) / f"modem{number}", seed=number, host=running))
        ready.set()
        done.wait()


def answers(folder: str) -> list[float]:
    """Milliseconds from the write to the whole answer, each module asked every 50 ms or so, not all in one instant."""
    ports = [os.open(f"{folder}/modem{n}", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK) for n in range(MODEMS)]
    poller = select.epoll()
    for port in ports:
        poller.register(port, select.EPOLLIN)
    took: list[float] = []
    for turn in range(ROUNDS):
        asked: dict[int, float] = {}
        heard = dict.fromkeys(ports, b"")
        waiting = list(ports)
        began = time.monotonic()
        while waiting or asked:
            while waiting and time.monotonic() - began >= (MODEMS - len(waiting)) * 1.0 / MODEMS:
                port = waiting.pop(0)
                asked[port] = time.monotonic()
                os.write(port, COMMANDS[turn % len(COMMANDS)])
            for port, _ in poller.poll(0.001):
                heard[port] += os.read(port, 4096)
                if heard[port].endswith(b"OK\r\n") and port in asked:
                    took.append((time.monotonic() - asked.pop(port)) * 1000)
    poller.close()
    for port in ports:
        os.close(port)
    return took


def main() -> int:
    bench = Bench("simulator_modems", issue=8)
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        ready, done = context.Event(), context.Event()
        process = context.Process(target=host, args=(folder, ready, done))
        process.start()
        ready.wait(60)
        try:
            took = sorted(answers(folder))
        finally:
            done.set()
            process.join(30)
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    bench.row(
        f"{MODEMS} modules on ptys in one process, {len(took)} commands at {MODEMS} a second",
        f"p99 under {TARGET_MS:.0f} ms",
        f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, worst {took[-1]:.2f} ms",
        p99 < TARGET_MS,
    )
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
