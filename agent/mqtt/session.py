"""The session with the broker: connect, be born, send what the outbox holds, hand commands on, and come back.

One task of the daemon (`run`). Every connection is a fresh client (agent/mqtt/transport.py); between two connections
nothing is remembered but what the outbox and the twins hold. The will and the birth bear one session number, so that a
late will of an old connection can never make a device that is back look lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from random import Random, SystemRandom
from typing import TypeVar

from agent.config import OperatorSettings
from agent.errors import AgentError, ConfigError, StoreError
from agent.events import Charged, Emit, RetainedLost, SessionChanged, unheard
from agent.mqtt.approach import Approach
from agent.mqtt.batch import encode
from agent.mqtt.budget import Budget
from agent.mqtt.certificate_dates import CertificateDates
from agent.mqtt.credentials import Credentials
from agent.mqtt.keepalive import KeepAlive
from agent.mqtt.outbox import Outbox
from agent.mqtt.reconnection import End, Outcome, Reconnection
from agent.mqtt.reports import presence
from agent.mqtt.sender import Sender, Timing
from agent.mqtt.session_state import SessionState
from agent.mqtt.target import target_of
from agent.mqtt.topics import Topics
from agent.mqtt.transport import (
    Accepted,
    Closed,
    Connection,
    Event,
    Inbound,
    Message,
    Published,
    Refused,
    Subscribed,
    Target,
)
from agent.mqtt.twins import Twins
from agent.net.wire_cost import Cost
from agent.plan.model import Moment

log = logging.getLogger(__name__)
T = TypeVar("T")

PATIENT = Timing()
MOST_WAITING = 64  # messages of QoS 0, which nothing else holds back
Deliver = Callable[[Inbound], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time to look after the connection."""


class Session:
    """See the module docstring. `deliver` returns once a command is safe; only then is it acknowledged."""

    def __init__(
        self,
        settings: OperatorSettings,
        topics: Topics,
        outbox: Outbox,
        twins: Twins,
        deliver: Deliver,
        *,
        version: str,
        now: Callable[[], Moment],
        timing: Timing = PATIENT,
        dice: Random | None = None,
        connect: Callable[..., Connection] = Connection,
        credentials: Credentials | None = None,
        faults: Counter[str] | None = None,
        emit: Emit = unheard,
    ) -> None:
        self._settings, self._topics, self._outbox, self._twins = settings, topics, outbox, twins
        self._deliver, self._version, self._now, self._timing = deliver, version, now, timing
        self._connect, self._emit = connect, emit
        self._reconnection = Reconnection(
            base_s=timing.backoff_base_s, cap_s=timing.backoff_cap_s, dice=dice or SystemRandom()
        )
        self._keepalive = KeepAlive(settings.keepalive_s)
        self.budget = Budget(settings.budget_bytes_day, settings.beat_s)
        self.nonce = ""
        self.faults: Counter[str] = Counter() if faults is None else faults
        self._approach = Approach(settings.protocol)
        self._credentials = credentials or Credentials(settings)
        self._dates = CertificateDates(None)
        self._number = 0
        self._proof = set[type]()  # what the broker has taken in this session: Subscribed, Published
        self._connection: Connection | None = None
        self._events: asyncio.Queue[Event | Tick] = asyncio.Queue()
        self._sender: Sender | None = None
        self._stop = asyncio.Event()
        self._farewell = "offline"
        self._cost = Cost()
        self._state = SessionState()

    # -- what others see ---------------------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        return self._state

    def _change(self, state: SessionState) -> None:
        before, today_bytes, limit_bytes = self._state, self.budget.today_bytes, self.budget.limit_bytes
        state = replace(state, agent_bytes=today_bytes, budget_bytes=limit_bytes)
        self._state = replace(state, keepalive_s=self._keepalive.seconds)
        if self._state != before:
            self._emit(SessionChanged(self._state))

    def _fault(self, name: str) -> None:
        self.faults[f"operator.{name}"] += 1

    # -- life --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep a session with the broker until `stop`. Returns at once when no broker is configured."""
        if not self._settings.url:
            await self._stop.wait()
            return
        await self._store_retried(self._outbox.open)
        while not self._stop.is_set():
            outcome = await self._attempt()
            self._note(outcome)
            if self._stop.is_set():
                break
            delay_s = self._reconnection.after(outcome)
            log.info("broker: %s: %s; again in %.0f s", outcome.end.value, outcome.reason or outcome.code, delay_s)
            with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(self._stop.wait(), delay_s)

    async def stop(self, farewell: str = "offline") -> None:
        """Say goodbye (`offline` or `stopping`) and end `run`."""
        self._farewell = farewell
        self._stop.set()
        self._events.put_nowait(Tick())

    def rebirth(self) -> None:
        """Publish presence and twins anew; the reporter adds the measurements."""
        self._publish_presence()
        self._twins.again()

    def renew_nonce(self) -> None:
        self.nonce = secrets.token_hex(8)
        self._publish_presence()

    def _publish_presence(self) -> None:
        if self._sender is not None:
            with contextlib.suppress(OSError):
                self._sender.publish_presence(self._presence("online"))

    async def _store_retried(self, act: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await act()
            except StoreError as error:
                self._fault("store")
                log.warning("outbox: %s", error)
                await asyncio.sleep(self._timing.store_retry_s)

    # -- one attempt -------------------------------------------------------------------------------------------------

    async def _attempt(self) -> Outcome:
        self._number = await self._store_retried(self._outbox.next_session)
        self.nonce = secrets.token_hex(8)
        try:
            target = await asyncio.to_thread(self._target)
        except ConfigError as error:
            return Outcome(End.UNREACHABLE, reason=str(error))
        self._events = asyncio.Queue()
        will = Message(self._topics.status, self._presence("lost"), retain=True)
        connection = self._connection = self._connect(target, self._events.put_nowait, will=will)
        broker, ends = f"{target.host}:{target.port}", self._credentials.ends
        known = replace(self._state, broker=broker, protocol=target.protocol, session=self._number)
        self._change(replace(known, certificate_ends=ends))
        ticker = asyncio.create_task(self._tick())
        try:
            return await self._converse(connection)
        finally:
            ticker.cancel()
            self._connection = None
            self._count(await connection.close(graceful=self._stop.is_set()))
            self._cost = Cost()

    async def _converse(self, connection: Connection) -> Outcome:
        try:
            await connection.open()
        except (OSError, ValueError) as error:  # paho's ValueError: a host name that IDNA cannot encode
            return Outcome(End.UNREACHABLE, reason=str(error) or type(error).__name__)
        deadline = self._now().boot_s + self._timing.connack_s
        while True:
            match await self._events.get():
                case Accepted() as accepted:
                    self._approach.answered()
                    return await self._serve(connection, accepted)
                case Refused(code, reason, server):
                    return Outcome(End.REFUSED, code, reason, server=server)
                case Closed(code, reason, server):
                    return Outcome(End.UNREACHABLE, code, f"closed before CONNACK: {reason}", server=server)
                case Tick() if self._stop.is_set():
                    return Outcome(End.STOPPED)
                case Tick() if self._now().boot_s > deadline:
                    return Outcome(End.UNREACHABLE, reason="no CONNACK")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._timing.tick_s)
            self._events.put_nowait(Tick())

    def _target(self) -> Target:
        settings, trusted = self._credentials.applied(self._settings), self._now().trusted
        found = self._approach.of(target_of(settings, self._topics.device, clock_trusted=trusted))
        return replace(found, keepalive_s=self._keepalive.seconds)

    def _note(self, outcome: Outcome) -> None:
        """Learn from how an attempt ended."""
        self._fault(f"session-{outcome.end.value}")
        if outcome.end is End.SILENT:
            self._keepalive.died_in_silence()
        elif outcome.end in (End.LOST, End.STOPPED):
            self._keepalive.lived(outcome.lasted_s)
        self._approach.note(outcome)
        reason = outcome.reason or (f"reason code 0x{outcome.code:02x}" if outcome.code else outcome.end.value)
        self._credentials.over(reason)
        since_s = self._now().boot_s if self._state.connected else self._state.since_boot_s
        ended = replace(self._state, connected=False, proved=False, since_boot_s=since_s)
        last_error = "" if outcome.end is End.STOPPED else reason
        self._change(replace(ended, last_error=last_error, attempts=self._reconnection.attempts + 1))

    # -- one session -------------------------------------------------------------------------------------------------

    async def _serve(self, connection: Connection, accepted: Accepted) -> Outcome:
        began_s = self._now().boot_s
        if accepted.server_keepalive_s is not None:
            self._keepalive.asked(accepted.server_keepalive_s)
        sender = self._sender = Sender(
            connection, accepted, self._outbox, self._twins, self._topics.status, self._timing, self._now, self._fault
        )
        inbound: asyncio.Queue[Inbound] = asyncio.Queue()
        await self._remember(connection.target, accepted)
        self._proof.clear()
        self._dates = CertificateDates(connection.target.tls)
        try:
            connection.subscribe(self._topics.requests)
            sender.publish_presence(self._presence("online"))
        except OSError as error:  # gone again between CONNACK and here
            self._sender = None
            return Outcome(End.LOST, 0, str(error), max(0.001, self._now().boot_s - began_s))
        begun = replace(self._state, connected=True, since_boot_s=began_s, heard_boot_s=began_s)
        self._change(replace(begun, last_error="", attempts=0, peer=connection.peer()))
        log.info("broker: connected, session %d, MQTT %s", self._number, connection.target.protocol)
        tasks = [
            asyncio.create_task(sender.run()),
            asyncio.create_task(self._receive(connection, inbound)),
        ]
        for task in tasks:
            task.add_done_callback(lambda done: self._ended_early(done, connection))
        try:
            return await self._follow(connection, sender, inbound, began_s)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._sender = None
            self._outbox.returned()
            self._twins.returned()

    async def _remember(self, target: Target, accepted: Accepted) -> None:
        """Have what is retained published anew where the broker can't have it."""
        try:
            known = await self._twins.connected(
                f"{target.host}:{target.port}", session_present=accepted.session_present
            )
        except StoreError as error:
            self._fault("store")
            log.warning("twins: %s", error)
            known = accepted.session_present
        if not known:
            self._emit(RetainedLost())

    def _ended_early(self, task: asyncio.Task[None], connection: Connection) -> None:
        """A task of the session that ends by itself leaves a connection that nobody serves: cut it."""
        if not task.cancelled():
            if (error := task.exception()) is not None:
                self._fault("session-bug")
                log.error("session: %r", error)
            connection.drop()

    async def _follow(
        self, connection: Connection, sender: Sender, inbound: asyncio.Queue[Inbound], began_s: float
    ) -> Outcome:
        """Events of the connection until it is over."""
        while True:
            event = await self._events.get()
            lasted_s = max(0.001, self._now().boot_s - began_s)
            match event:
                case Subscribed(_, codes):
                    self._taken(event, max(codes, default=0))
                case Published(mid, code):
                    self._taken(event, code)
                    if failed := await sender.acknowledged(mid, code):
                        return Outcome(End.LOST, failed, "PUBACK", lasted_s)
                case Inbound(mid=0) if inbound.qsize() >= MOST_WAITING:
                    self._fault("inbound-dropped")
                case Inbound():
                    inbound.put_nowait(event)
                case Closed(code, reason, server, silent):
                    return Outcome(End.SILENT if silent else End.LOST, code, reason, lasted_s, server)
                case Tick():
                    if self._stop.is_set():
                        await self._say_farewell(sender)
                        return Outcome(End.STOPPED, lasted_s=lasted_s)
                    if problem := await self._look_after(connection, sender):
                        return Outcome(End.SILENT, 0, problem, lasted_s)
                    if problem := self._credentials.waiting or self._dates.problem(connection, self._now()):
                        return Outcome(End.LOST, 0, problem, lasted_s)

    def _taken(self, event: Subscribed | Published, code: int) -> None:
        """Good below 0x80 (MQTT 5, 2.4). Both kinds prove that the device can be reached."""
        if code < 0x80 and type(event) not in self._proof:
            self._proof.add(type(event))
            if len(self._proof) == 2:
                self._credentials.proved()
                self._change(replace(self._state, proved=True))

    async def _look_after(self, connection: Connection, sender: Sender) -> str:
        """Count what it costs, judge whether it lives; why it must end, or nothing."""
        before, now = self._cost.received_bytes, self._now()
        self._count(connection.cost())
        if self._cost.received_bytes > before:  # not at the close, where the last segments are only reckoned
            self._change(replace(self._state, heard_boot_s=now.boot_s))
            if connection.skipping:
                sender.wait_anew(now.boot_s)  # PUBACKs come after what is skipped
        if sender.oldest_s(now.boot_s) > self._timing.puback_s:
            return "no PUBACK"
        return ""

    def _count(self, cost: Cost) -> None:
        """Book what this connection has cost since the last look."""
        received = max(0, cost.received_bytes - self._cost.received_bytes)
        sent = max(0, cost.sent_bytes - self._cost.sent_bytes)
        self._cost = cost
        self.budget.add(received + sent, self._now().boot_s)
        if received or sent:
            self._emit(Charged(received, sent))
        self._change(replace(self._state, beat_s=self.budget.beat_s(self._now().boot_s)))

    async def _say_farewell(self, sender: Sender) -> None:
        """The last word, so that the broker need not publish the will; waits a little for what is under way."""
        with contextlib.suppress(OSError):
            sender.publish_presence(self._presence(self._farewell))

        async def drain() -> None:
            while sender.flying:
                match await self._events.get():
                    case Published(mid, code):
                        await sender.acknowledged(mid, code)
                    case Closed():
                        return

        with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(drain(), self._timing.farewell_s)

    def _presence(self, state: str) -> bytes:
        return encode(
            presence(state, session=self._number, boot=self._outbox.boot, version=self._version, nonce=self.nonce)
        )

    async def _receive(self, connection: Connection, inbound: asyncio.Queue[Inbound]) -> None:
        while True:
            message = await inbound.get()
            try:
                await self._store_retried(partial(self._deliver, message))
            except AgentError as error:
                self._fault("inbound")
                log.warning("inbound message: %s", error)
            except Exception:
                # A message must never end the session: it would come back with the next one, for ever.
                self._fault("inbound-bug")
                log.exception("inbound message of %d bytes", len(message.payload))
            connection.acknowledge(message.mid)
