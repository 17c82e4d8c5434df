"""`modem-agent ping`: echoes over the mobile line, asked by the agent so that the WAN's address is used."""

from __future__ import annotations

import click

from agent.cli import exits, screen
from agent.cli.language import N_, _
from agent.cli.request import ask, show
from agent.cli.verb import Call, verb

NAMES = {
    "host": N_("host"),
    "address": N_("address"),
    "sent": N_("sent"),
    "received": N_("received"),
    "min_ms": N_("min ms"),
    "median_ms": N_("median ms"),
    "max_ms": N_("max ms"),
    "times_ms": N_("times ms"),
}


@verb("modem-agent ping", "modem-agent ping 9.9.9.9 --count 20")
@click.argument("host", default="1.1.1.1")
@click.option("--count", type=click.IntRange(1, 100), default=5, help="How many echoes (default 5).")
def command(call: Call, host: str, count: int) -> int:
    """Ask a host for echoes over the mobile line."""
    answer = ask(
        call, "diag.ping", {"host": host, "count": count}, limit_s=count * 5.0 + 20, first=_("asking {host}", host=host)
    )
    show(call, answer, [(_(NAMES.get(name, name)), _value(value)) for name, value in answer.items() if name != "v"])
    lost = answer.get("received") == 0
    return exits.FAILED if lost else exits.OK


def _value(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(screen.clean(item) for item in value)
    return round(value, 1) if isinstance(value, float) else value
