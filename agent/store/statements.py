"""The statements of the months that are over, each chained to the one before by its hash. On the store's thread.

The hash goes to the operator when the month is over (`e/statement`), so that neither side can say later that it said
something else. It is the SHA-256 of the statement as JSON with sorted keys and no spaces, `before` in it.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.store.journal import FIRST_HASH, hash_of

if TYPE_CHECKING:
    from agent.statement_schema import Answer, Statement


@dataclass(frozen=True, slots=True)
class Sealed:
    """One link of the chain."""

    n: int
    period: str
    text: str
    hash: str
    before: str


def text_of(body: Statement) -> str:
    """The text that is hashed."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class StatementTable:
    """Sealed statements; a month that was corrected afterwards is sealed again."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def head(self) -> tuple[int, str]:
        """Number and hash of the last one."""
        row = self._db.execute("SELECT n, hash FROM statements ORDER BY n DESC LIMIT 1").fetchone()
        return (0, FIRST_HASH) if row is None else (int(row[0]), str(row[1]))

    def draft(self, body: Statement) -> Sealed | None:
        """A month's statement as the next of the chain, or None if it was sealed as it is."""
        label = str(body["period"]["label"])
        last = self.of(label)
        number, before = self.head()
        if last is not None and last["statement"] == {**body, "before": last["statement"]["before"]}:
            return None
        text = text_of({**body, "before": before})
        return Sealed(number + 1, label, text, hash_of(text), before)

    def put(self, sealed: Sealed) -> None:
        row = (sealed.n, sealed.period, sealed.text, sealed.hash)
        self._db.execute("INSERT OR REPLACE INTO statements (n, period, body, hash) VALUES (?, ?, ?, ?)", row)

    def of(self, month: str) -> Answer | None:
        """The last statement of a month, given by its first day or the beginning of it."""
        row = self._db.execute(
            "SELECT n, body, hash FROM statements WHERE substr(period, 1, ?) = ? ORDER BY n DESC LIMIT 1",
            (len(month), month),
        ).fetchone()
        return None if row is None else {"n": row[0], "hash": row[2], "statement": json.loads(row[1])}
