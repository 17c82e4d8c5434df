"""The kernel's side: link counters and events, and the shaper. The only room that knows pyroute2."""

from agent.traffic.kernel import Kernel
from agent.traffic.management import NamesMeter
from agent.traffic.model import Capabilities, Endpoint, Link, LinkEvent, Management, ShaperState, matches
from agent.traffic.proof import ALARM, Proof, Verdict
from agent.traffic.shaper import Shaper

__all__ = [
    "ALARM",
    "Capabilities",
    "Endpoint",
    "Kernel",
    "Link",
    "LinkEvent",
    "Management",
    "NamesMeter",
    "Proof",
    "Shaper",
    "ShaperState",
    "Verdict",
    "matches",
]
