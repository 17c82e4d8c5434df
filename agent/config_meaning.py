"""What a configuration must not say although each of its values is well formed. Pure; called by config.py.

What is refused would count or slow what no household owes, or make a line faster by more use. A name is judged by what
is known without the device; the daemon and the doctor look at the links themselves (agent/traffic/uplink.py).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from agent.plan.model import Plan, Step

# No mobile line bears these names. br-lan and lan: OpenWrt's config_generate (base-files); br0: the usual name in
# bridge-utils-interfaces(5) and systemd.netdev(5); docker0 and virbr0: the default bridges of Docker and libvirt;
# lo and ifb0: made by the kernel itself (drivers/net/loopback.c, ifb.c).
NO_WAN = {
    "lo": "the loopback",
    "ifb0": "an ifb device, through which another link's traffic is led",
    "br-lan": "the household's own network",
    "br0": "a bridge of the household's own network",
    "lan": "the household's own network",
    "docker0": "a bridge of containers",
    "virbr0": "a bridge of virtual machines",
}
IFB = "ifb"


class Problem(NamedTuple):
    """A key, what is wrong with it, and what would be right."""

    key: str
    text: str
    value: object
    allowed: str


def problem(interfaces: Iterable[str], plan: Plan) -> Problem | None:
    """The first thing that makes no sense."""
    return next((p for p in (*map(_interface, interfaces), _rising(plan.steps), _full(plan)) if p is not None), None)


def wan_interfaces(interfaces: Iterable[str]) -> tuple[str, ...]:
    """Those that make sense."""
    return tuple(pattern for pattern in interfaces if _interface(pattern) is None)


def _interface(pattern: str) -> Problem | None:
    allowed = "names or patterns of the mobile line alone, such as wwan0, wwan*, usb0"
    if pattern.startswith(IFB):
        return Problem("wan.interfaces", f"{pattern} is {NO_WAN['ifb0']}", pattern, allowed)
    for name, what in NO_WAN.items():
        if fnmatch.fnmatchcase(name, pattern):
            text = f"{name} is {what}" if pattern == name else f"{pattern} also means {name}, {what}"
            return Problem("wan.interfaces", text, pattern, allowed)
    return None


def _rates(values: Step | Plan) -> tuple[tuple[str, int | None], ...]:
    if isinstance(values, Plan):
        return ("down_bps", values.full_down_bps), ("up_bps", values.full_up_bps)
    return ("down_bps", values.down_bps), ("up_bps", values.up_bps)


def _rising(steps: tuple[Step, ...]) -> Problem | None:
    for before, step in pairwise(steps):
        for (name, rate), (_, earlier) in zip(_rates(step), _rates(before), strict=True):
            if rate is not None and earlier is not None and rate > earlier:
                text = f"{name} of the step at {step.at_percent} % is above that of the step at {before.at_percent} %"
                return Problem(f"plan.steps.{name}", text, rate, f"at most {earlier}")
    return None


def _full(plan: Plan) -> Problem | None:
    """A line must not become faster by a step. The steps fall, so that the first is the fastest."""
    for step in plan.steps[:1]:
        for (name, full), (_, rate) in zip(_rates(plan), _rates(step), strict=True):
            if full is not None and rate is not None and full < rate:
                text = f"the full speed is below {name} of the step at {step.at_percent} %"
                return Problem(f"plan.full_{name}", text, full, f"{rate} or more")
    return None
