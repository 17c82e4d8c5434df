"""The shaping bench: `make bench-shaping`, or `python -m tests.bench.shaping_line [--here | --guest] [--seconds N]`.

The same matrix on this kernel and on a Debian 6.1 kernel under QEMU, which has cake and fq_codel: real TCP, four flows
a direction, each direction alone and both at once, IPv4 and IPv6, with ping at 10 Hz through the same line; beside the
agent, in the same run, what people set up with tc. Rows go to report/bench, plots to report/shaping.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.config import ShaperSettings
from agent.plan import Rates
from agent.traffic import Kernel, Shaper
from agent.traffic.model import UNSHAPED
from tests.bench import shaping_extra as extra
from tests.bench.rows import REPORT, Bench, Row, machine, markdown
from tests.bench.shaping_load import Load, Track, measure, quantile
from tests.bench.shaping_plot import draw
from tests.bench.shaping_setups import KBIT, Setup, setups
from tests.netns import Namespace, Wire, lan_and_wan

GUEST_RESULT = Path("/run/guest/shaping.json")
GOODPUT = 470  # kbit/s
PINGS_PER_S = 10
BOOT_S = 30.0  # of the guest, and to end
FOLDER = REPORT.parent / "shaping"


class Run:
    """One kernel's part: its rows, and the tracks for the plot."""

    def __init__(self, seconds: float, guest: bool, brief: bool, limit_s: float, only: str = "") -> None:
        self.seconds, self.guest, self.brief, self.only = seconds, guest, brief, only
        self.until_s = time.monotonic() + limit_s
        self.rows: list[Row] = []
        self.tracks: dict[str, Track] = {}
        release = os.uname().release.split("-")[0]
        self.where = f"Debian {release} in QEMU" if guest else f"Linux {release}"

    def row(self, what: str, target: str, measured: str, kept: bool | None, peer: str = "") -> None:
        self.rows.append(Row(f"{self.where}: {what}", target, measured, kept, peer))
        print(f"  {self.where}: {what}: {measured}", file=sys.stderr, flush=True)
        if self.guest:
            _save(self, GUEST_RESULT)  # what was measured is kept, should the guest's time run out

    async def all(self) -> None:
        async with _line() as (kernel, _, _):
            capabilities = await Shaper(kernel, ShaperSettings()).probe()
        contestants = [setup for setup in setups(capabilities.qdiscs) if re.search(self.only, setup.name)]
        kinds = [setup.name.removeprefix("agent: ") for setup in contestants if setup.ours]
        begun = two_clocks() if self.guest else None
        for setup in contestants:
            for ipv6, directions in self._runs(setup, first=setup is contestants[0]):
                await self._try(f"{setup.name}, {directions}", self._load(setup, directions, ipv6))
            if setup is contestants[0]:  # the one that counts most first, should the time run out
                await self._try("two hosts", self._fairness(kinds))
                best = setup.name.removeprefix("agent: ")
                await self._the_rest(best, "flood", "apply", "change", "commands", "re-creation")
        if not self.brief:
            for kind in kinds[1:2]:  # the next best
                await self._the_rest(kind, "flood", "change", "commands")
        if begun:
            ended = two_clocks()
            error = (ended[0] - begun[0]) / (ended[1] - begun[1]) - 1
            self.row("the guest's clock against the host's", "(stated)", f"{error * 100:+.2f} %", None)

    async def _the_rest(self, kind: str, *which: str) -> None:
        measurements = {
            "flood": lambda: self._flood(kind),
            "apply": lambda: self._step(kind, UNSHAPED, "the free line"),
            "change": lambda: self._step(kind, extra.FULL, "5/2 Mbit/s"),
            "commands": lambda: self._commands(kind),
            "re-creation": lambda: self._recreation(kind),
        }
        for name in which:
            await self._try(f"{kind}: {name}", measurements[name]())

    async def _try(self, what: str, measurement: Coroutine[Any, Any, None]) -> None:
        """One that fails says so, and the others are measured all the same."""
        if time.monotonic() > self.until_s:
            measurement.close()
            self.row(what, "", "not measured: the time ran out", None)
            return
        try:
            await measurement
        except (AssertionError, OSError, ValueError, subprocess.TimeoutExpired, asyncio.TimeoutError) as error:
            self.row(what, "", f"not measured: {type(error).__name__}: {str(error)[:120]}", False)

    def _runs(self, setup: Setup, *, first: bool) -> list[tuple[bool, str]]:
        """IPv6 or not, and the directions that are full: all for the best qdisc, the hardest for the others."""
        if self.brief:
            return [(False, "down"), (False, "both")] if first else [(False, "both")]
        if first:
            return [(ipv6, directions) for ipv6 in (False, True) for directions in ("down", "up", "both")]
        if not setup.ours or (self.guest and setup.name == "agent: tbf"):  # the other kernel has that in full
            return [(False, "both")]
        return [(False, "both"), (True, "both")]

    # -- the matrix ------------------------------------------------------------------------------------------------

    async def _load(self, setup: Setup, directions: str, ipv6: bool) -> None:
        async with _line() as (kernel, hosts, w):
            await setup.apply(kernel, w)
            # Of one direction alone, 10 s of goodput scatter by 4 % about what 40 s give each time to 1 %.
            seconds = self.seconds * (1 if directions == "both" else 2)
            load = await measure(kernel, hosts[0], w, directions, seconds=seconds, ipv6=ipv6)
        self._rate_row(setup, directions, ipv6, load)
        if directions == "both" and not ipv6:
            self.tracks[setup.name] = load.track

    def _rate_row(self, setup: Setup, directions: str, ipv6: bool, load: Load) -> None:
        used = [d for d in ("down", "up") if directions in (d, "both")]
        rates = {d: getattr(load, f"{d}_bps") / 1000 for d in used}
        goodput = {d: getattr(load, f"goodput_{d}_bps") / 1000 for d in used}
        median, p95, longest = load.ping_ms
        label = f"{setup.name}, {directions}, {'IPv6' if ipv6 else 'IPv4'}"
        measured = (
            f"link {_pair(rates)}, goodput {_pair(goodput)} kbit/s, "
            f"ping {median:.0f}/{p95:.0f}/{longest:.0f} ms, lost {load.ping_loss:.0f} %"
        )
        if not setup.ours or setup.limit_ms is None:
            self.row(label, "(peer)", measured, None)
            return
        bound = KBIT * 0.02
        least, most = most_goodput(ipv6=ipv6, both=directions == "both", exact=setup.name == "agent: cake")
        fits = f"{least:.0f} to {most:.0f}" if round(least) != round(most) else f"{most:.0f}"
        kept = all(abs(r - KBIT) <= bound for r in rates.values()) and all(g >= GOODPUT for g in goodput.values())
        wait = f"{one_packet_each_way_ms(ipv6=ipv6):.0f} behind a packet each way" if directions == "both" else ""
        limits = f"ping p95 ≤ {setup.limit_ms:.0f} ms" + (f" ({wait})" if wait else "")
        target = f"512 ±2 % link, ≥ {GOODPUT} goodput ({fits} fit in), {limits}"
        self.row(label, target, measured, kept and p95 <= setup.limit_ms)

    # -- the rest --------------------------------------------------------------------------------------------------

    async def _step(self, kind: str, before: Rates, name: str) -> None:
        async with _line() as (kernel, hosts, w):
            step = await extra.step_under_load(kernel, hosts[0], w, kind, before)
        wall, cpu = [t.wall_ms for t in step.taken], [t.cpu_ms for t in step.taken]
        what = "apply" if before == UNSHAPED else "change"
        self.row(
            f"{kind}: {what} from {name}, the first of {len(wall)} under load",
            "(TCG: not judged)" if self.guest else "< 20 ms",
            f"{_range(wall)} ms of time, {_range(cpu)} ms of processor (load {os.getloadavg()[0]:.0f} on "
            f"{os.cpu_count()} cores)",
            None if self.guest else max(wall) < 20,
        )  # fmt: skip
        fastest = max(step.down_bps, step.up_bps) / 1000
        self.row(
            f"{kind}: fastest 100 ms after that {what} under load", f"≤ {2 * KBIT} kbit/s",
            f"down {step.down_bps / 1000:.0f}, up {step.up_bps / 1000:.0f} kbit/s", fastest <= 2 * KBIT,
        )  # fmt: skip
        self.tracks[f"{kind}: {what} from {name} at 4 s"] = step.track

    async def _commands(self, kind: str) -> None:
        async with _line() as (kernel, hosts, w):
            trips = await extra.own_round_trips(kernel, hosts[0], w, kind)
        for name, times in (("MQTT command", trips.commands), ("DNS", trips.names)):
            p95, longest = quantile(times, 0.95), max(times, default=float("nan"))
            self.row(
                f"{kind}: {name} round trip, both directions full",
                "p95 < 500 ms",
                f"p50 {quantile(times, 0.5):.0f}, p95 {p95:.0f}, longest {longest:.0f} ms of {len(times)}",
                len(times) >= 20 and p95 < 500,
            )

    async def _flood(self, kind: str) -> None:
        for upload in (True, False):
            async with _line() as (kernel, hosts, w):
                flooded = await extra.small_flood(kernel, hosts[0], w, kind, upload=upload)
            (median, p95, longest), lost = flooded.ping_ms, flooded.lost_percent
            self.row(
                f"{kind}: ping beside 2 Mbit/s of 100-byte datagrams {'up' if upload else 'down'}",
                "p95 < 100 ms, lost < 2 %",
                f"{median:.0f}/{p95:.0f}/{longest:.0f} ms, lost {lost:.0f} %",
                p95 < 100 and lost < 2,
            )
            self.row(
                f"{kind}: queries to another port beside it, {'up' if upload else 'down'}",
                "< 2 %",
                f"lost {flooded.queries_lost_percent:.0f} %",
                flooded.queries_lost_percent < 2,
            )

    async def _recreation(self, kind: str) -> None:
        async with _line() as (_, _, w):
            taken = await extra.recreation_s(w, kind)
        worst = max(taken)
        self.row(
            f"{kind}: shaped again after the WAN was re-created",
            "< 1 s",
            f"{worst * 1000:.0f} ms at worst of 5",
            worst < 1,
        )

    async def _fairness(self, kinds: list[str]) -> None:
        if "cake" not in kinds:
            self.row("two hosts, 20 flows and 1", "45 to 55 % each with cake", "no cake in this kernel", None)
            return
        async with _line(hosts=2) as (kernel, hosts, w):
            many, one = await extra.two_hosts(kernel, hosts, w, "cake")
        text = f"20 flows {many * 100:.0f} %, 1 flow {one * 100:.0f} %"
        self.row("cake: two hosts, 20 flows and 1", "45 to 55 % each", text, 0.45 <= one <= 0.55)


def most_goodput(*, ipv6: bool, both: bool, exact: bool) -> tuple[float, float]:
    """What TCP can carry at most in 512 kbit/s of IP beside ten pings a second, in kbit/s: with an acknowledgement for
    each packet of the other direction, and for every second one; those that tell of gaps are longer still. `exact`: the
    qdisc reckons IP bytes, not those of whole Ethernet frames."""
    header = (40 if ipv6 else 20) + 32  # TCP with its time stamps
    framing, rate = (0, KBIT * 1000.0) if exact else (14, KBIT * 1000 * 1514 / 1500)
    left = rate - PINGS_PER_S * ((104 if ipv6 else 84) + framing) * 8
    per_packet = [1500 + framing + (header + framing) * share * both for share in (1, 0.5)]
    worst, best = (left * (1500 - header) / length / 1000 for length in per_packet)
    return worst, best


def one_packet_each_way_ms(*, ipv6: bool) -> float:
    """The p95 of a ping that waits for nothing but the packet that is just being sent, on its way up and on its way
    down, both lines full of packets of 1500 bytes: two waits of anything up to 23 ms, whose sum exceeds `2 - sqrt(0.1)`
    of one in a twentieth of all cases, and the ping's own time. No qdisc can do better without smaller packets. The two
    queues run in step, so what one run of some seconds measures lies up to 10 ms to either side.
    """
    packet, ping = (octets * 8 / KBIT for octets in (1500, 104 if ipv6 else 84))
    return (2 - math.sqrt(0.1)) * packet + 2 * ping


def two_clocks() -> tuple[float, float]:
    """Seconds by the guest's clock and by the host's, which dates the files of the shared folder."""
    mark = GUEST_RESULT.with_name("clock")
    mark.write_text("now")
    return time.monotonic(), mark.stat().st_mtime


def _range(values: list[float]) -> str:
    return f"{values[0]:.1f} then {min(values[1:]):.1f} to {max(values[1:]):.1f}"


def _pair(values: dict[str, float]) -> str:
    return " / ".join(f"{name} {value:.0f}" for name, value in values.items())


@asynccontextmanager
async def _line(hosts: int = 1) -> AsyncIterator[tuple[Kernel, list[Namespace], Wire]]:
    """A fresh household, modem and operator, and a kernel thread in the modem."""
    with lan_and_wan(hosts) as (inside, w):
        kernel = Kernel()
        with w.near.entered():
            kernel.start(asyncio.get_running_loop(), lambda event: None)
            await kernel.links(["*"])
        try:
            yield kernel, inside, w
        finally:
            kernel.close()


# -- both kernels --------------------------------------------------------------------------------------------------


def _save(run: Run, path: Path) -> None:
    tracks = {name: asdict(track) for name, track in run.tracks.items()}
    path.write_text(json.dumps({"where": run.where, "rows": [asdict(r) for r in run.rows], "tracks": tracks}))


def _in_guest(bench: Bench, options: argparse.Namespace, limit_s: float) -> None:
    """The same, in the guest; what cannot be run there, or not in time, says why."""
    import tempfile

    from simulator.qemu import GuestError, run

    with tempfile.TemporaryDirectory() as folder:
        share = Path(folder)
        command = [sys.executable, "-m", "tests.bench.shaping_line", "--inside", "--seconds", f"{options.seconds:g}"]
        command += ["--limit", f"{limit_s - BOOT_S:.0f}", *(["--brief"] if options.brief else [])]
        command += ["--only", options.only]
        problem = ""
        try:
            result = run(command, timeout_s=limit_s + BOOT_S, cpus=2, memory_mb=1024, share=share)
            problem = "" if result.exit_code == 0 else result.output[-300:]
        except GuestError as error:
            problem = str(error).splitlines()[0]
        if (share / GUEST_RESULT.name).exists():
            _take(bench, json.loads((share / GUEST_RESULT.name).read_text()))
        if problem:
            bench.row("Debian 6.1 in QEMU: all runs", "end", f"did not: {problem}", False)


def _take(bench: Bench, parts: dict[str, Any]) -> None:
    for row in parts["rows"]:
        bench.row(**row)
    tracks = {name: Track(**track) for name, track in parts["tracks"].items()}
    where = str(parts["where"])
    path = FOLDER / f"{where.lower().replace(' ', '-')}.png"
    draw(tracks, path, f"512 kbit/s each way, four TCP flows each way at once ({where})")
    print(f"plot: {path}")


def _write_report(bench: Bench) -> None:
    """The table and the plots on one page."""
    plots = [f"![rate and ping over time]({path.name})" for path in sorted(FOLDER.glob("*.png"))]
    text = [
        "# The shaped line, measured",
        f"{machine()}, {time.strftime('%Y-%m-%d %H:%M')}",
        markdown(bench.rows),
        *plots,
    ]
    (FOLDER / "README.md").write_text("\n\n".join(text) + "\n")
    print(f"report: {FOLDER / 'README.md'}")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--seconds", type=float, default=10, help="of each load, after 5 of warm-up; twice that one way"
    )
    parser.add_argument("--here", action="store_true", help="this kernel only")
    parser.add_argument("--guest", action="store_true", help="the guest only")
    parser.add_argument("--inside", action="store_true", help="we are in the guest")
    parser.add_argument("--brief", action="store_true", help="both directions full, IPv4, and little else")
    parser.add_argument("--limit", type=float, default=900, metavar="S", help="no measurement begins after this time")
    parser.add_argument("--only", default="", metavar="WORDS", help="the contestants whose names this finds")
    options = parser.parse_args()
    begun = time.monotonic()
    if options.inside:
        run = Run(options.seconds, guest=True, brief=options.brief, limit_s=options.limit, only=options.only)
        asyncio.run(run.all())
        return 0
    bench = Bench("shaping_line", issue=5)
    if not options.guest:
        run = Run(options.seconds, guest=False, brief=options.brief, limit_s=options.limit, only=options.only)
        asyncio.run(run.all())
        tracks = {name: asdict(track) for name, track in run.tracks.items()}
        _take(bench, {"where": run.where, "rows": [asdict(row) for row in run.rows], "tracks": tracks})
    if not options.here:
        _in_guest(bench, options, options.limit - (time.monotonic() - begun))
    _write_report(bench)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
