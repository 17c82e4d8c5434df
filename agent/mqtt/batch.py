"""The outbox's part of one transaction of the keeper: reports with their numbers, and what is known of the sequence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from agent.config import OperatorSettings
from agent.mqtt.reports import envelope
from agent.plan.model import Moment
from agent.store.outbox import Gap, Mark, OutboxTable, Row


class Tables(Protocol):
    """The part of the store's database used here."""

    @property
    def outbox(self) -> OutboxTable: ...


def encode(body: Mapping[str, object]) -> bytes:
    """Compact JSON: every byte is paid for by the household's link."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


class Owner(Protocol):
    """The outbox, which hears what became of its batch."""

    def committed(self, batch: Batch) -> None: ...

    def abandoned(self, batch: Batch, *, sure: bool) -> None: ...


@dataclass(slots=True)
class Batch:
    """Sealed by the outbox on the loop, saved on the store's thread, then committed or abandoned on the loop."""

    moment: Moment
    settings: OperatorSettings
    mark: Mark
    urgent: list[Row]  # reports that are new
    measured: list[Row]  # measurements that memory alone held
    void: list[Gap]  # numbers that will never be sent
    done: list[int]  # ids of rows that were acknowledged
    owner: Owner
    ids: list[int] = field(default_factory=list)  # of the rows, once they are on the flash
    trimmed: list[int] = field(default_factory=list)
    stored_rows: int = 0

    @property
    def rows(self) -> list[Row]:
        return self.urgent + self.measured

    def save(self, database: Tables, bodies: Sequence[Mapping[str, object] | None]) -> None:
        """The transaction's part of the outbox."""
        for row, body in zip(self.urgent, bodies, strict=True):
            if row.seq is not None and body is not None:
                row.payload = encode(envelope(dict(body), self.moment, boot=row.boot, seq=row.seq))
        table = database.outbox
        table.delete(self.done)
        table.add_gaps(self.void)
        self.ids = table.insert(self.rows)
        table.set_mark(self.mark)
        self.trimmed = self._trim(table) if self.ids else []
        self.stored_rows = table.size()[0]

    def committed(self) -> None:
        self.owner.committed(self)

    def abandoned(self, *, sure: bool) -> None:
        self.owner.abandoned(self, sure=sure)

    def _trim(self, table: OutboxTable) -> list[int]:
        settings = self.settings
        oldest = int((self.moment.wall - timedelta(days=settings.outbox_days)).timestamp())
        return table.trim(
            rows=settings.outbox_rows,
            size_bytes=settings.outbox_bytes,
            created_after=oldest if self.moment.trusted else 0,
        )
