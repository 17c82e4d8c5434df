"""A trace once more: what the host wrote goes to a fresh SimModem at the same moments, without any real time."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from simulator.errors import SimulatorError
from simulator.modem import SimModem
from simulator.modem.port import AtPort
from simulator.ports.actions import perform
from simulator.ports.trace import ACTION, HOST, MODULE, Event, quoted

_SETTLE_S = 5.0  # after the last event: what is still on its way


@dataclass
class Outcome:
    events: list[Event] = field(default_factory=list)  # as a trace: what went in and what came out
    differences: list[str] = field(default_factory=list)


def replay(events: Sequence[Event], profile: str, *, seed: int = 0, pace: float = 1.0, warm: bool = True) -> Outcome:
    """Times of the answers are not compared, nor how they were cut into pieces; ports other than AT are left out."""
    modem = SimModem(profile, seed=seed, pace=pace, warm=warm)
    ports = {port.interface: port for port in modem.ports if isinstance(port, AtPort)}
    outcome = Outcome()
    for event in events:
        _advance(modem, ports, event.at_s, outcome)
        if event.sign == ACTION:
            outcome.events.append(event)
            name, *args = shlex.split(event.data.decode())
            perform(modem, name, args)
        elif event.sign == HOST:
            if event.interface not in ports:
                raise SimulatorError(f"{event}: {modem.profile.name} has no AT port {event.interface}")
            outcome.events.append(event)
            ports[event.interface].receive(event.data)
    _advance(modem, ports, modem.now + _SETTLE_S, outcome)
    for interface in ports:
        then, now = (_said(each, interface) for each in (events, outcome.events))
        # A trace that was stopped in mid-answer ends sooner than the module does.
        if not now.startswith(then):
            outcome.differences.append(_difference(interface, then, now))
    return outcome


def _advance(modem: SimModem, ports: dict[int, AtPort], until_s: float, outcome: Outcome) -> None:
    """Step by step, so that each piece is noted with its own time."""
    while True:
        due = modem.next_due()
        modem.advance(until_s if due is None else min(due, until_s))
        for interface, port in ports.items():
            while piece := port.take():
                outcome.events.append(Event(modem.now, interface, MODULE, piece))
        if due is None or due > until_s:
            return


def _said(events: Sequence[Event], interface: int) -> bytes:
    return b"".join(event.data for event in events if (event.interface, event.sign) == (interface, MODULE))


def _difference(interface: int, then: bytes, now: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(then, now, strict=False)) if a != b), min(len(then), len(now)))
    begin = max(0, at - 20)
    return f"port {interface}, byte {at}: {quoted(then[begin : at + 40])} was said, now {quoted(now[begin : at + 40])}"
