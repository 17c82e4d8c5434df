"""What this kernel can do, found out by trying once a boot.

Runs in the netlink thread, called by the shaper. A temporary ifb device carries the attempts. It stands in a network
namespace of its own, of which hotplug scripts and ModemManager hear nothing; probing under ever new names beside the
real links woke them a hundred times a day. Where no namespace may be made (a service with CAP_NET_ADMIN alone) it
stands beside them, once a boot, under a fixed name. Module lists are no proof: what is built in has no module, and what
has one may fail to load.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from agent.errors import KernelError
from agent.traffic.model import IFB_PREFIX, Capabilities, Link
from agent.traffic.netlink.route import ETH_P_ALL, INGRESS_SIDE, Route
from agent.traffic.tree import REDIRECT_PRIO, TOP, tree

log = logging.getLogger(__name__)

CLONE_NEWNET = 0x40000000
PROBE_NAME = f"{IFB_PREFIX}-probe"
_TRIALS = {"cake": "cake", "fq_codel": "fq_codel", "htb": "htb", "tbf": "tbf", "bfifo": "bfifo"}


def probe(route: Route) -> Capabilities:
    """Try everything, out of sight where that is possible."""
    with contextlib.suppress(KernelError):
        _remove_left_over(route)
    found = _in_a_thread(_probe_out_of_sight)
    if found is None or found.problem or found.missing():  # what lacks there may be there all the same
        return _try_all(route)
    return found


def _in_a_thread(function: Callable[[], Capabilities | None]) -> Capabilities | None:
    """A thread leaves its network namespace for good, so it is one made for it."""
    results: list[Capabilities | None] = []
    thread = threading.Thread(target=lambda: results.append(function()), name="probe", daemon=True)
    thread.start()
    thread.join()
    return results[0] if results else None


def _probe_out_of_sight() -> Capabilities | None:
    """In a new network namespace, which ends with the thread; None if there may be none."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return None
    try:
        with contextlib.closing(Route()) as route:
            return _try_all(route)
    except KernelError as error:
        return Capabilities(problem=str(error))


def _try_all(route: Route) -> Capabilities:
    """On a device made for it, which is taken away again."""
    try:
        carrier, has_ifb = _carrier(route)
    except KernelError as error:
        return Capabilities(problem=str(error))
    try:
        qdiscs = frozenset(kind for kind in _TRIALS if _accepts_qdisc(route, carrier, kind))
        ingress = _works(lambda: route.add_ingress(carrier.ifindex))
        classifiers = frozenset(c for c in ("matchall", "u32") if ingress and _accepts_redirect(route, carrier, c))
        return Capabilities(qdiscs, classifiers, has_ifb, ingress, mirred=bool(classifiers))
    finally:
        route.delete_link(carrier.ifindex)


def _carrier(route: Route) -> tuple[Link, bool]:
    """A device to try on: an ifb, else one end of a veth where ifb is missing."""
    _remove_left_over(route)
    has_ifb = True
    try:
        route.add_ifb(PROBE_NAME)
    except KernelError as error:
        if error.code not in (errno.EOPNOTSUPP, errno.ENOENT, errno.EINVAL):
            raise
        has_ifb = False
        route.add_veth(PROBE_NAME, f"{PROBE_NAME}1")
    carrier = next((row.link for row in route.links() if row.link.ifname == PROBE_NAME), None)
    if carrier is None:
        raise KernelError("probing the kernel", None, f"{PROBE_NAME} vanished")
    return carrier, has_ifb


def _remove_left_over(route: Route) -> None:
    for row in route.links():
        if row.link.ifname == PROBE_NAME:
            route.delete_link(row.link.ifindex)


def _accepts_qdisc(route: Route, carrier: Link, kind: str) -> bool:
    wants = {"cake": "cake", "fq_codel": "htb+fq_codel", "htb": "htb+fq_codel", "tbf": "tbf", "bfifo": "tbf"}
    want = next(w for w in tree(wants[kind], 1_000_000) if w.kind == kind)
    if not _works(lambda: route.put_qdisc(carrier.ifindex, kind, TOP, 0xFFFFFFFF, want.options)):
        return False
    found = any(node.ifindex == carrier.ifindex and node.kind == kind for node in route.qdiscs())
    route.delete_root(carrier.ifindex, TOP)
    return found


def _accepts_redirect(route: Route, carrier: Link, classifier: str) -> bool:
    accepted = _works(lambda: route.add_redirect(carrier.ifindex, classifier, REDIRECT_PRIO, carrier.ifindex))
    route.delete_filters(carrier.ifindex, INGRESS_SIDE, REDIRECT_PRIO, ETH_P_ALL)  # one priority, one kind
    return accepted


def _works(attempt: object) -> bool:
    assert callable(attempt)
    try:
        attempt()
    except KernelError as error:
        log.debug("probe: %s", error)
        return False
    return True


# -- kept for the boot, and for later boots of the same kernel -----------------------------------------------------


def kernel_build() -> str:
    """The very kernel, by its number and date of build."""
    return os.uname().version


def _stamp(of: str) -> list[str]:
    return [of, os.uname().release]


def load(path: Path, of: str) -> Capabilities | None:
    """What was found out earlier `of` this boot id, or of this build of the kernel; or None."""
    try:
        kept = json.loads(path.read_text())
        if kept["of"] != _stamp(of):
            return None
        found = kept["found"]
        return Capabilities(
            frozenset(found["qdiscs"]), frozenset(found["classifiers"]), found["ifb"], found["ingress"], found["mirred"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save(path: Path, of: str, capabilities: Capabilities) -> None:
    """Keep it, if it is not kept already; failing to is no harm, the next start probes again."""
    if load(path, of) == capabilities:
        return
    found = {k: sorted(v) if isinstance(v, frozenset) else v for k, v in asdict(capabilities).items()}
    try:
        path.write_text(json.dumps({"of": _stamp(of), "found": found}))
    except OSError as error:
        log.debug("capabilities not kept: %s", error)
