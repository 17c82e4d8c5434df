"""What became of the last update: the one line that judge.sh leaves, whatever happened. Read at each status."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from agent.update import folders

# The new version runs; it was not installed; it was, and the old one runs again.
INSTALLED, REFUSED, RESTORED = "installed", "refused", "restored"


@dataclass(frozen=True, slots=True)
class Verdict:
    result: str
    version: str  # that was to be installed
    previous: str  # that ran before
    reason: str = ""
    id: str = ""  # of the command

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


def read(state_dir: str) -> Verdict | None:
    """The last one; None before the first update."""
    found = folders.values(folders.kept(state_dir) / "verdict")
    if found.get("result") not in (INSTALLED, REFUSED, RESTORED):
        return None
    return Verdict(
        found["result"], found.get("version", ""), found.get("previous", ""), found.get("reason", ""),
        found.get("id", ""),
    )  # fmt: skip
