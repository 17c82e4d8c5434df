"""`config.get`, `config.set`, `config.rollback`, `config.drop`: see pushed_config.py and config_trial.py."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from agent import config as configuration
from agent.commands import config_trial, limits, pushed_config, reach, results
from agent.commands.agent import Agent
from agent.commands.command import Args, Command, Out, Progress
from agent.errors import ConfigError, Rejected, StoreError

log = logging.getLogger(__name__)
T = TypeVar("T")

STORE_RETRY_S = 2.0  # after a disk that refused
# Changed on the device alone: who may command it (and so every name by which the operator finds it), what it runs or
# writes to as root, files that hold its secrets, and whether people of one home see what the others use.
LOCAL_SECTIONS = ("commands.", "device.")
LOCAL_KEYS = frozenset(
    {
        "household.devices",
        "household.led",
        "modem.port",
        "modem.power_cycle",
        "modem.power_gpio",
        "operator.client_id",
        "operator.root",
        "operator.username",
    }
)


async def get(agent: Agent, args: Args, progress: Progress) -> Out:
    overlay = await agent.store.run(pushed_config.overlay)
    on_trial = await agent.store.run(pushed_config.trial)
    shown = configuration.to_dict(agent.config)
    if args.get("section"):
        if args["section"] not in shown:
            raise Rejected(results.INVALID_VALUE, f"no section {args['section']!r}; there are {', '.join(shown)}")
        shown = {args["section"]: shown[args["section"]]}
    pushed = pushed_config.shown(overlay)
    return {"v": 1, "config": shown, "pushed": pushed, "trial": on_trial is not None}


def _reaches_no_home(agent: Agent, changes: Mapping[str, object]) -> None:
    """What the device asks to see whether the line is there is on the internet, as with a diagnosis. A name could come
    to mean anything later. Raises Rejected."""
    for key in ("probe.hosts", "probe.name_servers"):
        value = changes.get(key)
        for text in value if isinstance(value, list) else ():
            host = str(text).rpartition(":")[0].strip("[]") if key == "probe.hosts" else str(text)
            if found := reach.refused(agent, host):
                raise Rejected(results.PERMISSION_DENIED, f"{key}: {found}")


async def set_keys(agent: Agent, args: Args, progress: Progress) -> Out:
    """Validate, stage, apply, and wait for the broker."""
    for key in args["changes"]:
        if key in LOCAL_KEYS or key.startswith(LOCAL_SECTIONS) or key.endswith("_file"):
            raise Rejected(results.PERMISSION_DENIED, f"{key} can be changed on the device only")
    _reaches_no_home(agent, args["changes"])
    number = args["changes"].get("household.sms_to")
    if number and (problem := limits.number_problem(str(number), agent.config.commands.sms_allow)):
        raise Rejected(results.PERMISSION_DENIED, f"household.sms_to: {problem}")
    whole = await pushed_config.checked(agent, args["changes"])
    now = agent.clock.now()
    id = progress.id or f"local-{secrets.token_hex(4)}"
    made = pushed_config.Trial(id, whole, now.boot_id, now.boot_s, float(args["confirm_s"]))
    await agent.store.run(partial(pushed_config.begin, made=made))
    agent.trial_begun()
    progress(30, "applied; waiting for the broker")
    await agent.restart()
    return await _verdict(agent, id)


async def settle(agent: Agent, args: Args, progress: Progress) -> Out:
    """The trial of a command that an earlier run of the agent began."""
    agent.trial_begun()
    return await _verdict(agent, progress.id)


async def _verdict(agent: Agent, id: str) -> Out:
    """Wait until the trial is decided, which the daemon does."""
    while True:
        made = await _insist(agent.store.run, pushed_config.trial)
        if made is None or made.id != id:
            break
        await asyncio.sleep(config_trial.LOOK_S)
    result, reason = await _insist(_result, agent, id)
    if result == pushed_config.CONFIRMED:
        return {"v": 1, "result": result}
    raise Rejected(results.COMMAND_FAILURE, f"rolled back: {reason or 'by another command'}")


async def _insist(attempt: Callable[..., Awaitable[T]], *arguments: object) -> T:
    """Until the disk answers: the daemon goes on deciding the trial."""
    while True:
        try:
            return await attempt(*arguments)
        except StoreError as error:
            log.warning("a configuration is on trial: %s", error)
            await asyncio.sleep(STORE_RETRY_S)


async def _result(agent: Agent, id: str) -> tuple[str, str]:
    """What became of this trial, if it was the last one."""
    found = await pushed_config.last(agent)
    return (found["result"], found["reason"]) if found.get("id") == id else ("", "")


async def take_back(agent: Agent, args: Args, progress: Progress) -> Out:
    """The command was cancelled: its trial ends with it, unless it is decided."""
    await config_trial.roll_back(agent, progress.id, "the command was cancelled")
    result, _ = await _result(agent, progress.id)
    return {"v": 1, "result": result or "nothing was changed"}


async def drop(agent: Agent, args: Args, progress: Progress) -> Out:
    """At once and without a trial, since what was pushed may be why the broker is not reached."""
    if progress.id:
        raise Rejected(results.PERMISSION_DENIED, "pushed keys are dropped on the device only; here: config.rollback")
    keys = [args["key"]] if args["key"] else []
    gone = await agent.store.run(partial(pushed_config.drop, keys=keys))
    await agent.restart()
    return {"v": 1, "dropped": gone}


async def rollback(agent: Agent, args: Args, progress: Progress) -> Out:
    """End a trial now, or go back to the configuration before the present one."""
    on_trial = await agent.store.run(pushed_config.trial)
    if on_trial is not None:
        await config_trial.roll_back(agent, on_trial.id, "rolled back by command")
        return {"v": 1, "ended": on_trial.id}
    earlier = await pushed_config.before(agent)
    present = await agent.store.run(pushed_config.overlay)
    try:
        await pushed_config.keep(agent, {**dict.fromkeys(present), **earlier})
    except ConfigError as error:
        raise Rejected(results.INVALID_VALUE, str(error)) from error
    await agent.restart()
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
        undo=take_back,
    ),
    Command("config.rollback", "back to the configuration before", rollback, role="admin"),
    Command(
        "config.drop",
        "on the device: forget pushed keys, so that the file's count again",
        drop,
        args={"key": {"type": "string", "maxLength": 80, "default": "", "help": "section.key; empty: all"}},
        role="admin",
    ),
)
