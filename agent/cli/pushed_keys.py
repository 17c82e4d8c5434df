"""The keys that the operator has pushed over the file: asked of the agent, or read and dropped in its store without it.

Used by `config pushed`, for a device that its operator no longer reaches.
"""

from __future__ import annotations

from typing import Any

from agent.cli.verb import Call
from agent.errors import AgentNotRunning


def shown(call: Call) -> dict[str, Any]:
    """Raises AgentError."""
    try:
        with call.client() as client:
            answer = client.call("config.get", {})
        return {name: answer[name] for name in ("v", "pushed", "trial")}
    except AgentNotRunning as absent:
        from agent.cli import offline_status
        from agent.commands import pushed_config

        with offline_status.instead_of(absent):
            keys, trial = offline_status.look(call, lambda db: (pushed_config.overlay(db), pushed_config.trial(db)))
        return {"v": 1, "pushed": pushed_config.shown(keys), "trial": trial is not None}


def drop(call: Call, key: str) -> dict[str, Any]:
    """One key, or all. Raises AgentError."""
    from agent.cli.request import check_role

    try:
        with call.client() as client:
            check_role(client, "config.drop")
            return client.call("config.drop", {"key": key})
    except AgentNotRunning as absent:
        from agent.cli import offline_status

        with offline_status.instead_of(absent):
            return {"v": 1, "dropped": _drop_stored(call, key)}


def _drop_stored(call: Call, key: str) -> list[str]:
    """In the store itself, with its entry in the audit trail."""
    from agent.cli import offline_status
    from agent.cli.request import who
    from agent.clock import Clock
    from agent.commands import audit, pushed_config
    from agent.store import Database

    path = offline_status.database_path(call)
    if not path.exists():
        return []
    with Database.open(path) as database, database.transaction():
        gone = pushed_config.drop(database, [key] if key else [])
        ledger = database.load_ledger()
        now = Clock(call.config().clock, floor=ledger.latest if ledger else None).now()
        noted = audit.entry(now, "succeeded", type="config.drop", id="local", issuer=f"local:{who()}", role="admin")
        database.audit.add(noted)
    return gone
