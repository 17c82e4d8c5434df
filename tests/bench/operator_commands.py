"""Commands under abuse: duplicates, replays, reorderings and reboots; each done once or refused, one final answer each.

    python -m tests.bench.operator_commands [COMMANDS]

And the round trip of a command over an idle mosquitto on loopback.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.commands.answers import FINAL
from agent.commands.authority import Issuer, KeyAuthority, sign
from agent.commands.table import Command, Progress
from agent.config import Config
from agent.operator.client import Inbound
from tests.bench.rows import Bench
from tests.commands.standin import DEVICE, StandIn, config_for
from tests.operator.broker import Mosquitto
from tests.operator.desk import Desk

KEY = bytes(range(32))
LIFE = 40  # commands handed in before the agent is cut
SAMPLES = 1_000


class Abuse:
    """Sends each signed command once or more, in any order, to agents that are cut and rebooted."""

    def __init__(self, commands: int, seed: int, folder: Path) -> None:
        self.total, self.folder, self.dice = commands, folder, random.Random(seed)
        self.sent = self.cuts = self.reboots = self.deliveries = 0
        self.done: Counter[str] = Counter()  # effects of transactional commands, as the ledger has them
        self.ran: Counter[str] = Counter()  # starts of commands that must not run twice
        self.finals: dict[str, set[str]] = {}
        self.boot = 1
        config = Config()
        self.config = replace(config, commands=replace(config.commands, rate_per_minute=10_000))

    async def once(self, agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        self.ran[progress.id] += 1
        await asyncio.sleep(0)
        return {"v": 1}

    def authority(self) -> KeyAuthority:
        issuer = Issuer("support", "k1", KEY, "admin")
        return KeyAuthority({"k1": issuer}, require=True, device=DEVICE)

    def message(self, number: int) -> Inbound:
        type = ("plan.topup", "test.once")[number % 2]
        args = {"bytes": 1} if type == "plan.topup" else {}
        body = {"v": 1, "id": f"c{number}", "type": type, "args": args, "iss": "support", "aud": DEVICE, "ctr": number}
        payload = json.dumps(sign(body, "k1", KEY)).encode()
        return Inbound(f"modem-agent/v1/{DEVICE}/cmd/{type}/c{number}/req", payload, number, False)

    def replayed(self, message: Inbound) -> Inbound:
        """The same signed command under another id: a replay that must fail."""
        topic = message.topic.replace("/req", "x/req")
        return replace(message, topic=topic, payload=message.payload.replace(b'", "type"', b'x", "type"', 1))

    def arrivals(self) -> list[Inbound]:
        """The next commands with their duplicates and replays, neighbours swapped."""
        out = []
        for _ in range(min(LIFE, self.total - self.sent)):
            self.sent += 1
            message = self.message(self.sent)
            out += [message] * self.dice.choice((1, 1, 2, 3))
            if self.dice.random() < 0.2:
                out.append(self.replayed(message))
            if self.dice.random() < 0.1:
                out.append(self.message(self.dice.randrange(1, self.sent + 1)))
        for place in range(len(out) - 1):
            if self.dice.random() < 0.15:
                out[place], out[place + 1] = out[place + 1], out[place]
        return out

    async def life(self, arrivals: list[Inbound]) -> None:
        """One run of the agent; what was not safe when it was cut is delivered again to the next one, as MQTT does."""
        agent = StandIn(self.folder, self.config, authority=self.authority(), instance=str(self.cuts))
        agent.clock.boot_id = f"{self.boot:08x}-0000"
        agent.outbox.boot = f"{self.boot:08x}"
        ledger = await agent.store.run(lambda db: db.load_ledger())
        agent.ledger = ledger or agent.ledger
        agent.runner._commands = {
            "test.once": Command("test.once", "runs once", self.once, resource="once", repeatable=False)
        }
        await agent.outbox.open()
        await agent.runner.resume()
        last = self.dice.randrange(len(arrivals)) if arrivals else 0
        for number, message in enumerate(arrivals):
            await agent.runner.deliver(message)
            self.deliveries += 1
            if number == last and self.dice.random() < 0.7:
                break
            if self.dice.random() < 0.3:
                await asyncio.sleep(0)
        else:
            while agent.runner._tasks:
                await asyncio.gather(*agent.runner._tasks, return_exceptions=True)
        await self.cut(agent)
        rest = arrivals[number + 1 :] if arrivals else []
        if rest:
            await self.life(rest)

    async def cut(self, agent: StandIn) -> None:
        self.cuts += 1
        for task in list(agent.runner._tasks):
            task.cancel()
        await asyncio.gather(*agent.runner._tasks, *agent.outbox._tasks, return_exceptions=True)
        rows = await agent.store.run(lambda db: db.outbox.head(0, after=0, limit=100_000))
        for row in rows:
            body = json.loads(row.payload)
            if body.get("state") in FINAL:
                what = {k: body.get(k) for k in ("state", "code", "reason", "out", "n")}
                self.finals.setdefault(body["id"], set()).add(json.dumps(what))
        await agent.store.run(lambda db: db.outbox.delete(row.id for row in rows))
        self.done = Counter(
            await agent.store.run(lambda db: list(db.load_ledger().topup_ids) if db.load_ledger() else [])
        )
        agent.store.close()
        if self.dice.random() < 0.3:
            self.boot += 1
            self.reboots += 1

    async def run(self) -> None:
        while self.sent < self.total:
            await self.life(self.arrivals())
        await self.life([])

    def violations(self, topup_bytes: int) -> list[str]:
        out = [f"{id} ran {count} times" for id, count in self.ran.items() if count > 1]
        out += [f"{id} has {len(answers)} final answers" for id, answers in self.finals.items() if len(answers) != 1]
        out += [f"c{n} has no final answer" for n in range(1, self.sent + 1) if f"c{n}" not in self.finals]
        succeeded = {id for id, answers in self.finals.items() if '"state": "succeeded"' in next(iter(answers))}
        out += [f"{id} was replayed" for id in succeeded if id.endswith("x")]
        topups = [id for id in succeeded if int(id.strip("cx")) % 2 == 0]
        if len(topups) != topup_bytes:
            out.append(f"{len(topups)} top-ups answered, {topup_bytes} in the ledger")
        out += [f"{id} succeeded and never ran" for id in succeeded if int(id.strip("cx")) % 2 and not self.ran[id]]
        return out


async def abused(commands: int, seed: int, folder: Path) -> tuple[Abuse, list[str]]:
    abuse = Abuse(commands, seed, folder)
    await abuse.run()
    agent = StandIn(folder, abuse.config)
    ledger = await agent.store.run(lambda db: db.load_ledger())
    agent.store.close()
    return abuse, abuse.violations(sum(topup.amount_bytes for topup in ledger.topups) if ledger else 0)


async def round_trips(folder: Path, samples: int) -> list[float]:
    """From publish to the final answer, seconds."""
    broker_folder = folder / "broker"
    broker_folder.mkdir()
    took: list[float] = []
    with Mosquitto(broker_folder) as broker:
        config = config_for(broker.url)
        config = replace(config, commands=replace(config.commands, rate_per_minute=10_000))
        async with Desk(broker.port, f"modem-agent/v1/{DEVICE}/cmd/+/+/res") as desk, StandIn(folder, config) as agent:
            await asyncio.sleep(2)  # connected, and the first reports are out: the broker is idle
            for number in range(samples):
                agent.clock.boot_s += 1  # the rate limit is another bench's matter
                desk.messages.clear()
                id = f"r{number}"
                began = time.perf_counter()
                desk.send(agent.topics.request("status", id), {"v": 1, "id": id, "type": "status"})
                await desk.until(lambda: b'"state":"succeeded"' in b"".join(payload for _, payload, _ in desk.messages))
                took.append(time.perf_counter() - began)
    return took


def main() -> int:
    commands = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    bench = Bench("operator_commands", 6)
    with tempfile.TemporaryDirectory() as folder:
        took = asyncio.run(round_trips(Path(folder), SAMPLES))
    cuts = statistics.quantiles(took, n=100)
    p50, p99 = cuts[49] * 1000, cuts[98] * 1000
    bench.row(
        f"command round trip, {len(took)} x status, idle mosquitto on loopback",
        "p50 < 20 ms, p99 < 60 ms",
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
        p50 < 20 and p99 < 60,
    )
    seed = int(time.time())
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        abuse, violations = asyncio.run(abused(commands, seed, Path(folder)))
    print(violations[:5])
    bench.row(
        f"{abuse.sent} signed commands, {abuse.deliveries} deliveries with duplicates, replays, swaps; "
        f"{abuse.cuts} cuts, {abuse.reboots} reboots (seed {seed})",
        "each done once or refused, one final answer each",
        f"{sum(abuse.ran.values())} of those that may run once ran, {len(abuse.finals)} ids answered, "
        f"{len(violations)} violations; {time.monotonic() - began:.0f} s",
        not violations,
    )
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
