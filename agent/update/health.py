"""What a new agent says of itself while judge.sh watches: that it counts, shapes as the plan wants, and is heard.

A task of the daemon that runs only while an update is on trial. The file is in memory and goes with the agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from agent.status import Snapshot
from agent.update import folders

SAY_S = 10.0  # judge.sh takes what is older than 60 s for nothing


def plan_mark(look: Snapshot) -> str:
    """The period and its limit: within one, what was charged never falls."""
    label = look.period.label if look.period else ""
    return f"{label}/{look.usage.limit_bytes if look.usage else ''}"


def fault(look: Snapshot) -> str:
    """What is wrong with this agent, in one line; empty: nothing."""
    if look.store_state != "ok":
        return f"the ledger's disk is {look.store_state}"
    if look.usage is None or look.decision is None:
        return "nothing is counted"
    if "task.counting" in look.faults:
        return "counting has failed"
    if look.decision.slow and (look.shaper is None or look.shaper.state != "enforced"):
        return f"the line is to be slow, and the shaper is {look.shaper.state if look.shaper else 'not there'}"
    if not look.session.proved:
        return f"the broker was not reached: {look.session.last_error or 'no session'}"
    return ""


def words(look: Snapshot) -> dict[str, str]:
    """What judge.sh reads."""
    return {
        "version": look.version,
        "at_s": str(int(look.moment.boot_s)),
        "up_s": str(int(look.moment.boot_s - look.started_boot_s)),
        "plan": plan_mark(look),
        "charged_bytes": str(look.usage.charged_bytes if look.usage else 0),
        "slow": "yes" if look.decision and look.decision.slow else "no",
        "fault": fault(look).replace("\n", " "),
    }


async def tell(look: Callable[[], Snapshot], *, state_dir: str, run_dir: str) -> None:
    """Until the verdict is there. A memory that is full keeps the file away, and the old version comes back."""
    well = Path(run_dir) / folders.WELL
    while folders.on_trial(state_dir):
        with contextlib.suppress(OSError):
            side = well.with_suffix(".new")
            side.write_bytes(folders.lines(words(look())))
            os.replace(side, well)
        await asyncio.sleep(SAY_S)
    well.unlink(missing_ok=True)
