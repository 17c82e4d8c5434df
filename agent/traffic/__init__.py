"""The kernel's side: link counters and events, and the shaper. The only room that knows pyroute2."""

from agent.traffic.model import Capabilities, DeviceBytes, Endpoint, Link, LinkEvent, Management, ShaperState, matches
from agent.traffic.netlink.thread import Kernel
from agent.traffic.own_traffic import NamesMeter
from agent.traffic.shaper import Shaper

__all__ = [
    "Capabilities",
    "DeviceBytes",
    "Endpoint",
    "Kernel",
    "Link",
    "LinkEvent",
    "Management",
    "NamesMeter",
    "Shaper",
    "ShaperState",
    "matches",
]
