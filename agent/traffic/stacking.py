"""Links that stand on other links: which of them count where several are meant. PURE.

Used by kernel.py. Each byte that passes a bridge, a VLAN or a bond passes the link below it too, so that of two links
that are both meant one is left out: the operator's gateway sees the byte once.

| above | counts | because |
|---|---|---|
| bridge, VLAN, macvlan, VRF, tunnel, … | the link below | what a bridge forwards and what is untagged passes it alone |
| bond, team | the bond | its counters are the sum of its ports, of those that are not meant too |
| rmnet, qmimux | the channel | it carries IP packets; the link below frames with headers, of other channels too |
| DSA port | the port | the link below carries the whole switch |
| ppp by PPPoE | ppp | the link below has its headers, and what is not of the session |
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set

from agent.traffic.model import Link

# IFLA_INFO_KIND (`kind` of rtnl_link_ops in drivers/net: bonding, team, ethernet/qualcomm/rmnet; net/dsa), and the
# channels of qmi_wwan, which have none (lower_links.py).
COUNTED_ABOVE = frozenset({"bond", "team", "rmnet", "qmimux", "dsa"})


def carried(links: Mapping[int, Link], meant: Set[int], pppoe: Collection[str] = ()) -> frozenset[int]:
    """Of the links that are meant those whose bytes pass another of them, which counts for both. `pppoe` names the
    links that PPPoE sessions run on, for a ppp link does not say on which it stands."""
    left_out: set[int] = set()
    if any(links[upper].kind == "ppp" for upper in meant):
        under = {link.ifindex for link in links.values() if link.ifname in pppoe}
        left_out |= meant & under.union(*(_below(links, link) for link in under))
    for upper in meant:
        below = _below(links, upper) & meant
        if links[upper].kind in COUNTED_ABOVE:
            left_out |= below
        elif below:
            left_out.add(upper)
    return frozenset(left_out)


def _below(links: Mapping[int, Link], upper: int) -> set[int]:
    """All links under one, down to the lowest."""
    found: set[int] = set()
    todo = {upper}
    while todo:
        over = todo.pop()
        lowers = {link.ifindex for link in links.values() if link.master == over} | {links[over].lower}
        todo |= (lowers & links.keys()) - found - {upper}
        found |= todo
    return found
