"""Real traffic over the modelled line, and what it comes to: TCP flows, ping, and counters every 50 ms.

The household's host and the operator's network are two namespaces with the modem between them (tests/netns). What the
household gets is counted where it leaves the modem for the LAN; what it sends, where it leaves for the operator: IP
bytes, as the operator and the agent count them.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.plan import Sample
from agent.traffic import Kernel
from tests.netns import Namespace, Wire

WARM_UP_S = 5.0  # the losses of the start are made good by then; before, goodput reads higher than the line is fast
SAMPLE_S = 0.05
PORTS = {"down": 5201, "up": 5202}


@dataclass(slots=True)
class Track:
    """IP bytes carried, over time: (seconds, bytes) since the start."""

    start_s: float = 0.0  # CLOCK_BOOTTIME
    down: list[tuple[float, int]] = field(default_factory=list)
    up: list[tuple[float, int]] = field(default_factory=list)
    radio: list[tuple[float, int]] = field(default_factory=list)  # what came over the WAN, dropped or not
    pings: list[tuple[float, float]] = field(default_factory=list)  # seconds, milliseconds


@dataclass(frozen=True, slots=True)
class Load:
    """What one run measured, after its warm-up."""

    down_bps: float
    up_bps: float
    radio_bps: float
    goodput_down_bps: float
    goodput_up_bps: float
    ping_ms: tuple[float, float, float]  # median, 95 %, longest
    ping_loss: float
    track: Track


async def measure(
    kernel: Kernel,
    household: Namespace,
    w: Wire,
    directions: str,
    *,
    seconds: float = 12,
    flows: int = 4,
    ipv6: bool = False,
) -> Load:
    """`directions`: down, up or both, each with `flows` TCP flows that send as much as they can."""
    far = w.far.address6 if ipv6 else w.far.address
    wanted = ("down", "up") if directions == "both" else (directions,)
    total = seconds + WARM_UP_S
    servers = {d: _server(w.far, d) for d in wanted}
    await listening(w.far, [PORTS[d] for d in wanted])
    clients = {d: _client(household, far, d, flows, total) for d in wanted}
    ping = household.popen("ping", "-D", "-i", "0.1", "-w", f"{total:.0f}", far, stdout=subprocess.PIPE)
    track = await _watch(kernel, total)
    texts = {d: (await _text(clients[d]), await _text(servers[d])) for d in wanted}
    track.pings, loss = _pings(await _text(ping))
    goodput = {d: _goodput(client if d == "down" else server) for d, (client, server) in texts.items()}
    late = [ms for at, ms in track.pings if at >= WARM_UP_S]
    return Load(
        _rate(track.down), _rate(track.up), _rate(track.radio), goodput.get("down", 0.0), goodput.get("up", 0.0),
        (quantile(late, 0.5), quantile(late, 0.95), max(late, default=0.0)), loss, track,
    )  # fmt: skip


async def listening(far: Namespace, ports: Sequence[int]) -> None:
    """Wait until servers have started, which takes seconds under TCG."""
    until = time.monotonic() + 60
    for port in ports:
        while not await asyncio.to_thread(far.run, "ss", "-Htln", f"sport = :{port}"):
            assert time.monotonic() < until, f"nobody listens on port {port}"
            await asyncio.sleep(0.1)


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def fastest_bps(points: Sequence[tuple[float, int]], since_s: float, window_s: float = 0.1) -> float:
    """The highest rate over any window of that length after a moment; NaN if too little was seen after it."""
    late = [(at, octets) for at, octets in points if at >= since_s]
    if not late or late[-1][0] - since_s < 10 * window_s:
        return float("nan")
    best, first = 0.0, 0
    for last, (at, octets) in enumerate(late):
        while first + 1 < last and at - late[first + 1][0] >= window_s:
            first += 1
        if at - late[first][0] >= window_s:
            best = max((octets - late[first][1]) * 8 / (at - late[first][0]), best)
    return best


async def _watch(kernel: Kernel, seconds: float, ended: asyncio.Event | None = None) -> Track:
    """Counters of the modem's links until the time is over, or the event has come."""
    track = Track()
    first: dict[str, Sample] = {}
    while True:
        samples = {s.epoch.ifname: s for s in await kernel.samples(["lan0", "wan0"])}
        first = first or samples
        track.start_s = first["wan0"].boot_s
        at = samples["wan0"].boot_s - first["wan0"].boot_s
        track.down.append((at, _sent(samples["lan0"]) - _sent(first["lan0"])))
        track.up.append((at, _sent(samples["wan0"]) - _sent(first["wan0"])))
        track.radio.append((at, _received(samples["wan0"]) - _received(first["wan0"])))
        if at >= seconds or (ended is not None and ended.is_set()):
            return track
        await asyncio.sleep(SAMPLE_S)


def _sent(sample: Sample) -> int:
    return sample.sent_bytes - sample.header_bytes * sample.sent_packets


def _received(sample: Sample) -> int:
    return sample.received_bytes - sample.header_bytes * sample.received_packets


def _rate(points: Sequence[tuple[float, int]]) -> float:
    """Bits a second between the warm-up and the last second, in which the flows end."""
    inside = [p for p in points if WARM_UP_S <= p[0] <= points[-1][0] - 1]
    return (inside[-1][1] - inside[0][1]) * 8 / (inside[-1][0] - inside[0][0])


def _server(far: Namespace, direction: str) -> subprocess.Popen[str]:
    return far.popen("iperf3", "-s", "-1", "-J", "-p", str(PORTS[direction]), stdout=subprocess.PIPE)


def _client(
    household: Namespace, far: str, direction: str, flows: int, seconds: float, most: str = "0"
) -> subprocess.Popen[str]:
    """`most` a flow, in iperf3's words; 0: as much as it can."""
    reverse = ["-R"] if direction == "down" else []
    return household.popen(
        "iperf3", "-c", far, "-p", str(PORTS[direction]), "-P", str(flows), "-t", f"{seconds:.0f}", "-b", most, "-J",
        *reverse, stdout=subprocess.PIPE,
    )  # fmt: skip


async def _text(process: subprocess.Popen[str]) -> str:
    """A process's output; it ends by itself, but not for ever."""
    try:
        output, _ = await asyncio.to_thread(process.communicate, timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    return output


def _goodput(report: str) -> float:
    """What the receiving end took out of its sockets, a second at a time, after the warm-up."""
    intervals = json.loads(report)["intervals"]
    late = [i["sum"]["bits_per_second"] for i in intervals if i["sum"]["start"] >= WARM_UP_S]
    whole = late[:-1] or late
    return sum(whole) / len(whole) if whole else 0.0


def _pings(output: str) -> tuple[list[tuple[float, float]], float]:
    found = [(float(a), float(t)) for a, t in re.findall(r"^\[([\d.]+)\].*time=([\d.]+)", output, re.MULTILINE)]
    loss = re.search(r"([\d.]+)% packet loss", output)
    start = found[0][0] if found else 0.0
    return [(at - start, ms) for at, ms in found], float(loss[1]) if loss else 100.0
