"""Reports that are kept in one transaction, together with what they report. Used through agent/mqtt/outbox.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

from agent.config import OperatorSettings
from agent.mqtt.reports import envelope
from agent.plan.model import Moment
from agent.store.outbox import URGENT, Gap, Mark, OutboxTable, Row

EVENT_EXPIRY_S = 30 * 86_400


class Tables(Protocol):
    """The part of the store's database used here."""

    @property
    def outbox(self) -> OutboxTable: ...


def encode(body: dict[str, Any]) -> bytes:
    """Compact JSON: every byte is paid for by the household's link."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


class Batch:
    """Urgent reports of one transaction.

    `add` and the outbox's `seal`, `committed` and `abandoned` are called on the loop, `save` on the store's thread.
    """

    def __init__(self, number: Callable[[int, str, Moment], Row], moment: Moment, settings: OperatorSettings) -> None:
        self._number, self.moment, self._settings = number, moment, settings
        self._bodies: list[dict[str, Any] | Callable[[], dict[str, Any]]] = []
        self.rows: list[Row] = []
        self.mark: Mark | None = None
        self.void: list[Gap] = []
        self.void_before: list[Gap] = []  # of earlier boots
        self.done: list[int] = []
        self.ids: list[int] = []
        self.trimmed: list[int] = []
        self.stored_rows = 0
        self.last = False  # of an orderly end

    def add(
        self,
        topic: str,
        body: dict[str, Any] | Callable[[], dict[str, Any]],
        *,
        retain: bool = False,
        correlation: bytes = b"",
        expiry_s: int = EVENT_EXPIRY_S,
    ) -> Row:
        """One more report; a body that is known only inside the transaction is given as a function."""
        row = self._number(URGENT, topic, self.moment)
        row.retain, row.correlation, row.expiry_s = retain, correlation, expiry_s
        self.rows.append(row)
        self._bodies.append(body)
        return row

    def add_empty(self, topic: str, boot: str) -> None:
        """An empty retained message, which takes a cleared alarm off the broker. It bears no number."""
        self.rows.append(Row(URGENT, boot, None, topic, b"", retain=True))
        self._bodies.append({})

    def add_measurement(self, row: Row) -> None:
        """A measurement that is to reach the flash with this batch."""
        self.rows.append(row)
        self._bodies.append({})

    def void_numbers(self) -> list[int]:
        return [seq for gap in self.void for seq in range(gap.first, gap.last + 1)]

    def save(self, db: Tables) -> None:
        """The transaction's part of the outbox."""
        assert self.mark is not None, "Outbox.seal() comes first"
        for row, body in zip(self.rows, self._bodies, strict=True):
            if row.seq is not None and not row.payload:
                content = body() if callable(body) else body
                row.payload = encode(envelope(content, self.moment, boot=row.boot, seq=row.seq))
        table = db.outbox
        table.delete(self.done)
        table.add_gaps([*self.void, *self.void_before])
        self.ids = table.insert(self.rows)
        table.set_mark(self.mark, exact=self.last)
        self.trimmed = self._trim(table) if self.rows else []
        self.stored_rows = table.size()[0]

    def _trim(self, table: OutboxTable) -> list[int]:
        settings = self._settings
        oldest = int((self.moment.wall - timedelta(days=settings.outbox_days)).timestamp())
        return table.trim(
            rows=settings.outbox_rows,
            size_bytes=settings.outbox_bytes,
            created_after=oldest if self.moment.trusted else 0,
        )
