"""`modem-agent speed`: how fast the line is, by the operator's own server; booked as the operator's own traffic."""

from __future__ import annotations

import click

from agent.cli import exits, screen
from agent.cli.language import _
from agent.cli.request import ask, show
from agent.cli.verb import Call, verb
from agent.cli.verbs import status, topup
from agent.errors import AgentError

LIMIT_S = 100.0  # the command itself has 90


@verb("modem-agent speed", "modem-agent speed --size 10MB --json")
@click.option("--size", metavar="AMOUNT", default="5MB", show_default=True, help="How much to move each way, at most.")
def command(call: Call, size: str) -> int:
    """Measure the line against the operator's server.

    Downloads from probe.speed_url, and uploads to probe.speed_upload_url where that is set. What it moves is not
    charged to the household.
    """
    amount = topup.amount_of(size)
    with call.client() as client:
        probe = client.call("config.get", {"section": "probe"}).get("config", {}).get("probe", {})
        plan = status.speed(client.status())
    if not probe.get("speed_url"):
        raise AgentError(_("no server is configured: set probe.speed_url, or ask support for it"))
    params = {"url": probe["speed_url"], "upload_url": probe.get("speed_upload_url") or None, "bytes": amount}
    answer = ask(call, "diag.speed", params, limit_s=LIMIT_S, first=_("asking {host}", host=probe["speed_url"]))
    rows: list[tuple[str, object]] = [
        (_("Download"), _rate(answer.get("down_bps"))),
        (_("Upload"), _rate(answer["up_bps"]) if "up_bps" in answer else None),
        (_("First byte"), _("after {time:.0f} ms", time=answer.get("first_byte_ms") or 0.0)),
        (_("Moved"), _("{size}, not charged to the household", size=screen.size(answer.get("wire_bytes")))),
        (_("Plan"), plan),
    ]
    show(call, answer, rows)
    return exits.OK


def _rate(bps: int | None) -> str:
    """Rounded to what such a measurement is worth; None where it was too short."""
    return _("too short to measure") if bps is None else screen.rate(float(f"{bps:.3g}"))
