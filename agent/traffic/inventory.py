"""What the kernel has: all links of the namespace, their qdiscs, and the filters on their ingress side.

Read by enforce.py and removal.py, in the netlink thread. What is ours is known by its handle and priority. A link that
is not ours to shape may vanish, or have filters that cannot be read: that must keep nothing else from being put right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.errors import KernelError
from agent.traffic.model import IFB_PREFIX, Link
from agent.traffic.netlink.messages import Filter, Node
from agent.traffic.netlink.route import INGRESS_PARENT, INGRESS_SIDE, ROOT, Route
from agent.traffic.tree import LAST_MAJOR, MAJOR, REDIRECT_PRIO


def is_ours(handle: int) -> bool:
    return MAJOR <= handle >> 16 <= LAST_MAJOR


@dataclass(frozen=True, slots=True)
class Ingress:
    """The ingress (or clsact) qdisc of a link, and the filters on its ingress side."""

    kind: str
    filters: Sequence[Filter] = ()
    unread: KernelError | None = None

    @property
    def ours(self) -> list[Filter]:
        """Those of our priority, with the lines that the kernel adds for a priority and its hash table."""
        return [f for f in self.filters if f.prio == REDIRECT_PRIO]

    @property
    def strangers(self) -> list[Filter]:
        """Redirects of others: they would take the packets before ours does, or get them after it."""
        return [f for f in self.filters if f.prio != REDIRECT_PRIO and f.redirect]

    @property
    def targets(self) -> set[int]:
        """Where ours lead; 0: to a device that is gone."""
        return {f.redirect for f in self.ours if f.mirred}


@dataclass(slots=True)
class Found:
    """Links by name, qdiscs and ingress sides by ifindex."""

    links: dict[str, Link]
    nodes: dict[int, list[Node]]
    ingresses: dict[int, Ingress] = field(default_factory=dict)

    @classmethod
    def read(cls, route: Route) -> Found:
        nodes: dict[int, list[Node]] = {}
        for node in route.qdiscs():
            nodes.setdefault(node.ifindex, []).append(node)
        found = cls({row.link.ifname: row.link for row in route.links()}, nodes)
        for node in (n for there in nodes.values() for n in there if n.parent == INGRESS_PARENT):
            found.ingresses[node.ifindex] = _ingress(route, node)
        return found

    def at(self, link: Link) -> list[Node]:
        return self.nodes.get(link.ifindex, [])

    def root(self, link: Link) -> Node | None:
        return next((n for n in self.at(link) if n.parent == ROOT), None)

    def has_our_root(self, link: Link) -> bool:
        root = self.root(link)
        return root is not None and is_ours(root.handle)

    def is_our_ifb(self, link: Link) -> bool:
        """sqm-scripts names its devices alike: ours has our qdisc at its root, or none yet and our redirect to it."""
        if link.kind != "ifb" or not link.ifname.startswith(IFB_PREFIX):
            return False
        root = self.root(link)
        bare = root is None or root.handle == 0  # the kernel's default qdisc has handle 0
        return self.has_our_root(link) or (bare and any(link.ifindex in i.targets for i in self.ingresses.values()))


def _ingress(route: Route, node: Node) -> Ingress:
    try:
        return Ingress(node.kind, route.filters(node.ifindex, INGRESS_SIDE))
    except KernelError as error:
        return Ingress(node.kind, unread=error)
