"""`config.get`, `config.set`, `config.rollback`: see pushed_config.py for how a pushed configuration is tried."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from agent import config as configuration
from agent.commands import pushed_config, results
from agent.commands.agent import Agent
from agent.commands.command import Command, Progress
from agent.errors import ConfigError, Rejected

LOOK_S = 0.5  # how often a trial looks whether the broker was reached
# Changed on the device alone: who may command it (and so every name by which the operator finds it), what it runs or
# writes to as root, and files that hold its secrets.
LOCAL_SECTIONS = ("commands.", "device.")
LOCAL_KEYS = frozenset(
    {
        "household.led",
        "modem.port",
        "modem.power_cycle",
        "modem.power_gpio",
        "operator.client_id",
        "operator.root",
        "operator.username",
    }
)


async def get(agent: Agent, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    overlay = await agent.store.run(pushed_config.overlay)
    on_trial = await agent.store.run(pushed_config.trial)
    shown = configuration.to_dict(agent.config)
    if args.get("section"):
        if args["section"] not in shown:
            raise Rejected(results.INVALID_VALUE, f"no section {args['section']!r}; there are {', '.join(shown)}")
        shown = {args["section"]: shown[args["section"]]}
    pushed = {key: "***" if key in configuration.SECRETS else value for key, value in overlay.items()}
    return {"v": 1, "config": shown, "pushed": pushed, "trial": on_trial is not None}


async def set_keys(agent: Agent, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Validate, stage, apply, and wait for the broker."""
    for key in args["changes"]:
        if key in LOCAL_KEYS or key.startswith(LOCAL_SECTIONS) or key.endswith("_file"):
            raise Rejected(results.PERMISSION_DENIED, f"{key} can be changed on the device only")
    config, whole = await pushed_config.checked(agent, args["changes"])
    if await agent.store.run(pushed_config.trial) is not None:
        raise Rejected(results.REQUEST_DENIED, "another configuration is on trial")
    now = agent.clock.now()
    made = pushed_config.Trial(progress.id or "local", whole, now.boot_id, now.boot_s, float(args["confirm_s"]))
    await agent.store.run(lambda db: pushed_config.begin(db, made))
    progress(30, "applied; waiting for the broker")
    await agent.adopt(config)
    return await settle(agent, args, progress)


async def settle(agent: Agent, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Wait until the trial is decided; also called by the run of the agent that finds one under way."""
    while True:
        made = await agent.store.run(pushed_config.trial)
        if made is None or made.id != (progress.id or "local"):
            return await _verdict(agent, progress)
        now = agent.clock.now()
        session = agent.snapshot().session
        if session.connected and (session.since_boot_s or 0.0) > made.began_s:
            await agent.store.run(pushed_config.confirm)
        elif made.left_s(now.boot_id, now.boot_s) <= 0:
            limit = f"the broker was not reached within {made.limit_s:g} s"
            await agent.store.run(partial(pushed_config.give_up, reason=limit))
            await _go_back(agent)
        else:
            await asyncio.sleep(LOOK_S)


async def _verdict(agent: Agent, progress: Progress) -> dict[str, Any]:
    found = await pushed_config.last(agent)
    if found.get("id") == (progress.id or "local") and found["result"] == "confirmed":
        return {"v": 1, "result": "confirmed"}
    raise Rejected(results.COMMAND_FAILURE, f"rolled back: {found.get('reason') or 'by another command'}")


async def _go_back(agent: Agent) -> None:
    config, _ = await pushed_config.checked(agent, {})
    await agent.adopt(config)


async def rollback(agent: Agent, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """End a trial now, or go back to the configuration before the present one."""
    on_trial = await agent.store.run(pushed_config.trial)
    if on_trial is not None:
        await agent.store.run(lambda db: pushed_config.give_up(db, "rolled back by command"))
        await _go_back(agent)
        return {"v": 1, "ended": on_trial.id}
    earlier = await pushed_config.before(agent)
    present = await agent.store.run(pushed_config.overlay)
    try:
        config = await pushed_config.keep(agent, {**dict.fromkeys(present), **earlier})
    except ConfigError as error:
        raise Rejected(results.INVALID_VALUE, str(error)) from error
    await agent.adopt(config)
    return {"v": 1, "pushed": sorted(earlier)}


ROWS = (
    Command(
        "config.get",
        "the configuration in force, secrets masked",
        get,
        args={"section": {"type": "string", "maxLength": 40}},
    ),
    Command(
        "config.set",
        "change keys of the configuration; they must reach the broker in time or are rolled back",
        set_keys,
        args={
            "changes": {"type": "object", "required": True, "help": "section.key: value; null takes a key back"},
            "confirm_s": {"type": "integer", "minimum": 10, "maximum": 800, "default": 300},
        },
        role="admin",
        time_limit_s=900.0,
        resource="config",
        resume=settle,
    ),
    Command("config.rollback", "back to the configuration before", rollback, role="admin"),
)
