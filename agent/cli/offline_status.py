"""What the store tells while no agent runs: the same status schema, with what only an agent knows left unknown.

Used by `status`, `usage` and `log`. Reads a copy of the database, takes no lock, changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from agent.cli.verb import Call
from agent.errors import AgentNotRunning, StoreError

if TYPE_CHECKING:
    from agent import status_schema as schema
    from agent.store import Database

T = TypeVar("T")
DATABASE = "agent.db"  # in device.state_dir


@contextmanager
def instead_of(absent: AgentNotRunning) -> Iterator[None]:
    """Where there is no store either, what is missing is the agent."""
    try:
        yield
    except StoreError as error:
        raise absent from error


def database_path(call: Call) -> Path:
    from agent.cli.verb import DEFAULT_STATE_DIR

    return Path(call.device_key("state_dir", DEFAULT_STATE_DIR)) / DATABASE


def look(call: Call, function: Callable[[Database], T]) -> T:
    """`function(Database)` on a copy of the store. Raises StoreError."""
    from agent.store import Database

    with Database.open_readonly(database_path(call)) as database:
        return function(database)


def age_s(call: Call) -> float:
    """Seconds since the agent last wrote to the store."""
    path = database_path(call)
    written = max(p.stat().st_mtime for p in (path, Path(f"{path}-wal")) if p.exists())
    return max(0.0, time.time() - written)


def status(call: Call) -> schema.Status:
    """The status schema from the store, and under `stored` how old it is. Raises StoreError."""
    from agent import plan
    from agent.clock import Clock
    from agent.config import refused
    from agent.status import Snapshot
    from agent.update import verdict

    config = call.config()
    ledger, device = look(call, lambda db: (db.load_ledger(), db.meta.get("device", "")))
    if ledger is None:
        raise StoreError(f"{database_path(call)}: nothing was counted yet")
    moment = Clock(config.clock, floor=ledger.latest).now()
    ledger = plan.settle(ledger, moment, config.plan)
    snapshot = Snapshot(
        moment=moment,
        device=config.device.id or device or "",
        version="",
        started_boot_s=moment.boot_s,
        modem_state="unknown",
        usage=plan.usage(ledger, config.plan),
        period=ledger.period,
        decision=plan.decide(ledger, config.plan, moment),
        operator_count=plan.newest(ledger.operator_counts),
        config_refused=refused(config.device.run_dir),
        update=verdict.read(config.device.state_dir),
    )
    told = snapshot.to_dict()
    stored: schema.Stored = {"age_s": round(age_s(call))}
    return {**told, "version": None, "agent_up_s": None, "store": "ok", "stored": stored}
