"""The kernel's links and traffic control, in memory: what agent.traffic asks of netlink, and what then befalls packets.

Netlink is agent.traffic.Kernel without its thread and sockets, Route the verbs of agent.traffic.netlink.route.Route.
tests/campaign/test_netlink.py takes the same steps here and on this machine's kernel.

Not imitated: any qdisc but cake at a root, and its queue (a rate is what was asked for); classes and the filters in
them; refusals for want of memory or privilege; what a packet loses on its way but to a redirect that leads nowhere.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from agent.errors import KernelError
from agent.traffic import Kernel, LinkEvent
from agent.traffic.model import Capabilities, Link
from agent.traffic.netlink.link_stats import StatsSocket
from agent.traffic.netlink.messages import Counters, Filter, LinkRow, Node
from agent.traffic.netlink.route import ETH_P_ALL, GONE, INGRESS_HANDLE, INGRESS_PARENT, ROOT
from agent.traffic.netlink.route import Route as RealRoute

T = TypeVar("T")
CAN = Capabilities(frozenset({"cake"}), frozenset({"matchall"}), ifb=True, ingress=True, mirred=True)
CLSACT_INGRESS = 0xFFFFFFF2  # TC_H_CLSACT and TC_H_MIN_INGRESS, linux/pkt_sched.h
CAKE_MODES = {"besteffort": 3, "dual-srchost": 5, "dual-dsthost": 6}  # CAKE_DIFFSERV_, CAKE_FLOW_, linux/pkt_sched.h


@dataclass
class Device:
    """One link with its counters, its qdiscs, and the filters on its ingress side in the order of their priority."""

    ifindex: int
    ifname: str
    kind: str = ""
    header_bytes: int = 14
    up: bool = True
    received_bytes: int = 0
    sent_bytes: int = 0
    received_packets: int = 0
    sent_packets: int = 0
    gso_max_segs: int = 65_535
    qdiscs: list[Node] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)  # of kind bpf: looks only; else a redirect, 0: to what is gone

    def carry(self, received_bytes: int, sent_bytes: int) -> None:
        """IP bytes; the kernel counts the link header of each packet too."""
        received_packets, sent_packets = -(-received_bytes // 1400), -(-sent_bytes // 1400)
        self.received_packets += received_packets
        self.sent_packets += sent_packets
        self.received_bytes += received_bytes + self.header_bytes * received_packets
        self.sent_bytes += sent_bytes + self.header_bytes * sent_packets

    def row(self, *, deleted: bool = False) -> LinkRow:
        link = Link(
            self.ifindex, self.ifname, self.kind, self.up, self.header_bytes, 1500, gso_max_segs=self.gso_max_segs
        )
        return LinkRow(link, self.counters(), deleted)

    def counters(self) -> Counters:
        return Counters(self.received_bytes, self.sent_bytes, self.received_packets, self.sent_packets)

    def at(self, parent: int) -> Node | None:
        return next((node for node in self.qdiscs if node.parent == parent), None)


class Tables:
    """The devices of one network namespace from boot to boot."""

    def __init__(self) -> None:
        self.devices: dict[int, Device] = {}
        self.newest = 1  # the loopback device
        self.listener: Callable[[LinkRow | None], None] = lambda row: None

    def add(self, ifname: str, *, kind: str = "", header_bytes: int = 14, up: bool = True) -> Device:
        if self.named(ifname):
            raise KernelError(ifname, errno.EEXIST, os.strerror(errno.EEXIST))
        self.newest += 1
        return self.enter(Device(self.newest, ifname, kind, header_bytes, up))

    def enter(self, device: Device) -> Device:
        """A device that is new here, or comes back from another namespace with its number and its counters."""
        self.devices[device.ifindex] = device
        self.listener(device.row())
        return device

    def leave(self, device: Device, *, heard: bool = True) -> None:
        """It is deleted or goes into another namespace; its traffic control ends either way. `heard`: the agent gets
        the message about it."""
        del self.devices[device.ifindex]
        device.qdiscs.clear()
        device.filters.clear()
        for other in self.devices.values():
            other.filters = [replace(f, redirect=f.redirect * (f.redirect != device.ifindex)) for f in other.filters]
        self.listener(device.row(deleted=True) if heard else None)

    def rename(self, device: Device, ifname: str) -> None:
        device.ifname = ifname
        self.listener(device.row())

    def hang(self, device: Device, filter: Filter) -> None:
        """A filter on its ingress side, in the order of their priority."""
        device.filters = sorted([*device.filters, filter], key=lambda f: f.prio)
        self.changed()

    def changed(self) -> None:
        """Somebody changed the traffic control of a device."""
        self.listener(None)

    def named(self, ifname: str) -> Device | None:
        return next((device for device in self.devices.values() if device.ifname == ifname), None)

    def rates(self, device: Device) -> tuple[float, float]:
        """bit/s that can come in and go out: infinite where nothing shapes, 0 where a redirect leads nowhere."""
        down = float("inf")
        if redirect := next((f for f in device.filters if f.kind != "bpf"), None):
            target = self.devices.get(redirect.redirect)
            down = _rate(target) if target is not None and target.up else 0.0
        return down, _rate(device)


def _rate(device: Device) -> float:
    root = device.at(ROOT)
    return 8.0 * root.values["base_rate64"] if root else float("inf")


class Route:
    """The verbs of agent.traffic.netlink.route.Route on these tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._together, self._refused = False, list[KernelError]()

    @contextmanager
    def together(self, *, send: bool = True) -> Iterator[None]:
        """What is refused is raised at the end, and the others are done; without `send` nothing is."""
        self._together = True
        before = self._tables
        if not send:
            self._tables = Tables()
        try:
            yield
            self._raise_refused()
        finally:
            self._tables = before
            self._together, self._refused = False, []

    def _raise_refused(self) -> None:
        if self._refused:
            raise self._refused[0]

    def _refuse(self, what: str, code: int, *, may_be_gone: bool = False) -> None:
        if may_be_gone and code in GONE:
            return
        self._refused.append(KernelError(what, code, os.strerror(code)))
        if not self._together:
            refused, self._refused = self._refused, []
            raise refused[0]

    def _device(self, ifindex: int, what: str, *, may_be_gone: bool = False) -> Device | None:
        device = self._tables.devices.get(ifindex)
        if device is None:
            self._refuse(what, errno.ENODEV, may_be_gone=may_be_gone)
        return device

    # -- links

    def links(self) -> list[LinkRow]:
        self._raise_refused()
        return [device.row() for device in self._tables.devices.values()]

    def link(self, ifname: str) -> Link | None:
        self._raise_refused()
        device = self._tables.named(ifname)
        return device.row().link if device else None

    def add_ifb(self, ifname: str) -> None:
        try:
            self._tables.add(ifname, kind="ifb", up=False)
        except KernelError as error:
            self._refuse(ifname, error.code or 0)

    def set_link(self, ifindex: int, *, state: str = "", gso_max_segs: int = 0) -> None:
        if device := self._device(ifindex, "changing a link"):
            device.up = device.up or state == "up"
            device.gso_max_segs = gso_max_segs or device.gso_max_segs
            self._tables.listener(device.row())

    def delete_link(self, ifindex: int) -> None:
        if device := self._device(ifindex, "deleting a link", may_be_gone=True):
            self._tables.leave(device)

    # -- qdiscs and filters

    def qdiscs(self) -> list[Node]:
        """With the kernel's own at each root that has no other: handle 0."""
        self._raise_refused()
        found = []
        for device in self._tables.devices.values():
            bare = [] if device.at(ROOT) else [Node("pfifo_fast", 0, ROOT, ifindex=device.ifindex)]
            found += [*bare, *device.qdiscs]
        return found

    def classes(self, ifindex: int) -> list[Node]:
        return []

    def filters(self, ifindex: int, parent: int) -> list[Filter]:
        """Each after a line for its priority, as the kernel has it."""
        self._raise_refused()
        device = self._tables.devices[ifindex]
        if not _is_side(device, parent):
            return []
        return [line for f in device.filters for line in (replace(f, handle=0, mirred=False, redirect=0), f)]

    def put_qdisc(self, ifindex: int, kind: str, handle: int, parent: int, options: Mapping[str, Any]) -> None:
        what = f"qdisc {kind}"
        if device := self._device(ifindex, what):
            if kind != "cake" or parent != ROOT:
                self._refuse(what, errno.ENOENT)
                return
            values = {"base_rate64": options["bandwidth"] // 8, "ack_filter": int(options["ack_filter"])}
            values |= {"nat": int(options["nat"]), "flow_mode": CAKE_MODES[options["flow_mode"]]}
            values["diffserv_mode"] = CAKE_MODES[options["diffserv_mode"]]
            others = [node for node in device.qdiscs if node.parent != ROOT]
            device.qdiscs = [Node(kind, handle, parent, values, ifindex), *others]
            self._tables.changed()

    def add_ingress(self, ifindex: int) -> None:
        if device := self._device(ifindex, "qdisc ingress"):
            if device.at(INGRESS_PARENT):
                self._refuse("qdisc ingress", errno.EEXIST)
                return
            device.qdiscs.append(Node("ingress", INGRESS_HANDLE, INGRESS_PARENT, ifindex=ifindex))
            self._tables.changed()

    def add_redirect(self, ifindex: int, classifier: str, prio: int, target: int) -> None:
        """On whatever side RealRoute names: a plain ingress has one, and takes it by both its names."""
        what = f"filter {classifier} with mirred"
        if device := self._device(ifindex, what):
            if target not in self._tables.devices:
                self._refuse(what, errno.ENODEV)
            elif not _is_side(device, SIDE):
                self._refuse(what, errno.EINVAL)
            else:
                self._tables.hang(device, Filter(classifier, SIDE, prio, ETH_P_ALL, 1, mirred=True, redirect=target))

    def delete_filters(self, ifindex: int, parent: int, prio: int, protocol: int) -> None:
        what = "deleting filters"
        if device := self._device(ifindex, what, may_be_gone=True):
            if not _is_side(device, parent):
                self._refuse(what, errno.EINVAL, may_be_gone=True)
                return
            device.filters = [f for f in device.filters if (f.prio, f.protocol) != (prio, protocol)]
            self._tables.changed()

    def delete_root(self, ifindex: int, handle: int) -> None:
        self._delete_qdisc(ifindex, ROOT, handle, "")

    def delete_ingress(self, ifindex: int) -> None:
        self._delete_qdisc(ifindex, INGRESS_PARENT, INGRESS_HANDLE, "ingress")

    def _delete_qdisc(self, ifindex: int, parent: int, handle: int, kind: str) -> None:
        what = "deleting a qdisc"
        if device := self._device(ifindex, what, may_be_gone=True):
            node = device.at(parent)
            if node is None or node.handle != handle or (kind and node.kind != kind):
                self._refuse(what, errno.EINVAL, may_be_gone=True)
                return
            device.qdiscs.remove(node)
            if parent == INGRESS_PARENT:
                device.filters.clear()
            self._tables.changed()


def _side() -> int:
    """By which name RealRoute asks for the ingress side when it adds a redirect."""
    asked: list[int] = []
    stand_in = SimpleNamespace(_change=lambda *words, parent, **values: asked.append(parent))
    RealRoute.add_redirect(cast(RealRoute, stand_in), 1, "matchall", 1, 1)
    return asked[0]


SIDE = _side()


def _is_side(device: Device, parent: int) -> bool:
    """clsact answers to the one name of its ingress side, ingress to both."""
    node = device.at(INGRESS_PARENT)
    return node is not None and (parent == CLSACT_INGRESS or (node.kind == "ingress" and parent == INGRESS_HANDLE))


class Netlink(Kernel):
    """agent.traffic.Kernel on these tables, without a thread. `flow` brings the counters up to the present."""

    def __init__(self, tables: Tables, flow: Callable[[], None], boot_id: str) -> None:
        super().__init__()
        self._tables, self._flow, self._boot_id = tables, flow, boot_id
        self._route = Route(tables)
        self._stats = cast(StatsSocket, SimpleNamespace(read=self._counters))

    def start(self, loop: asyncio.AbstractEventLoop, on_event: Callable[[LinkEvent], None]) -> None:
        at_once = SimpleNamespace(call_soon_threadsafe=lambda function, *words: function(*words))
        self._loop, self._on_event = cast(asyncio.AbstractEventLoop, at_once), on_event
        self._links = {row.link.ifindex: row.link for row in self._route.links()}
        self._tables.listener = self._hear

    def close(self) -> None:
        self._tables.listener = lambda row: None
        super().close()

    async def call(self, function: Callable[[RealRoute], T]) -> T:
        self._flow()
        return function(cast(RealRoute, self._route))

    def _hear(self, row: LinkRow | None) -> None:
        self._generation += 1
        if row is not None:
            self._note(row)

    def _counters(self, ifindex: int) -> Counters | None:
        device = self._tables.devices.get(ifindex)
        return device.counters() if device else None
