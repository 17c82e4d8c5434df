"""`modem-agent page`: the household's page as it is now, or the sheet that leads there, to be printed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

import click

from agent.cli import exits, screen
from agent.cli.times import parsed
from agent.cli.verb import DEFAULT_ZONE, Call, verb
from agent.errors import AgentNotRunning, StoreError
from agent.household.page_texts import LANGUAGES

if TYPE_CHECKING:
    from agent import status_schema as schema
    from agent.household.page_view import View

LINE_WORKS = (None, "none", "throttled")  # causes with which the household has a line, or nobody knows of any


@verb(
    "modem-agent page --lang nl > page.html",
    "modem-agent page --sheet > sheet.html",
    "modem-agent page --json",
    lang=False,
)
@click.option("--lang", type=click.Choice(LANGUAGES), default="fr", show_default=True, help="Language of the page.")
@click.option("--sheet", is_flag=True, help="The sheet for the kitchen instead: QR code and address, all languages.")
def command(call: Call, lang: str, sheet: bool) -> int:
    """Print the household's page, or the sheet that leads there.

    The page in the home is kept by the agent and served by the router's web server at http://internet.box/. Without a
    running agent the numbers come from its store, and the page says that they are old.
    """
    if sheet:
        from agent.household.sheet import ADDRESS
        from agent.household.sheet import sheet as made

        addresses = home_addresses(call.config().wan.interfaces)
        if call.json:
            screen.print_json({"v": 1, "address": ADDRESS, "addresses": addresses})
        else:
            _write(made(addresses, lang))
        return exits.OK
    from agent.household.page import finished, page

    shown, age_s, old = _look(call)
    if call.json:
        screen.print_json({"v": 1, "old": old, "age_s": age_s, **shown.to_dict()})
    else:
        _write(finished(page(shown, lang), age_s // 60, old=old))
    return exits.OK


def _look(call: Call) -> tuple[View, int, bool]:
    """What the page shows, how many seconds ago that was true, and whether no agent keeps it."""
    from agent.household.page_view import view
    from agent.plan import BillingPeriod, Usage

    status, settings = _ask(call)
    period, stored = status.get("period"), status.get("stored")
    start, end = (parsed(period["start"]), parsed(period["end"])) if period else (None, None)
    if status.get("usage") is None or start is None or end is None:
        raise StoreError("nothing is counted yet")
    shown = view(
        Usage(**status["usage"]),
        BillingPeriod(start, end),
        str((status.get("plan") or {}).get("state")),
        online=(status.get("modem") or {}).get("cause") in LINE_WORKS or stored is not None,
        now=parsed(status["time"]) if status.get("clk") in ("sync", "nitz") else None,
        zone=call.plan_zone() or DEFAULT_ZONE,
        phone=settings.get("help_phone", ""),
        help_text=settings.get("help_text", ""),
    )
    return shown, stored["age_s"] if stored else 0, stored is not None


def _ask(call: Call) -> tuple[schema.Status, dict[str, str]]:
    """Status, and the section of the configuration with what the operator has pushed."""
    try:
        with call.client() as client:
            answer = client.call("config.get", {"section": "household"})
            return client.status(), dict(answer.get("config", {}).get("household", {}))
    except AgentNotRunning as absent:
        from agent.cli import offline_status

        with offline_status.instead_of(absent):
            status = offline_status.status(call)
        household = call.config().household
        return status, {"help_phone": household.help_phone, "help_text": household.help_text}


def _write(document: str) -> None:
    """As UTF-8 whatever the terminal's own: the document says that it is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(document.encode("utf-8"))
    sys.stdout.buffer.flush()


def home_addresses(wan: Sequence[str]) -> list[str]:
    """The router's own addresses in the home: private ones of links that are not the mobile line."""
    from agent.net.probes import wan_links
    from agent.traffic.model import matches

    here = [link for link in wan_links(("*",)) or () if link.up and link.ifname != "lo"]
    found = [link.addresses[0] for link in here if link.addresses and not matches(tuple(wan), link.ifname)]
    return [address for address in found if ":" not in address and ip_address(address).is_private]
