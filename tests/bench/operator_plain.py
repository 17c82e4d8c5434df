"""The agent's events and a plain paho loop with QoS 1, side by side through the same kills of process and broker.

    python -m tests.bench.operator_plain [ROUNDS]

Each round both report every 10 ms; in most rounds the broker is killed in between, in half of those it stays away until
both processes have been killed too. A report counts as made when the call returned: `Outbox.write` here,
`Client.publish` there. What then never comes is lost; what comes again in a form that a consumer cannot tell from a new
report is doubled: the agent's reports carry a key that stays the same, the plain loop's carry what they say.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from agent.keeper import Report
from tests.bench.operator_ear import Ear, Proxy
from tests.bench.operator_kills import BROKER, draining
from tests.bench.operator_nursery import Life, Mortal, Nursery, device_id, memory, say
from tests.bench.rows import Bench
from tests.mqtt.broker import Mosquitto

AGENT, PLAIN = 1, 2
PACE_S = 0.01
ROUNDS = 60


# -- the two ---------------------------------------------------------------------------------------------------------


async def agent(life: Life) -> None:
    mortal = Mortal(life)
    await mortal.outbox.open()
    session = asyncio.create_task(mortal.session.run())
    number = life.seed * 10_000
    while not session.done():
        number += 1
        await mortal.outbox.add(Report(mortal.topics.event("test"), {"number": number}))
        say("made", life.device, number)
        await asyncio.sleep(PACE_S)


async def plain(life: Life) -> None:
    """What a page of paho's manual comes to, with the session kept and the queue unbounded."""
    name = device_id(life.device)
    versions = getattr(paho, "CallbackAPIVersion", None)
    client = paho.Client(*([versions.VERSION2] if versions else []), client_id=name, clean_session=False)
    client.reconnect_delay_set(1, 1)
    client.max_queued_messages_set(0)
    client.connect_async("127.0.0.1", life.port)
    client.loop_start()
    number = life.seed * 10_000
    while True:
        number += 1
        client.publish(f"modem-agent/v1/{name}/e/test", json.dumps({"number": number}), qos=1)
        say("made", life.device, number)
        await asyncio.sleep(PACE_S)


KINDS = {"agent": agent, "agent's last": draining, "plain": plain}


# -- the bench -------------------------------------------------------------------------------------------------------


class Account:
    """What one of the two made, and what was heard of it: number -> the keys under which it came, with repetitions."""

    def __init__(self) -> None:
        self.made: set[int] = set()
        self.heard: dict[int, Counter[str]] = {}

    def hear(self, body: dict[str, Any]) -> None:
        if "number" in body:
            key = f"{body['boot']} {body['seq']}" if "seq" in body else ""
            self.heard.setdefault(body["number"], Counter())[key] += 1

    @property
    def lost(self) -> int:
        return len(self.made - self.heard.keys())

    @property
    def doubled(self) -> int:
        """Beyond the first: other keys, and repetitions without one."""
        return sum(len(keys) - 1 + max(0, keys[""] - 1) for keys in self.heard.values())

    @property
    def repeated(self) -> int:
        """Repetitions that a consumer knows by their key."""
        return sum(count - 1 for keys in self.heard.values() for key, count in keys.items() if key)


async def side_by_side(rounds: int, seed: int, folder: Path) -> tuple[dict[int, Account], int]:
    """The two accounts, and how often the broker was killed."""
    dice, killed = random.Random(seed), 0
    accounts = {AGENT: Account(), PLAIN: Account()}
    by_name = {device_id(device): account for device, account in accounts.items()}
    for name in ("broker", "1", "2"):
        (folder / name).mkdir()

    def hear(topic: str, payload: bytes, retained: bool) -> None:
        if payload and not retained:
            by_name[topic.split("/")[2]].hear(json.loads(payload))

    def said(device: int, words: list[str]) -> None:
        if words[0] == "made":
            accounts[device].made.add(int(words[1]))

    with Mosquitto(folder / "broker", BROKER) as broker:
        ear = Ear(broker.port, "modem-agent/v1/+/e/+", hear)
        listening = asyncio.create_task(ear.run())
        await ear.ready.wait()
        gate = asyncio.Event()  # a broker that has just started drops what comes before the ear has subscribed
        gate.set()

        async def back() -> None:
            while ear.ready.is_set():  # noqa: ASYNC110  # it hears what the old broker wrote to its end
                await asyncio.sleep(0.002)
            await asyncio.to_thread(broker.start)
            await ear.ready.wait()
            gate.set()

        async with Proxy(broker.port, dice, gate) as line, Nursery("tests.bench.operator_plain", said) as nursery:
            for turn in range(1, rounds + 1):
                lives = [
                    (
                        device,
                        nursery.begin(Life(device, kind, line.port, str(folder / str(device)), f"{turn:08x}", turn)),
                    )
                    for device, kind in ((AGENT, "agent"), (PLAIN, "plain"))
                ]
                await asyncio.sleep(dice.uniform(0.3, 1.2))
                gone = dice.random() < 0.7
                if gone:
                    killed += 1
                    gate.clear()
                    await asyncio.to_thread(broker.stop, kill=True)
                    await asyncio.sleep(dice.uniform(0, 0.3))
                    if dice.random() < 0.5:
                        await back()
                        gone = False
                        await asyncio.sleep(dice.uniform(0, 1.5))
                await asyncio.gather(*(nursery.end(device, ended, 0) for device, ended in lives))
                if gone:
                    await back()
            last = Life(AGENT, "agent's last", line.port, str(folder / str(AGENT)), f"{rounds + 1:08x}", rounds + 1)
            assert await nursery.begin(last) == 0
        await asyncio.sleep(0.3)  # the last bytes on their way to the ear
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return accounts, killed


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    seed = int(time.time()) % 1_000_000
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        accounts, killed = asyncio.run(side_by_side(rounds, seed, Path(folder)))
    ours, theirs = accounts[AGENT], accounts[PLAIN]
    bench = Bench("operator_plain", 6)
    bench.row(
        f"{len(ours.made)} events through {rounds} kills of the process and {killed} of the broker (seed {seed})",
        "0 lost, 0 doubled for the consumer",
        f"{ours.lost} lost, {ours.doubled} doubled ({ours.repeated} came again under their key)",
        not ours.lost and not ours.doubled and bool(ours.made),
        f"plain paho loop, QoS 1: {theirs.lost} of {len(theirs.made)} lost, {theirs.doubled} doubled",
        exact=True,
    )
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
