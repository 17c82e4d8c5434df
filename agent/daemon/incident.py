"""When a trouble of the line began and when it ended: one event for each, across restarts of the agent. Pure.

An incident lasts from the first cause to the next look without any: a recovery step changes the cause on its way (no
attach, no coverage, no address), and that is no trouble of its own. Each cause is told once, when it is first seen; the
end names them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone

from agent.plan import Moment

EVENT = "trouble"


@dataclass(frozen=True, slots=True)
class Incident:
    """One that goes on. `wall` is empty where the clock could not be trusted."""

    causes: tuple[str, ...]
    boot_id: str
    boot_s: float
    wall: str

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, object]) -> Incident | None:
        """What was stored; None where it cannot be read, the beginning is then told again."""
        try:
            listed, boot_s = stored["causes"], float(str(stored["boot_s"]))
            causes = tuple(map(str, listed)) if isinstance(listed, (list, tuple)) else ()
            found = cls(causes, str(stored["boot_id"]), boot_s, str(stored["wall"]))
            if found.wall:
                datetime.fromisoformat(found.wall)
        except (KeyError, TypeError, ValueError):
            return None
        return found if causes else None


def follow(
    incident: Incident | None, cause: str, moment: Moment, *, silent_s: float = 0.0
) -> tuple[Incident | None, dict[str, object] | None]:
    """One look: the incident after it, and what is to be told of its beginning or end. `silent_s`: for how long the
    line had been silent when it got its name."""
    if incident is None:
        if cause == "none":
            return None, None
        wall = (moment.wall - timedelta(seconds=silent_s)).isoformat() if moment.trusted else ""
        fresh = Incident((cause,), moment.boot_id, moment.boot_s - silent_s, wall)
        return fresh, {"state": "began", "cause": cause}
    if cause != "none":
        if cause in incident.causes:
            return incident, None
        return replace(incident, causes=(*incident.causes, cause)), {"state": "changed", "cause": cause}
    since = _since(incident, moment)
    seconds = None if since is None else max(0, round((moment.wall - since).total_seconds()))
    began = since.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") if since else None
    told = {"cause": incident.causes[0], "causes": list(incident.causes), "since": began, "seconds": seconds}
    return None, {"state": "ended", **told}


def _since(incident: Incident, moment: Moment) -> datetime | None:
    """When it began by today's clock; None after a reboot on clocks that could not be trusted."""
    if incident.boot_id == moment.boot_id:
        return moment.wall - timedelta(seconds=moment.boot_s - incident.boot_s)
    return datetime.fromisoformat(incident.wall) if incident.wall and moment.trusted else None
