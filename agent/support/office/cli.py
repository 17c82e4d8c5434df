"""`modem-support office`: what a fleet reports, into PostgreSQL; and from there onto a page."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli import exits, screen
from agent.errors import OperatorError

if TYPE_CHECKING:
    from agent.mqtt.transport import Target
    from agent.support.cli import Options
    from agent.support.office.database import Office


@click.command()
@click.option(
    "--db",
    envvar="MODEM_SUPPORT_DB",
    default="",
    metavar="DSN",
    help="Database, as libpq names it: 'service=office', postgresql://... Empty: PGHOST and its like.",
)
@click.option("--name", default="1", show_default=True, help="Of this process among several: each one its own.")
@click.option("--share", default="", metavar="GROUP", help="Share the messages among processes of this group.")
@click.option("--keep", "months", type=click.IntRange(1, 120), default=13, show_default=True, help="Months of reports.")
@click.option("--labels", metavar="FILE", help="DEVICE,LABEL lines: groups of homes. Replaces all labels, and ends.")
@click.option("--page", metavar="DIR", help="Write DIR/index.html from the database, and end.")
@click.pass_obj
def office(options: Options, /, db: str, labels: str | None, page: str | None, **given: Any) -> int:
    """Store what devices report in PostgreSQL, until stopped; or write the page."""
    try:
        from agent.support.office.database import Office
    except ImportError as error:
        raise OperatorError(f"PostgreSQL cannot be used ({error}): install modem-agent[office]") from None

    store = Office(db, options.root)
    if labels is None and page is None:
        return asyncio.run(_consume(options.target(), options.root, store, **given))
    try:
        store.ensure()
        if labels is not None:
            from agent.support.office.labels import labels_of

            known = labels_of(labels, Path(labels).read_text(encoding="utf-8", errors="replace"))
            store.label(known)
            print(f"{len(known)} labels")
        if page is not None:
            from agent.support.office.page import write

            print(screen.clean(str(write(store, Path(page), datetime.now(timezone.utc)))))
    finally:
        store.close()
    return exits.OK


async def _consume(target: Target, root: str, store: Office, *, name: str, share: str, months: int) -> int:
    from agent.support.office.consumer import Consumer

    def tell(sentence: str) -> None:
        print(f"office {name}: {screen.clean(sentence)}", file=sys.stderr, flush=True)

    named = replace(target, client_id=f"office-{name}")
    consumer = Consumer(named, root, store, tell, share=share, months=months)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, consumer.stop)
    try:
        await consumer.run()
    finally:
        store.close()
    return exits.OK
