"""The office against a PostgreSQL and a mosquitto of its own: `make office-demo` runs these."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.mqtt.broker import Mosquitto
from tests.support.postgres import Postgres, binaries

psycopg = pytest.importorskip("psycopg")
if binaries() is None:
    pytest.skip("PostgreSQL is not installed", allow_module_level=True)

from agent.errors import OperatorError  # noqa: E402
from agent.mqtt.transport import Connection, Event, Published, Target  # noqa: E402
from agent.mqtt.transport import Message as Outgoing  # noqa: E402
from agent.support.office.consumer import Consumer  # noqa: E402
from agent.support.office.database import REFUSED_KEPT, Message, Office, migrations  # noqa: E402

pytestmark = pytest.mark.office
DEVICE = "imei::990000862471854"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with TemporaryDirectory(prefix="office-") as folder:  # not pytest's: the server runs as another user
        Path(folder).chmod(0o755)
        with Postgres(Path(folder) / "postgres") as running:
            yield running


@pytest.fixture
def office(server: Postgres) -> Iterator[Office]:
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("drop schema if exists office cascade")
    made = Office(server.dsn)
    made.ensure()
    made.keep(13)
    yield made
    made.close()


def report(seq: int, topic: str = "m/traffic", boot: str = "aa", device: str = DEVICE, **body: Any) -> Message:
    numbering = {"v": 1, "boot": boot, "seq": seq, "up": 100 * seq, "time": "2026-03-02T10:00:00Z", "clk": "sync"}
    return Message(f"modem-agent/v1/{device}/{topic}", json.dumps({**numbering, **body}).encode())


def status(session: int, state: str, **more: Any) -> Message:
    body = json.dumps({"v": 1, "state": state, "session": session, "version": "1", **more}).encode()
    return Message(f"modem-agent/v1/{DEVICE}/status", body)


def store(office: Office, messages: list[Message]) -> int:
    return office.store([(message, office.read(message)) for message in messages])


def one(office: Office, query: str) -> Any:
    ((value,),) = office.rows(query)
    return value


def test_what_comes_twice_is_there_once(office: Office) -> None:
    batch = [report(1), report(2, "e/boot"), report(1), report(3, boot="bb")]
    for _ in range(3):
        assert store(office, batch) == 0
    assert one(office, "select count(*) from report") == 3


def test_gaps_are_what_did_not_come_and_the_device_names_some_of_them(office: Office) -> None:
    store(
        office,
        [report(1), report(4), report(8), report(9, "e/lost", ranges=[["aa", 2, 3], ["a0", 1, 2**53]]), report(11)],
    )
    assert one(office, "select gap::text from gaps where boot = 'aa'") == "{[2,4),[5,8),[10,11)}"
    assert one(office, "select named::text from gaps where boot = 'aa'") == "{[2,4)}"
    assert one(office, "select open::text from gaps where boot = 'aa'") == "{[5,8)}"
    store(office, [report(2)])  # named, and came all the same
    assert one(office, "select numbers::text from lost where boot = 'aa'") == "{[3,4)}"


def test_the_will_of_an_old_session_is_not_believed_in_any_order(office: Office) -> None:
    store(office, [status(2, "online"), status(1, "lost")])
    assert one(office, "select presence from home") == "online"
    store(office, [status(2, "lost")])
    store(office, [status(2, "online")])  # another process was slower
    assert one(office, "select presence from home") == "lost"
    store(office, [status(3, "online")])
    assert one(office, "select presence from home") == "online"


def test_time_of_a_wrong_clock_is_mended_by_seconds_since_boot(office: Office) -> None:
    store(office, [report(1, time="1970-01-01T00:01:40Z", clk="unsync", up=100)])
    assert one(office, "select at from reports where seq = 1") is None
    store(office, [report(2, time="2026-03-02T10:10:00Z", clk="sync", up=700)])
    assert f"{one(office, 'select at from reports where seq = 1'):%Y-%m-%d %H:%M}" == "2026-03-02 10:00"


def test_a_newer_measurement_is_not_replaced_by_an_older_one(office: Office) -> None:
    store(
        office,
        [report(5, plan={"State": "Throttled", "ShapingRate": 512_000, "UsedBytes": 9, "PeriodStart": "2026-03-01"})],
    )
    store(office, [report(4, plan={"State": "Normal", "ShapingRate": -1, "UsedBytes": 8, "PeriodStart": "2026-03-01"})])
    assert office.rows("select slow, plan_state, used_bytes from home") == [(True, "Throttled", 9)]
    assert one(office, "select used_bytes from usage") == 9
    store(office, [report(6, plan={"State": "Normal", "ShapingRate": -1})])
    assert office.rows("select slow, slow_since from home") == [(False, None)]


def test_the_operators_count_stands_beside_the_devices(office: Office) -> None:
    def twin(rev: int, **more: Any) -> Message:
        body = json.dumps(
            {"v": 1, "rev": rev, "LimitBytes": 40_000_000_000, "PeriodEnd": "2026-04-01", **more}
        ).encode()
        return Message(f"modem-agent/v1/{DEVICE}/twin/plan", body, retained=True)

    count = {"OperatorUsedBytes": 8_000_000_000, "OperatorAsOf": "2026-03-02T06:00:00Z", "OperatorSource": "pcrf"}
    view = (
        "select source, operator_bytes, difference_bytes, percent::float, correction_bytes, alarm from meter_difference"
    )
    store(office, [twin(1), report(1)])
    assert office.rows(view) == []  # the operator has never sent a count
    store(office, [twin(2, **count, DifferenceBytes=2_000_000_000, CorrectionBytes=0)])
    assert office.rows(view) == [("pcrf", 8_000_000_000, 2_000_000_000, 25.0, 0, False)]
    store(office, [report(2, "a/meter-difference", state="raised")])
    store(office, [twin(3, **count, DifferenceBytes=None, CorrectionBytes=None)])
    assert office.rows(view) == [("pcrf", 8_000_000_000, None, None, None, True)]
    assert f"{one(office, 'select as_of from meter_difference'):%Y-%m-%d %H:%M%z}" == "2026-03-02 06:00+0000"
    store(office, [twin(4, OperatorUsedBytes=0, OperatorAsOf="soon", OperatorSource=5, DifferenceBytes=-7)])
    assert office.rows(view) == [(None, 0, -7, None, None, True)]


def test_values_of_wrong_types_are_unknown_and_the_number_has_arrived(office: Office) -> None:
    wrong: list[Any] = ["many", 1e300, 10**100, 1.5, True, [], {}, None]
    rows = [
        report(n, plan={"UsedBytes": x, "ShapingRate": x, "State": "<b>", "PeriodStart": "2026-99-99"}, AgentBytes=x)
        for n, x in enumerate(wrong, 1)
    ]
    assert store(office, [*rows, report(9, plan=[], ip=5)]) == 0
    assert one(office, "select arrived::text from boot") == "{[1,10)}"


def test_one_bad_message_stops_no_other_and_the_refused_are_bounded(office: Office) -> None:
    deep = b'{"x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    bad = [Message("x\0y", b"\xff"), report(0), Message(f"modem-agent/v1/{DEVICE}/m/traffic", deep)]
    assert store(office, [report(1), *bad, report(2)]) == 3
    assert one(office, "select count(*) from report") == 2
    store(office, [Message("z", b"x")] * (REFUSED_KEPT + 10))
    assert one(office, "select count(*) from refused") == REFUSED_KEPT


def test_what_only_the_database_refuses_is_found_and_refused(office: Office) -> None:
    office.rows("select 1 from (select set_config('search_path', 'office', false)) x")
    with psycopg.connect(office._dsn, autocommit=True) as connection:
        connection.execute("alter table office.report add check (seq <> 3)")
    store(office, [report(n) for n in range(1, 6)])
    assert [seq for (seq,) in office.rows("select seq from report order by seq")] == [1, 2, 4, 5]
    assert "check constraint" in one(office, "select reason from refused")


def test_months_beyond_what_is_kept_go_and_wrong_clocks_have_a_place(office: Office) -> None:
    store(office, [report(1, time="1970-01-01T00:00:00Z"), report(2, time="9999-12-31T23:59:59Z"), report(3)])
    assert one(office, "select count(*) from report_other") == 2
    office.keep(1)
    office.keep(1)
    left = one(office, "select count(*) from pg_inherits where inhparent = 'office.report'::regclass")
    assert left == 1 + 1 + 1 + 2  # other, last month, this one, two to come


def test_a_newer_schema_is_left_alone(office: Office, server: Postgres) -> None:
    office.rows("with made as (insert into migration values (99) returning 1) select * from made")
    with pytest.raises(OperatorError, match="of step 99"):
        Office(server.dsn).ensure()
    assert [step for step, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_nothing_is_acknowledged_before_it_is_committed(office: Office, server: Postgres, tmp_path: Path) -> None:
    """The database is away: the broker keeps the messages, and the next process gets them."""
    tmp_path.chmod(0o755)

    async def story() -> None:
        target = Target("127.0.0.1", broker.port, "office-1", 60, protocol="auto")
        told: list[str] = []
        ready, away = asyncio.Event(), asyncio.Event()

        def tell(sentence: str) -> None:
            told.append(sentence)
            (away if sentence.startswith("database") else ready).set()

        first = Consumer(target, "modem-agent", Office(server.dsn), tell, share="", months=13)
        running = asyncio.create_task(first.run())
        await asyncio.wait_for(ready.wait(), 60)
        await published(broker.port, [report(1)])
        await until(office, 1)
        server.kill()
        await published(broker.port, [report(2), report(3)])
        await asyncio.wait_for(away.wait(), 60)
        first.stop()
        with pytest.raises(OperatorError):
            await asyncio.wait_for(running, 60)
        await asyncio.to_thread(server.start)
        office.close()
        office.ensure()
        with contextlib.closing(Office(server.dsn)) as store:
            second = Consumer(target, "modem-agent", store, tell, share="", months=13)
            running = asyncio.create_task(second.run())
            await until(office, 3)
            second.stop()
            await asyncio.wait_for(running, 60)

    with Mosquitto(tmp_path) as broker:
        asyncio.run(story())


async def published(port: int, messages: list[Message]) -> None:
    events: asyncio.Queue[Event] = asyncio.Queue()
    connection = Connection(Target("127.0.0.1", port, f"device-{os.getpid()}", 60, clean=True), events.put_nowait)
    await connection.open()
    await asyncio.wait_for(events.get(), 60)
    for message in messages:
        connection.publish(Outgoing(message.topic, message.payload))
        while not isinstance(await asyncio.wait_for(events.get(), 60), Published):
            pass
    await connection.close(graceful=True)


async def until(office: Office, count: int) -> None:
    async def enough() -> None:
        while one(office, "select count(*) from report") < count:  # noqa: ASYNC110  # another process stores
            await asyncio.sleep(0.05)

    await asyncio.wait_for(enough(), 60)
