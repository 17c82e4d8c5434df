"""One update as the agent sees it: checked, fetched, handed over to judge.sh, and its verdict awaited.

The agent may not install anything. It leaves the package and a request in its own folder; root's unit takes both from
there, checks them anew, and decides (README.md has the steps).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import agent as package
from agent.commands import results
from agent.commands.agent import Agent
from agent.errors import AgentError, Rejected
from agent.update import folders, health, package_manager, verdict
from agent.update.fetch import PART, Order
from agent.update.package_manager import PackageManager

if TYPE_CHECKING:
    from agent.commands.command import Progress
    from agent.plan import Rates

ROOM = 3  # times the package: the part, root's copy of it, and the old version kept
SHARE = 4  # of a line that is shaped, the download takes so small a part: a quarter
LOOK_S = 5.0
COPY = "agent.db"


@dataclass(frozen=True, slots=True)
class Wish:
    """The command's arguments, each of which its schema has checked."""

    version: str
    url: str
    sha256: str
    size: int
    downgrade: bool
    even_when_slow: bool
    rate_bps: int

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


def admissible(agent: Agent, wish: Wish, manager: PackageManager) -> None:
    """Raises Rejected for what need not even be fetched."""
    state_dir, look = agent.config.device.state_dir, agent.snapshot()
    if not os.path.lexists(manager.unit):
        raise Rejected(results.REQUEST_DENIED, f"nothing here would install it: {manager.unit} is not there")
    if folders.on_trial(state_dir):
        raise Rejected(results.RESOURCES_EXCEEDED, "another update is being installed or judged")
    if wish.version == look.version:
        raise Rejected(results.INVALID_VALUE, f"{wish.version} runs already")
    if not wish.downgrade and not package_manager.is_newer(manager, wish.version, look.version):
        raise Rejected(results.INVALID_VALUE, f"{wish.version} is not above {look.version}; say downgrade to go back")
    if look.decision is not None and look.decision.slow and not wish.even_when_slow:
        raise Rejected(results.REQUEST_DENIED, "the line is slow now; say even_when_slow to fetch it all the same")
    disk = os.statvfs(state_dir)
    free = disk.f_bavail * disk.f_frsize
    if free < ROOM * wish.size:
        raise Rejected(results.RESOURCES_EXCEEDED, f"{free} bytes free in {state_dir}; {ROOM * wish.size} are needed")


def rate_bps(wish: Wish, rates: Rates) -> int:
    """How fast it is fetched: as the command says, and never more than its part of a line that is shaped."""
    return wish.rate_bps if rates.down_bps is None else min(wish.rate_bps, rates.down_bps // SHARE)


async def fetched(agent: Agent, wish: Wish, manager: PackageManager, progress: Progress) -> None:
    """The package in the agent's folder, its bytes booked as the operator's. Raises AgentError."""
    folder = folders.asked(agent.config.device.state_dir)
    folder.mkdir(mode=0o700, exist_ok=True)
    for old in folder.iterdir():  # what belongs to another package
        if old.name not in (wish.file, wish.file + PART):
            old.unlink()
    order = Order(
        wish.url, str(folder), wish.size, wish.sha256, rate_bps(wish, agent.snapshot().decision.rates),
        tuple(name.format(wish.file) for name in manager.beside), agent.config.operator.ca_file,
    )  # fmt: skip
    if (folder / wish.file).exists():  # fetched by an earlier run, which a power cut ended: its sum is looked at anew
        (folder / wish.file).rename(folder / (wish.file + PART))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent.update.fetch", json.dumps(asdict(order)),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(package.__path__[0]).parent)},
    )  # fmt: skip
    problem: asyncio.Task[str] = asyncio.ensure_future(_last_line(process.stderr))
    try:
        assert process.stdout is not None
        await _book(agent, process.stdout, wish.size, progress)
        if await process.wait():
            raise AgentError(f"not fetched: {await problem}")
    finally:
        problem.cancel()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _last_line(stream: asyncio.StreamReader | None) -> str:
    last = b""
    while stream is not None and (line := await stream.readline()):
        last = line
    return last.decode(errors="replace").strip()


async def _book(agent: Agent, stream: asyncio.StreamReader, size: int, progress: Progress) -> None:
    received = sent = 0
    while line := await stream.readline():
        now_received, now_sent, have = (int(word) for word in line.split())
        agent.charge(now_received - received, now_sent - sent)
        received, sent = now_received, now_sent
        progress(min(60, 60 * have // size), "fetching")


async def hand_over(agent: Agent, wish: Wish, manager: PackageManager, id: str) -> None:
    """The request, last of all: from now on root decides. Raises AgentError, StoreError."""
    state_dir, look = agent.config.device.state_dir, agent.snapshot()
    folder = folders.asked(state_dir)
    # In case that the new version changes the schema and must go.
    await agent.store.run(lambda database: database.copy_to(folder / COPY))
    request = {
        "id": id,
        "version": wish.version,
        "previous": look.version,
        "file": wish.file,
        "sha256": wish.sha256,
        "plan": health.plan_mark(look),
        "charged_bytes": str(look.usage.charged_bytes if look.usage else 0),
        "slow": "yes" if look.decision and look.decision.slow else "no",
    }
    await asyncio.to_thread(_write, folder / "request", folders.lines(request))
    if manager.start:
        process = await asyncio.create_subprocess_exec(*manager.start)
        if await process.wait():
            raise AgentError(f"{' '.join(manager.start)}: status {process.returncode}")


def _write(path: Path, data: bytes) -> None:
    """On the flash when this returns, whole or not at all, and after all else in the folder."""
    os.sync()
    side = path.with_suffix(".new")
    with side.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    side.replace(path)
    os.sync()


def handed_over(state_dir: str, id: str) -> bool:
    """Whether root has, or will have, this command's request."""
    return folders.values(folders.asked(state_dir) / "request").get("id") == id


async def decided(state_dir: str, id: str) -> dict[str, Any]:
    """Wait for the verdict; it is the command's answer. Raises Rejected."""
    while True:
        found = verdict.read(state_dir)
        if found is not None and found.id == id and not folders.on_trial(state_dir):
            break
        await asyncio.sleep(LOOK_S)
    if found.result == verdict.INSTALLED:
        return {"v": 1, **found.to_dict()}
    raise Rejected(results.COMMAND_FAILURE, f"{found.result}: {found.reason}; {found.previous} runs")


def take_back(state_dir: str, id: str) -> str:
    """The command was cancelled: what of it can still be undone."""
    if folders.on_trial(state_dir) or not handed_over(state_dir, id):
        return "it goes on: it was handed over" if folders.on_trial(state_dir) else "nothing was installed"
    (folders.asked(state_dir) / "request").unlink(missing_ok=True)
    return "nothing was installed"
