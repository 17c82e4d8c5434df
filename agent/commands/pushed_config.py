"""Configuration that the operator pushes: an overlay of single keys over the file, tried before it is trusted.

The file stays the truth of the device (on OpenWrt UCI renders it anew at every start); the overlay lives in the store,
so that a changed one survives that. A trial must reach the broker within its limit, else the last good overlay comes
back, also when the device was rebooted in between. The daemon calls `effective` once, before anything is made of it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agent import config as configuration
from agent.commands import results
from agent.commands.agent import Agent
from agent.config import Config
from agent.config_rules import SECRETS
from agent.errors import ConfigError, Rejected

if TYPE_CHECKING:
    from agent.mqtt.session_state import SessionState
    from agent.store.database import Database

GOOD, BEFORE, TRIAL, LAST = "config.good", "config.before", "config.trial", "config.last"
CONFIRMED, ROLLED_BACK = "confirmed", "rolled back"
STARTS = 3  # of the agent during one trial: a configuration that makes it crash is given up


@dataclass(frozen=True, slots=True)
class Trial:
    """A configuration on probation. The limit counts from `began_s` of boot `boot`, or from 0 of a later boot."""

    id: str
    changes: Mapping[str, object]
    boot: str
    began_s: float
    limit_s: float
    starts: int = 0

    @property
    def timeout(self) -> str:
        return f"the broker was not reached within {self.limit_s:g} s"

    def timed_out(self, boot: str, boot_s: float) -> bool:
        return boot_s - (self.began_s if boot == self.boot else 0.0) >= self.limit_s

    def reached(self, session: SessionState) -> bool:
        """Whether the device can be reached in a session that is younger than the trial."""
        return session.proved and session.since_boot_s is not None and session.since_boot_s > self.began_s


# -- on the store's thread -----------------------------------------------------------------------------------------


def _load(db: Database, key: str) -> dict[str, Any]:
    found = json.loads(db.meta.get(key) or "{}")
    return found if isinstance(found, dict) else {}


def trial(db: Database) -> Trial | None:
    found = _load(db, TRIAL)
    return Trial(**found) if found else None


def _set_trial(db: Database, made: Trial | None) -> None:
    fields = {name: getattr(made, name) for name in Trial.__dataclass_fields__} if made else {}
    db.meta.set(TRIAL, json.dumps(fields))


def begin(db: Database, made: Trial) -> None:
    """Raises Rejected while there is another."""
    _none_on_trial(db)
    _set_trial(db, made)


def _none_on_trial(db: Database) -> None:
    if trial(db) is not None:
        raise Rejected(results.REQUEST_DENIED, "another configuration is on trial")


def confirm(db: Database, id: str) -> None:
    """The trial reached the broker: it is the good one now; the one before is kept for `config.rollback`."""
    made = trial(db)
    if made is not None and made.id == id:
        db.meta.set(BEFORE, json.dumps(_load(db, GOOD)))
        db.meta.set(GOOD, json.dumps(made.changes))
        _end(db, made, CONFIRMED, "")


def give_up(db: Database, reason: str, id: str = "") -> bool:
    """The trial failed, the one of this id if there is one: the good one counts again. False if it is none."""
    made = trial(db)
    if made is None or id not in ("", made.id):
        return False
    _end(db, made, ROLLED_BACK, reason)
    return True


def drop(db: Database, keys: Collection[str]) -> list[str]:
    """Forget pushed keys, or all of them: also those on trial, and what `config.rollback` would bring back.

    The keys that were there. Raises Rejected for one that was not.
    """
    pushed = {**_load(db, GOOD), **overlay(db)}
    if unknown := sorted(set(keys) - set(pushed)):
        raise Rejected(results.INVALID_VALUE, f"{unknown[0]} is not pushed; pushed: {', '.join(pushed) or 'nothing'}")
    give_up(db, "dropped on the device")
    for name in (GOOD, BEFORE):
        left = {key: value for key, value in _load(db, name).items() if keys and key not in keys}
        db.meta.set(name, json.dumps(left))
    return sorted(keys or pushed)


def _end(db: Database, made: Trial, result: str, reason: str) -> None:
    _set_trial(db, None)
    db.meta.set(LAST, json.dumps({"id": made.id, "result": result, "reason": reason}))


def overlay(db: Database) -> dict[str, object]:
    """The keys that count now: those on trial, else the good ones."""
    made = trial(db)
    return dict(made.changes) if made is not None else _load(db, GOOD)


def start(db: Database, boot: str, boot_s: float) -> dict[str, object]:
    """The overlay at a start of the agent; a trial out of time or out of starts is given up here."""
    made = trial(db)
    if made is not None:
        if made.timed_out(boot, boot_s):
            give_up(db, made.timeout)
        elif made.starts >= STARTS:
            give_up(db, f"the agent started {made.starts} times without reaching the broker")
        else:
            later = made if made.boot == boot else Trial(made.id, made.changes, boot, 0.0, made.limit_s, made.starts)
            _set_trial(db, Trial(later.id, later.changes, boot, later.began_s, later.limit_s, later.starts + 1))
    return overlay(db)


# -- merging -------------------------------------------------------------------------------------------------------


def merged(config: Config, changes: Mapping[str, object]) -> Config:
    """The file's configuration with single keys replaced (`section.key`). Raises ConfigError like the file would."""
    return configuration.with_keys(config, changes, "pushed configuration") if changes else config


def effective(config: Config, db: Database, boot: str, boot_s: float) -> Config:
    """What the agent runs with; what of an overlay no longer fits the file is left out, never fatal."""
    try:
        return merged(config, start(db, boot, boot_s))
    except ConfigError as error:
        give_up(db, str(error))
        return _as_far_as_right(config, _load(db, GOOD))


def _as_far_as_right(config: Config, changes: Mapping[str, object]) -> Config:
    """Key by key: one that is refused, by a newer agent or beside another file, takes none of the others with it."""
    kept: dict[str, object] = {}
    found, problem = config, config.problem
    for name, value in changes.items():
        try:
            found = merged(config, {**kept, name: value})
            kept[name] = value
        except ConfigError as error:
            problem = problem or str(error)
    return replace(found, problem=problem)


def shown(overlay: Mapping[str, object]) -> dict[str, object]:
    """Pushed keys with their values, secrets masked."""
    return {key: "***" if key in SECRETS else value for key, value in overlay.items()}


# -- on the loop ---------------------------------------------------------------------------------------------------


async def checked(agent: Agent, changes: Mapping[str, object]) -> dict[str, object]:
    """The whole overlay with more keys changed. Raises Rejected that says what of it is wrong."""
    whole = {**await agent.store.run(overlay), **changes}
    whole = {key: value for key, value in whole.items() if value is not None}  # null takes a key back
    try:
        file = configuration.load(agent.config.file) if agent.config.file else agent.config
        merged(file, whole)
    except ConfigError as error:
        raise Rejected(results.INVALID_VALUE, str(error)) from error
    return whole


async def keep(agent: Agent, changes: Mapping[str, object]) -> None:
    """Change keys for good, without a trial. Raises Rejected, also while a trial would become good with them."""
    whole = await checked(agent, changes)

    def save(db: Database) -> None:
        _none_on_trial(db)
        db.meta.set(BEFORE, json.dumps(_load(db, GOOD)))
        db.meta.set(GOOD, json.dumps(whole))

    await agent.store.run(save)


async def before(agent: Agent) -> dict[str, object]:
    """The overlay that was good before the present one."""
    return await agent.store.run(lambda db: _load(db, BEFORE))


async def last(agent: Agent) -> dict[str, str]:
    """What became of the last trial: id, result, reason."""
    return await agent.store.run(lambda db: _load(db, LAST))
