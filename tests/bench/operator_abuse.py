"""Commands to agents that are killed all the time: duplicates, replays, reorderings, reboots, over a real mosquitto.

Called by tests/bench/operator_commands.py. The agents are forked and die as in operator_kills.py; they have the real
runner, the real ledger and signatures. The operator publishes signed commands, each once or more, in any order, and
some under another id; what came of each is judged by what the agents did and by what the ledger says at the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.commands.authority import KeyAuthority, sign
from agent.commands.command import Command, Progress
from agent.commands.keys_file import Issuer
from agent.commands.results import CANCELLED, EXPIRED, FAILED, FINAL, REJECTED, SUCCEEDED
from agent.store import Database
from tests.bench.operator_ear import Ear, Proxy
from tests.bench.operator_nursery import STEPS, Life, Mortal, Nursery, device_id, say
from tests.mqtt.broker import Mosquitto

DEVICES = 8
LIFE_S = 3.0
BATCH = 24  # commands to one device before it dies
PATIENCE_S = 120.0  # for the last answers
KEY = bytes(range(32))
BROKER = "allow_anonymous true\nmax_queued_messages 0\n"
ONCE, AGAIN, BOOT, PROCESS, TOPUP, CANCEL, LOOK = (
    "test.once", "test.again", "test.boot", "test.process", "plan.topup", "agent.cancel", "status",
)  # fmt: skip
WEIGHTS = {ONCE: 30, TOPUP: 30, AGAIN: 15, LOOK: 15, CANCEL: 6, BOOT: 2, PROCESS: 2}


# -- the agents ------------------------------------------------------------------------------------------------------


async def obeying(life: Life) -> None:
    """Does what it is told until killed, and says each time it does something."""
    issuer = Issuer("support", "k1", KEY, "admin")
    authority = KeyAuthority({"k1": issuer}, require=True, device=device_id(life.device))
    agent = Mortal(life, authority)
    kept = await agent.store.run(lambda db: db.load_ledger())
    agent.ledger = kept or agent.ledger
    agent.runner._commands = _rows(life)
    await agent.outbox.open()
    await agent.runner.resume()
    session = asyncio.create_task(agent.session.run())
    while not session.done():
        if agent.outbox.flush_due():
            await agent.outbox.flush()
        await asyncio.sleep(0.02)
    raise AssertionError("the session ended by itself")


def _rows(life: Life) -> dict[str, Command]:
    dice = random.Random(life.seed)

    async def work(agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        say("ran", life.device, progress.id)
        await asyncio.sleep(dice.choice((0, 0, 0.001, 0.01)))
        return {"v": 1}

    async def ends(agent: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        say("ends", life.device, progress.id)
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    rows = (
        Command(ONCE, "must not run twice", work, resource="line", repeatable=False, role="act"),
        Command(AGAIN, "may run twice", work, resource="line", role="act"),
        Command(BOOT, "as device.reboot", ends, resource="device", repeatable=False, survives="boot", role="act"),
        Command(PROCESS, "as agent.restart", ends, resource="device", survives="process", role="act"),
    )
    return {row.name: row for row in rows}


KINDS = {"obeying": obeying}


# -- the bench -------------------------------------------------------------------------------------------------------


@dataclass
class Household:
    """One device: what it was told, what it did, what it answered."""

    number: int
    folder: Path
    boot: int = 1
    counter: int = 0
    nonce: str = ""
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)  # id -> type
    ran: Counter[str] = field(default_factory=Counter)
    rebooted: dict[str, bool] = field(default_factory=dict)  # id -> whether the boot id became another
    heard: set[tuple[str, int]] = field(default_factory=set)
    finals: dict[str, set[str]] = field(default_factory=dict)
    born: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def device(self) -> str:
        return device_id(self.number)

    def hear(self, topic: str, body: dict[str, Any]) -> None:
        if topic.endswith("/status") and body["state"] == "online":
            self.nonce = body["nonce"]
            self.born.set()
        if not topic.endswith("/res") or (body["boot"], body["seq"]) in self.heard:
            return
        self.heard.add((body["boot"], body["seq"]))
        if body["state"] in FINAL:
            told = {name: body.get(name) for name in ("state", "code", "reason", "out", "n")}
            self.finals.setdefault(body["id"], set()).add(json.dumps(told, sort_keys=True))

    def missing(self) -> set[str]:
        return set(self.types) - set(self.finals)

    def violations(self) -> list[str]:
        """What is not as promised; see README.md, "Commands"."""
        out = [f"{id} has no final answer" for id in self.missing()]
        succeeded = set()
        for id, told in self.finals.items():
            if len(told) != 1:
                out.append(f"{id} has {len(told)} final answers: {sorted(told)}")
            type, state, ran = self.types[id], json.loads(min(told))["state"], self.ran[id]
            if state == SUCCEEDED:
                succeeded.add(id)
            if ran > 1 and type != AGAIN:
                out.append(f"{id} ({type}) ran {ran} times")
            if state == SUCCEEDED and type in (ONCE, AGAIN) and ran == 0:
                out.append(f"{id} ({type}) succeeded and never ran")
            if state in (REJECTED, EXPIRED) and ran:
                out.append(f"{id} ({type}) is {state} and ran")
            if state == SUCCEEDED and id.endswith("x"):
                out.append(f"{id} is a replay and succeeded")
            if id in self.rebooted and state not in ((SUCCEEDED,) if self.rebooted[id] else (FAILED, CANCELLED)):
                out.append(f"{id} rebooted: {self.rebooted[id]}, and is {state}")
        with Database.open_readonly(self.folder / "agent.db") as db:
            ledger = db.load_ledger()
            broken = db.audit.broken()
        granted = Counter(topup.id for topup in ledger.topups) if ledger else Counter()
        answered = Counter(id for id in succeeded if self.types[id] == TOPUP)
        if granted != answered:
            out.append(f"in the ledger and not answered so: {granted - answered}; the reverse: {answered - granted}")
        if broken is not None:
            out.append(f"the audit trail is broken at {broken}")
        return [f"{self.device}: {problem}" for problem in out]


class Abuse:
    """`run` hands `wanted` commands to the households, and lives through what they do to the agents."""

    def __init__(self, wanted: int, seed: int, folder: Path) -> None:
        self.wanted, self.dice, self.folder = wanted, random.Random(seed), folder
        self.sent = self.deliveries = self.lives = self.reboots = self.link_cuts = 0
        self.problems: list[str] = []
        self.households: dict[str, Household] = {}
        self.states: Counter[str] = Counter()

    async def run(self) -> None:
        broker_folder = self.folder / "broker"
        broker_folder.mkdir()
        for number in range(1, DEVICES + 1):
            home = Household(number, self.folder / str(number))
            home.folder.mkdir()
            self.households[home.device] = home
        broker = Mosquitto(broker_folder, BROKER)
        broker.config.write_text(broker.config.read_text().replace("log_type all", "log_type error"))
        with broker:
            self.ear = Ear(broker.port, "modem-agent/v1/#", self._hear)
            listening = asyncio.create_task(self.ear.run())
            await self.ear.ready.wait()
            async with Nursery(__name__, self._said) as self.nursery:
                await asyncio.gather(*(self._torment(home, broker.port) for home in self.households.values()))
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        for home in self.households.values():
            self.problems += home.violations()
            self.states.update(json.loads(min(told))["state"] for told in home.finals.values())

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:
        if payload and not topic.endswith("/req"):
            self.households[topic.split("/")[2]].hear(topic, json.loads(payload))

    def _said(self, device: int, words: list[str]) -> None:
        home = self.households[device_id(device)]
        match words:
            case ["ran", id]:
                home.ran[id] += 1
            case ["ends", id]:
                home.ran[id] += 1
                if home.types[id] == BOOT:
                    home.rebooted[id] = self.dice.random() < 0.8
                    self._reboot(home, home.rebooted[id])

    def _reboot(self, home: Household, really: bool) -> None:
        home.boot += really
        self.reboots += really

    async def _torment(self, home: Household, port: int) -> None:
        dice = random.Random(self.dice.random())
        async with Proxy(port, dice) as proxy:
            await self._first_life(home, proxy)
            while self.sent < self.wanted:
                step = dice.choice((*STEPS, ""))
                ended = self._begin(home, proxy, step, 1 + int(dice.expovariate(1 / 80)))
                sending = asyncio.create_task(self._send(home, dice, proxy, ended))
                await self.nursery.end(home.number, ended, dice.uniform(0, 1) if not step else LIFE_S)
                await sending
                # One that failed to reboot the device is to be found failed before the next reboot makes it true.
                waiting = any(not really and id not in home.finals for id, really in home.rebooted.items())
                self._reboot(home, not waiting and dice.random() < 0.1)
            proxy.calm()
            await self._last_lives(home, proxy)
            self.link_cuts += proxy.cuts

    def _begin(self, home: Household, proxy: Proxy, step: str = "", passes: int = 1) -> asyncio.Future[int]:
        self.lives += 1
        boot = f"{home.boot:08x}"
        return self.nursery.begin(
            Life(home.number, "obeying", proxy.port, str(home.folder), boot, self.lives, step, passes)
        )

    async def _first_life(self, home: Household, proxy: Proxy) -> None:
        """Until the broker knows the device, and keeps its commands."""
        ended = self._begin(home, proxy)
        await asyncio.wait_for(home.born.wait(), PATIENCE_S)
        await self.nursery.end(home.number, ended, 0)

    async def _last_lives(self, home: Household, proxy: Proxy) -> None:
        """In peace, until every command has its answer; a reboot among the last ones ends a life once more."""
        patience_s = time.monotonic() + PATIENCE_S
        while home.missing() and time.monotonic() < patience_s:
            ended = self._begin(home, proxy)
            while home.missing() and not ended.done() and time.monotonic() < patience_s:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.3)  # answers that should not be there would come now
            await self.nursery.end(home.number, ended, 0)

    async def _send(self, home: Household, dice: random.Random, proxy: Proxy, ended: asyncio.Future[int]) -> None:
        """The next commands, at once or to the agent that is connected; now and then the link is cut."""
        if len(home.missing()) > BATCH // 4:
            return  # what waits at the broker has the nonce of a session that is over
        if dice.random() < 0.5:
            home.born.clear()
            born = asyncio.create_task(home.born.wait())
            await asyncio.wait((born, ended), return_when=asyncio.FIRST_COMPLETED)
            born.cancel()
        for topic, payload in self._arrivals(home, dice):
            self.ear.publish(topic, payload)
            self.deliveries += 1
            if dice.random() < 0.01:
                proxy.cut()
            await asyncio.sleep(dice.choice((0, 0, 0, 0.005)))

    def _arrivals(self, home: Household, dice: random.Random) -> list[tuple[str, bytes]]:
        """The next commands with their duplicates and replays, some of the past again, neighbours swapped."""
        out = []
        for _ in range(min(BATCH, self.wanted - self.sent)):
            self.sent += 1
            message = self._command(home, dice)
            home.sent.append(message)
            out += [message] * dice.choice((1, 1, 2, 3))
            if dice.random() < 0.2:
                out.append(self._replayed(home, message))
            if dice.random() < 0.2:
                out.append(dice.choice(home.sent[-dice.choice((6, 2_000)) :]))
        for place in range(len(out) - 1):
            if dice.random() < 0.15:
                out[place], out[place + 1] = out[place + 1], out[place]
        return out

    def _command(self, home: Household, dice: random.Random) -> tuple[str, bytes]:
        home.counter += 1
        type = str(dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0])
        id = f"c{home.counter}"
        arguments: dict[str, dict[str, Any]] = {TOPUP: {"bytes": 1}, CANCEL: {"id": f"c{max(1, home.counter - 1)}"}}
        body = {"v": 1, "id": id, "type": type, "args": arguments.get(type, {}), "iss": "support", "aud": home.device}
        home.types[id] = type
        # A nonce is good until the session it belongs to is over, which it may be when the command arrives.
        fresh: dict[str, Any] = {"nonce": home.nonce} if dice.random() < 0.2 else {"ctr": home.counter}
        payload = json.dumps(sign({**body, **fresh}, "k1", KEY)).encode()
        return f"modem-agent/v1/{home.device}/cmd/{type}/{id}/req", payload

    @staticmethod
    def _replayed(home: Household, message: tuple[str, bytes]) -> tuple[str, bytes]:
        """The same signed command under another id: a replay that must fail."""
        topic, payload = message
        *_, type, id, _ = topic.split("/")
        home.types[f"{id}x"] = type
        return topic.replace(f"/{id}/", f"/{id}x/"), payload.replace(
            f'"id": "{id}"'.encode(), f'"id": "{id}x"'.encode(), 1
        )

    def summary(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        ran = sum(sum(home.ran.values()) for home in self.households.values())
        return f"{states}; {ran} runs of test commands"


def abused(commands: int, seed: int, folder: Path) -> tuple[Abuse, float]:
    """The bench, and the seconds it took."""

    async def run() -> Abuse:
        made = Abuse(commands, seed, folder)
        await made.run()
        return made

    began = time.monotonic()
    return asyncio.run(run()), time.monotonic() - began
