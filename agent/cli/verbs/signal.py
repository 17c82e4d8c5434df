"""`modem-agent signal`: the radio signal with a word for how good it is; --watch is the meter (meter.py)."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from agent.cli import screen
from agent.cli.language import _, spoken
from agent.cli.times import ZONE
from agent.cli.verb import Call, verb
from agent.errors import AgentError

if TYPE_CHECKING:
    from agent import status_schema as schema
    from agent.cli.meter import Meter

HOME, CLEAR_LINE, CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
BELL = "\a"


@verb("modem-agent signal", "modem-agent signal --watch --beep", "modem-agent signal --watch --json")
@click.option("--watch", is_flag=True, help="A live meter until Ctrl-C; with --json a line a beat.")
@click.option("--every", type=click.FloatRange(0.5, 60), default=1.0, metavar="S", help="Seconds a beat (default 1).")
@click.option("--beats", type=click.IntRange(1), metavar="N", help="Stop after N beats.")
@click.option("--beep", is_flag=True, help="Beep at each new best value.")
def command(call: Call, watch: bool, every: float, beats: int | None, beep: bool) -> int:
    """The radio signal; --watch aims an antenna.

    RSRP is how loud the mast is, SINR how clear above the noise, RSRQ how busy. Aim for the best RSRP first, then turn
    slowly for the best SINR.
    """
    with call.client() as client:
        if watch or beats:
            beats_of = client.signals(every)
            return _watch(beats_of, beats, beep=beep, as_json=call.json)
        answer = client.signal()
    if call.json:
        screen.print_json(answer)
        return 0
    for line in screen.pairs(rows(answer)):
        print(line)
    return 0


def rows(answer: schema.Heard) -> list[tuple[str, object]]:
    """The signal as (name, value) lines."""
    from agent import quality
    from agent.cli.verbs.status import network

    levels = quality.levels(answer.get("signal") or {})
    lines: list[tuple[str, object]] = [(_("Network"), network(answer))]
    for name, (unit, *_rest) in quality.SCALES.items():
        value = levels[name]
        if value is not None:
            word = spoken(quality.word(name, value) or "")
            lines.append(
                (name.split("_")[0].upper(), _("{value:g} {unit}  {quality}", value=value, unit=unit, quality=word))
            )
    lines.append((_("Overall"), spoken(quality.overall(answer.get("signal") or {}) or "") or _("no signal")))
    return lines


def _watch(beats: Iterator[schema.Heard | AgentError], most: int | None, *, beep: bool, as_json: bool) -> int:
    """Draw each beat. Ctrl-C is the ordinary end; what was best stays on the screen."""
    from agent.cli.meter import Meter

    gc.enable()
    meter = Meter()
    live = not as_json and screen.colours()
    try:
        if live:
            sys.stdout.write(HIDE_CURSOR + HOME + CLEAR_REST)
        for beat in beats:
            now = ZONE.shift(datetime.now(timezone.utc))
            if isinstance(beat, AgentError):
                meter.fail(str(beat))
            elif meter.take(beat, now) and beep:
                sys.stderr.write(BELL)
                sys.stderr.flush()
            _draw(meter, now, live=live, as_json=as_json)
            if most is not None and meter.beats >= most:
                break
    except KeyboardInterrupt:
        pass
    finally:
        if live:
            sys.stdout.write(SHOW_CURSOR + "\n")
    if not as_json:
        print("\n".join(screen.wrap(meter.summary(), screen.width())))
    return 0


def _draw(meter: Meter, now: datetime, *, live: bool, as_json: bool) -> None:
    if as_json:
        screen.print_json(meter.to_dict())
    elif live:
        lines = meter.lines(screen.width(), now)[: screen.height() - 1]  # more would scroll the best values away
        sys.stdout.write(HOME + "\n".join(line + CLEAR_LINE for line in lines) + CLEAR_REST)
        sys.stdout.flush()
    else:
        print(_plain(meter, now), flush=True)


def _plain(meter: Meter, now: datetime) -> str:
    """One line a beat where there is no terminal to draw on."""
    from agent.cli.meter import TRENDS
    from agent.cli.verbs.status import signal

    heard = f"! {spoken(meter.problem)}" if meter.problem else signal(meter.values) or _("no signal")
    return f"{now:%H:%M:%S} {screen.clean(heard)} {_(TRENDS[meter.trend])}"
