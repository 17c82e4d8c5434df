"""The uplink: whether the links that count are those by which traffic leaves this device.

Called by the daemon (alarm `wan-interface`, `status`) and by the doctor. A wrong name in wan.interfaces leaves a
household online, of whom nothing is counted and nothing is slowed, and everything else looks well.

Judged are default routes, of either family by itself and those of the lowest metric alone. No default route is a line
that is down, which is another's matter. Any other way out is reported, also one that somebody has plugged in on purpose
(a cable beside the modem): its traffic is not counted, and that is what the operator wants to know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.net.routes import PROC_NET, SYS_NET, KernelRoute, NetDevice, read_devices, read_routes
from agent.traffic.model import matches

if TYPE_CHECKING:
    from agent import status_schema as schema

ALARM = "wan-interface"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The configured links are not those that carry the traffic."""

    reason: str  # no-link, other-link or lan-bridge
    links: tuple[str, ...]  # those that carry it, or the bridge that does not
    interfaces: tuple[str, ...]  # wan.interfaces

    @property
    def text(self) -> str:
        named, wanted = ", ".join(self.links), ", ".join(self.interfaces)
        if self.reason == "lan-bridge":
            return f"{named} is a bridge that no default route leaves by, and wan.interfaces ({wanted}) counts it"
        if self.reason == "no-link":
            return f"there is no interface {wanted}, and traffic leaves by {named}, which is not counted"
        return f"traffic leaves by {named}, which is not counted: wan.interfaces is {wanted}"

    @property
    def advice(self) -> str:
        named = ", ".join(self.links)
        if self.reason == "lan-bridge":
            return f"Take {named} out of wan.interfaces: what the household's devices send each other must not count."
        return (
            f"If {named} is the mobile line, put it into wan.interfaces. If it is another way online on purpose, "
            "what it carries is neither counted nor slowed."
        )

    def to_dict(self) -> schema.Mismatch:
        return {
            "reason": self.reason,
            "links": list(self.links),
            "interfaces": list(self.interfaces),
            "text": self.text,
            "advice": self.advice,
        }


def look(patterns: Sequence[str], proc_net: Path = PROC_NET, sys_net: Path = SYS_NET) -> Mismatch | None:
    """What is wrong now; None too where the kernel does not say."""
    routes, devices = read_routes(proc_net), read_devices(sys_net)
    return judge(routes, devices, patterns) if routes and devices else None


def judge(routes: Iterable[KernelRoute], devices: Mapping[str, NetDevice], patterns: Sequence[str]) -> Mismatch | None:
    """Compare the way out with what is configured."""
    routes, interfaces = tuple(routes), tuple(patterns)
    counted = {name for name in devices if matches(patterns, name)}
    ways = [way for family in (4, 6) if (way := _way(routes, family, devices, counted))]
    elsewhere = sorted({name for way in ways if not way & counted for name in way})
    if elsewhere:
        return Mismatch("other-link" if counted else "no-link", tuple(elsewhere), interfaces)
    used = {name for route in routes if route.default for name in _stack(route.ifname, devices)}
    inner = sorted(name for name in counted - used if devices[name].bridge)
    return Mismatch("lan-bridge", tuple(inner), interfaces) if ways and inner else None


def _way(
    routes: Sequence[KernelRoute], family: int, devices: Mapping[str, NetDevice], counted: Collection[str]
) -> set[str]:
    """The links by which a family's default routes leave: of one that counts its name, else that of the route."""
    own = _best(route for route in routes if route.default and route.family == family)
    if any(_is_tunnel(name, devices) and name not in counted for name in own):
        own = {name for name in own if not _is_tunnel(name, devices)} | _outside(routes, devices, counted) or own
    return {next((n for n in _stack(name, devices) if n in counted), name) for name in own}


def _outside(routes: Sequence[KernelRoute], devices: Mapping[str, NetDevice], counted: Collection[str]) -> set[str]:
    """The links that may carry the packets of a tunnel: those of the best default route that is no tunnel's, and of
    routes to single addresses, such as its far end. Where the routes do not say, those that count."""
    direct = [route for route in routes if not _is_tunnel(route.ifname, devices)]
    defaults = [_best(r for r in direct if r.default and r.family == family) for family in (4, 6)]
    found = set().union(*defaults) | {r.ifname for r in direct if r.host and not r.default}
    carrying = {name for name in found if set(_stack(name, devices)) & set(counted)}
    return carrying or found or set(counted)


def _best(routes: Iterable[KernelRoute]) -> set[str]:
    """The links of the lowest metric; several of the same one share the traffic, or the kernel chooses."""
    found = tuple(routes)
    lowest = min((route.metric for route in found), default=0)
    return {route.ifname for route in found if route.metric == lowest}


def _is_tunnel(name: str, devices: Mapping[str, NetDevice]) -> bool:
    return name in devices and devices[name].tunnel


def _stack(name: str, devices: Mapping[str, NetDevice]) -> list[str]:
    """A link and all below it."""
    found = [name]
    for each in found:
        found.extend(n for n in (devices[each].lowers if each in devices else ()) if n not in found)
    return found
