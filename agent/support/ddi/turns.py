"""What each device was asked for, until its end is reported to the server: the bridge's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.support import state_file
from agent.support.ddi.server import Feedback

# A command's state as the API's execution and result. `canceled` answers the server's own wish to cancel; reported of
# anything else it closes no action: gooseBit 0.2.12 logs "unhandled execution state" and waits on.
FEEDBACK = {
    "accepted": ("proceeding", "none"),
    "running": ("proceeding", "none"),
    "succeeded": ("closed", "success"),
    "failed": ("closed", "failure"),
    "rejected": ("closed", "failure"),
    "expired": ("closed", "failure"),
    "timed-out": ("closed", "failure"),
    "cancelled": ("closed", "failure"),
}


@dataclass(slots=True)
class Turn:
    """One action of the server's for one device, and the command that carries it out."""

    action: str
    link: str
    id: str  # the command's
    version: str
    args: dict[str, object]
    asked_s: float
    state: str = "accepted"
    reason: str = ""
    percent: int | None = None

    @property
    def feedback(self) -> Feedback:
        execution, finished = FEEDBACK[self.state]
        return Feedback(execution, finished, f"{self.state}: {self.reason}".rstrip(": "), self.percent)

    @property
    def final(self) -> bool:
        return FEEDBACK[self.state][0] == "closed"


def load(path: Path) -> dict[str, Turn]:
    """By device. Raises ConfigError."""
    return state_file.load(path, "a bridge's file", _turns) or {}


def _turns(found: dict[str, Any]) -> dict[str, Turn]:
    return {str(device): Turn(**turn) for device, turn in found["turns"].items()}


def save(path: Path, turns: Mapping[str, Turn]) -> None:
    state_file.save(path, {"turns": {device: asdict(turn) for device, turn in turns.items()}})
