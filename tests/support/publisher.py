"""What a fleet has left at a broker, published without the fleet; and `modem-support` as a process."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from agent.mqtt.transport import Accepted, Connection, Event, Message, Published, Target

ROOT = "modem-agent/v1"
IN_FLIGHT = 200


def status(state: str = "online", session: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "v": 1, "state": state, "session": session, "boot": "9f1c2e34", "version": "0.1.0", "nonce": "0" * 16, **fields,
    }  # fmt: skip


def plan(state: str = "Normal", limit_bytes: int = 40_000_000_000) -> dict[str, Any]:
    steps = [{"at_percent": 100, "down_bps": 512_000, "up_bps": 512_000}]
    return {
        "v": 1, "rev": 1, "PeriodStart": "2026-11-01", "PeriodEnd": "2026-12-01", "AllowanceBytes": limit_bytes,
        "TopUpBytes": 0, "LimitBytes": limit_bytes, "State": state, "BillingDay": 1, "TimeZone": "Europe/Brussels",
        "WarnPercent": [80, 90, 100], "Steps": steps,
    }  # fmt: skip


def fleet_of(devices: int) -> Iterable[tuple[str, bytes]]:
    """Presence and plan of so many devices, as topics below ROOT."""
    presence, promised = json.dumps(status()).encode(), json.dumps(plan()).encode()
    for number in range(devices):
        yield f"imei::{number:015d}/status", presence
        yield f"imei::{number:015d}/twin/plan", promised


async def retain(port: int, messages: Iterable[tuple[str, bytes]], **target: Any) -> None:
    """Publish as retained, and return when the broker has all."""
    events: asyncio.Queue[Event] = asyncio.Queue()
    connection = Connection(Target("127.0.0.1", port, "publisher", 60, clean=True, **target), events.put_nowait)
    await connection.open()
    assert isinstance(await events.get(), Accepted)
    owed = 0
    for topic, payload in messages:
        connection.publish(Message(f"{ROOT}/{topic}", payload, retain=True))
        owed += 1
        while owed >= IN_FLIGHT:
            owed -= isinstance(await events.get(), Published)
    while owed:
        owed -= isinstance(await events.get(), Published)
    await connection.close(graceful=True)


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    problem: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def start(*words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from agent.support.cli import main; main()", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def support(*words: str) -> Ended:
    process = await start(*words)
    out, problem = await asyncio.wait_for(process.communicate(), 120)
    return Ended(process.returncode or 0, out.decode(), problem.decode())
