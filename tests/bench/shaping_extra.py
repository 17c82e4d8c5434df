"""What a plain load does not show: steps under load, re-creation, MQTT and DNS on a full line, two hosts."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from agent.config import ShaperSettings
from agent.plan import Rates
from agent.traffic import Endpoint, Kernel, Link, LinkEvent, Shaper
from agent.traffic.model import UNSHAPED
from tests.bench.shaping_load import (
    PORTS,
    Track,
    _client,
    _pings,
    _server,
    _text,
    _watch,
    fastest_bps,
    listening,
    quantile,
)
from tests.bench.shaping_setups import RATES
from tests.netns import Namespace, Wire

FULL = Rates(5_000_000, 2_000_000)


@dataclass(frozen=True, slots=True)
class Taken:
    """What one reconcile took: of time, and of the processor by all threads of this process."""

    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Step:
    """From one rate to throttled under load, then back and forth, and the fastest 100 ms each way after the first."""

    taken: list[Taken]
    down_bps: float
    up_bps: float
    track: Track


async def step_under_load(kernel: Kernel, household: Namespace, w: Wire, kind: str, before: Rates) -> Step:
    """Four flows each way at up to 80 Mbit/s together, or as fast as `before` lets them; then the line is throttled."""
    shaper = Shaper(kernel, ShaperSettings(qdisc=kind))
    links = await kernel.links(["wan0"])
    shaper.expect([before, RATES])  # as the daemon does at its start, and while nothing is to be shaped
    await shaper.reconcile(links, UNSHAPED)
    await shaper.reconcile(links, before)
    processes = [_server(w.far, d) for d in ("down", "up")]
    await listening(w.far, list(PORTS.values()))
    processes += [_client(household, w.far.address, d, 4, 60, most="20M") for d in ("down", "up")]
    ended = asyncio.Event()
    watching = asyncio.ensure_future(_watch(kernel, 60, ended))
    await asyncio.sleep(4)
    taken = [await _timed(shaper, links, RATES)]
    changed_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    await asyncio.sleep(4)
    ended.set()
    track = await watching
    for process in processes:
        process.kill()
        process.communicate()
    for _ in range(3):
        there = await _timed(shaper, links, before)
        back = await _timed(shaper, links, RATES)
        taken += [there, back] if before != UNSHAPED else [back]  # taking the shaping off is not what is asked
    since = changed_s - track.start_s
    return Step(taken, fastest_bps(track.down, since), fastest_bps(track.up, since), track)


async def _timed(shaper: Shaper, links: Sequence[Link], rates: Rates) -> Taken:
    await shaper.reconcile(links, shaper.state.rates)  # what the daemon does a moment after each change: reads it back
    await asyncio.sleep(0.5)  # the kernel goes on clearing up after a removal
    begun, used = time.perf_counter(), time.process_time()
    state = await shaper.reconcile(links, rates)
    taken = Taken((time.perf_counter() - begun) * 1000, (time.process_time() - used) * 1000)
    assert (state.state, state.changed) == ("off" if rates == UNSHAPED else "enforced", True), state
    return taken


async def recreation_s(w: Wire, kind: str) -> list[float]:
    """From the link's coming back to both directions shaped again, driven by link events as the daemon does it."""
    taken: list[float] = []
    kernel, wake = Kernel(), asyncio.Event()

    def on_event(event: LinkEvent) -> None:
        if event.link.ifname == "wan0":
            wake.set()

    with w.near.entered():
        kernel.start(asyncio.get_running_loop(), on_event)
        await kernel.links(["*"])
    try:
        shaper = Shaper(kernel, ShaperSettings(qdisc=kind))
        await shaper.reconcile(await kernel.links(["wan0"]), RATES)
        for _ in range(5):
            before = (await kernel.links(["wan0"]))[0].ifindex
            recreating = asyncio.ensure_future(asyncio.to_thread(w.recreate))
            begun = await _shaped_again(kernel, shaper, wake, before)
            taken.append(time.perf_counter() - begun)
            await recreating
    finally:
        kernel.close()
    return taken


async def _shaped_again(kernel: Kernel, shaper: Shaper, wake: asyncio.Event, before: int) -> float:
    """When the new link was first seen, once it is shaped."""
    seen = 0.0
    while True:
        await asyncio.wait_for(wake.wait(), 20)
        wake.clear()
        links = await kernel.links(["wan0"])
        if not links or links[0].ifindex == before:
            continue
        seen = seen or time.perf_counter()
        state = await shaper.reconcile(links, RATES)
        if state.state == "enforced":
            return seen


@dataclass(frozen=True, slots=True)
class Trips:
    """Round trips of the device's own traffic on a full line, in ms."""

    commands: list[float]  # over MQTT, through the broker
    names: list[float]  # a query of DNS and its answer; one that is lost counts as LOST_MS


LOST_MS = 5_000.0


async def own_round_trips(kernel: Kernel, household: Namespace, w: Wire, kind: str) -> Trips:
    """Commands and answers through a broker at the operator, and names asked, while the household fills both ways."""
    shaper = Shaper(kernel, ShaperSettings(qdisc=kind))
    shaper.manage([Endpoint(w.far.address, 1883)], [w.far.address])
    await shaper.reconcile(await kernel.links(["wan0"]), RATES)
    script = [sys.executable, "-m", "tests.bench.shaping_mqtt"]
    # Not /dev/stdin: the guest has no such link.
    broker = w.far.popen(
        "mosquitto", "-p", "1883", "-c", "/proc/self/fd/0", stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert broker.stdin is not None
    broker.stdin.write("listener 1883\nallow_anonymous true\n")
    broker.stdin.close()
    processes = [_server(w.far, d) for d in ("down", "up")]
    await listening(w.far, [1883, *PORTS.values()])
    processes += [_client(household, w.far.address, d, 4, 90) for d in ("down", "up")]
    await asyncio.sleep(3)
    device = w.near.popen(*script, "device", w.far.address, "60")
    desk = w.far.popen(*script, "desk", w.far.address, "15", stdout=subprocess.PIPE)
    names = asyncio.create_task(asyncio.to_thread(_names_ms, w, 15, asker=w.near, patience_s=LOST_MS / 1000))
    output = (await asyncio.to_thread(desk.communicate, timeout=180))[0]  # under TCG its imports alone take long
    asked = await names
    for process in (*processes, device, broker):
        process.kill()
        process.wait()
    return Trips([float(line) for line in output.split()], asked)


def _names_ms(w: Wire, seconds: float, *, asker: Namespace, patience_s: float) -> list[float]:
    """Five queries a second, as long as common ones are, and answers as long as those with a few addresses. One that is
    not answered counts as long as it was waited for."""
    with w.far.entered():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((w.far.address, 53))
    with asker.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    trips: list[float] = []
    with server, client:
        client.connect((w.far.address, 53))
        for end in (server, client):
            end.settimeout(patience_s)
        until = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < until:
            number = struct.pack(">I", len(trips))
            try:
                client.send(number.ljust(40))
                server.sendto(number.ljust(200), _sender(server, number))
                _sender(client, number)
                trips.append((time.perf_counter() - begun) * 1000)
            except TimeoutError:
                trips.append(patience_s * 1000)
            time.sleep(0.2)
    return trips


def _sender(end: socket.socket, number: bytes) -> tuple[str, int]:
    """Who sent the datagram of that number; those that come too late are passed over."""
    while True:
        data, (host, port) = end.recvfrom(512)
        if data.startswith(number):
            return host, port


@dataclass(frozen=True, slots=True)
class Flooded:
    """Beside a flood of small packets: a ping of 10 Hz with its median, 95 % and longest in ms, and the shares of the
    pings and of queries to another port that were lost."""

    ping_ms: tuple[float, float, float]
    lost_percent: float
    queries_lost_percent: float


FLOOD_PORT = 5203
FLOOD = ("-u", "-b", "2M", "-l", "72")  # 2 Mbit/s of datagrams that are 100 bytes long with UDP and IP, as queries are


async def small_flood(kernel: Kernel, household: Namespace, w: Wire, kind: str, *, upload: bool = True) -> Flooded:
    """One host of the household sends, or is sent, four times what the line carries, in small packets."""
    shaper = Shaper(kernel, ShaperSettings(qdisc=kind))
    await shaper.reconcile(await kernel.links(["wan0"]), RATES)
    server = w.far.popen("iperf3", "-s", "-1", "-p", str(FLOOD_PORT), stdout=subprocess.DEVNULL)
    await listening(w.far, [FLOOD_PORT])
    way = () if upload else ("-R",)
    client = household.popen(
        "iperf3", "-c", w.far.address, "-p", str(FLOOD_PORT), "-t", "60", *FLOOD, *way, stdout=subprocess.DEVNULL
    )
    await asyncio.sleep(3)  # the queues are full by then
    ping = household.popen("ping", "-D", "-i", "0.1", "-w", "15", w.far.address, stdout=subprocess.PIPE)
    patience_s = 0.5  # far beyond what a full queue takes
    trips = await asyncio.to_thread(_names_ms, w, 15, asker=household, patience_s=patience_s)
    times, lost = _pings(await _text(ping))
    for process in (client, server):
        process.kill()
        process.wait()
    late = [ms for _, ms in times]
    unanswered = sum(ms >= patience_s * 1000 for ms in trips) * 100 / len(trips)
    return Flooded((quantile(late, 0.5), quantile(late, 0.95), max(late, default=float("nan"))), lost, unanswered)


async def two_hosts(kernel: Kernel, hosts: list[Namespace], w: Wire, kind: str) -> tuple[float, float]:
    """Shares of the download of a host with 20 flows and one with a single flow."""
    shaper = Shaper(kernel, ShaperSettings(qdisc=kind))
    await shaper.reconcile(await kernel.links(["wan0"]), RATES)
    servers = [w.far.popen("iperf3", "-s", "-1", "-p", str(5201 + n), stdout=subprocess.DEVNULL) for n in range(2)]
    await listening(w.far, [5201, 5202])
    clients = [
        host.popen(
            "iperf3", "-c", w.far.address, "-R", "-p", str(5201 + n), "-P", str(flows), "-t", "60",
            stdout=subprocess.DEVNULL,
        )
        for n, (host, flows) in enumerate(zip(hosts, (20, 1), strict=True))
    ]  # fmt: skip
    await asyncio.sleep(8)
    before = {s.epoch.ifname: s.sent_bytes for s in await kernel.samples(["lan*"])}
    await asyncio.sleep(18)
    after = {s.epoch.ifname: s.sent_bytes for s in await kernel.samples(["lan*"])}
    for process in (*clients, *servers):
        process.kill()
        process.wait()
    many, one = after["lan0"] - before["lan0"], after["lan1"] - before["lan1"]
    return many / (many + one), one / (many + one)


__all__ = [
    "Step",
    "Trips",
    "own_round_trips",
    "quantile",
    "recreation_s",
    "small_flood",
    "step_under_load",
    "two_hosts",
]
