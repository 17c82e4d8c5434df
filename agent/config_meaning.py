"""What a configuration must not say although each of its values is well formed. Pure; called by config.py.

What is refused would count or slow what no household owes, or make a line faster by more use. A name is judged by what
is known without the device; the daemon and the doctor look at the links themselves (agent/traffic/uplink.py).
"""

from __future__ import annotations

import fnmatch
import re
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

# What the agent writes to as root lies in these folders of the kernel alone. Linux, admin-guide/gpio/sysfs.rst and
# leds/leds-class.rst: /sys/class/gpio/gpioN/value (a named line of the device tree in place of gpioN), and
# /sys/class/leds/NAME/, whose names are "devicename:color:function". No dots alone: no step out of the folder.
_NAME = r"(?!\.+(?:/|$))[A-Za-z0-9._:@+-]{1,63}"
GPIO = re.compile(rf"/sys/class/gpio/{_NAME}/value")
LED = re.compile(_NAME)


class Problem(NamedTuple):
    """A key, what is wrong with it, and what would be right."""

    key: str
    text: str
    value: object
    allowed: str


def problem(interfaces: Iterable[str], plan: Plan, *, power_gpio: str = "", led: str = "") -> Problem | None:
    """The first thing that makes no sense."""
    found = (*map(_interface, interfaces), _rising(plan.steps), _full(plan), _gpio(power_gpio), _led(led))
    return next((p for p in found if p is not None), None)


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


def _gpio(path: str) -> Problem | None:
    if usable_gpio(path) == path:
        return None
    allowed = "/sys/class/gpio/gpioN/value, or empty"
    return Problem("modem.power_gpio", "not the value file of a GPIO", path, allowed)


def _led(name: str) -> Problem | None:
    if usable_led(name) == name:
        return None
    return Problem("household.led", "not the name of a LED", name, "a name in /sys/class/leds, or empty")


def usable_gpio(path: str) -> str:
    """The path if it is a GPIO's value file, else empty."""
    return path if GPIO.fullmatch(path) else ""


def usable_led(name: str) -> str:
    """The name if it can be one of a LED, else empty."""
    return name if LED.fullmatch(name) else ""


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
