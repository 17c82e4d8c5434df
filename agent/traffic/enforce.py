"""Make the kernel be as wanted, by reading what it has and changing only what differs.

Runs in the netlink thread, called by the shaper. Remembers nothing between two calls: what is ours is known by its
handle and priority, so that a restart, a crash, a link that was renamed or a stranger's `tc qdisc del` need no special
case. Must never take away what somebody else has put there, unless told to.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.errors import KernelError
from agent.plan import Rates
from agent.traffic.inventory import Found, is_ours
from agent.traffic.layout import Place, places
from agent.traffic.model import UNSHAPED, Endpoint, Link
from agent.traffic.netlink.messages import Filter
from agent.traffic.netlink.route import Route
from agent.traffic.removal import allow_superpackets, delete_filters, remove_unwanted
from agent.traffic.tree import INNER, REDIRECT_PRIO, Want, filters


@dataclass(frozen=True, slots=True)
class Wish:
    """How links are to be shaped."""

    kind: str  # one of tree.KINDS
    classifier: str  # matchall or u32
    rates: Rates
    endpoints: Sequence[Endpoint] = ()  # management
    name_servers: Sequence[str] = ()
    replace_foreign: bool = False


class Foreign(KernelError):
    """Somebody else's qdisc or filter is where ours would have to be."""

    def __init__(self, ifname: str, what: str) -> None:
        super().__init__(ifname, None, f"{what} is not ours")


def shape(route: Route, links: Sequence[Link], wish: Wish) -> bool:
    """Bring both directions of all links to the wanted rates. Returns whether anything had to be changed.

    One direction that cannot be shaped keeps no other from it: the first trouble is raised at the end, and what a
    failed attempt has left leads nowhere.
    """
    found, wanted = Found.read(route), places(links, wish.rates)
    troubles: list[KernelError] = []
    try:
        changed = remove_unwanted(route, found, wanted)
    except KernelError as error:
        troubles.append(error)
        changed = True  # by what went before the refusal
    if changed:
        found = Found.read(route)
    for place in wanted:
        try:
            sources = tuple(source for source in place.sources if _is_free(found, source, wish, troubles))
            if sources or not place.sources:
                with route.together():
                    changed = _shape(route, found, replace(place, sources=sources), wish) or changed
        except KernelError as error:
            troubles.append(error)
    if troubles:
        with contextlib.suppress(KernelError):  # of which the first is told
            remove_unwanted(route, Found.read(route), wanted)
        raise troubles[0]
    return _superpackets(route, found, links, allowed=not wish.kind.startswith("htb")) or changed


def tidy(route: Route, links: Sequence[Link], rates: Rates) -> bool:
    """Remove what is ours and not wanted, or leads nowhere, and leave the rest as it is: for when shaping has to wait,
    or is not possible. Returns whether anything had to go."""
    return remove_unwanted(route, Found.read(route), places(links, rates))


def unshape(route: Route, links: Sequence[Link]) -> bool:
    """Take away all that is ours, on every link of the namespace."""
    found = Found.read(route)
    changed = remove_unwanted(route, found, places(links, UNSHAPED))
    return _superpackets(route, found, links, allowed=True) or changed


def step(route: Route, links: Sequence[Link], before: Wish, after: Wish) -> None:
    """Change the rates of what is known to stand as `before`, and of nothing else: one datagram, and no reading."""
    stood, wanted = places(links, before.rates), places(links, after.rates)
    if [place.device for place in stood] != [place.device for place in wanted]:
        raise KernelError("step", None, "not every direction is shaped before and after")
    with route.together():
        for old, new in zip(stood, wanted, strict=True):
            ifindex, stands = _ifindex(new.device), set(map(repr, old.tree(before.kind)))
            for want in new.tree(after.kind):
                if repr(want) not in stands:
                    _put(route, ifindex, want)


def rehearse(route: Route, link: Link, wishes: Sequence[Wish]) -> None:
    """Encode what these wishes will send for a link, and send nothing."""
    with route.together(send=False):
        route.add_ingress(link.ifindex)
        for wish in wishes:
            for place in places([link], wish.rates):
                if place.sources:
                    route.add_ifb(place.device)
                for want in place.tree(wish.kind):
                    _put(route, link.ifindex, want)
                _ensure_filters(route, link, wish, (), upload=not place.sources)


def _ifindex(ifname: str) -> int:
    try:
        return socket.if_nametoindex(ifname)
    except OSError as error:  # of which Python 3.11 tells neither code nor reason
        raise KernelError(ifname, errno.ENODEV, os.strerror(errno.ENODEV)) from error


def _put(route: Route, ifindex: int, want: Want) -> None:
    put = route.put_class if want.is_class else route.put_qdisc
    put(ifindex, want.kind, want.handle, want.parent, want.options)


def _superpackets(route: Route, found: Found, links: Sequence[Link], *, allowed: bool) -> bool:
    now = [found.links.get(link.ifname, link) for link in links]
    return any([allow_superpackets(route, link, allowed=allowed) for link in now])


# -- one place -----------------------------------------------------------------------------------------------------


def _shape(route: Route, found: Found, place: Place, wish: Wish) -> bool:
    if not place.sources:
        link = found.links.get(place.device)
        if link is None:
            raise KernelError(place.device, errno.ENODEV, os.strerror(errno.ENODEV))
        return _shape_root(route, found, link, wish, place)
    ifb, changed = _ensure_ifb(route, found, place.device)
    # The rate stands before the first packet is led to it: a step never opens a gap.
    changed = _shape_root(route, found, ifb, wish, place) or changed
    led = [_ensure_redirect(route, found, source, ifb, wish) for source in place.sources]
    return changed or any(led)


def _shape_root(route: Route, found: Found, link: Link, wish: Wish, place: Place) -> bool:
    wants = place.tree(wish.kind)
    cleared = _clear_root(route, found, link, wish, wants)
    here = [] if cleared else found.at(link)
    if here and any(want.is_class for want in wants):
        here = here + route.classes(link.ifindex)
    missing = [want for want in wants if not any(want.is_met_by(node) for node in here)]
    bare = not any(node.handle == INNER for node in here)  # nothing that a filter could hang on
    there = () if bare else route.filters(link.ifindex, INNER)
    for want in missing:
        _put(route, link.ifindex, want)
    return _ensure_filters(route, link, wish, there, upload=not place.sources) or cleared or bool(missing)


def _clear_root(route: Route, found: Found, link: Link, wish: Wish, wants: Sequence[Want]) -> bool:
    """Make room at the root. A qdisc of ours of the same kind stays and is changed in place, without a gap."""
    root = found.root(link)
    if root is None or root.handle == 0:  # the kernel's default qdisc has handle 0
        return False
    if not is_ours(root.handle) and not wish.replace_foreign:
        raise Foreign(link.ifname, f"qdisc {root.kind} {root.handle >> 16:x}:")
    kinds = {want.handle: want.kind for want in wants if not want.is_class}
    if all(kinds.get(node.handle) == node.kind for node in found.at(link) if is_ours(node.handle) or node is root):
        return False
    route.delete_root(link.ifindex, root.handle)
    return True


def _ensure_filters(route: Route, link: Link, wish: Wish, found: Sequence[Filter], *, upload: bool) -> bool:
    wants = filters(wish.kind, wish.endpoints, upload=upload, name_servers=wish.name_servers)
    there = [f for f in found if f.target]
    stale = [f for f in there if not any(w.is_met_by(f) for w in wants)]
    missing = [w for w in wants if not any(w.is_met_by(f) for f in there)]
    for old in stale:
        route.delete_filters(link.ifindex, INNER, old.prio, old.protocol)
    for want in missing:
        route.add_u32(link.ifindex, want.parent, want.prio, want.protocol, want.keys, want.target)
    return bool(stale or missing)


# -- download: ingress -> ifb --------------------------------------------------------------------------------------


def _is_free(found: Found, link: Link, wish: Wish, troubles: list[KernelError]) -> bool:
    """Whether a link's ingress side may be ours; what is in the way is added to the troubles, and the other links that
    share the rate are shaped all the same."""
    ingress = found.ingresses.get(link.ifindex)
    if ingress is None:
        return True
    if ingress.unread:
        troubles.append(ingress.unread)
    elif ingress.strangers and not wish.replace_foreign:
        troubles.append(Foreign(link.ifname, f"redirect of {ingress.kind} at priority {ingress.strangers[0].prio}"))
    else:
        return True
    return False


def _ensure_ifb(route: Route, found: Found, name: str) -> tuple[Link, bool]:
    ifb = found.links.get(name)
    changed = ifb is None or not ifb.up
    if ifb is None:
        route.add_ifb(name)
        ifb = route.link(name)
    if ifb is None:
        raise KernelError(name, None, "vanished while it was set up")
    if ifb.kind != "ifb":
        raise Foreign(name, "a device of that name")
    if not ifb.up:
        route.set_link(ifb.ifindex, state="up")
    return ifb, changed


def _ensure_redirect(route: Route, found: Found, link: Link, ifb: Link, wish: Wish) -> bool:
    ingress = found.ingresses.get(link.ifindex)
    if ingress is None:
        route.add_ingress(link.ifindex)
    elif ingress.targets == {ifb.ifindex} and not ingress.strangers:
        return False
    else:
        delete_filters(route, link, [*ingress.strangers, *ingress.ours])
    route.add_redirect(link.ifindex, wish.classifier, REDIRECT_PRIO, ifb.ifindex)
    return True
