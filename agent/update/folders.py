"""Where an update lies on the flash: what the agent asks for, and what judge.sh keeps.

The two folders have two owners. The agent writes the first alone; root writes the second alone, and the agent reads it.
"""

from __future__ import annotations

from pathlib import Path

WELL = "well"  # in run_dir: what the new agent says of itself


def asked(state_dir: str) -> Path:
    """The agent's: the package that was fetched, what belongs to it, and at last the request."""
    return Path(state_dir) / "update"


def kept(state_dir: str) -> Path:
    """Root's: the step that was reached, the old package, the copy of the database, the last verdict."""
    return Path(f"{state_dir}-update")


def on_trial(state_dir: str) -> bool:
    """Whether an update is being installed or judged."""
    return (kept(state_dir) / "step").exists()


def lines(values: dict[str, str]) -> bytes:
    """`name=value` lines, which the shell reads by name and never executes."""
    return "".join(f"{name}={value}\n" for name, value in values.items()).encode()


def values(path: Path) -> dict[str, str]:
    """Those of a file; empty where there is none."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
