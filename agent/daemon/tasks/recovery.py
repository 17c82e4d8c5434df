"""Brings the line back: gathers evidence, lets the recovery ladder decide, and tells what was done.

Started by the daemon beside the modem's task. As long as the broker answers or the household's packets come in, the
line is well and nothing is sent to find out; only a silent line is probed, since probes cost the household bytes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agent.doctor import access_point
from agent.doctor.evidence import Reach
from agent.errors import ModemError
from agent.modem import Evidence, Recovery, evidence_of
from agent.modem.cause import cause_of
from agent.net import probes, resolv

if TYPE_CHECKING:
    from agent.daemon.live_agent import LiveAgent

log = logging.getLogger(__name__)

LOOK_S = 30.0
DIALLERS_S = 3_600.0  # who dials changes when a person changes it
LONGEST_STEP_S = 400.0  # an attach that the network lets wait
ALIVE_BYTES = 2_000  # received between two looks: somebody out there answers
MEMORY = "recovery"  # key in the store's table meta


class Recovering:
    """The ladder's task. `cause` is what the last look found, whether the ladder may act on it or not."""

    def __init__(self, agent: LiveAgent) -> None:
        self._agent = agent
        self._received = 0
        self.cause = "none"
        self.pin_refusal = ""
        self._diallers = False
        self._diallers_asked_s: float | None = None
        self.on_change: Callable[[], None] = lambda: None
        self.on_beat: Callable[[float], None] = lambda within_s: None

    async def run(self) -> None:
        """Look, decide, act, for ever."""
        agent = self._agent
        module, settings = agent.watching.module, agent.config.modem
        recovery = Recovery(module, settings, await self._load(), self._save, boot_s=lambda: agent.clock.now().boot_s)
        while True:
            self.on_beat(LOOK_S + LONGEST_STEP_S)
            await asyncio.sleep(LOOK_S)
            evidence = await self._evidence()
            self._note(cause_of(evidence))
            if recovery.context_due and not await self._dialled():
                await self._define_context(recovery)
            if not settings.recovery:
                continue
            decision = await recovery.consider(evidence)
            self.pin_refusal = recovery.pin_refusal
            if decision.rung:
                agent.event("modem-reset", {"level": decision.rung, "cause": decision.cause, "reason": decision.reason})

    async def _dialled(self) -> bool:
        """Whether somebody else dials, with an APN of his own; asked anew now and then, since it costs processes."""
        now_s = self._agent.clock.now().boot_s
        if self._diallers_asked_s is None or now_s - self._diallers_asked_s >= DIALLERS_S:
            self._diallers_asked_s = now_s
            self._diallers = bool(await asyncio.to_thread(access_point.diallers))
        return self._diallers

    async def _define_context(self, recovery: Recovery) -> None:
        """The configured APN into the module, where nobody else dials with one of his own."""
        try:
            if await recovery.define_context():
                self._agent.event("modem-context", {"apn": self._agent.config.modem.apn})
        except ModemError as error:
            log.warning("the configured APN could not be set: %s", error)

    def _note(self, cause: str) -> None:
        if cause != self.cause:
            log.log(logging.INFO if cause == "none" else logging.WARNING, "line: %s", cause)
            self.cause = cause
            self.on_change()

    async def _evidence(self) -> Evidence:
        watching = self._agent.watching
        throttled = self._agent.accounting.decision.state in ("throttled", "forced")
        if watching.state != "ready":
            return evidence_of(watching.state, watching.reading, throttled=throttled)
        if self._alive():
            return evidence_of("ready", watching.reading, hosts=(True,), throttled=throttled)
        servers, hosts = await asyncio.to_thread(self._probe)
        return evidence_of(
            "ready",
            watching.reading,
            hosts=tuple(found.answered for found in hosts),
            name_server=any(found.answered for found in servers) if servers else None,
            throttled=throttled,
        )

    def _alive(self) -> bool:
        """Whether the line shows by itself that it works."""
        before, self._received = self._received, self._agent.accounting.usage().received_bytes
        grown = self._received - before if before else 0
        return self._agent.session_state().connected or grown > ALIVE_BYTES

    def _probe(self) -> tuple[tuple[Reach, ...], tuple[Reach, ...]]:
        """Name servers and two independent hosts, side by side, on a worker thread."""
        settings = self._agent.config.probe
        servers = settings.name_servers or resolv.name_servers() or ()
        asked: list[Callable[[], Reach]] = [_server(server, settings.name) for server in servers]
        asked += [_host(host) for host in settings.hosts]
        found = probes.bounded_all(asked, 2 * probes.REACH_S, [*servers, *settings.hosts])
        return found[: len(servers)], found[len(servers) :]

    async def _load(self) -> dict[str, Any]:
        text = await self._agent.store.run(lambda database: database.meta.get(MEMORY))
        try:
            found = json.loads(text) if text else {}
        except ValueError:
            log.warning("recovery: what was remembered is damaged; the day's budgets begin full")
            return {}
        return found if isinstance(found, dict) else {}

    async def _save(self, memory: dict[str, Any]) -> None:
        text = json.dumps(memory)
        await self._agent.store.run(lambda database: database.meta.set(MEMORY, text))


def _server(server: str, name: str) -> Callable[[], Reach]:
    return lambda: probes.ask_name_server(server, name)


def _host(text: str) -> Callable[[], Reach]:
    name, colon, port = text.rpartition(":")
    return lambda: probes.reach(name.strip("[]") if colon else text, int(port) if colon else 443)
