"""The campaign's kernel and this machine's: the same steps leave the same traffic control, and let the same pass."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

import pytest

from agent.errors import KernelError
from agent.plan import Rates
from agent.traffic.enforce import Wish, shape, unshape
from agent.traffic.inventory import is_ours
from agent.traffic.model import IFB_PREFIX
from agent.traffic.netlink.messages import Filter, Node
from agent.traffic.netlink.route import ETH_P_ALL, INGRESS_HANDLE, INGRESS_PARENT, ROOT
from agent.traffic.netlink.route import Route as RealRoute
from agent.traffic.probe import probe
from agent.traffic.tree import KINDS, NEEDS, REDIRECT_PRIO
from tests.campaign.netlink import CLSACT_INGRESS, Route, Tables
from tests.netns import Namespace, Wire, needs_namespaces, wire
from tests.netns.namespace import namespaces

SLOW = Rates(512_000, 512_000)
FIRST, SECOND = "wan0", "wan1"


class Place(Protocol):
    """A kernel with one link, `ifname`, and what others than the agent do to it."""

    route: RealRoute
    ifname: str
    kind: str

    def rename(self, name: str) -> None: ...
    def clsact(self) -> None: ...
    def without_clsact(self) -> None: ...
    def without_ifb(self) -> None: ...
    def away_and_back(self) -> None: ...
    def passes(self) -> bool: ...


class InMemory:
    def __init__(self) -> None:
        self.tables, self.ifname, self.kind = Tables(), FIRST, "cake"
        self.link = self.tables.add(FIRST)
        self.route = cast(RealRoute, Route(self.tables))

    def rename(self, name: str) -> None:
        self.tables.rename(self.link, name)
        self.ifname = name

    def clsact(self) -> None:
        if self.link.at(INGRESS_PARENT) is None:
            self.link.qdiscs.append(Node("clsact", INGRESS_HANDLE, INGRESS_PARENT, ifindex=self.link.ifindex))
            self.tables.hang(self.link, Filter("bpf", CLSACT_INGRESS, 10, ETH_P_ALL, 1))

    def without_clsact(self) -> None:
        self.link.qdiscs = [node for node in self.link.qdiscs if node.kind != "clsact"]
        self.link.filters.clear()

    def without_ifb(self) -> None:
        for device in [d for d in self.tables.devices.values() if d.kind == "ifb"]:
            self.tables.leave(device)

    def away_and_back(self) -> None:
        self.tables.leave(self.link)
        self.tables.enter(self.link)

    def passes(self) -> bool:
        return min(self.tables.rates(self.link)) > 0


class InKernel:
    def __init__(self, cable: Wire, elsewhere: str) -> None:
        self.near, self.far, self.elsewhere, self.ifname = cable.near, cable.far, elsewhere, FIRST
        with self.near.entered():
            self.route = RealRoute()
        found = probe(self.route)
        self.kind = next(kind for kind in KINDS if NEEDS[kind] <= found.qdiscs)

    def rename(self, name: str) -> None:
        self.near.ip("link", "set", self.ifname, "down")
        self.near.ip("link", "set", self.ifname, "name", name)
        self.near.ip("link", "set", name, "up")
        self.ifname = name

    def clsact(self) -> None:
        self.near.run("tc", "qdisc", "add", "dev", self.ifname, "clsact", check=False)
        looks = ["prio", "10", "protocol", "all", "u32", "match", "u32", "0", "0", "action", "continue"]
        self.near.run("tc", "filter", "add", "dev", self.ifname, "ingress", *looks, check=False)

    def without_clsact(self) -> None:
        self.near.tc("qdisc", "del", "dev", self.ifname, "clsact")

    def without_ifb(self) -> None:
        for row in self.route.links():
            if row.link.kind == "ifb":
                self.near.ip("link", "del", row.link.ifname)

    def away_and_back(self) -> None:
        self.near.ip("link", "set", self.ifname, "netns", self.elsewhere)
        Namespace(self.elsewhere).ip("link", "set", self.ifname, "netns", self.near.name)
        self.near.ip("addr", "add", f"{self.near.address}/24", "dev", self.ifname)
        self.near.ip("link", "set", self.ifname, "up")

    def passes(self) -> bool:
        return "1 received" in self.near.run("ping", "-c1", "-W2", self.far.address, check=False)


@pytest.fixture
def in_kernel() -> Iterator[InKernel]:
    needs_namespaces()
    with wire(FIRST) as cable, namespaces("elsewhere") as names:
        place = InKernel(cable, names["elsewhere"])
        try:
            yield place
        finally:
            place.route.close()


def slow(place: Place) -> None:
    """The agent shapes the link under the name that it has."""
    link = place.route.link(place.ifname)
    assert link is not None
    with contextlib.suppress(KernelError):  # what came of it is compared
        shape(place.route, [link], Wish(place.kind, "u32", SLOW))


def fast(place: Place) -> None:
    link = place.route.link(place.ifname)
    assert link is not None
    unshape(place.route, [link])


def unwanted(place: Place) -> None:
    """The agent is to shape no link any more that is there."""
    unshape(place.route, [])


def renamed(place: Place) -> None:
    place.rename(SECOND)


def does(name: str) -> Callable[[Place], None]:
    def step(place: Place) -> None:
        getattr(place, name)()

    return step


clsact, without_clsact, without_ifb, away = map(does, ("clsact", "without_clsact", "without_ifb", "away_and_back"))


def facts(place: Place) -> dict[str, Any]:
    link = place.route.link(place.ifname)
    assert link is not None
    nodes = [node for node in place.route.qdiscs() if node.ifindex == link.ifindex]
    sides = {f for side in (INGRESS_HANDLE, CLSACT_INGRESS) for f in place.route.filters(link.ifindex, side)}
    return {
        "ours at the root": any(node.parent == ROOT and is_ours(node.handle) for node in nodes),
        "ingress": [node.kind for node in nodes if node.parent == INGRESS_PARENT],
        "leads to an ifb": any(f.redirect for f in sides if f.prio == REDIRECT_PRIO),
        "ifb": [row.link.ifname for row in place.route.links() if row.link.ifname.startswith(IFB_PREFIX)],
        "passes": place.passes(),
    }


@pytest.mark.root
@pytest.mark.parametrize(
    "steps",
    [
        (slow, slow, fast, slow),
        (slow, without_ifb, slow, without_ifb, fast),
        (slow, unwanted, slow),
        (slow, renamed, unwanted, slow, fast),
        (slow, renamed, slow),
        (clsact, slow, slow, fast),
        (clsact, slow, without_clsact, slow),
        (slow, clsact, fast),
        (slow, away, slow),
    ],
    ids=lambda steps: "-".join(step.__name__ for step in steps),
)
def test_both_kernels_do_alike(in_kernel: InKernel, steps: tuple[Callable[[Place], None], ...]) -> None:
    in_memory = InMemory()
    for number, step in enumerate(steps):
        for place in (in_memory, in_kernel):
            step(place)
        assert facts(in_memory) == facts(in_kernel), (number, step.__name__)


@pytest.mark.root
def test_a_link_that_comes_back_has_its_number_and_its_counters(in_kernel: InKernel) -> None:
    before = in_kernel.route.link(FIRST)
    in_kernel.passes()
    carried = {row.link.ifname: row.counters for row in in_kernel.route.links()}[FIRST]
    in_kernel.away_and_back()
    after = in_kernel.route.link(FIRST)
    assert before is not None
    assert after is not None
    assert after.ifindex == before.ifindex
    now = {row.link.ifname: row.counters for row in in_kernel.route.links()}[FIRST]
    assert now is not None
    assert carried is not None
    assert now.received_bytes >= carried.received_bytes > 0
