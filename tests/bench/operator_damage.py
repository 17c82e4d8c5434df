"""A device whose database is damaged at random: no number comes twice, no command is done twice.

    python -m tests.bench.operator_damage [LIVES] [DAMAGED_EVERY]

Each life opens the store as the daemon does, records events and measurements, counts sessions, is sent new commands and
all kinds of old ones again (signed and not), and is killed. In every hundredth life the database is then damaged: pages
overwritten, cut short, emptied, gone, its write-ahead log gone; in half of them one of the two files of numbers too.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.commands.authority import KeyAuthority, sign
from agent.commands.command import Command, Progress
from agent.commands.keys_file import Issuer
from agent.config import Config
from agent.keeper import Report
from agent.mqtt.transport import Inbound
from agent.store import numbers
from tests.bench.operator_nursery import memory
from tests.bench.rows import Bench
from tests.commands.standin import DEVICE, StandIn, unlimited

KEY = bytes(range(32))
KEPT = 40  # captured commands that are sent again
PAGE_BYTES = 1_024


@dataclass
class Found:
    """What was seen over all lives."""

    lives: int = 0
    damages: int = 0
    sessions: list[int] = field(default_factory=list)
    keys: Counter[tuple[str, int]] = field(default_factory=Counter)  # (boot, seq) of new reports
    audit: Counter[int] = field(default_factory=Counter)
    ran: Counter[str] = field(default_factory=Counter)

    def problems(self) -> list[str]:
        risen = all(one < next for one, next in zip(self.sessions, self.sessions[1:], strict=False))
        return [
            *(f"{key} came {count} times" for key, count in self.keys.items() if count > 1),
            *(f"audit #{n} came {count} times" for n, count in self.audit.items() if count > 1),
            *(f"{id} ran {count} times" for id, count in self.ran.items() if count > 1),
            *([] if risen else ["a session number went back"]),
        ]


class Device:
    """One device through its lives."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.dice, self.found = folder, random.Random(seed), Found()
        self.captured: list[Inbound] = []
        self.counter = 0
        self.last_audit = 0

    async def live(self) -> None:
        issuer = Issuer("support", "k1", KEY, "admin")
        authority = KeyAuthority({"k1": issuer}, require=True, device=DEVICE) if self.signs else None
        agent = StandIn(self.folder, Config(commands=unlimited(1_000_000)), authority=authority)
        agent.runner._commands = {"test.once": Command("test.once", "", self._once, repeatable=False, role="act")}
        try:
            boot = await agent.store.run(lambda db: db.boot_name(agent.clock.boot_id))
            agent.outbox.boot = boot.replace("-", "")[:8]
            await agent.outbox.open()
            await agent.runner.resume()
            self.found.sessions.append(await agent.outbox.next_session())
            for _ in range(self.dice.randrange(1, 6)):
                await self._step(agent)
            for entry in await agent.store.run(lambda db: db.audit.entries(100)):
                if entry["n"] > self.last_audit:
                    self.last_audit = entry["n"]
                    self.found.audit[entry["n"]] += 1
        finally:
            if agent.runner._tasks:
                await asyncio.wait(agent.runner._tasks)
            self._kill(agent)
        self.found.lives += 1

    def _kill(self, agent: StandIn) -> None:
        """As a kill leaves the files: SQLite empties its log into the database when it is closed in order."""
        path = self.folder / "agent.db"
        left = {place: place.read_bytes() for place in (path, Path(f"{path}-wal")) if place.exists()}
        agent.store._thread.submit(agent.store._database.connection.close).result()
        agent.store._thread.shutdown()
        for place, data in left.items():
            place.write_bytes(data)

    @property
    def signs(self) -> bool:
        return self.found.lives % 2 == 0

    async def _step(self, agent: StandIn) -> None:
        agent.clock.boot_s += 60
        match self.dice.choice(("event", "measurement", "command", "again", "again")):
            case "event":
                self._key(agent)
                await agent.outbox.add(Report(agent.topics.event("test"), {"number": self.counter}))
            case "measurement":
                await agent.outbox.measure(agent.topics.measurement("traffic"), {"number": self.counter})
                self.found.keys[agent.outbox.boot, agent.outbox._next - 1] += 1
            case "command":
                self.counter += 1
                id = f"c{self.counter}"
                body = {"v": 1, "id": id, "type": "test.once", "args": {}, "iss": "support"}
                whole = {**body, "aud": DEVICE, "ctr": self.counter}
                payload = json.dumps(sign(whole, "k1", KEY) if self.signs else body).encode()
                message = Inbound(agent.topics.request("test.once", id), payload, 1, False)
                self.captured = [*self.captured, message][-KEPT:]
                await agent.runner.deliver(self.captured[-1])
            case "again" if self.captured:
                await agent.runner.deliver(self.dice.choice(self.captured))

    def _key(self, agent: StandIn) -> None:
        self.found.keys[agent.outbox.boot, agent.outbox._next] += 1

    async def _once(self, agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        self.found.ran[progress.id] += 1
        return {"v": 1}

    def damage(self) -> None:
        """What flash and power do to files; the log of SQLite is part of the database."""
        path, dice = self.folder / "agent.db", self.dice
        log = Path(f"{path}-wal")
        self.found.damages += 1
        match dice.choice(("pages", "short", "empty", "gone", "log", "all")):
            case "pages":
                data = bytearray(path.read_bytes())
                for _ in range(dice.randrange(1, 6)):
                    at = dice.randrange(0, max(1, len(data) // PAGE_BYTES)) * PAGE_BYTES
                    data[at : at + PAGE_BYTES] = dice.randbytes(PAGE_BYTES)
                path.write_bytes(data)
                log.unlink(missing_ok=True)
            case "short":
                data = bytearray(path.read_bytes())
                path.write_bytes(data[: dice.randrange(len(data))])
                log.unlink(missing_ok=True)
            case "empty":
                path.write_bytes(b"")
            case "gone":
                path.unlink()
            case "log":
                log.unlink(missing_ok=True)
            case "all":
                path.write_bytes(dice.randbytes(12_288))
                log.write_bytes(dice.randbytes(4_096))
        if dice.random() < 0.5:
            dice.choice(numbers.places(path)).write_bytes(dice.randbytes(300))


def damaged(lives: int, every: int, seed: int, folder: Path) -> Found:
    device = Device(folder, seed)
    for number in range(1, lives + 1):
        asyncio.run(device.live())
        if number % every == 0:
            device.damage()
    return device.found


def main() -> int:
    lives, every = (int(sys.argv[n]) if len(sys.argv) > n else default for n, default in ((1, 10_000), (2, 100)))
    bench, seed, began = Bench("operator_damage", 6), int(time.time()), time.monotonic()
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        found = damaged(lives, every, seed, Path(folder))
    problems = found.problems()
    print(json.dumps(problems[:5]))
    bench.row(
        f"{found.lives} lives, the database damaged at random after {found.damages} (seed {seed})",
        "0 numbers repeated, 0 commands twice",
        f"{len(found.keys)} reports, {len(found.sessions)} sessions, {len(found.ran)} commands done; "
        f"{len(problems)} violations; {time.monotonic() - began:.0f} s",
        not problems,
        exact=True,
    )
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
