"""Commands about the agent and the device itself."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from agent import redact
from agent.commands import results
from agent.commands.agent import Agent
from agent.commands.command import Args, Command, Out, Progress
from agent.config_start import DATABASE
from agent.errors import Rejected
from agent.store import erasure

CHUNK_BYTES = 24_000  # of a bundle in one answer; base64 makes 32 kB of it
BUNDLE_KEPT_S = 1_800.0


async def rebirth(agent: Agent, args: Args, progress: Progress) -> Out:
    await agent.rebirth()
    return {"v": 1}


async def cancel(agent: Agent, args: Args, progress: Progress) -> Out:
    """End a command that waits or runs; one that is writing its result ends by itself."""
    if not progress.cancel(args["id"]):
        raise Rejected(results.INVALID_VALUE, f"no command {args['id']!r} is under way")
    return {"v": 1, "cancelled": args["id"]}


async def restart(agent: Agent, args: Args, progress: Progress) -> Out:
    await agent.restart()
    return {"v": 1}


async def reboot(agent: Agent, args: Args, progress: Progress) -> Out:
    await agent.reboot(args["reason"])
    return {"v": 1}


async def erase(agent: Agent, args: Args, progress: Progress) -> Out:
    """The next start erases, and answers; this one ends now."""
    contract_runs = args["contract"] == "runs"
    entry = await agent.store.run(lambda db: db.journal.get(progress.id)) if progress.id else None
    if contract_runs:
        await agent.refresh()
    database = Path(agent.config.device.state_dir) / DATABASE
    await asyncio.to_thread(erasure.ask, database, entry, agent.keeper.ledger if contract_runs else None)
    await agent.restart()
    return {"v": 1, "erased": "at the next start, which is now"}


async def log(agent: Agent, args: Args, progress: Progress) -> Out:
    """Recent events, or the audit trail with the number of the first entry that does not fit its chain."""
    count = args["count"]
    if not args["audit"]:
        return {"v": 1, "events": await agent.store.run(lambda db: db.events.recent(count))}
    entries, broken = await agent.store.run(lambda db: (db.audit.entries(count), db.audit.broken()))
    return {"v": 1, "audit": entries, "broken": broken}


@dataclass
class Bundle:
    """The last bundle made, kept in memory while it is fetched."""

    name: str = ""
    data: bytes = b""
    made_boot_s: float = 0.0


_bundle = Bundle()


async def bundle(agent: Agent, args: Args, progress: Progress) -> Out:
    """One chunk of a bundle; without a name a new one is made and its first chunk given."""
    global _bundle
    now_s = agent.clock.now().boot_s
    if not args["bundle"]:
        _bundle = Bundle(secrets.token_hex(4), await _make(agent, progress), now_s)
    elif args["bundle"] != _bundle.name or now_s - _bundle.made_boot_s > BUNDLE_KEPT_S:
        raise Rejected(results.INVALID_VALUE, f"no bundle {args['bundle']!r} (any more); ask for a new one")
    chunks = max(1, -(-len(_bundle.data) // CHUNK_BYTES))
    if args["chunk"] >= chunks:
        raise Rejected(results.INVALID_VALUE, f"bundle {_bundle.name} has chunks 0 to {chunks - 1}")
    part = _bundle.data[args["chunk"] * CHUNK_BYTES : (args["chunk"] + 1) * CHUNK_BYTES]
    return {
        "v": 1,
        "bundle": _bundle.name,
        "chunk": args["chunk"],
        "chunks": chunks,
        "bytes": len(_bundle.data),
        "sha256": hashlib.sha256(_bundle.data).hexdigest(),
        "data": base64.b64encode(part).decode(),
    }


async def _make(agent: Agent, progress: Progress) -> bytes:
    """The same bundle as `modem-agent bundle` writes, made off the loop."""
    from agent.doctor.bundle import make
    from agent.doctor.bundle_files import collectors

    database = Path(agent.config.device.state_dir) / "agent.db"
    status, rule = agent.snapshot().to_dict(), agent.config.operator.location
    told = not progress.id or redact.shows_location(status, rule)
    files = collectors(agent.config, database, status if told else redact.located(status, "never"), None, location=told)
    progress(10, "collecting")
    data, _ = await asyncio.to_thread(make, files, lambda percent, what: None)
    return bytes(data)


ROWS = (
    Command("agent.rebirth", "publish status, twins and measurements anew", rebirth),
    Command(
        "agent.cancel",
        "end a command that waits or runs",
        cancel,
        args={"id": {"type": "string", "minLength": 1, "maxLength": 64, "required": True}},
    ),
    Command(
        "agent.restart",
        "end the agent in order; the service manager starts it again; shaping stays in place",
        restart,
        role="act",
        survives="process",
        resource="device",
    ),
    Command(
        "device.reboot",
        "reboot the device",
        reboot,
        args={"reason": {"type": "string", "maxLength": 200, "default": "asked for by the operator"}},
        role="act",
        repeatable=False,
        survives="boot",
        resource="device",
    ),
    Command(
        "device.erase",
        "everything of the household off the device, at the end of a contract",
        erase,
        args={
            "contract": {
                "type": "string",
                "enum": ["ended", "runs"],
                "default": "ended",
                "help": "runs: what was used of the period under way is kept",
            }
        },
        role="admin",
        survives="process",
        resource="device",
    ),
    Command(
        "log.get",
        "recent events, or the audit trail of commands",
        log,
        args={
            "count": {"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
            "audit": {"type": "boolean", "default": False},
        },
    ),
    Command(
        "bundle.get",
        "all that a ticket needs, identifiers masked, in chunks of 24 kB",
        bundle,
        args={
            "bundle": {"type": "string", "maxLength": 16, "default": "", "help": "name of a bundle; empty makes one"},
            "chunk": {"type": "integer", "minimum": 0, "maximum": 10_000, "default": 0},
        },
        time_limit_s=120.0,
        resource="bundle",
    ),
)
