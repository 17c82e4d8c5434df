"""How a fleet's run goes."""

from __future__ import annotations

from dataclasses import dataclass

from agent.mqtt.target import split_url
from simulator.errors import SimulatorError


@dataclass(frozen=True)
class Plan:
    devices: int = 200
    ramp_s: float = 10.0  # the starts are spread over this
    steady_s: float = 30.0
    beat_s: int = 15
    tick_s: float = 10.0  # how often a session looks after its connection, and counts its bytes (the agent's: 5 s)
    gap_share: float = 0.05
    command_share: float = 0.1
    outage_s: float = 5.0  # how long the broker is away in the storm; 0: every line is cut instead
    patience_s: float = 180.0
    seed: int = 1
    processes: int = 1  # the devices are shared out to so many


def broker_at(url: str) -> tuple[str, int]:
    try:
        host, port, secure = split_url(url)
    except ValueError as error:
        raise SimulatorError(f"--broker {url}: is no mqtt://HOST:PORT ({error})") from error
    if secure or not host or not 0 < port < 65_536:
        raise SimulatorError(f"--broker {url}: is no mqtt://HOST:PORT")
    return host, port
