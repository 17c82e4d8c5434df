"""From the broker into the database: a message is acknowledged to the broker once it is committed, never before.

The broker's session is the only queue. Messages that were stored and not acknowledged come again and change nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import NamedTuple, TypeAlias

from agent.backoff import Backoff
from agent.errors import OperatorError
from agent.mqtt.transport import Accepted, Closed, Connection, Event, Inbound, Refused, Subscribed, Target
from agent.support.office.database import Content, Message, Office, Passing

# Messages that the broker may have sent and not yet be acknowledged (MQTT 5, Receive Maximum): two batches, so that one
# comes in while another one is stored. What a batch costs whatever its size (a commit, a look through all devices) is
# a fifth of the work at 1 000 messages, a twentieth at 4 000 (measured, make bench-office).
WINDOW = 8_000
BATCH = 4_000
_CONNECT_S = 30.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0
_TAKEN_OVER = 0x8E  # MQTT 5, 3.14.2.1: another connection bears the same client id

# With `share`, every message of these goes to one process of that name; without, each process gets all of them and what
# is there already is not stored again. mosquitto 2.0.11 forgets after a restart that a subscription is shared and drops
# what comes until the subscriber is back (measured: 0 of 3 000 arrived, 3 000 of 3 000 by a plain subscription).
SHARED = ("m/+", "e/+", "cmd/+/+/res")
# Never shared, since the broker sends what it has retained to plain subscriptions only (MQTT 5, 4.8.2).
PLAIN = ("status", "a/+", "twin/plan")


Read: TypeAlias = "tuple[Message, Content]"


class Came(NamedTuple):
    event: Event
    message: Read | None = None  # of an Inbound


class Consumer:
    """`run` until `stop`. `tell` gets a sentence when something changes."""

    def __init__(
        self, target: Target, root: str, office: Office, tell: Callable[[str], None], *, share: str, months: int
    ) -> None:
        protocol = "5" if target.protocol == "auto" else target.protocol
        self._target = replace(target, clean=False, receive_maximum=WINDOW, protocol=protocol)
        self._falls_back = target.protocol == "auto"
        shared = f"$share/{share}/" if share else ""
        self._filters = [f"{shared}{root}/v1/+/{below}" for below in SHARED] + [
            f"{root}/v1/+/{below}" for below in PLAIN
        ]
        self._office, self._tell, self._months = office, tell, months
        self._stopping = asyncio.Event()
        self._kept_on = ""  # the day on which partitions were made and dropped

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Raises OperatorError for what waiting does not mend: a newer schema, a name that is used twice."""
        await self._until_stored([])
        backoff = Backoff(_FIRST_WAIT_S, _LONGEST_WAIT_S)
        while not self._stopping.is_set():
            events: asyncio.Queue[Came] = asyncio.Queue()
            connection = Connection(self._target, partial(self._read, events))
            try:
                await self._connect(connection, events)
                self._tell("connected to the broker")
                backoff.reset()
                await self._session(connection, events)
            except (_LostError, OSError) as error:
                self._tell(f"broker: {error}; again in {backoff.pause_s:g} s")
            finally:
                await connection.close(graceful=self._stopping.is_set())
            await self._wait(backoff.next_s())

    async def _wait(self, seconds: float) -> None:
        """Until then, or the end."""
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _connect(self, connection: Connection, events: asyncio.Queue[Came]) -> None:
        await connection.open()
        try:
            event = (await asyncio.wait_for(events.get(), _CONNECT_S)).event
        except (asyncio.TimeoutError, TimeoutError):
            raise _LostError("no answer") from None
        match event:
            case Accepted():
                for topic_filter in self._filters:
                    connection.subscribe(topic_filter)
            case Refused(0x84) if self._falls_back and self._target.protocol == "5":
                self._target = replace(self._target, protocol="3.1.1")
                raise _LostError("no MQTT 5, 3.1.1 is tried")
            case Refused(code, reason):
                raise _LostError(f"refused (0x{code:02x}): {reason}")
            case _:
                raise _LostError("not an MQTT broker, or one that ended the connection at once")

    async def _session(self, connection: Connection, events: asyncio.Queue[Came]) -> None:
        """Batch after batch. A batch is what came while the one before was stored."""
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                first = asyncio.create_task(events.get())
                await asyncio.wait((first, stopping), return_when=asyncio.FIRST_COMPLETED)
                if not first.done():
                    first.cancel()
                    return
                batch = [first.result()]
                while len(batch) < BATCH and not events.empty():
                    batch.append(events.get_nowait())
                await self._batch(connection, batch)
        finally:
            stopping.cancel()

    def _read(self, events: asyncio.Queue[Came], event: Event) -> None:
        """As it comes in, while the batch before is stored."""
        read = None
        if isinstance(event, Inbound):
            message = Message(event.topic, event.payload, event.retained)
            read = message, self._office.read(message)
        events.put_nowait(Came(event, read))

    async def _batch(self, connection: Connection, batch: list[Came]) -> None:
        await self._until_stored([came.message for came in batch if came.message is not None])
        connection.acknowledge(*(came.event.mid for came in batch if isinstance(came.event, Inbound)))
        for came in batch:
            match came.event:
                case Subscribed(_, codes) if any(code >= 0x80 for code in codes):
                    raise OperatorError(
                        "the broker refused a subscription: not permitted, or the broker shares none (--share)"
                    )
                case Closed(code, reason):
                    if code == _TAKEN_OVER:
                        raise OperatorError(f"another process connects as {self._target.client_id}: give each a --name")
                    raise _LostError(f"the connection ended: {reason}")

    async def _until_stored(self, messages: list[Read]) -> None:
        backoff = Backoff(_FIRST_WAIT_S, _LONGEST_WAIT_S)
        while True:
            try:
                refused = await asyncio.to_thread(self._store, messages)
            except Passing as error:
                self._tell(f"{error}; again in {backoff.pause_s:g} s")
                await self._wait(backoff.next_s())
                if self._stopping.is_set():  # not acknowledged: it comes again
                    raise
                continue
            if backoff.attempts:
                self._tell("the database is back")
            if refused:
                self._tell(f"{refused} of {len(messages)} messages refused, see the table office.refused")
            return

    def _store(self, messages: list[Read]) -> int:
        """In a thread. Raises Passing; the connection is then another one the next time."""
        try:
            self._office.ensure()
            today = datetime.now(timezone.utc).date().isoformat()
            if self._kept_on != today:
                self._office.keep(self._months)
                self._kept_on = today
            return self._office.store(messages)
        except Passing:
            self._office.close()
            raise


class _LostError(Exception):
    """The session with the broker is over; another one follows."""
