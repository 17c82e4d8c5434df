"""The only file that touches pyroute2: links, qdiscs, classes and filters as a few verbs on plain values.

Used by the one kernel thread (kernel.py) and by nobody else: in pyroute2 0.9 every thread that uses an IPRoute gets an
event loop and a socket of its own, and leaks both. Must never raise anything but KernelError and ImportError.

Importing `pyroute2` runs an `__init__` that imports all of it (netns, NDB, nftables, WireGuard, …): 360 modules and
25 MB. Only links and tc are wanted, so the package is put into sys.modules without running its `__init__`, and the
one submodule is imported: 220 modules and 15 MB, of which asyncio, which is needed anyway, is 11.
"""

from __future__ import annotations

import errno
import importlib
import importlib.util
import logging
import os
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from agent.errors import KernelError
from agent.traffic.model import ETHERNET_HEADER_BYTES, ETHERNET_TYPES, Link

ROOT = 0xFFFFFFFF  # TC_H_ROOT
INGRESS_HANDLE = 0xFFFF0000
INGRESS_PARENT = 0xFFFFFFF1  # TC_H_INGRESS
ETH_P_ALL = 0x0003
ETH_P_IP = 0x0800
ETH_P_ARP = 0x0806
ETH_P_IPV6 = 0x86DD
IFF_UP = 0x1
GONE = frozenset(
    {errno.ENOENT, errno.EINVAL, errno.ENODEV}
)  # 0.7 says ENOENT, 0.9 EINVAL, for a qdisc that is not there


@dataclass(frozen=True, slots=True)
class Counters:
    """64-bit link counters, seen from the interface."""

    received_bytes: int
    sent_bytes: int
    received_packets: int
    sent_packets: int


@dataclass(frozen=True, slots=True)
class LinkRow:
    """One link message: the link, its counters if the message had them, and whether the link is gone."""

    link: Link
    counters: Counters | None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One qdisc or class as read back from the kernel; `values` are its options by pyroute2's names in lower case."""

    kind: str
    handle: int
    parent: int
    values: Mapping[str, Any] = field(default_factory=dict)
    ifindex: int = 0
    sent_bytes: int = 0
    sent_packets: int = 0
    drops: int = 0
    backlog_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter as read back: where it hangs and where it sends the packet. What it matches is not read back, as
    pyroute2 decodes the keys of u32 four bytes too early."""

    kind: str
    parent: int
    prio: int
    protocol: int
    handle: int
    target: int = 0  # class
    redirect: int = 0  # ifindex
    matched_bytes: int = 0  # counted by the filter's action
    matched_packets: int = 0


def _trimmed(submodule: str) -> types.ModuleType:
    """Import a submodule of pyroute2 without the package's `__init__`, unless something has already run that."""
    if "pyroute2" not in sys.modules:
        spec = importlib.util.find_spec("pyroute2")
        if spec is None or not spec.submodule_search_locations:
            raise ImportError("pyroute2 is not installed")
        package = types.ModuleType("pyroute2")
        package.__path__ = list(spec.submodule_search_locations)
        package.__file__, package.__spec__ = spec.origin, spec
        sys.modules["pyroute2"] = package
    return importlib.import_module(submodule)


def _import() -> tuple[Any, Any]:
    """IPRoute and the marshal of link messages, by the short way or, should a release refuse that, by the long one."""
    try:
        return _trimmed("pyroute2.iproute.linux").IPRoute, _trimmed("pyroute2.netlink.rtnl.marshal").MarshalRtnl
    except (ImportError, AttributeError):
        for name in [n for n in sys.modules if n == "pyroute2" or n.startswith("pyroute2.")]:
            del sys.modules[name]
        importlib.import_module("pyroute2")
        marshal = importlib.import_module("pyroute2.netlink.rtnl.marshal")
        return importlib.import_module("pyroute2.iproute.linux").IPRoute, marshal.MarshalRtnl


def _prepare() -> None:
    """pyroute2 knows pfifo only; bfifo has the same single option, counted in bytes.

    And it warns of each fq_codel option, on every call, that it may be named otherwise one day.
    """
    logging.getLogger("pyroute2.netlink.rtnl.tcmsg.sched_fq_codel").setLevel(logging.ERROR)
    tcmsg = importlib.import_module("pyroute2.netlink.rtnl.tcmsg")
    tcmsg.plugins.setdefault("bfifo", tcmsg.plugins["pfifo"])
    common = importlib.import_module("pyroute2.netlink.rtnl.tcmsg.common")
    common.nla_plus_rtab.parms.calc_rtab = _no_rate_table


def _no_rate_table(parms: Any, kind: str) -> list[int]:
    """Kernels since 3.8 compute with the rate itself and use the table only to guess at ATM, which a zero forgoes.

    Reckoning two tables takes pyroute2 1 ms a class on a PC, and twenty times that on a router.
    """
    parms[f"{kind}_cell_log"] = 3
    return [0] * 256


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """All that pyroute2 and the socket may raise becomes a KernelError that says what was asked for."""
    try:
        yield
    except KernelError:
        raise
    except Exception as error:  # NetlinkError is no OSError in every release, and struct.error comes up through it
        code = getattr(error, "code", None) or getattr(error, "errno", None)
        if not isinstance(code, int):
            raise KernelError(what, None, f"{type(error).__name__}: {error}") from error
        raise KernelError(what, code, os.strerror(code)) from error


class Route:
    """A netlink route socket with the verbs the room needs. One thread only."""

    def __init__(self) -> None:
        with _asking("opening netlink"):
            iproute, marshal = _import()
            _prepare()
            self._marshal = marshal()
            self._ip = iproute()

    def close(self) -> None:
        self._ip.close()

    # -- links -----------------------------------------------------------------------------------------------------

    def links(self) -> list[LinkRow]:
        with _asking("listing the links"):
            return [_link_row(message) for message in self._ip.link("dump")]

    def link(self, ifname: str) -> Link | None:
        """One link by name, or None if there is none."""
        with self._already_gone(), _asking(f"reading link {ifname}"):
            return next((_link_row(m).link for m in self._ip.link("get", ifname=ifname)), None)
        return None

    def parse(self, data: bytes) -> list[LinkRow]:
        """The link messages in a datagram of the RTNLGRP_LINK group."""
        with _asking("reading a link event"):
            messages = [m for m in self._marshal.parse(data) if m.get("event") in ("RTM_NEWLINK", "RTM_DELLINK")]
            return [_link_row(m) for m in messages if m["family"] == 0]  # a bridge speaks of its ports as AF_BRIDGE

    def add_ifb(self, ifname: str) -> None:
        """An ifb device that is up, with a queue of its own qdisc and nothing else."""
        with _asking(f"creating {ifname}"):
            self._ip.link("add", ifname=ifname, kind="ifb")

    def add_veth(self, ifname: str, peer: str) -> None:
        with _asking(f"creating {ifname}"):
            self._ip.link("add", ifname=ifname, kind="veth", peer=peer)

    def set_link(self, ifindex: int, **values: Any) -> None:
        with _asking(f"changing link {ifindex}"):
            self._ip.link("set", index=ifindex, **values)

    def delete_link(self, ifindex: int) -> None:
        with self._already_gone(), _asking(f"deleting link {ifindex}"):
            self._ip.link("del", index=ifindex)

    # -- qdiscs, classes, filters ----------------------------------------------------------------------------------

    def qdiscs(self) -> list[Node]:
        """The qdiscs of all links; older kernels tell them all, whatever link is asked for."""
        with _asking("reading the qdiscs"):
            return [_node(m) for m in self._ip.get_qdiscs()]

    def classes(self, ifindex: int) -> list[Node]:
        with _asking(f"reading the classes of link {ifindex}"):
            return [_node(m) for m in self._ip.get_classes(index=ifindex) if m["index"] == ifindex]

    def filters(self, ifindex: int, parent: int) -> list[Filter]:
        """Besides the filters themselves, a line for each priority and, of u32, for each hash table: no target, no
        redirect. A filter whose ifb is gone reads alike."""
        with _asking(f"reading the filters of link {ifindex}"):
            return [_filter(m) for m in self._ip.get_filters(index=ifindex, parent=parent)]

    def put_qdisc(self, ifindex: int, kind: str, handle: int, parent: int, options: Mapping[str, Any]) -> None:
        """Add a qdisc, or change the one of that handle and kind in place."""
        with _asking(f"qdisc {kind} on link {ifindex}"):
            self._ip.tc("replace", kind, index=ifindex, handle=handle, parent=parent, **options)

    def put_class(self, ifindex: int, kind: str, handle: int, parent: int, options: Mapping[str, Any]) -> None:
        with _asking(f"class {kind} on link {ifindex}"):
            self._ip.tc("replace-class", kind, index=ifindex, handle=handle, parent=parent, **options)

    def add_ingress(self, ifindex: int) -> None:
        with _asking(f"qdisc ingress on link {ifindex}"):
            self._ip.tc("add", "ingress", index=ifindex, handle=INGRESS_HANDLE)

    def add_redirect(self, ifindex: int, classifier: str, prio: int, target: int) -> None:
        """Lead all that comes in on a link to the egress side of another."""
        match = {} if classifier == "matchall" else {"keys": ["0x0/0x0+0"], "target": 0x10001}
        action = {"kind": "mirred", "direction": "egress", "action": "redirect", "ifindex": target}
        with _asking(f"filter {classifier} with mirred on link {ifindex}"):
            self._ip.tc(
                "add-filter", classifier, index=ifindex, parent=INGRESS_HANDLE, prio=prio, protocol=ETH_P_ALL,
                action=action, **match,
            )  # fmt: skip

    def add_u32(self, ifindex: int, parent: int, prio: int, protocol: int, keys: list[str], target: int) -> None:
        with _asking(f"filter u32 on link {ifindex}"):
            self._ip.tc(
                "add-filter", "u32", index=ifindex, parent=parent, prio=prio, protocol=protocol, keys=keys,
                target=target,
            )  # fmt: skip

    def delete_filters(self, ifindex: int, parent: int, prio: int, protocol: int) -> None:
        """All filters of one priority and protocol, with their hash table."""
        with self._already_gone(), _asking(f"deleting filters on link {ifindex}"):
            info = (prio << 16) | ((protocol & 0xFF) << 8) | (protocol >> 8)
            self._ip.tc("del-filter", index=ifindex, parent=parent, info=info)

    def delete_root(self, ifindex: int, handle: int) -> None:
        """0.9 supplies 1: for a handle that is not given, which the kernel then does not find."""
        with self._already_gone(), _asking(f"deleting the root qdisc of link {ifindex}"):
            self._ip.tc("del", index=ifindex, handle=handle, parent=ROOT)

    def delete_ingress(self, ifindex: int) -> None:
        with self._already_gone(), _asking(f"deleting the ingress qdisc of link {ifindex}"):
            self._ip.tc("del", "ingress", index=ifindex, handle=INGRESS_HANDLE)

    @contextmanager
    def _already_gone(self) -> Iterator[None]:
        """A deletion of what is not there is done; the caller reads back what is left."""
        try:
            yield
        except KernelError as error:
            if error.code not in GONE:
                raise


# -- messages to plain values --------------------------------------------------------------------------------------


def _link_row(message: Any) -> LinkRow:
    stats = message.get_attr("IFLA_STATS64")
    info = message.get_attr("IFLA_LINKINFO")
    counters = None
    if stats:
        counters = Counters(stats["rx_bytes"], stats["tx_bytes"], stats["rx_packets"], stats["tx_packets"])
    link = Link(
        ifindex=message["index"],
        ifname=message.get_attr("IFLA_IFNAME") or "",
        kind=(info.get_attr("IFLA_INFO_KIND") if info else None) or "",
        up=bool(message["flags"] & IFF_UP),
        header_bytes=ETHERNET_HEADER_BYTES if message["ifi_type"] in ETHERNET_TYPES else 0,
        mtu=message.get_attr("IFLA_MTU") or 0,
        master=message.get_attr("IFLA_MASTER") or 0,
        gso_max_segs=message.get_attr("IFLA_GSO_MAX_SEGS") or 0,
    )
    return LinkRow(link, counters, deleted=message.get("event") == "RTM_DELLINK")


def _flat(value: Any, kind: str) -> dict[str, Any]:
    """Options as one flat dictionary: TCA_TBF_PARMS and the like are opened, prefixes such as TCA_TBF_ cut off."""
    flat: dict[str, Any] = {}
    if not isinstance(value, dict):
        return flat
    for key, item in value.items():
        if key not in ("attrs", "header"):
            flat[str(key).lower()] = item
    for name, item in ((a[0], a[1]) for a in value.get("attrs", ())):
        if isinstance(item, dict):
            flat.update(_flat(item, kind))
        else:
            flat[str(name).removeprefix(f"TCA_{kind.upper()}_").lower()] = item
    return flat


def _node(message: Any) -> Node:
    stats = message.get_attr("TCA_STATS2")
    basic = stats.get_attr("TCA_STATS_BASIC") if stats else None
    kind = message.get_attr("TCA_KIND") or ""
    queue = stats.get_attr("TCA_STATS_QUEUE") if stats else None
    return Node(
        kind=kind,
        handle=message["handle"],
        parent=message["parent"],
        ifindex=message["index"],
        values=_flat(message.get_attr("TCA_OPTIONS"), kind),
        sent_bytes=basic["bytes"] if basic else 0,
        sent_packets=basic["packets"] if basic else 0,
        drops=queue["drops"] if queue else 0,
        backlog_bytes=queue["backlog"] if queue else 0,
    )


def _filter(message: Any) -> Filter:
    options = message.get_attr("TCA_OPTIONS")
    kind = message.get_attr("TCA_KIND") or ""
    protocol = message["info"] & 0xFFFF
    redirect, octets, packets = _action(options, kind)
    return Filter(
        kind=kind,
        parent=message["parent"],
        prio=message["info"] >> 16,
        protocol=((protocol & 0xFF) << 8) | (protocol >> 8),
        handle=message["handle"],
        target=(options.get_attr(f"TCA_{kind.upper()}_CLASSID") or 0) if options else 0,
        redirect=redirect,
        matched_bytes=octets,
        matched_packets=packets,
    )


def _action(options: Any, kind: str) -> tuple[int, int, int]:
    """Target of the first mirred action of a filter, and the bytes and packets it has counted."""
    actions = options.get_attr(f"TCA_{kind.upper()}_ACT") if options else None
    for _, action in actions["attrs"] if actions else ():
        inner = action.get_attr("TCA_ACT_OPTIONS")
        if action.get_attr("TCA_ACT_KIND") != "mirred" or inner is None:
            continue
        parameters = inner.get_attr("TCA_MIRRED_PARMS")
        stats = action.get_attr("TCA_ACT_STATS")
        basic = stats.get_attr("TCA_STATS_BASIC") if stats and hasattr(stats, "get_attr") else None
        octets, packets = (basic["bytes"], basic["packets"]) if basic else (0, 0)
        return (parameters["ifindex"] if parameters else 0), octets, packets
    return 0, 0, 0
