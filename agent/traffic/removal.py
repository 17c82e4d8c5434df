"""Take away what is ours and not wanted, on every link of the namespace, so that a line is never cut by what is left.

Called by enforce.py before it shapes, in the netlink thread. A filter that leads to a device that is gone, or down,
loses every packet: so a redirect goes before the device that it leads to, and a device stays while any filter leads to
it. Must touch nothing that is somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agent.errors import KernelError
from agent.traffic.inventory import Found
from agent.traffic.layout import Place
from agent.traffic.model import Link
from agent.traffic.netlink.messages import Filter
from agent.traffic.netlink.route import EGRESS_SIDE, GONE, INGRESS_SIDE, Route
from agent.traffic.offload import set_gro

GSO_MAX_SEGS = 65_535  # the kernel's own value


def remove_unwanted(route: Route, found: Found, places: Sequence[Place]) -> bool:
    """Leave of ours only what belongs to these places and lets packets pass. Returns whether anything had to go.

    One object that cannot be removed keeps no other from being removed: the first trouble is raised at the end.
    """
    devices = {place.device for place in places}
    targets = {source.ifindex: place.device for place in places for source in place.sources}
    unwanted = [link for link in found.links.values() if link.ifname not in devices]
    steps: list[tuple[Callable[[Route, Found, Link], None], Link]] = [
        *((_remove_redirect, link) for link in found.links.values() if _leads_astray(found, link, targets)),
        *((_remove_ifb, link) for link in unwanted if found.is_our_ifb(link)),
        *((_remove_root, link) for link in unwanted if found.has_our_root(link) and not found.is_our_ifb(link)),
    ]
    troubles: list[KernelError] = []
    for step, link in steps:
        try:
            step(route, found, link)
        except KernelError as error:
            troubles.append(error)
    if troubles:
        raise troubles[0]
    return bool(steps)


def _leads_astray(found: Found, link: Link, targets: Mapping[int, str]) -> bool:
    """Whether our redirect on a link is not wanted, or leads to another device than it should, or to one that passes
    nothing on. A filter of ours without a redirect loses nothing where one is wanted."""
    ingress = found.ingresses.get(link.ifindex)
    if ingress is None or not ingress.ours:
        return False
    target = found.links.get(targets.get(link.ifindex, ""))
    return target is None or bool(ingress.targets - ({target.ifindex} if target.up else set()))


def _remove_redirect(route: Route, found: Found, link: Link) -> None:
    ingress = found.ingresses[link.ifindex]
    delete_filters(route, link, ingress.ours)
    if ingress.kind == "ingress" and len(ingress.filters) == len(ingress.ours):
        route.delete_ingress(link.ifindex)


def delete_filters(route: Route, link: Link, filters: Sequence[Filter]) -> None:
    for prio, protocol in {(f.prio, f.protocol) for f in filters}:
        route.delete_filters(link.ifindex, INGRESS_SIDE, prio, protocol)


def _remove_root(route: Route, found: Found, link: Link) -> None:
    root = found.root(link)
    if root is not None:
        route.delete_root(link.ifindex, root.handle)
        if root.kind == "htb":
            allow_superpackets(route, link, allowed=True)


def _remove_ifb(route: Route, found: Found, ifb: Link) -> None:
    """What leads to it is read anew: to delete a filter where it is not found counts as done (netlink.GONE)."""
    if _is_led_to(route, found, ifb):
        if found.has_our_root(ifb):
            _remove_root(route, found, ifb)  # what is led to it passes, at full speed
    else:
        route.delete_link(ifb.ifindex)


def _is_led_to(route: Route, found: Found, device: Link) -> bool:
    for ifindex, ingress in found.ingresses.items():
        sides = (INGRESS_SIDE, EGRESS_SIDE) if ingress.kind == "clsact" else (INGRESS_SIDE,)
        if any(_leads_to(route, ifindex, side, device) for side in sides):
            return True
    return False


def _leads_to(route: Route, ifindex: int, side: int, device: Link) -> bool:
    try:
        return any(f.redirect == device.ifindex for f in route.filters(ifindex, side))
    except KernelError as error:
        return error.code not in GONE  # with the link or its ingress qdisc the filters are gone too


def allow_superpackets(route: Route, link: Link, *, allowed: bool) -> bool:
    """htb sends a merged 64 kB at once, a second of the line at 512 kbit/s; cake and tbf take it apart.

    gso_max_segs 1 is at the same time the mark by which it is known that we have forbidden it.
    """
    if allowed == (link.gso_max_segs != 1):
        return False
    route.set_link(link.ifindex, gso_max_segs=GSO_MAX_SEGS if allowed else 1)
    set_gro(link.ifname, allowed)
    return True
