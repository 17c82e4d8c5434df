"""SQLite: ledger, history, events, outbox, journal. One writer thread; one transaction for what belongs together."""

from agent.store.database import Database
from agent.store.history import History
from agent.store.store import Store

__all__ = ["Database", "History", "Store"]
