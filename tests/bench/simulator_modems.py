"""200 simulated modules on ptys in one process: how long each takes to answer while all are asked, each once a second.

That is more than the agent asks: its poll is 12 commands, at most every 15 s.

.venv/bin/python -m tests.bench.simulator_modems
"""

from __future__ import annotations

import multiprocessing
import os
import pty
import select
import sys
import tempfile
import time
import tty
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


def mirror(folder: str, done: Event) -> None:
    """A process that gives back what it reads on a pty: what this machine itself takes for a round trip."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.symlink(os.ttyname(slave), f"{folder}/mirror")
    while not done.is_set():
        if select.select([master], [], [], 0.1)[0]:
            os.write(master, os.read(master, 4096))


def answers(folder: str) -> dict[str, list[float]]:
    """Milliseconds from the write to the whole answer, by name: of the modules, and of the mirror; 200 a second."""
    names = [f"modem{n}" for n in range(MODEMS)]
    for place in range(0, MODEMS + MODEMS // 10, 11):
        names.insert(place, "mirror")
    files = {n: os.open(f"{folder}/{n}", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK) for n in dict.fromkeys(names)}
    of_port = {port: name for name, port in files.items()}
    poller = select.epoll()
    for port in files.values():
        poller.register(port, select.EPOLLIN)
    took: dict[str, list[float]] = {name: [] for name in files}
    for turn in range(ROUNDS):
        asked: dict[str, float] = {}
        heard: dict[str, bytes] = dict.fromkeys(files, b"")
        waiting, began = list(names), time.monotonic()
        while waiting or asked:
            while waiting and time.monotonic() - began >= (len(names) - len(waiting)) / MODEMS:
                name = waiting.pop(0)
                asked[name] = time.monotonic()
                os.write(files[name], b"OK\r\n" if name == "mirror" else COMMANDS[turn % len(COMMANDS)])
            for port, _ in poller.poll(0.001):
                name = of_port[port]
                heard[name] += os.read(port, 4096)
                if heard[name].endswith(b"OK\r\n") and name in asked:
                    took[name].append((time.monotonic() - asked.pop(name)) * 1000)
    poller.close()
    for port in files.values():
        os.close(port)
    return took


def main() -> int:
    bench = Bench("simulator_modems", issue=8)
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        ready, done = context.Event(), context.Event()
        processes = [
            context.Process(target=host, args=(folder, ready, done)),
            context.Process(target=mirror, args=(folder, done)),
        ]
        for process in processes:
            process.start()
        ready.wait(60)
        try:
            by_name = answers(folder)
        finally:
            done.set()
            for process in processes:
                process.join(30)
    machine = sorted(by_name.pop("mirror"))
    took = sorted(time_ms for times in by_name.values() for time_ms in times)
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    # Twenty answers a module: the slowest of them stands for its p99.
    beyond = sum(max(times) >= TARGET_MS for times in by_name.values())
    machine_p99 = machine[int(len(machine) * 0.99)]
    bare = (
        f"a bare pty that gives back what it reads: p50 {machine[len(machine) // 2]:.2f} ms, p99 {machine_p99:.2f} ms"
    )
    busy = machine_p99 > TARGET_MS / 2  # then the figure is the machine's, not the simulator's
    bench.row(
        f"{MODEMS} modules on ptys in one process, {len(took)} commands, each module asked once a second",
        f"p99 under {TARGET_MS:.0f} ms",
        f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, worst {took[-1]:.2f} ms; "
        f"{MODEMS - beyond} of {MODEMS} modules always within it" + (" (a busy machine)" if busy else ""),
        None if busy else p99 < TARGET_MS,
        peer=bare,
    )
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
