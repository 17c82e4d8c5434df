"""Commands under abuse: duplicates, replays, reorderings and reboots; each done once or refused, one final answer each.

    python -m tests.bench.operator_commands [COMMANDS]     (0: the round trip alone)

The abuse: operator_abuse.py. And the round trip of a command over an idle mosquitto on loopback.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.bench.operator_abuse import abused
from tests.bench.operator_nursery import memory
from tests.bench.rows import Bench
from tests.commands.standin import DEVICE, StandIn, config_for, unlimited
from tests.mqtt.broker import Mosquitto
from tests.mqtt.desk import Desk

SAMPLES = 1_000


async def round_trips(folder: Path, samples: int) -> list[float]:
    """From publish to the final answer, seconds."""
    broker_folder = folder / "broker"
    broker_folder.mkdir()
    took: list[float] = []
    with Mosquitto(broker_folder) as broker:
        config = config_for(broker.url)
        config = replace(config, commands=unlimited(10_000))
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
    if commands:
        _abuse(bench, commands)
    return bench.finish()


def _abuse(bench: Bench, commands: int) -> None:
    seed = int(time.time())
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        abuse, took_s = abused(commands, seed, Path(folder))
    print(json.dumps(abuse.problems[:5]))
    bench.row(
        f"{abuse.sent} signed commands, {abuse.deliveries} deliveries with duplicates, replays, swaps; {abuse.lives} "
        f"agents killed by kill -9, {abuse.reboots} reboots, {abuse.link_cuts} link cuts (seed {seed})",
        "each done once or refused, one final answer each",
        f"{abuse.summary()}; {len(abuse.problems)} violations; {took_s:.0f} s",
        not abuse.problems,
        exact=True,
    )


if __name__ == "__main__":
    sys.exit(main())
