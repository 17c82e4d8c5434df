"""`make campaign`: household life with faults of every kind, drawn by a seed, against an oracle that knows the truth.

    python -m tests.campaign [--seed N] [--faults N] [--short] [--processes N]

The faults are split over campaigns with seeds N, N+1, …, each of about a thousand faults, so that one that finds
something is repeated by itself: `python -m tests.campaign --seed N --faults 1000`. Writes report/campaign.json and a
row for the bench. Exit status 1 if the agent was wrong once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from tests.bench.rows import REPORT, Bench, machine
from tests.campaign.story import campaign
from tests.campaign.weather import kind_of

FAULTS, SHORT_FAULTS, A_CAMPAIGN = 10_000, 500, 1_000
SHOWN = 400  # points of the curves that the report gets


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What the agent logs of the faults that are provoked, by the thousand, is kept off for a while."""
    log = logging.getLogger("agent")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def one(seed: int, faults: int) -> dict[str, Any]:
    """One campaign, as plain values."""
    began = time.monotonic()
    story = campaign(seed, faults)
    oracle, received = story.oracle, story.received
    return {
        "seed": seed,
        "faults": dict(story.faults),
        "simulated_days": story.world.loop.time() / 86_400,
        "violations": [f"seed {seed}, {sentence}" for sentence in oracle.violations],
        "lost_bytes": oracle.lost_bytes,
        "phantom_bytes": oracle.phantom_bytes,
        "worst_cut_bytes": oracle.worst_cut_bytes,
        "excused_cuts": oracle.excused,
        "checks": dict(oracle.checks),
        "commands": oracle.checks["command"],
        "messages": f"{len(oracle.promised)} events and {len(received._measurements)} measurements recorded, "
        f"{len(received._bodies)} keys received, {received.duplicates} duplicates",
        "usage": thinned(story.usage),
        "took_s": time.monotonic() - began,
    }


def thinned(points: list[Any]) -> list[Any]:
    step = max(1, len(points) // SHOWN)
    return [*points[::step], *points[-1:]]


def _quiet_for_good() -> None:
    logging.getLogger("agent").setLevel(logging.CRITICAL)


def run(seed: int, faults: int, processes: int) -> list[dict[str, Any]]:
    """All campaigns, printed as they end."""
    parts = [(seed + n, min(A_CAMPAIGN, faults - n * A_CAMPAIGN)) for n in range(-(-faults // A_CAMPAIGN))]
    found = []
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_quiet_for_good) as pool:
        for done in [pool.apply_async(one, part) for part in parts]:
            found.append(done.get())
            told(found[-1])
    return found


def told(part: dict[str, Any]) -> None:
    print(
        f"seed {part['seed']}: {sum(part['faults'].values())} faults in {part['simulated_days']:.1f} simulated days, "
        f"{part['commands']} commands, {part['messages']}; {len(part['violations'])} violations, "
        f"{part['took_s']:.0f} s",
        flush=True,
    )
    for sentence in part["violations"][:10]:
        print(f"  VIOLATION {sentence}", flush=True)


def summed(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The campaigns as one, with the curves of the first."""
    faults: Counter[str] = Counter()
    checks: Counter[str] = Counter()
    for part in parts:
        faults.update(part["faults"])
        checks.update(part["checks"])
    kinds: Counter[str] = Counter()
    for name, count in faults.items():
        kinds[kind_of(name)] += count
    adds = ("simulated_days", "lost_bytes", "phantom_bytes", "excused_cuts", "commands")
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "seed": parts[0]["seed"],
        "campaigns": len(parts),
        "kinds": dict(kinds.most_common()),
        "faults": dict(faults.most_common()),
        "checks": dict(checks),
        "violations": [sentence for part in parts for sentence in part["violations"]],
        "worst_cut_bytes": max(part["worst_cut_bytes"] for part in parts),
        **{key: sum(part[key] for part in parts) for key in adds},
        "usage": parts[0]["usage"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000, help="repeats a campaign")
    parser.add_argument("--faults", type=int, default=0, help=f"how many (otherwise {FAULTS})")
    parser.add_argument("--short", action="store_true", help=f"{SHORT_FAULTS} faults, about a minute")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    faults = options.faults or (SHORT_FAULTS if options.short else FAULTS)
    print(f"campaign of {faults} faults, seed {options.seed}", flush=True)
    began = time.monotonic()
    whole = summed(run(options.seed, faults, options.processes))
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT.parent / "campaign.json").write_text(json.dumps(whole, indent=1) + "\n")
    print("\nfaults by kind:")
    for kind, count in whole["kinds"].items():
        parts = [f"{times} x {name}" for name, times in whole["faults"].items() if kind_of(name) == kind]
        print(f"{count:7}  {kind}: {', '.join(parts)}")
    print("\nchecks: " + ", ".join(f"{count} x {kind}" for kind, count in whole["checks"].items()) + "\n")
    bench = Bench("campaign", 10)
    what = f"{sum(whole['faults'].values())} faults of {len(whole['kinds'])} kinds, {whole['simulated_days']:.0f} days"
    bench.row(
        f"{what} (seed {whole['seed']} and the {whole['campaigns'] - 1} after it)",
        "0 violations",
        f"{len(whole['violations'])} violations; {whole['commands']} commands; {time.monotonic() - began:.0f} s",
        not whole["violations"],
        exact=True,
    )
    bench.row("phantom bytes through it", "0", str(whole["phantom_bytes"]), whole["phantom_bytes"] == 0, exact=True)
    worst = whole["worst_cut_bytes"]
    bench.row("costliest power cut", "at most 40 MB", f"{worst / 1e6:.1f} MB", worst <= 40_000_000, exact=True)
    return bench.finish()
