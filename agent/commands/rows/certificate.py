"""`device.certificate`: a certificate of the device is renewed in two steps, and switched once the broker took it.

First {"csr": true}: a key is made here, and the request for its certificate is the answer. Then {"chain": PEM}: the
session begins anew with it. Both on the device's own files (agent/mqtt/credentials.py), so that a restart or a cut in
between changes nothing of what comes of it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.commands import results
from agent.commands.agent import Agent
from agent.commands.command import Args, Command, Out, Progress
from agent.errors import ConfigError, Rejected
from agent.mqtt import credentials
from agent.mqtt.certificate_request import new_request

LOOK_S = 0.5


def _folder(agent: Agent) -> Path:
    """Raises Rejected where there is nothing to renew."""
    if not agent.config.operator.cert_file:
        raise Rejected(results.REQUEST_DENIED, "this device has no certificate (operator.cert_file)")
    return Path(agent.config.device.state_dir) / credentials.FOLDER


async def certificate(agent: Agent, args: Args, progress: Progress) -> Out:
    folder = _folder(agent)
    if args["csr"] == bool(args["chain"]):
        raise Rejected(results.INVALID_ARGUMENTS, "one of the two: csr, or the chain that came for it")
    if args["csr"]:
        return {"v": 1, "csr": await asyncio.to_thread(new_request, folder, agent.device)}
    now = agent.clock.now()
    try:
        wall = now.wall if now.trusted else None
        await asyncio.to_thread(credentials.stage, folder, args["chain"], agent.config.operator.cert_file, wall)
    except ConfigError as error:
        raise Rejected(results.INVALID_VALUE, str(error)) from error
    progress(30, "on trial; waiting for the broker")
    return await settle(agent, args, progress)


async def settle(agent: Agent, args: Args, progress: Progress) -> Out:
    """Wait until the session has tried it, in this run of the agent or a later one."""
    if args["csr"]:  # cut off before the answer: nobody knows of that key
        return await certificate(agent, args, progress)
    folder = _folder(agent)
    while True:
        found = await asyncio.to_thread(credentials.verdict, folder, args["chain"])
        if found is not None:
            break
        await asyncio.sleep(LOOK_S)
    taken, reason = found
    if not taken:
        raise Rejected(results.COMMAND_FAILURE, f"the old certificate stays: {reason}")
    return {"v": 1, "result": "confirmed"}


async def take_back(agent: Agent, args: Args, progress: Progress) -> Out:
    """The command was cancelled: so is a trial that is not decided."""
    folder = _folder(agent)
    if args["chain"] and credentials.verdict(folder, args["chain"]) is None:
        await asyncio.to_thread(credentials.give_up, folder, "the command was cancelled")
    taken, reason = credentials.verdict(folder, args["chain"]) or (False, "")
    return {"v": 1, "result": "confirmed" if taken else f"the old certificate stays: {reason}"}


ROWS = (
    Command(
        "device.certificate",
        "renew this device's certificate: a request for a new key, or the chain for it, tried at the broker",
        certificate,
        args={
            "csr": {"type": "boolean", "default": False, "help": "make a key here, answer with the request"},
            "chain": {"type": "string", "maxLength": 20_000, "default": "", "help": "PEM, this device's first"},
        },
        role="admin",
        time_limit_s=900.0,
        resource="config",
        resume=settle,
        undo=take_back,
    ),
)
