"""One way to run a command, whoever asks: role, arguments, resource, time limit, then the row's own function.

The control socket calls `execute`, which notes in the audit trail what acts; the MQTT runner wraps `perform` in its
journal.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

from agent.commands import arguments, results
from agent.commands.agent import Agent
from agent.commands.audit import Trail
from agent.commands.command import ROLES, Args, Command, Out, Progress, Quiet, allows
from agent.commands.table import COMMANDS
from agent.errors import AgentError, Rejected

UNSUPPORTED = 7022  # USP: command failure; used for a command this agent does not have
COMMAND_FAILURE = 7022
PERMISSION_DENIED = 7006
GIVE_AWAY = {"plan.topup": "top-ups", "plan.reconcile": "corrections"}
TIMED_OUT = 7800  # vendor range: the time limit passed


class Locks:
    """One lock a resource: two commands never talk to the modem, or change the plan, at once."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}

    def of(self, resource: str) -> asyncio.Lock:
        return self._locks.setdefault(resource, asyncio.Lock())


_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, Locks] = WeakKeyDictionary()


def locks() -> Locks:
    """The locks of the running loop."""
    return _locks.setdefault(asyncio.get_running_loop(), Locks())


def lookup(name: str) -> Command:
    try:
        return COMMANDS[name]
    except KeyError:
        raise Rejected(UNSUPPORTED, f"unknown command {name[:40]!r}") from None


def permitted(command: Command, role: str) -> None:
    if not allows(role, command.role):
        raise Rejected(PERMISSION_DENIED, f"{command.name} needs the role {command.role}, not {role or 'none'}")


def _allowed_here(agent: Agent, name: str, source: str) -> None:
    """Giving bytes away on the device itself is the operator's to allow (plan.local_topup), even to root."""
    if name in GIVE_AWAY and source.startswith("local:") and not agent.config.plan.local_topup:
        raise Rejected(PERMISSION_DENIED, f"this plan allows no {GIVE_AWAY[name]} on the device; support grants them")


def admit(agent: Agent, name: str, args: Args, *, role: str, source: str) -> None:
    """All that `execute` would refuse before it does anything: for whoever asks a person first. Raises Rejected."""
    command = lookup(name)
    _checked(agent, command, args, role=role, source=source)
    command.needs(agent)


async def execute(
    agent: Agent,
    name: str,
    args: Args,
    *,
    role: str,
    source: str,
    progress: Callable[[int, str], None] = lambda percent, what: None,
) -> Out:
    """Run one command to its end; who asked (`source`) stands in the audit trail and in the event.

    Raises Rejected when it will not or could not be done.
    """
    command = lookup(name)
    ask = functools.partial(_checked, agent, command, args, role=role, source=source)
    if command.role == "read":
        return await perform(agent, command, ask(), Quiet(agent, progress, role))
    trail = Trail(agent, name, source=source, role=role)
    try:
        checked = ask()
    except Rejected as refusal:
        if role in ROLES:  # a stranger's attempts would only wear the flash
            await trail.note(results.REJECTED, refusal.code, refusal.reason)
        raise
    agent.event("command", {"name": name, "source": source, "role": role, "reads": command.reads(checked)})
    await trail.note(results.RUNNING)
    return await _noted(trail, perform(agent, command, checked, Quiet(agent, progress, role)))


def _checked(agent: Agent, command: Command, args: Args, *, role: str, source: str) -> Args:
    """The arguments with their defaults. Raises Rejected."""
    permitted(command, role)
    _allowed_here(agent, command.name, source)
    return arguments.check(command.args, args)


async def _noted(trail: Trail, running: Awaitable[Out]) -> Out:
    """What came of it stands in the trail before anybody is told."""
    try:
        out = await running
    except Rejected as refusal:
        await trail.note(results.failure_state(refusal.code), refusal.code, refusal.reason)
        raise
    except asyncio.CancelledError:  # whoever asked hung up
        await asyncio.shield(trail.note(results.CANCELLED, results.COMMAND_CANCELED, "the connection was closed"))
        raise
    except Exception as error:
        await trail.note(results.FAILED, results.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
        raise
    await trail.note(results.SUCCEEDED)
    return out


async def perform(agent: Agent, command: Command, args: Args, progress: Progress) -> Out:
    """Run a row whose role and arguments have been checked, alone on its resource, within its time."""
    if command.resource is None:
        return await _timed(agent, command, args, progress)
    async with locks().of(command.resource):
        return await _timed(agent, command, args, progress)


async def _timed(agent: Agent, command: Command, args: Args, progress: Progress) -> Out:
    try:
        return await asyncio.wait_for(command.run(agent, args, progress), command.time_limit_s)
    except (asyncio.TimeoutError, TimeoutError):
        raise Rejected(TIMED_OUT, f"{command.name} took longer than {command.time_limit_s:g} s") from None
    except Rejected:
        raise
    except AgentError as error:
        raise Rejected(COMMAND_FAILURE, str(error)) from error
