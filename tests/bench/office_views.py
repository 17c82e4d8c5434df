"""The views of the office at 12 000 devices and 30 days of reports: 34.6 million rows.

.venv/bin/python -m tests.bench.office_views [DEVICES] [DAYS]
"""

from __future__ import annotations

import re
import sys
import time
from datetime import timedelta
from pathlib import Path

import psycopg

from agent.support.office import page
from agent.support.office.database import Office
from tests.bench.office_setup import DAY, site
from tests.bench.rows import Bench

LIMIT_S = 1.0
# What take() would have left behind, made in bulk; no crash is to be survived here.
SETTINGS = (
    "fsync = off", "full_page_writes = off", "synchronous_commit = off", "wal_level = minimal", "max_wal_senders = 0",
)  # fmt: skip
FILL = """
insert into device (name, heard, session, step, presence, presence_since, version, plan_state, shaping_bps, used_bytes,
        agent_bytes, slow_since)
    select 'imei::' || lpad(n::text, 15, '0'), now() - n * interval '1 s', 1, 0,
        case when n % 40 = 0 then 'lost' else 'online' end, now() - n * interval '10 s', '0.' || n % 5,
        case when n % 9 = 0 then 'Throttled' when n % 7 = 0 then 'Warned' else 'Normal' end,
        case when n % 9 = 0 then 512000 else -1 end, 1000000::bigint * n, 15000, case when n % 9 = 0 then now() end
    from generate_series(1, DEVICES) n;
update device set meter = 'pcrf', meter_at = now(), meter_bytes = used_bytes + 1, meter_difference = 1;
insert into label select name, 'Commune ' || id % 60 from device;
insert into boot (device, boot, arrived, lost, measured, told, started)
    select id, lpad(to_hex(id), 8, '0'),
        int8multirange(int8range(1, NUMBERS + 1)) - case when id % 50 = 0 then '{[7,9)}' else '{}'::int8multirange end,
        case when id % 100 = 0 then '{[7,9)}' else '{}'::int8multirange end, NUMBERS, NUMBERS - 3, 'DAY'
    from device;
insert into cost select 'DAY'::date + n, id, 10000 + id from device, generate_series(0, DAYS - 1) n;
insert into period select id, '2026-03-01', 1000, 900, 100 from device;
insert into alarm select id, 'shaper', 1, 1, id % 20 = 0, now() from device;
insert into report (device, boot, seq, said, received, up, clk, topic, body)
    select d.id, lpad(to_hex(d.id), 8, '0'), n, 'DAY'::timestamptz + n * interval '15 minutes', now(), n * 900, 'sync',
        'm/traffic', '{"ip": {"BytesReceived": 9000000000, "BytesSent": 900000000}, "AgentBytes": 15000, "plan":
        {"State": "Normal", "UsedBytes": 9900000000, "PeriodStart": "2026-03-01", "ShapingRate": -1,
        "RemainingBytes": 30100000000}}'
    from device d, generate_series(1, NUMBERS) n;
analyze
"""
VIEWS = (
    *("home", "presence", "usage", "slow", "slow_share", "silent"),
    *("alarms", "meter_difference", "versions", "reporting_cost", "gaps", "lost", "summary"),
)
ONE_DEVICE = "select at, topic, body from reports where device = 'imei::000000000000077' order by at desc limit 100"


def timed(asking: Office, query: str) -> float:
    began = time.monotonic()
    asking.rows(query)
    return time.monotonic() - began


def main() -> int:
    devices = int(sys.argv[1]) if len(sys.argv) > 1 else 12_000
    days = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    numbers = days * 96
    bench = Bench("office_views", issue=24)
    with site(SETTINGS) as place:
        asking = Office(place.postgres.dsn)
        asking.ensure()
        asking.keep(13)
        began = time.monotonic()
        words = {"DEVICES": devices, "NUMBERS": numbers, "DAYS": days, "DAY": f"{DAY:%Y-%m-%d %H:%MZ}"}
        with psycopg.connect(place.postgres.dsn, options="-c search_path=office") as filling:
            filling.execute(re.sub("|".join(words), lambda match: str(words[match[0]]), FILL))
        print(f"filled in {time.monotonic() - began:.0f} s", flush=True)
        ((size,),) = asking.rows("select pg_database_size(current_database())")
        times = {view: timed(asking, f"select * from {view}") for view in VIEWS}
        one_s = timed(asking, ONE_DEVICE)
        began = time.monotonic()
        page.write(asking, Path(place.postgres.folder.parent) / "page", DAY + timedelta(days=days))
        page_s = time.monotonic() - began
        asking.close()
    slowest = max(times, key=lambda view: times[view])
    bench.row(
        f"every fleet view whole, first time, at {devices} devices and {days} days ({devices * numbers:,} reports)",
        f"under {LIMIT_S:g} s each",
        f"slowest {slowest} {times[slowest]:.2f} s; " + ", ".join(f"{v} {s:.2f}" for v, s in times.items()),
        times[slowest] < LIMIT_S,
    )  # fmt: skip
    bench.row("the newest hundred reports of one device", f"under {LIMIT_S:g} s", f"{one_s:.3f} s", one_s < LIMIT_S)
    bench.row("the page", "printed", f"{page_s:.2f} s", None)
    bench.row("size of the database", "printed", f"{size / 1e9:.1f} GB", None)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
