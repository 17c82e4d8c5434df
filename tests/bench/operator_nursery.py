"""Agents that are killed by the thousand: a warm parent forks each one, so that a life costs milliseconds, not a start.

`python -m tests.bench.operator_nursery MODULE` is the parent: it has imported everything, runs no thread, and does what
its standard input says, one JSON object a line. What an agent can do with its life stands in MODULE.KINDS.

    {"begin": {LIFE}}    fork an agent; see `Life`
    {"kill": DEVICE}     kill -9 it

What the agents and the parent have to say goes to standard output, a line each, written at once: a kill never cuts one.
`Nursery` is the same for asyncio, seen from the bench.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from agent.commands.authority import Authority, BrokerAuthority
from agent.mqtt.transport import Connection, Event, Message, Published
from agent.plan import Moment
from agent.store.outbox import OutboxTable, Row
from tests.commands.standin import HandClock, StandIn, config_for, unlimited

# Every place where a life can end, in the order of a report's: none of them leaves anything to a destructor.
STEPS = (
    "before the transaction",
    "after insert",
    "after delete",
    "before commit",
    "after commit",
    "before publish",
    "after publish",
    "at PUBACK",
    "after PUBACK",
)


@dataclass(frozen=True)
class Life:
    """One run of an agent's process. `step` is where it kills itself, at the `passes`-th time it comes there."""

    device: int
    kind: str  # what it does: a function of the module's KINDS
    port: int
    folder: str
    boot: str
    seed: int
    step: str = ""
    passes: int = 1


def say(*words: object) -> None:
    """One line to the bench; below PIPE_BUF, so it is whole or not there."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Fate:
    """Ends the process where its life said."""

    def __init__(self, life: Life) -> None:
        self._life, self._left = life, life.passes

    def passes(self, step: str) -> None:
        if step == self._life.step:
            self._left -= 1
            if self._left == 0:
                say("cut", self._life.device, step.replace(" ", "_"))
                os.kill(os.getpid(), signal.SIGKILL)


class MortalTable(OutboxTable):
    def __init__(self, connection: Any, fate: Fate) -> None:
        super().__init__(connection)
        self._fate = fate

    def insert(self, rows: Any) -> list[int]:
        ids = super().insert(rows)
        if ids:
            self._fate.passes("after insert")
        return ids

    def delete(self, ids: Any) -> None:
        doomed = list(ids)
        super().delete(doomed)
        if doomed:
            self._fate.passes("after delete")


class MortalConnection(Connection):
    fate: Fate

    def publish(self, message: Message) -> int:
        self.fate.passes("before publish")
        mid = super().publish(message)
        self.fate.passes("after publish")
        return mid

    def _hand_over(self, event: Event) -> None:
        if isinstance(event, Published):
            self.fate.passes("at PUBACK")
        super()._hand_over(event)


class LiveClock(HandClock):
    """The machine's own time, in a boot of the bench's making."""

    def now(self) -> Moment:
        wall = datetime.now(timezone.utc)
        return Moment(wall, time.clock_gettime(time.CLOCK_BOOTTIME), self.boot_id, self.trust)


class Mortal(StandIn):
    """A whole agent over a real store and a real session, which dies where `life` says."""

    clock_type = LiveClock

    def __init__(self, life: Life, authority: Authority | None = None) -> None:
        config = config_for(f"mqtt://127.0.0.1:{life.port}")
        config = replace(config, commands=unlimited(1_000_000))
        super().__init__(
            Path(life.folder),
            config,
            authority=authority or BrokerAuthority(),
            device=device_id(life.device),
            boot=f"{life.boot}-0000",
            instance=str(os.getpid()),
        )
        fate = self.fate = Fate(life)
        database = self.store._database
        database.outbox = MortalTable(database.connection, fate)
        self._run, self.store.run = self.store.run, self._mortal_run  # type: ignore[method-assign]
        self.session._connect = self._connection
        self._acknowledged, self.outbox.acknowledged = self.outbox.acknowledged, self._after_puback  # type: ignore[method-assign]

    async def _mortal_run(self, fn: Callable[[Any], Any]) -> Any:
        def inside(db: Any) -> Any:
            self.fate.passes("before the transaction")
            made = fn(db)
            self.fate.passes("before commit")
            return made

        made = await self._run(inside)
        self.fate.passes("after commit")
        return made

    def _connection(self, *words: Any, **more: Any) -> Connection:
        made = MortalConnection(*words, **more)
        made.fate = self.fate
        return made

    def _after_puback(self, row: Row) -> None:
        self._acknowledged(row)
        self.fate.passes("after PUBACK")


def device_id(number: int) -> str:
    return f"imei::{number:015d}"


# -- the parent ------------------------------------------------------------------------------------------------------


def main() -> None:
    """Fork and reap until standard input ends; then nobody is left behind."""
    lives: dict[str, Callable[[Life], Any]] = importlib.import_module(sys.argv[1]).KINDS
    gc.collect()
    gc.freeze()  # the forks share it
    wanted = select.poll()
    wanted.register(0, select.POLLIN)
    children: dict[int, tuple[int, int]] = {}  # pidfd -> pid, device
    pending = b""
    while True:
        for handle, _ in wanted.poll():
            if handle:
                pid, device = children.pop(handle)
                wanted.unregister(handle)
                os.close(handle)
                say("ended", device, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                continue
            data = os.read(0, 65_536)
            if not data:
                for pid, _ in children.values():
                    os.kill(pid, signal.SIGKILL)
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                order = json.loads(line)
                if "kill" in order:
                    for pid, device in children.values():
                        if device == order["kill"]:
                            os.kill(pid, signal.SIGKILL)
                else:
                    life = Life(**order["begin"])
                    pid = os.fork()
                    if pid == 0:
                        _live(lives[life.kind], life, [0, *children])
                    handle = os.pidfd_open(pid)
                    children[handle] = (pid, life.device)
                    wanted.register(handle, select.POLLIN)


def _live(kind: Callable[[Life], Any], life: Life, inherited: list[int]) -> None:
    """The child: lives, and leaves without tidying up what is the parent's."""
    code = 1
    try:
        for handle in inherited:
            os.close(handle)
        random.seed(life.seed)
        asyncio.run(kind(life))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def memory() -> str | None:
    """A folder in memory where there is one: a kill takes nothing from the kernel, so no disk is waited for."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


# -- the bench's end -------------------------------------------------------------------------------------------------


class Nursery:
    """`heard(device, words)` gets every line an agent says, before the future of its life is done."""

    def __init__(self, module: str, heard: Callable[[int, list[str]], None]) -> None:
        self._module, self._heard = module, heard
        self._ended: dict[int, asyncio.Future[int]] = {}

    async def __aenter__(self) -> Nursery:
        words = [sys.executable, "-m", "tests.bench.operator_nursery", self._module]
        self._process = await asyncio.create_subprocess_exec(
            *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            kind, device, *words = line.decode().split()
            if kind == "ended":
                self._ended.pop(int(device)).set_result(int(words[0]))
            else:
                self._heard(int(device), [kind, *words])

    def _order(self, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")

    def begin(self, life: Life) -> asyncio.Future[int]:
        """Exit status, or minus the signal, once it has ended and all it said was heard."""
        ended = self._ended[life.device] = asyncio.get_running_loop().create_future()
        self._order(begin=asdict(life))
        return ended

    async def end(self, device: int, ended: asyncio.Future[int], after_s: float) -> int:
        """Wait for a life to end by itself; kill -9 when it has not by then. Its exit status or minus the signal."""
        with contextlib.suppress(asyncio.TimeoutError):
            return await asyncio.wait_for(asyncio.shield(ended), after_s)
        self._order(kill=device)
        return await ended


if __name__ == "__main__":
    main()
