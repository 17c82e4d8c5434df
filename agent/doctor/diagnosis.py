"""The doctor: a chain of links from the serial port to the broker, each judged from the evidence. Pure.

CHECKS is the chain in the order in which one link hangs on another; the root cause is the first that is broken, since
all behind it breaks with it. The causes bear the names of the recovery ladder (agent/modem), so that what the agent
does by itself and what a technician is told are one thing. Called by `modem-agent doctor` and by the bundle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from agent.doctor.device_checks import (
    check_agent,
    check_announced,
    check_clock,
    check_config,
    check_counters,
    check_disk,
    check_page,
    check_shaper,
)
from agent.doctor.evidence import Evidence
from agent.doctor.finding import FAULT, LEVELS, OK, UNKNOWN, WARNING, Finding, unknown
from agent.doctor.line_checks import (
    check_address,
    check_broker,
    check_internet,
    check_name_server,
    check_route,
    check_speed,
)
from agent.doctor.radio_checks import check_attach, check_modem, check_port, check_registration, check_signal, check_sim
from agent.sentence import said

Judge = Callable[[Evidence], Finding]

# The order is the one in which things depend on each other. What stands last breaks nothing before it.
CHECKS: tuple[tuple[str, Judge], ...] = (
    ("configuration", check_config),
    ("port", check_port),
    ("modem", check_modem),
    ("SIM", check_sim),
    ("registration", check_registration),
    ("signal", check_signal),
    ("attach", check_attach),
    ("address", check_address),
    ("route", check_route),
    ("name server", check_name_server),
    ("internet", check_internet),
    ("broker", check_broker),
    ("speed", check_speed),
    ("agent", check_agent),
    ("clock", check_clock),
    ("counters", check_counters),
    ("shaper", check_shaper),
    ("devices", check_announced),
    ("disk", check_disk),
    ("page", check_page),
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One finding a link, and the one that explains the rest."""

    findings: tuple[tuple[str, Finding], ...]
    root: tuple[str, Finding] | None  # None: nothing is wrong

    @property
    def worst(self) -> str:
        return max((f.level for _, f in self.findings), key=LEVELS.index, default=OK)

    @property
    def cause(self) -> str:
        return self.root[1].cause if self.root else "none"

    def to_dict(self) -> dict[str, object]:
        root = None if self.root is None else {"link": self.root[0], **asdict(self.root[1])}
        return {
            "v": 1,
            "worst": self.worst,
            "cause": self.cause,
            "root": root,
            "links": [{"link": link, **asdict(finding)} for link, finding in self.findings],
        }


def diagnose(evidence: Evidence) -> Diagnosis:
    """Judge every link, then name the one root cause: the first fault of the chain, else its first warning."""
    findings = tuple((name, _judged(judge, evidence)) for name, judge in CHECKS)
    for level in (FAULT, WARNING):
        roots = [(name, finding) for name, finding in findings if finding.level == level]
        if roots:
            return Diagnosis(findings, min(roots, key=lambda root: root[1].rank))
    return Diagnosis(findings, None)


def _judged(judge: Judge, evidence: Evidence) -> Finding:
    """An agent of another version may tell what this judge cannot read; the other links are judged all the same."""
    try:
        return judge(evidence)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return unknown(
            said("the agent's answer about it cannot be read ({error})", error=f"{type(error).__name__}: {error}")
        )


__all__ = ["CHECKS", "FAULT", "OK", "UNKNOWN", "WARNING", "Diagnosis", "Evidence", "Finding", "diagnose"]
