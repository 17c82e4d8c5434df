"""The only file that touches pyroute2: links, qdiscs, classes and filters as a few verbs on plain values.

Used by the one kernel thread (thread.py) and by nobody else: in pyroute2 0.9 every thread that uses an IPRoute gets an
event loop and a socket of its own, and leaks both. Must never raise anything but KernelError and ImportError.

Importing `pyroute2` runs an `__init__` that imports all of it (netns, NDB, nftables, WireGuard, …): 360 modules and
25 MB. Only links and tc are wanted, so the package is put into sys.modules without running its `__init__`, and the
one submodule is imported. What that brings along for pyroute2's own tests (unittest, with argparse and difflib), for
processes in other namespaces and for the events of wireless cards is met by empty modules: 110 modules, 2 MB.
"""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from agent.errors import KernelError
from agent.lean import leaf, without
from agent.traffic.model import Link
from agent.traffic.netlink import u32
from agent.traffic.netlink.messages import Filter, LinkRow, Node, filter_of, link_row, node_of
from agent.traffic.netlink.requests import Requests

ROOT = 0xFFFFFFFF  # TC_H_ROOT
INGRESS_HANDLE = 0xFFFF0000
INGRESS_PARENT = 0xFFFFFFF1  # TC_H_INGRESS, where ingress and clsact hang alike
# TC_H_CLSACT with TC_H_MIN_INGRESS or TC_H_MIN_EGRESS (linux/pkt_sched.h): the two sides of a clsact. A plain ingress
# takes its one side by the same name, as tc(8) calls both `ingress`; by 0xFFFF0000 only the plain one answers.
INGRESS_SIDE = 0xFFFFFFF2
EGRESS_SIDE = 0xFFFFFFF3
ETH_P_ALL = 0x0003
ETH_P_IP = 0x0800
ETH_P_ARP = 0x0806
ETH_P_IPV6 = 0x86DD
FOR_TESTS = ("unittest", "unittest.mock", "pyroute2.iproute.ipmock", "psutil")
GONE = frozenset(
    {errno.ENOENT, errno.EINVAL, errno.ENODEV}
)  # 0.7 says ENOENT, 0.9 EINVAL, for a qdisc that is not there


def _trimmed(submodule: str) -> types.ModuleType:
    with without(*FOR_TESTS, "multiprocessing"):
        _forgo_wireless()
        return leaf(submodule)


def _forgo_wireless() -> None:
    """The table of wireless events is as big as all of tc, and no mobile link sends one: their bytes are left alone."""
    name = "pyroute2.netlink.rtnl.iw_event"
    if name not in sys.modules:
        atoms = leaf("pyroute2.netlink").nlmsg_atoms
        stub = types.ModuleType(name)
        stub.iw_event = atoms.hex  # type: ignore[attr-defined]
        sys.modules[name] = stub


def _import() -> tuple[Any, Any]:
    """IPRoute and IPBatch, by the short way or, should a release refuse that, by the long."""
    try:
        linux = _trimmed("pyroute2.iproute.linux")
    except (ImportError, AttributeError):
        for name in [n for n in sys.modules if n == "pyroute2" or n.startswith("pyroute2.")]:
            del sys.modules[name]
        importlib.import_module("pyroute2")
        linux = importlib.import_module("pyroute2.iproute.linux")
    return linux.IPRoute, linux.IPBatch


def _prepare() -> None:
    """pyroute2 knows pfifo only; bfifo has the same single option, counted in bytes.

    And it warns of each fq_codel option, on every call, that it may be named otherwise one day.
    """
    logging.getLogger("pyroute2.netlink.rtnl.tcmsg.sched_fq_codel").setLevel(logging.ERROR)
    tcmsg = importlib.import_module("pyroute2.netlink.rtnl.tcmsg")
    tcmsg.plugins.setdefault("bfifo", tcmsg.plugins["pfifo"])
    common = importlib.import_module("pyroute2.netlink.rtnl.tcmsg.common")
    common.nla_plus_rtab.parms.calc_rtab = _no_rate_table
    tbf = tcmsg.plugins["tbf"]
    if tbf.get_parameters.__module__ != __name__:
        tbf.get_parameters = _with_peak(tbf.get_parameters, common.calc_xmittime)


def _with_peak(get_parameters: Callable[[Any], Any], ticks: Callable[[int, int], int]) -> Callable[[Any], Any]:
    """pyroute2 checks a tbf's peak rate and mtu, and then forgets to send them."""

    def parameters(options: Any) -> Any:
        found = get_parameters(options)
        peak, mtu = options.get("peak", 0), options.get("mtu", 0)
        if peak:
            found["attrs"][0][1].update(peak=peak, mtu=ticks(peak, mtu))
        return found

    return parameters


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
    """A netlink route socket with the verbs the room needs. One thread only.

    A change is sent at once, or with the others at the end of `together`.
    """

    def __init__(self) -> None:
        with _asking("opening netlink"):
            iproute, compiler = _import()
            _prepare()
            self._ip = iproute()
            self._compiler = compiler()
            self._requests = Requests()
        self._together = False

    def close(self) -> None:
        self._requests.close()
        self._compiler.close()
        self._ip.close()

    @contextmanager
    def together(self, *, send: bool = True) -> Iterator[None]:
        """What is changed inside goes out in one datagram at its end, or not at all but is encoded for another time. A
        reading inside sends first what is queued."""
        self._together = True
        try:
            yield
            if send:
                self._send()
        finally:
            self._together = False
            self._requests.drop()

    def _send(self) -> None:
        with _asking("netlink"):
            self._requests.send()

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        self._send()
        with _asking(what):
            yield

    def _change(
        self, what: str, ifindex: int, verb: str, *words: str,
        may_be_gone: bool = False, place: tuple[int, int] | None = None, **values: Any,
    ) -> None:  # fmt: skip
        """One request, as pyroute2's `link` or `tc` would send it. A deletion of what is not there is done."""

        def encode() -> bytes:
            with _asking(what):
                self._compiler.reset()
                getattr(self._compiler, verb)(*words, index=ifindex, **values)
                return bytes(self._compiler.batch)

        key = repr((verb, words, sorted(values.items())))
        self._queue(what, key, ifindex, encode, place=place, tolerated=GONE if may_be_gone else frozenset())

    def _queue(
        self, what: str, key: str, ifindex: int, encode: Callable[[], bytes], *,
        place: tuple[int, int] | None = None, tolerated: frozenset[int] = frozenset(),
    ) -> None:  # fmt: skip
        self._requests.add(what, key, ifindex, encode, place=place, tolerated=tolerated)
        if not self._together:
            self._send()

    # -- links -----------------------------------------------------------------------------------------------------

    def links(self) -> list[LinkRow]:
        with self._reading("listing the links"):
            return [link_row(message) for message in self._ip.link("dump")]

    def link(self, ifname: str) -> Link | None:
        """One link by name, or None if there is none."""
        try:
            with self._reading(f"reading link {ifname}"):
                return next((link_row(m).link for m in self._ip.link("get", ifname=ifname)), None)
        except KernelError as error:
            if error.code not in GONE:
                raise
            return None

    def add_ifb(self, ifname: str) -> None:
        """An ifb device that is up, with a queue of its own qdisc and nothing else."""
        self._change(f"creating {ifname}", 0, "link", "add", ifname=ifname, kind="ifb", state="up")

    def add_veth(self, ifname: str, peer: str) -> None:
        self._change(f"creating {ifname}", 0, "link", "add", ifname=ifname, kind="veth", peer=peer)

    def set_link(self, ifindex: int, **values: Any) -> None:
        self._change(f"changing link {ifindex}", ifindex, "link", "set", **values)

    def delete_link(self, ifindex: int) -> None:
        self._change(f"deleting link {ifindex}", ifindex, "link", "del", may_be_gone=True)

    # -- qdiscs, classes, filters ----------------------------------------------------------------------------------

    def qdiscs(self) -> list[Node]:
        """The qdiscs of all links; older kernels tell them all, whatever link is asked for."""
        with self._reading("reading the qdiscs"):
            return [node_of(m) for m in self._ip.get_qdiscs()]

    def classes(self, ifindex: int) -> list[Node]:
        with self._reading(f"reading the classes of link {ifindex}"):
            return [node_of(m) for m in self._ip.get_classes(index=ifindex) if m["index"] == ifindex]

    def filters(self, ifindex: int, parent: int) -> list[Filter]:
        """Besides the filters themselves, a line for each priority and, of u32, for each hash table: no target, no
        redirect."""
        with self._reading(f"reading the filters of link {ifindex}"):
            return [filter_of(m) for m in self._ip.get_filters(index=ifindex, parent=parent)]

    def put_qdisc(self, ifindex: int, kind: str, handle: int, parent: int, options: Mapping[str, Any]) -> None:
        """Add a qdisc, or change the one of that handle and kind in place."""
        what = f"qdisc {kind} on link {ifindex}"
        self._put(what, ifindex, "replace", kind, (handle, parent), options)

    def put_class(self, ifindex: int, kind: str, handle: int, parent: int, options: Mapping[str, Any]) -> None:
        what = f"class {kind} on link {ifindex}"
        self._put(what, ifindex, "replace-class", kind, (handle, parent), options)

    def _put(
        self, what: str, ifindex: int, verb: str, kind: str, place: tuple[int, int], options: Mapping[str, Any]
    ) -> None:
        """Encoded at the place of a root, and sent to its own."""
        self._change(what, ifindex, "tc", verb, kind, handle=0, parent=ROOT, place=place, **options)

    def add_ingress(self, ifindex: int) -> None:
        self._change(f"qdisc ingress on link {ifindex}", ifindex, "tc", "add", "ingress", handle=INGRESS_HANDLE)

    def add_redirect(self, ifindex: int, classifier: str, prio: int, target: int) -> None:
        """Lead all that comes in on a link to the egress side of another."""
        match: dict[str, Any] = {} if classifier == "matchall" else {"keys": ["0x0/0x0+0"], "target": 0x10001}
        action = {"kind": "mirred", "direction": "egress", "action": "redirect", "ifindex": target}
        self._change(
            f"filter {classifier} with mirred on link {ifindex}", ifindex, "tc", "add-filter", classifier,
            parent=INGRESS_SIDE, prio=prio, protocol=ETH_P_ALL, action=action, **match,
        )  # fmt: skip

    def add_u32(self, ifindex: int, parent: int, prio: int, protocol: int, keys: Sequence[str], target: int) -> None:
        what, place = f"filter u32 on link {ifindex}", (parent, prio, protocol, tuple(keys), target)
        self._queue(what, repr(("u32", place)), ifindex, lambda: u32.request(*place))

    def delete_filters(self, ifindex: int, parent: int, prio: int, protocol: int) -> None:
        """All filters of one priority and protocol, with their hash table."""
        what, info = f"deleting filters on link {ifindex}", u32.info(prio, protocol)
        self._change(what, ifindex, "tc", "del-filter", parent=parent, info=info, may_be_gone=True)

    def delete_root(self, ifindex: int, handle: int) -> None:
        """0.9 supplies 1: for a handle that is not given, which the kernel then does not find."""
        what = f"deleting the root qdisc of link {ifindex}"
        self._change(what, ifindex, "tc", "del", handle=handle, parent=ROOT, may_be_gone=True)

    def delete_ingress(self, ifindex: int) -> None:
        what = f"deleting the ingress qdisc of link {ifindex}"
        self._change(what, ifindex, "tc", "del", "ingress", handle=INGRESS_HANDLE, may_be_gone=True)
