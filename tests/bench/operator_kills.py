"""Real cuts: an agent's session as a child process, mosquitto, and a proxy between them that cuts mid-packet.

Called by tests/bench/operator_cuts.py; `python -m tests.bench.operator_kills PORT FOLDER BOOT` is the child, which
prints a line for every report it has recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
from pathlib import Path

from tests.bench.operator_ledger import Received
from tests.commands.standin import StandIn, config_for
from tests.operator.broker import Mosquitto
from tests.operator.desk import Desk

PACE_S = 0.004  # between two reports of the child


class Proxy:
    """Between agent and broker; `cut` ends every connection after a random number of further bytes."""

    def __init__(self, target_port: int, dice: random.Random) -> None:
        self._target, self._dice = target_port, dice
        self._left: int | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._end_all()

    def cut(self) -> None:
        self._left = self._dice.randrange(0, 2_000)

    def _end_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer), return_exceptions=True)
        self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(4096):
                if self._left is not None:
                    data, self._left = data[: self._left], self._left - len(data)
                    writer.write(data)
                    if self._left <= 0:
                        self._left = None
                        self._end_all()
                        return
                else:
                    writer.write(data)
                await writer.drain()
        finally:
            writer.transport.abort()


async def child(port: int, folder: Path, boot: str) -> None:
    """Records reports as fast as PACE_S until killed."""
    agent = StandIn(folder, config_for(f"mqtt://127.0.0.1:{port}"))
    agent.outbox.boot = boot
    await agent.outbox.open()
    session = asyncio.create_task(agent.session.run())
    number = 0
    while not session.done():
        number += 1
        if number % 3 == 0:
            batch = agent.outbox.batch()
            row = batch.add(agent.topics.event("test"), {"number": number})
            await agent.outbox.write(batch)
            print("e", row.boot, row.seq, number, flush=True)
        else:
            await agent.outbox.measure(agent.topics.measurement("test"), {"number": number})
            print("m", agent.outbox.boot, agent.outbox._next - 1, number, flush=True)
        if agent.outbox.flush_due():
            await agent.outbox.flush()
        await asyncio.sleep(PACE_S)


class Operator(Desk):
    """The recording end, with a session that the broker keeps."""

    received: Received

    def _check(self, event: object) -> None:
        topic, payload = event.topic, event.payload  # type: ignore[attr-defined]
        if payload and not topic.endswith("/status"):
            self.received.message(topic, payload)


async def _watch(port: int, received: Received, stop: asyncio.Event) -> None:
    """Receive, through restarts of the broker, in one persistent session."""
    while not stop.is_set():
        desk = Operator(port, "modem-agent/v1/+/+/+", clean=False)
        desk.received = received
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            async with desk:
                while desk.refused is None and not stop.is_set():  # noqa: ASYNC110  # two things end it
                    await asyncio.sleep(0.02)
        await asyncio.sleep(0.02)


async def _kill_about(cuts: int, dice: random.Random, folder: Path) -> Received:
    received, stop = Received(), asyncio.Event()
    broker_folder = folder / "broker"
    broker_folder.mkdir()
    with Mosquitto(broker_folder, "allow_anonymous true\nmax_queued_messages 0\n") as broker:
        watching = asyncio.create_task(_watch(broker.port, received, stop))
        async with Proxy(broker.port, dice) as proxy:
            boot = 1
            while received.cuts < cuts:
                boot += dice.random() < 0.1
                await _one_child(proxy, broker, folder, f"{boot:08x}", dice, received, cuts)
            await _quiet_end(broker.port, folder, f"{boot:08x}")
        stop.set()
        await watching
    return received


async def _one_child(
    proxy: Proxy, broker: Mosquitto, folder: Path, boot: str, dice: random.Random, received: Received, cuts: int
) -> None:
    """One process, cut a few times at the link and the broker, then killed."""
    words = [sys.executable, "-m", "tests.bench.operator_kills", str(proxy.port), str(folder), boot]
    process = await asyncio.create_subprocess_exec(
        *words, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
    )
    assert process.stdout is not None
    reading = asyncio.create_task(_read(process.stdout, received))
    await asyncio.sleep(0.8)  # Python starts
    for _ in range(dice.randrange(0, 12)):
        if dice.random() < 0.1:
            broker.stop()
            broker.start()
        else:
            proxy.cut()
        received.cuts += 1
        await asyncio.sleep(dice.uniform(0.05, 0.4))
    process.kill()
    await process.wait()
    await reading
    received.cuts += 1


async def _read(stream: asyncio.StreamReader, received: Received) -> None:
    """What the child recorded; a line cut in two by the kill was not printed to its end."""
    while (line := await stream.readline()).endswith(b"\n"):
        kind, boot, seq, number = line.decode().split()
        (received.recorded_event if kind == "e" else received.recorded_measurement)(boot, int(seq), int(number))


async def _quiet_end(port: int, folder: Path, boot: str) -> None:
    """A last life in peace: everything that is left goes out."""
    agent = StandIn(folder, config_for(f"mqtt://127.0.0.1:{port}"))
    agent.outbox.boot = boot
    await agent.outbox.open()
    session = asyncio.create_task(agent.session.run())
    quiet = 0
    while quiet < 20:
        await asyncio.sleep(0.05)
        quiet = quiet + 1 if agent.outbox.rows == 0 and agent.session.state.connected else 0
        if agent.outbox.flush_due():
            await agent.outbox.flush()
    await agent.session.stop()
    await session
    await agent.outbox.flush(last=True)
    agent.store.close()


def real_cuts(cuts: int, seed: int, folder: Path) -> Received:
    return asyncio.run(_kill_about(cuts, random.Random(seed), folder))


if __name__ == "__main__":
    asyncio.run(child(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
