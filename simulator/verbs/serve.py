"""modem-sim serve: a module until Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click

from simulator.ports import Host, serve
from simulator.ports.actions import parse_time

DEFAULT_CONTROL = "/tmp/modem-sim.sock"


@click.command(help="A simulated module: a pty behind a stable link, and a control socket for `modem-sim ctl`.")
@click.option("--profile", default="quectel-ec25", show_default=True, help="which module; see `modem-sim profiles`")
@click.option("--link", default="/tmp/modem0", show_default=True, help="the link to the AT port")
@click.option("--every-port", is_flag=True, help="serve the DIAG, NMEA and second AT port too")
@click.option(
    "--listen",
    multiple=True,
    metavar="[PORT=]WHERE",
    help="an AT port on a socket in place of its pty: HOST:PORT, rfc2217://HOST:PORT (with DTR, RTS and DCD), a unix "
    "socket's PATH or abstract:NAME; again for the next AT port, or with the interface number of another",
)
@click.option("--control", default=DEFAULT_CONTROL, show_default=True, help="socket for `modem-sim ctl`")
@click.option("--network", default="", metavar="NS", help="a network namespace that dial-up connections lead to (root)")
@click.option("--trace", default="", metavar="FILE", help="write all that goes over the ports, with times")
@click.option("--sysfs", default="", metavar="DIR", help="show it there as Linux shows a USB modem")
@click.option("--fault", "faults", multiple=True, metavar="NAME[=ARGUMENT]", help="start with this fault")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="start with this setting")
@click.option("--seed", default=0, help="fixes identity and chance")
@click.option("--pace", default=1.0, type=click.FloatRange(0), help="scales the module's own delays")
@click.option("--cold", is_flag=True, help="start with power-up instead of registered")
@click.option("--clock", default="", metavar="TIME", help="what the network says the time is (default: this machine's)")
@click.option("--count", default=1, type=click.IntRange(1), help="so many modules, in one process: LINK, LINK.1 …")
def command(
    profile: str,
    link: str,
    every_port: bool,
    listen: tuple[str, ...],
    control: str,
    network: str,
    trace: str,
    sysfs: str,
    faults: tuple[str, ...],
    settings: tuple[str, ...],
    seed: int,
    pace: float,
    cold: bool,
    clock: str,
    count: int,
) -> None:
    wanted = dict(_pair(text) for text in settings)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        host = Host().start()
        stack.callback(host.close)
        for index in range(count):
            first = index == 0
            running = stack.enter_context(
                serve(
                    profile,
                    link=Path(link if first else f"{link}.{index}"),
                    every_port=every_port,
                    listen=listen if first else (),
                    control=control if first else f"{control}.{index}",
                    trace=trace if first or not trace else f"{trace}.{index}",
                    sysfs=sysfs if first else "",
                    network=network,
                    seed=seed + index,
                    pace=pace,
                    warm=not cold,
                    wall=parse_time(clock) if clock else None,
                    faults=faults,
                    settings=wanted,
                    host=host,
                )
            )
            if first:
                where = ", ".join(dict.fromkeys([running.path, *(stream.url for stream in running.streams.values())]))
                click.echo(f"{running.modem.profile.name} on {where}; control: modem-sim ctl --control {control}")
            running.modem.watchers.append(partial(_log, index))
        stop.wait()


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--set")
    return name, value


def _log(index: int, text: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} modem {index}: {text}", err=True)
