"""Brings the line back: gathers evidence, lets the recovery ladder decide, and tells what was done.

Started by the daemon beside the modem's task. The line is judged by the bytes that come in over it (liveness.py); only
where these leave a doubt is it probed, since probes cost the household bytes. A line that passes bytes is never reset,
whatever the module says of itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, cast

from agent.daemon import incident
from agent.daemon.incident import Incident
from agent.daemon.liveness import Liveness, Verdict
from agent.doctor import access_point
from agent.errors import AgentError, KernelError, ModemError
from agent.events import Emit, LineJudged, PinRefused, Progressed, unheard
from agent.modem import Evidence, Recovery, evidence_of
from agent.modem.cause import cause_of
from agent.net import probes, resolv
from agent.net.facts import Reach
from agent.plan import Sample
from agent.wake import Wake

if TYPE_CHECKING:
    from agent.daemon.live_agent import LiveAgent
    from agent.modem.recovery import Memory

log = logging.getLogger(__name__)

LOOK_S = 30.0
LEAST_S = 1.0  # between two looks, however often the module's state changes
DIALLERS_S = 3_600.0  # who dials changes when a person changes it
LONGEST_STEP_S = 400.0  # an attach that the network lets wait
MEMORY, TROUBLE = "recovery", "trouble"  # keys in the store's table meta


class Standing(Enum):
    """What is set up for the way out: its absence is a reason to ask, its presence proves nothing."""

    WHOLE = "whole"
    NO_ADDRESS = "no address"
    NO_ROUTE = "no route"


@dataclass(frozen=True, slots=True)
class Found:
    """What was last known of the way out. `online` None: nobody could tell."""

    hosts: tuple[bool, ...] = ()
    name_server: bool | None = None
    address: bool | None = None  # False: no WAN link has one

    @property
    def online(self) -> bool:
        return any(self.hosts) or bool(self.name_server)


SHOWN = Found(hosts=(True,))  # bytes came in


class Recovering:
    """The ladder's task. `cause` is what the last look found, whether the ladder may act on it or not."""

    def __init__(self, agent: LiveAgent, emit: Emit = unheard) -> None:
        self._agent, self._emit = agent, emit
        self._found = Found()
        self._passing = False  # bytes came in at the last look
        self._incident: Incident | None = None
        self.cause = "none"
        self.wake = Wake()  # the module's state has changed: look now
        self._pin_refusal = ""
        self._diallers: tuple[float, bool] | None = None  # when it was asked who dials, and whether anybody does

    @property
    def online(self) -> bool:
        """Whether the household has a line, as far as anybody can tell."""
        return self._passing or self.cause in ("none", "throttled")

    async def run(self) -> None:
        """Look, decide, act, for ever."""
        agent = self._agent
        module, settings = agent.watching.module, agent.config.modem
        recovery = Recovery(module, settings, cast("Memory", await self._load(MEMORY)), self._save, boot_s=self._now_s)
        self._incident = Incident.from_dict(await self._load(TROUBLE))
        if self._incident is not None:
            self._note(self._incident.causes[-1])
        liveness = Liveness(self._now_s(), dead=self._incident is not None)
        liveness.rest(self._now_s(), await self._samples())  # what the counters stand at
        while True:
            self._emit(Progressed("recovery", LOOK_S + LONGEST_STEP_S))
            await asyncio.sleep(min(LEAST_S, LOOK_S))
            await self.wake.wait(max(0.0, LOOK_S - LEAST_S))
            if module.occupied is not None:  # a scan takes the line away: no fault of the line
                liveness.rest(self._now_s(), await self._samples())
                continue
            evidence = await self._evidence(liveness)
            cause = cause_of(evidence)
            self._note(cause)
            await self._follow(cause, liveness.silent_since_s)
            if recovery.context_due and not await self._dialled():
                await self._define_context(recovery)
            if not settings.recovery or (self._passing and cause != "none"):
                continue
            decision = await recovery.consider(evidence)
            self._note_pin(recovery.pin_refusal)
            if decision.rung:
                agent.event("modem-reset", {"level": decision.rung, "cause": decision.cause, "reason": decision.reason})

    def _now_s(self) -> float:
        return float(self._agent.clock.now().boot_s)

    async def _dialled(self) -> bool:
        """Whether somebody else dials, with an APN of his own; asked anew now and then, since it costs processes."""
        now_s = self._now_s()
        if self._diallers is None or now_s - self._diallers[0] >= DIALLERS_S:
            self._diallers = now_s, bool(await asyncio.to_thread(access_point.diallers))
        return self._diallers[1]

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
            self._emit(LineJudged(cause))

    def _note_pin(self, refusal: str) -> None:
        if refusal != self._pin_refusal:
            self._pin_refusal = refusal
            self._emit(PinRefused(refusal))

    async def _follow(self, cause: str, silent_since_s: float | None) -> None:
        """Tell when a trouble begins and when it ends; what goes on stands in the store, for the next start."""
        before, moment = self._incident, self._agent.clock.now()
        silent_s = 0.0 if silent_since_s is None else moment.boot_s - silent_since_s
        self._incident, told = incident.follow(before, cause, moment, silent_s=silent_s)
        if self._incident != before:
            kept = self._incident.to_dict() if self._incident else {}
            try:
                await self._keep(TROUBLE, kept)
            except AgentError as error:  # a disk that refuses must not keep the line from being mended
                log.warning("trouble: kept in memory only: %s", error)
        if told is not None:
            self._agent.event(incident.EVENT, told)

    # -- evidence

    async def _evidence(self, liveness: Liveness) -> Evidence:
        watching = self._agent.watching
        await self._look(liveness)
        throttled = self._agent.accounting.decision.state in ("throttled", "forced")
        if watching.state != "ready":
            return evidence_of(watching.state, None, throttled=throttled)
        found = self._found
        return evidence_of(
            "ready",
            watching.reading,
            hosts=found.hosts,
            name_server=found.name_server,
            address=found.address,
            throttled=throttled,
        )

    async def _look(self, liveness: Liveness) -> None:
        """By the bytes that came in; by probes where these leave a doubt and there is a module to carry them."""
        standing = await asyncio.to_thread(self._standing)
        contradicted = standing is not Standing.WHOLE or self._contradicted()
        verdict = await self._judge(liveness, contradicted)
        self._passing = verdict is Verdict.ALIVE
        if verdict is Verdict.ALIVE:
            self._found = SHOWN
        if verdict is not Verdict.PROBE or self._agent.watching.state != "ready":
            return
        servers, hosts = await asyncio.to_thread(self._probe)
        found = Found(
            tuple(reach.answered for reach in hosts),
            any(reach.answered for reach in servers) if servers else None,
            False if standing is Standing.NO_ADDRESS else None,
        )
        # A full line lets no probe through in time, and shows by its bytes that it lives.
        if not found.online and await self._judge(liveness, contradicted) is Verdict.ALIVE:
            self._passing, self._found = True, SHOWN
            return
        liveness.probed(self._now_s(), found.online)
        self._found = found

    async def _judge(self, liveness: Liveness, contradicted: bool) -> Verdict:
        heard_s = self._agent.session.heard_boot_s
        return liveness.look(self._now_s(), await self._samples(), heard_s=heard_s, contradicted=contradicted)

    async def _samples(self) -> tuple[Sample, ...]:
        try:
            return tuple(await self._agent.samples())
        except KernelError as error:
            log.warning("line: %s", error)
            return ()

    def _contradicted(self) -> bool:
        """Whether the broker is away, or the module says that there is no data connection: a reason to ask, no more."""
        session, reading = self._agent.session, self._agent.watching.reading
        away = bool(session.broker) and not session.connected
        if reading is None:
            return away
        none = bool(reading.contexts) and reading.address is None
        return away or none or reading.attached is False or reading.registration.registered is False

    def _standing(self) -> Standing:
        """What the household's packets would find; nothing is sent to find that out."""
        links = probes.wan_links(self._agent.config.wan.interfaces)
        if links and not any(link.up and link.addresses for link in links):
            return Standing.NO_ADDRESS
        return Standing.NO_ROUTE if probes.default_routes() == () else Standing.WHOLE

    def _probe(self) -> tuple[tuple[Reach, ...], tuple[Reach, ...]]:
        """Name servers and two independent hosts, side by side, on a worker thread."""
        settings = self._agent.config.probe
        servers = settings.name_servers or resolv.name_servers() or ()
        # A name that nobody has asked before: dnsmasq, resolved and a module's own proxy answer any other from memory.
        name = f"{secrets.token_hex(4)}.{settings.name}"
        asked: list[Callable[[], Reach]] = [_server(server, name) for server in servers]
        asked += [_host(host) for host in settings.hosts]
        found = probes.bounded_all(asked, 2 * probes.REACH_S, [*servers, *settings.hosts])
        return found[: len(servers)], found[len(servers) :]

    # -- memory

    async def _load(self, key: str) -> dict[str, object]:
        text = await self._agent.store.run(lambda database: database.meta.get(key))
        try:
            found = json.loads(text) if text else {}
        except ValueError:
            log.warning("%s: what was remembered is damaged and is forgotten", key)
            return {}
        return found if isinstance(found, dict) else {}

    async def _save(self, memory: Memory) -> None:
        await self._keep(MEMORY, memory)

    async def _keep(self, key: str, memory: Mapping[str, object]) -> None:
        text = json.dumps(memory)
        await self._agent.store.run(lambda database: database.meta.set(key, text))


def _server(server: str, name: str) -> Callable[[], Reach]:
    return lambda: probes.ask_name_server(server, name)


def _host(text: str) -> Callable[[], Reach]:
    name, colon, port = text.rpartition(":")
    return lambda: probes.reach(name.strip("[]") if colon else text, int(port) if colon else 443)
