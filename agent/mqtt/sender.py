"""What one session sends: presence, twins and reports, at most `window` of them unacknowledged. On the loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import StoreError
from agent.mqtt.outbox import Outbox
from agent.mqtt.transport import Accepted, Connection, Message
from agent.mqtt.twins import Twin, Twins
from agent.plan.model import Moment
from agent.store.outbox import ROUTINE, Row

log = logging.getLogger(__name__)

# PUBACK codes after which sending again would only fail again: not authorised, topic name, packet size, payload format.
NEVER = frozenset({0x87, 0x90, 0x95, 0x99})


@dataclass(frozen=True, slots=True)
class Timing:
    """The session's patience; tests shorten it."""

    connack_s: float = 30.0
    puback_s: float = 60.0
    tick_s: float = 5.0
    farewell_s: float = 3.0
    store_retry_s: float = 5.0
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 900.0
    window: int = 16  # reports sent and not yet acknowledged


class Sender:
    """One connection's sending side. A PUBACK frees a place in the window and takes the report out of the outbox."""

    def __init__(
        self,
        connection: Connection,
        accepted: Accepted,
        outbox: Outbox,
        twins: Twins,
        status_topic: str,
        timing: Timing,
        now: Callable[[], Moment],
        fault: Callable[[str], None],
    ) -> None:
        self._connection, self._outbox, self._twins = connection, outbox, twins
        self._status_topic, self._timing, self._now, self._fault = status_topic, timing, now, fault
        self._window = min(timing.window, accepted.receive_maximum)
        self._largest = accepted.maximum_packet_bytes
        self._most_aliases = accepted.topic_aliases
        self._aliases: dict[str, int] = {}  # topics of measurements that the broker knows by a number
        self._mids: dict[int, tuple[Row | Twin | None, int, float]] = {}  # what, its revision, when it was sent
        self._room = asyncio.Event()

    @property
    def flying(self) -> int:
        return len(self._mids)

    def oldest_s(self, boot_s: float) -> float:
        """How long the broker has owed its oldest PUBACK."""
        return boot_s - min((sent_s for _, _, sent_s in self._mids.values()), default=boot_s)

    def wait_anew(self, boot_s: float) -> None:
        """The broker could not send a PUBACK up to now."""
        self._mids = {mid: (what, rev, boot_s) for mid, (what, rev, _) in self._mids.items()}

    def publish_presence(self, payload: bytes) -> None:
        """Raises OSError."""
        self._publish(Message(self._status_topic, payload, retain=True), None)

    def _publish(self, message: Message, what: Row | Twin | None) -> None:
        mid = self._connection.publish(message)
        self._mids[mid] = (what, what.rev if isinstance(what, Twin) else 0, self._now().boot_s)

    async def run(self) -> None:
        """Send until cancelled, or until the connection is over."""
        while True:
            while len(self._mids) >= self._window:
                self._room.clear()
                await self._room.wait()
            self._outbox.wake.clear()
            try:
                sent = self._send_twin() or await self._send_row()
            except StoreError as error:
                log.warning("outbox: %s", error)
                await asyncio.sleep(self._timing.store_retry_s)
            except OSError as error:
                log.info("broker: %s", error)
                self._connection.drop()
                return
            else:
                if not sent:
                    await self._outbox.wake.wait()

    def _send_twin(self) -> bool:
        twin = self._twins.take()
        if twin is not None:
            self._publish(Message(twin.topic, twin.payload, retain=True), twin)
        return twin is not None

    async def _send_row(self) -> bool:
        row = await self._outbox.take()
        if row is None:
            return False
        if self._largest is not None and len(row.payload) + len(row.topic) + 64 > self._largest:
            self._fault("too-large")
            self._outbox.refused(row)
            return True
        # A retained message that expired would take the twin or the alarm off the broker.
        expiry_s = None if row.retain else row.expiry_s
        topic, alias = self._shortened(row.topic) if row.lane == ROUTINE else (row.topic, 0)
        message = Message(
            topic, row.payload, retain=row.retain, expiry_s=expiry_s, correlation=row.correlation, alias=alias
        )
        self._publish(message, row)
        return True

    def _shortened(self, topic: str) -> tuple[str, int]:
        """A topic as it is to be sent, and its alias: named in full once, then by a number, 45 bytes less each beat."""
        if topic in self._aliases:
            return "", self._aliases[topic]
        if len(self._aliases) >= self._most_aliases:
            return topic, 0
        self._aliases[topic] = len(self._aliases) + 1
        return topic, self._aliases[topic]

    async def acknowledged(self, mid: int, code: int) -> int:
        """A PUBACK; returns its code when the session should end for it."""
        what, rev, _ = self._mids.pop(mid, (None, 0, 0.0))
        self._room.set()
        if code >= 0x80 and code not in NEVER:
            return code
        if code >= 0x80:
            self._fault("refused-publish")
        match what:
            case Row() if code >= 0x80:
                self._outbox.refused(what)
            case Row():
                self._outbox.acknowledged(what)
            case Twin() if code < 0x80:
                with contextlib.suppress(StoreError):
                    await self._twins.acknowledged(what, rev)
        return 0
