"""What this kernel can do, found out by trying once a boot.

Runs in the netlink thread, called by the shaper. A temporary ifb device carries the attempts; its name is fixed and its
result kept for the boot, because probing under ever new names wakes hotplug scripts and ModemManager a hundred times a
day. Module lists are no proof: what is built in has no module, and what has one may fail to load.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from dataclasses import asdict
from pathlib import Path

from agent.errors import KernelError
from agent.traffic.model import IFB_PREFIX, Capabilities, Link
from agent.traffic.netlink import ETH_P_ALL, INGRESS_HANDLE, Route
from agent.traffic.tree import REDIRECT_PRIO, TOP, tree

log = logging.getLogger(__name__)

PROBE_NAME = f"{IFB_PREFIX}-probe"
_TRIALS = {"cake": "cake", "fq_codel": "fq_codel", "htb": "htb", "tbf": "tbf", "bfifo": "bfifo"}


def probe(route: Route) -> Capabilities:
    """Try everything on a device made for it, and take the device away again."""
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
    route.delete_filters(carrier.ifindex, INGRESS_HANDLE, REDIRECT_PRIO, ETH_P_ALL)  # one priority, one kind
    return accepted


def _works(attempt: object) -> bool:
    assert callable(attempt)
    try:
        attempt()
    except KernelError as error:
        log.debug("probe: %s", error)
        return False
    return True


# -- kept for the boot ---------------------------------------------------------------------------------------------


def _stamp(boot_id: str) -> list[str]:
    return [boot_id, os.uname().release]


def load(path: Path, boot_id: str) -> Capabilities | None:
    """What was found out earlier in this boot, or None."""
    try:
        kept = json.loads(path.read_text())
        if kept["of"] != _stamp(boot_id):
            return None
        found = kept["found"]
        return Capabilities(
            frozenset(found["qdiscs"]), frozenset(found["classifiers"]), found["ifb"], found["ingress"], found["mirred"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save(path: Path, boot_id: str, capabilities: Capabilities) -> None:
    """Keep it; failing to is no harm, the next start probes again."""
    found = {k: sorted(v) if isinstance(v, frozenset) else v for k, v in asdict(capabilities).items()}
    try:
        path.write_text(json.dumps({"of": _stamp(boot_id), "found": found}))
    except OSError as error:
        log.debug("capabilities not kept: %s", error)
