"""Which link stands on which, where netlink says nothing of it. Used by kernel.py, in its thread.

Everything here is asked of the network namespace of the calling thread, or checked against it.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from agent.traffic.model import Link

SYS, PPPOE = Path("/sys/class/net"), Path("/proc/thread-self/net/pppoe")


def completed(link: Link, sys: Path = SYS) -> Link:
    """A channel of qmi_wwan (qmimux) has neither IFLA_INFO_KIND nor IFLA_LINK. Like every link that stands on another
    by `netdev_upper_dev_link` it has a `lower_` entry in sysfs."""
    if link.kind or link.lower or link.header_bytes:
        return link
    with contextlib.suppress(OSError, ValueError):
        here = sys / link.ifname
        for lower in here.glob("lower_*"):
            if int((here / "ifindex").read_text()) == link.ifindex:
                return replace(link, kind="qmimux", lower=int((lower / "ifindex").read_text()))
    return link


def pppoe_devices(table: Path = PPPOE) -> frozenset[str]:
    """Names of the links that PPPoE sessions run on: the third column (`pppoe_seq_show`, drivers/net/ppp/pppoe.c)."""
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return frozenset()
    return frozenset(row[2] for row in rows if len(row) == 3)
