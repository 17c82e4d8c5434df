"""One order of reports: part of it in memory, the rest on the flash. Used by agent/mqtt/outbox.py alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from agent.store.outbox import Row

HEAD_ROWS = 64  # of a lane in memory; the rest waits on the flash


class Lane:
    """One order of reports: `head` in memory, more on the flash when `disk`, then `fresh` ones not on the flash."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.head: deque[Row] = deque()
        self.fresh: deque[Row] = deque()
        self.disk = False
        self.loaded_id = 0  # rows up to this id are, or were, in the head
        self.newest_id = 0  # the newest row known to be on the flash

    def append(self, row: Row) -> None:
        self.newest_id = max(self.newest_id, row.id)
        if self.disk:
            if not row.id:
                self.fresh.append(row)
        elif row.id and len(self.head) >= HEAD_ROWS:
            self.disk = True
        else:
            self._to_head(row)

    def _to_head(self, row: Row) -> None:
        """By its number among the rows of its boot: a higher one may have reached the flash before it."""
        place = len(self.head)
        while place and _is_later(self.head[place - 1], row):
            place -= 1
        self.head.insert(place, row)
        self.loaded_id = max(self.loaded_id, row.id)

    def load(self, rows: Sequence[Row], limit: int) -> None:
        """Rows read from the flash; fewer than asked for means that was all, but for what was added meanwhile."""
        for row in rows:
            self._to_head(row)
        if len(rows) < limit and self.loaded_id >= self.newest_id:
            self.disk = False
            while self.fresh:
                self._to_head(self.fresh.popleft())

    def unsaved(self) -> list[Row]:
        return [row for row in (*self.head, *self.fresh) if not row.id]

    def saved(self, rows: Sequence[Row]) -> None:
        """Rows that memory alone held are on the flash now: what memory need not hold is let go."""
        waiting = set(map(id, self.fresh))
        self.fresh = deque(row for row in self.fresh if not row.id)
        for row in rows:
            self.newest_id = max(self.newest_id, row.id)
            if id(row) not in waiting:
                self.loaded_id = max(self.loaded_id, row.id)
        while len(self.head) > HEAD_ROWS and self.head[-1].id:
            # One that stays in the head and is numbered before it, but was written after it, will be read twice.
            self.loaded_id, self.disk = min(self.loaded_id, self.head.pop().id - 1), True

    def forget(self, ids: set[int]) -> None:
        self.head = deque(row for row in self.head if not (row.id and row.id in ids))

    def give_back(self, rows: Iterable[Row]) -> None:
        """Rows that were sent and not acknowledged are the first to be sent again, in their order."""
        self.head.extendleft(reversed([row for row in rows if row.lane == self.number]))


def _is_later(row: Row, other: Row) -> bool:
    return row.boot == other.boot and (row.seq or 0) > (other.seq or 0) > 0
