"""A day of 12 000 devices through broker, office and PostgreSQL: 1.15 million reports, and how long they take.

.venv/bin/python -m tests.bench.office_replay [DEVICES] [BEATS]
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time

from agent.support.office.database import Office
from tests.bench.office_sender import Sender
from tests.bench.office_setup import DAY, Site, day_of, report, site
from tests.bench.rows import Bench

LIMIT_S = 600.0
PATIENCE_S = 1_200.0


async def replay(place: Site, devices: int, beats: int) -> float:
    """Seconds from the first report sent to the last one committed."""
    asking = Office(place.postgres.dsn)
    asking.ensure()
    office = place.office("1")
    try:
        await subscribed(place.broker.port, asking)
        began = time.monotonic()
        await Sender(place.broker.port, "day").send(day_of(devices, beats))
        while stored(asking) < devices * beats and time.monotonic() - began < PATIENCE_S:  # noqa: ASYNC110  # other processes store
            await asyncio.sleep(0.5)
        return time.monotonic() - began
    finally:
        office.terminate()
        office.wait(60)
        asking.close()


async def subscribed(port: int, asking: Office) -> None:
    """Until reports of a device of its own arrive: a process listens, and the broker keeps what it does not get."""
    seq = 0
    while not asking.rows("select 1 from boot where boot = 'ffffffff' limit 1"):
        seq += 1
        topic, payload = report(0xFFFFFFFF, seq, "e/ready", DAY, {})
        await Sender(port, "ready").send([(topic, payload)])
        await asyncio.sleep(0.1)


def stored(asking: Office) -> int:
    """Numbers that arrived, by the ranges of each boot."""
    ((number,),) = asking.rows(
        "select coalesce(sum(upper(r) - lower(r)), 0) from boot, unnest(arrived) r where boot <> 'ffffffff'"
    )
    return int(number)


def main() -> int:
    devices = int(sys.argv[1]) if len(sys.argv) > 1 else 12_000
    beats = int(sys.argv[2]) if len(sys.argv) > 2 else 96
    wanted = devices * beats
    bench = Bench("office_replay", issue=24)
    with site() as place:
        took_s = asyncio.run(replay(place, devices, beats))
        asking = Office(place.postgres.dsn)
        asking.ensure()
        ((rows,),) = asking.rows("select count(*) from report where topic = 'm/traffic'")
        ((size,),) = asking.rows("select pg_database_size(current_database())")
        asking.close()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    limit_s = LIMIT_S * wanted / (12_000 * 96)
    bench.row(
        f"{devices} devices, {beats} beats: broker, one office process, PostgreSQL (every commit on the disk)",
        f"at most {limit_s:.0f} s", f"{took_s:.0f} s, {wanted / took_s:.0f} reports a second", took_s <= limit_s,
    )  # fmt: skip
    bench.row(
        "processor time of broker, office and PostgreSQL for them", "printed",
        f"{spent.ru_utime + spent.ru_stime:.0f} s", None,
    )  # fmt: skip
    bench.row("reports in the table", str(wanted), str(rows), rows == wanted, exact=True)
    bench.row("size of the database", "printed", f"{size / 1e6:.0f} MB, {size / wanted:.0f} bytes a report", None)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
