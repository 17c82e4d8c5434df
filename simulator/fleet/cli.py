"""modem-sim fleet: many virtual devices against a broker."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

import click

from simulator.fleet.broker import Mosquitto, raise_file_limit
from simulator.fleet.fleet import Fleet
from simulator.fleet.plan import Plan


@click.command(
    help="Virtual devices with the agent's real reports, outbox, commands and session.\n\n"
    "A mosquitto given by --broker needs `max_queued_messages 0` and `max_inflight_messages 1000`: with its defaults "
    "(1000 and 20) it throws away what the one back office that hears everybody does not take in time. What it threw "
    "away by its own counters is shown and is not counted as the devices' loss."
)
@click.option("--devices", default=200, show_default=True, type=click.IntRange(1, 20_000))
@click.option("--broker", default="", metavar="URL", help="mqtt://HOST:PORT; without it a mosquitto of its own")
@click.option(
    "--seconds",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0),
    help="how long it reports before the troubles begin",
)
@click.option(
    "--beat",
    default=15,
    show_default=True,
    type=click.IntRange(1),
    help="seconds between measurements (the agent's default is 900)",
)
@click.option(
    "--ramp",
    default=0.0,
    type=click.FloatRange(0),
    help="seconds over which the first connections are spread (default: 40 devices a second)",
)
@click.option(
    "--processes",
    default=0,
    type=click.IntRange(0, 64),
    help="the devices are shared out to so many (default: one for each 1000 devices, at most one a processor)",
)
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def command(
    devices: int, broker: str, seconds: float, beat: int, ramp: float, processes: int, seed: int, as_json: bool
) -> None:
    logging.getLogger("agent").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the broker is stopped then too
    shared = processes or max(1, min(os.cpu_count() or 1, devices // 1_000))
    plan = Plan(devices, ramp or max(1.0, devices / 40), seconds, beat, seed=seed, processes=shared)
    with tempfile.TemporaryDirectory(prefix="modem-sim-fleet-") as scratch:
        own = None
        if not broker:
            raise_file_limit(devices * 3 + 200)
            own = Mosquitto(Path(scratch))
            own.start()
        try:
            tell = (lambda text: None) if as_json else click.echo
            report = asyncio.run(Fleet(plan, broker or (own.url if own else ""), own, tell).run())
        finally:
            if own is not None:
                own.stop()
    click.echo(json.dumps(report.to_dict(), indent=2) if as_json else "\n".join(report.lines()))
    sys.exit(0 if report.good else 1)
