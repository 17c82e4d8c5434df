"""Make the kernel be as wanted, by reading what it has and changing only what differs.

Runs in the netlink thread, called by the shaper. Remembers nothing between two calls: what is ours is known by its
handle and priority, so that a restart, a crash or a stranger's `tc qdisc del` need no special case. Must never take
away what somebody else has put there, unless told to.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from agent.errors import KernelError
from agent.plan import Rates
from agent.traffic.model import IFB_PREFIX, Endpoint, Link, ifb_name
from agent.traffic.netlink.messages import Filter, Node
from agent.traffic.netlink.route import INGRESS_HANDLE, INGRESS_PARENT, ROOT, Route
from agent.traffic.offload import set_gro
from agent.traffic.tree import INNER, LAST_MAJOR, MAJOR, REDIRECT_PRIO, Want, filters, tree

GSO_MAX_SEGS = 65_535  # the kernel's own value


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


@dataclass(slots=True)
class Found:
    """What the kernel has: links by name, qdiscs by link."""

    links: dict[str, Link]
    nodes: dict[int, list[Node]]

    @classmethod
    def read(cls, route: Route) -> Found:
        nodes: dict[int, list[Node]] = {}
        for node in route.qdiscs():
            nodes.setdefault(node.ifindex, []).append(node)
        return cls({row.link.ifname: row.link for row in route.links()}, nodes)

    def at(self, link: Link) -> list[Node]:
        return self.nodes.get(link.ifindex, [])

    def root(self, link: Link) -> Node | None:
        return next((n for n in self.at(link) if n.parent == ROOT), None)

    def ifb(self, link: Link) -> Link | None:
        return self.links.get(ifb_name(link.ifname))


def is_ours(handle: int) -> bool:
    return MAJOR <= handle >> 16 <= LAST_MAJOR


def shape(route: Route, links: Sequence[Link], wish: Wish) -> bool:
    """Bring both directions of all links to the wanted rates. Returns whether anything had to be changed.

    One direction that cannot be shaped keeps no other from it: the first trouble is raised at the end.
    """
    found = Found.read(route)
    changed, troubles = False, list[KernelError]()
    for link in links:
        for direction in (_shape_upload, _shape_download):
            try:
                with route.together():
                    changed = direction(route, found, link, wish) or changed
            except KernelError as error:
                troubles.append(error)
    if troubles:
        raise troubles[0]
    for link in links:
        changed = _set_superpackets(route, found, link, allowed=not wish.kind.startswith("htb")) or changed
    return _remove_orphans(route, found, links) or changed


def step(route: Route, links: Sequence[Link], before: Wish, after: Wish) -> None:
    """Change the rates of what is known to stand as `before`, and of nothing else: one datagram, and no reading."""
    with route.together():
        for link in links:
            for ifindex, old, new, upload in (
                (link.ifindex, before.rates.up_bps, after.rates.up_bps, True),
                (_ifindex(ifb_name(link.ifname)), before.rates.down_bps, after.rates.down_bps, False),
            ):
                if old is None or new is None:
                    raise KernelError(link.ifname, None, "is not shaped in both directions")
                stands = set(map(repr, tree_on(link, before.kind, old, upload=upload)))
                for want in tree_on(link, after.kind, new, upload=upload):
                    if repr(want) not in stands:
                        _put(route, ifindex, want)


def rehearse(route: Route, link: Link, wishes: Sequence[Wish]) -> None:
    """Encode what these wishes will send for a link, and send nothing."""
    with route.together(send=False):
        route.add_ifb(ifb_name(link.ifname))
        route.add_ingress(link.ifindex)
        for wish in wishes:
            for rate, upload in ((wish.rates.up_bps, True), (wish.rates.down_bps, False)):
                for want in tree_on(link, wish.kind, rate, upload=upload) if rate else ():
                    _put(route, link.ifindex, want)
                _ensure_filters(route, link, wish, (), upload=upload)


def _ifindex(ifname: str) -> int:
    try:
        return socket.if_nametoindex(ifname)
    except OSError as error:
        raise KernelError(ifname, error.errno, str(error.strerror)) from error


def tree_on(link: Link, kind: str, rate_bps: int, *, upload: bool) -> tuple[Want, ...]:
    """The tree for one direction of a link; its ifb carries packets with the link's own header."""
    return tree(kind, rate_bps, mtu=link.mtu, upload=upload, header_bytes=link.header_bytes)


def _put(route: Route, ifindex: int, want: Want) -> None:
    put = route.put_class if want.is_class else route.put_qdisc
    put(ifindex, want.kind, want.handle, want.parent, want.options)


def unshape(route: Route, links: Sequence[Link]) -> bool:
    """Take away all that is ours from these links, and every ifb of ours."""
    found = Found.read(route)
    changed = False
    for link in links:
        changed = _drop_root(route, found, link) or changed
        changed = _stop_download(route, found, link) or changed
        changed = _set_superpackets(route, found, link, allowed=True) or changed
    return _remove_orphans(route, found, ()) or changed


def _set_superpackets(route: Route, found: Found, link: Link, *, allowed: bool) -> bool:
    """htb sends a merged 64 kB at once, a second of the line at 512 kbit/s; cake and tbf take it apart.

    gso_max_segs 1 is at the same time the mark by which it is known that we have forbidden it.
    """
    now = found.links.get(link.ifname, link)
    if allowed == (now.gso_max_segs != 1):
        return False
    route.set_link(link.ifindex, gso_max_segs=GSO_MAX_SEGS if allowed else 1)
    set_gro(link.ifname, allowed)
    return True


def _remove_orphans(route: Route, found: Found, links: Sequence[Link]) -> bool:
    """Delete ifb devices of ours whose link is gone or has another name now."""
    wanted = {ifb_name(link.ifname) for link in links}
    names = [name for name in found.links if name.startswith(IFB_PREFIX) and name not in wanted]
    return any([_drop_ifb(route, found, found.links[name]) for name in names])


# -- one direction -------------------------------------------------------------------------------------------------


def _shape_upload(route: Route, found: Found, link: Link, wish: Wish) -> bool:
    rate = wish.rates.up_bps
    if rate is None:
        return _drop_root(route, found, link)
    return _shape_root(route, found, link, wish, tree_on(link, wish.kind, rate, upload=True), upload=True)


def _shape_download(route: Route, found: Found, link: Link, wish: Wish) -> bool:
    rate = wish.rates.down_bps
    if rate is None:
        return _stop_download(route, found, link)
    ingress = Ingress.read(route, found, link)
    ingress.refuse_strangers(route, link, wish)
    ifb, changed = _ensure_ifb(route, found, link)
    # The rate stands before the first packet is led to it: a step never opens a gap.
    changed = (
        _shape_root(route, found, ifb, wish, tree_on(link, wish.kind, rate, upload=False), upload=False) or changed
    )
    return _ensure_redirect(route, link, ifb, wish, ingress) or changed


def _shape_root(route: Route, found: Found, link: Link, wish: Wish, wants: Sequence[Want], *, upload: bool) -> bool:
    cleared = _clear_root(route, found, link, wish, wants)
    here = [] if cleared else found.at(link)
    if here and any(want.is_class for want in wants):
        here = here + route.classes(link.ifindex)
    missing = [want for want in wants if not any(want.is_met_by(node) for node in here)]
    bare = not any(node.handle == INNER for node in here)  # nothing that a filter could hang on
    there = () if bare else route.filters(link.ifindex, INNER)
    for want in missing:
        _put(route, link.ifindex, want)
    return _ensure_filters(route, link, wish, there, upload=upload) or cleared or bool(missing)


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


def _drop_root(route: Route, found: Found, link: Link) -> bool:
    root = found.root(link)
    if root is None or not is_ours(root.handle):
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
        route.add_u32(link.ifindex, want.parent, want.prio, want.protocol, list(want.keys), want.target)
    return bool(stale or missing)


# -- download: ingress -> ifb --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ingress:
    """The ingress (or clsact) qdisc of a link, if it has one, and the filters on its ingress side."""

    node: Node | None
    filters: Sequence[Filter]

    @classmethod
    def read(cls, route: Route, found: Found, link: Link) -> Ingress:
        node = next((n for n in found.at(link) if n.parent == INGRESS_PARENT), None)
        return cls(node, route.filters(link.ifindex, INGRESS_HANDLE) if node else ())

    @property
    def ours(self) -> list[Filter]:
        return [f for f in self.filters if f.prio == REDIRECT_PRIO]

    def refuse_strangers(self, route: Route, link: Link, wish: Wish) -> None:
        """Another redirect would take the packets before ours does, or get them after it."""
        strangers = [f for f in self.filters if f.prio != REDIRECT_PRIO and f.redirect]
        if strangers and not wish.replace_foreign:
            kind = self.node.kind if self.node else "ingress"
            raise Foreign(link.ifname, f"redirect of {kind} at priority {strangers[0].prio}")
        _drop_filters(route, link, strangers)


def _ensure_ifb(route: Route, found: Found, link: Link) -> tuple[Link, bool]:
    name = ifb_name(link.ifname)
    ifb = found.ifb(link)
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


def _ensure_redirect(route: Route, link: Link, ifb: Link, wish: Wish, ingress: Ingress) -> bool:
    if {f.redirect for f in ingress.ours} - {0} == {ifb.ifindex}:
        return False
    if ingress.node is None:
        route.add_ingress(link.ifindex)
    _drop_filters(route, link, ingress.ours)  # they lead to an ifb that is no more
    route.add_redirect(link.ifindex, wish.classifier, REDIRECT_PRIO, ifb.ifindex)
    return True


def _stop_download(route: Route, found: Found, link: Link) -> bool:
    ingress = Ingress.read(route, found, link)
    ours = ingress.ours
    _drop_filters(route, link, ours)
    alone = len(ingress.filters) == len(ours)
    if ingress.node is not None and ingress.node.kind == "ingress" and ours and alone:
        route.delete_ingress(link.ifindex)
    ifb = found.ifb(link)
    dropped = ifb is not None and _drop_ifb(route, found, ifb)
    if dropped:
        del found.links[ifb_name(link.ifname)]
    return bool(ours) or dropped


def _drop_filters(route: Route, link: Link, filters: Sequence[Filter]) -> None:
    for prio, protocol in {(f.prio, f.protocol) for f in filters}:
        route.delete_filters(link.ifindex, INGRESS_HANDLE, prio, protocol)


def _drop_ifb(route: Route, found: Found, ifb: Link) -> bool:
    """sqm-scripts names its devices alike: ours is the one with our qdisc at its root."""
    root = found.root(ifb)
    if ifb.kind != "ifb" or root is None or not is_ours(root.handle):
        return False
    route.delete_link(ifb.ifindex)
    return True
