"""What changes seldom, kept retained at the broker: replaced, never queued. Lives on the loop.

A twin is sent when its content changed, when the operator asks for a rebirth, or when the broker never acknowledged
it or may have lost it. The revision rises with the content; it and a digest are on the flash, so that a restart costs
the link nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from agent.mqtt.batch import encode

if TYPE_CHECKING:
    from agent.store.database import Database

T = TypeVar("T")
BROKER_KEY = "mqtt.broker"  # in the table `meta`: who has what is marked as acknowledged


class Store(Protocol):
    async def run(self, fn: Callable[[Database], T]) -> T: ...


@dataclass(eq=False, slots=True)
class Twin:
    topic: str
    rev: int = 0
    digest: str = ""
    payload: bytes = b""
    due: bool = False
    acknowledged: bool = False


class Twins:
    """The twins of one device."""

    def __init__(self, store: Store, wake: Callable[[], None]) -> None:
        self._store, self._wake = store, wake
        self._twins: dict[str, Twin] | None = None

    async def _load(self) -> dict[str, Twin]:
        if self._twins is None:
            known = await self._store.run(lambda db: db.outbox.twins())
            self._twins = {name: Twin(name, rev, digest, b"", False, ack) for name, (rev, digest, ack) in known.items()}
        return self._twins

    async def connected(self, broker: str, *, session_present: bool) -> bool:
        """Whether this broker still has what was retained; else every twin is to be sent anew. Raises StoreError.

        A broker that lost its sessions has lost its retained messages too, or never had them.
        """
        twins = (await self._load()).values()
        if session_present and await self._store.run(lambda db: db.meta.get(BROKER_KEY)) == broker:
            return True
        for twin in twins:
            twin.acknowledged = False
        self.again()
        rows = [(twin.topic, twin.rev, twin.digest) for twin in twins]

        def forget(db: Database) -> None:
            db.meta.set(BROKER_KEY, broker)
            for row in rows:
                db.outbox.set_twin(*row, False)

        await self._store.run(forget)
        return False

    async def offer(self, topic: str, body: dict[str, object]) -> None:
        """The twin's present content. Raises StoreError."""
        twin = (await self._load()).setdefault(topic, Twin(topic))
        digest = hashlib.sha256(encode(body)).hexdigest()[:16]
        if digest != twin.digest:
            twin.rev, twin.digest, twin.acknowledged = twin.rev + 1, digest, False
            await self._keep(twin)
        elif twin.payload:
            return
        twin.payload = encode({"v": 1, "rev": twin.rev, **body})
        if not twin.acknowledged:
            twin.due = True
            self._wake()

    async def _keep(self, twin: Twin) -> None:
        topic, rev, digest, acknowledged = twin.topic, twin.rev, twin.digest, twin.acknowledged
        await self._store.run(lambda db: db.outbox.set_twin(topic, rev, digest, acknowledged))

    def again(self) -> None:
        """Every twin is to be sent anew: a rebirth, or a broker that lost what it had retained."""
        for twin in (self._twins or {}).values():
            twin.due = bool(twin.payload)
        self._wake()

    @property
    def due(self) -> bool:
        """Whether something is to be sent."""
        return any(twin.due for twin in (self._twins or {}).values())

    def take(self) -> Twin | None:
        """The next twin to send."""
        for twin in (self._twins or {}).values():
            if twin.due:
                twin.due = False
                return twin
        return None

    async def acknowledged(self, twin: Twin, rev: int) -> None:
        """The broker has revision `rev`. Raises StoreError."""
        if twin.rev == rev and not twin.acknowledged:
            twin.acknowledged = True
            await self._keep(twin)

    def returned(self) -> None:
        """The session is over: what was not acknowledged is due again."""
        for twin in (self._twins or {}).values():
            twin.due = twin.due or (bool(twin.payload) and not twin.acknowledged)
