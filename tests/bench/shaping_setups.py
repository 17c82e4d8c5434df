"""The contestants: the agent's shaper with each of its qdiscs, and what people set up with tc in its place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil

from agent.config import ShaperSettings
from agent.plan import Rates
from agent.traffic import Endpoint, Kernel, Shaper
from tests.netns import Wire

KBIT = 512
RATES = Rates(KBIT * 1000, KBIT * 1000)


@dataclass(frozen=True, slots=True)
class Setup:
    """One way to shape; `apply` makes it, and says what came of it."""

    name: str
    apply: Callable[[Kernel, Wire], Awaitable[str]]
    ours: bool = False
    limit_ms: float | None = None  # what its ping is promised to stay below


def agent(kind: str = "auto", limit_ms: float = 75.0) -> Setup:
    async def apply(kernel: Kernel, w: Wire) -> str:
        shaper = Shaper(kernel, ShaperSettings(qdisc=kind))
        shaper.manage([Endpoint(w.far.address, 1883)])
        state = await shaper.reconcile(await kernel.links(["wan0"]), RATES)
        assert state.state == "enforced", state
        return state.qdisc

    return Setup(f"agent: {kind}", apply, ours=True, limit_ms=limit_ms)


def _by_tc(lines: Callable[[str], list[str]]) -> Callable[[Kernel, Wire], Awaitable[str]]:
    """Both directions by hand, the download over an ifb as everybody does it."""

    async def apply(kernel: Kernel, w: Wire) -> str:
        w.near.ip("link", "add", "ifb9", "type", "ifb")
        w.near.ip("link", "set", "ifb9", "up")
        for device in ("wan0", "ifb9"):
            for line in lines(device):
                w.near.tc(*line.split())
        w.near.tc("qdisc", "add", "dev", "wan0", "ingress")
        w.near.tc(
            "filter", "add", "dev", "wan0", "ingress", "prio", "9", "u32", "match", "u32", "0", "0",
            "action", "mirred", "egress", "redirect", "dev", "ifb9",
        )  # fmt: skip
        return "by hand"

    return apply


def _htb(device: str) -> list[str]:
    return [
        f"qdisc add dev {device} root handle 1: htb default 10",
        f"class add dev {device} parent 1: classid 1:10 htb rate {KBIT}kbit ceil {KBIT}kbit",
        f"qdisc add dev {device} parent 1:10 handle 10: pfifo limit 1000",  # the queue of an ordinary device
    ]


def sqm_burst() -> int:
    """sqm-scripts: one packet of 1500 and its overhead, in ATM cells."""
    return ceil((1500 + 48) / 48) * 53


def sqm_target_us() -> int:
    return int(1000 * 1000 * 33 * 53 * 8 / 1000 / KBIT)


def _sqm(has_fq_codel: bool) -> Callable[[str], list[str]]:
    target = sqm_target_us()

    def lines(device: str) -> list[str]:
        top = f"qdisc add dev {device} root handle 1: tbf rate {KBIT}kbit burst {sqm_burst()} latency 300ms"
        if not has_fq_codel:
            return [top]
        inner = f"limit 1001 target {target}us interval {95_000 + target}us ecn quantum 300"
        return [top, f"qdisc add dev {device} parent 1:1 handle 110: fq_codel {inner}"]

    return lines


def setups(qdiscs: frozenset[str]) -> list[Setup]:
    """All that this kernel can run."""
    fq, cake = "fq_codel" in qdiscs, "cake" in qdiscs
    found = []
    if cake:
        found.append(agent("cake", 40.0))
    if fq:
        found += [agent("tbf+fq_codel", 40.0), agent("htb+fq_codel", 40.0)]
    found.append(agent("tbf", 75.0))
    found.append(Setup("sqm settings" if fq else "sqm settings (no fq_codel here)", _by_tc(_sqm(fq))))
    found.append(Setup("tc: htb, default FIFO", _by_tc(_htb)))
    return found
