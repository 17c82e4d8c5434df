"""The office's database: its schema, one batch in one transaction, what is refused, labels, retention."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeAlias

import psycopg

from agent.errors import OperatorError
from agent.support.office.message import PlanTwin, Presence, RefusedError, Report, Said, Traffic, read

REFUSED_KEPT = 10_000  # messages
_REFUSED_BYTES = 1_000  # of a payload
# SQLSTATE classes that a second try may mend (PostgreSQL, Appendix A): connection, rollback, resources, state,
# intervention, system.
_PASSING = frozenset({"08", "40", "53", "55", "57", "58"})

_STAGES = {
    "stage_report": "device text, boot text, seq bigint, topic text, said timestamptz, clk text, up bigint, body jsonb,"
    " live boolean, state text, bps bigint, start date, used bigint, remaining bigint, received bigint, sent bigint,"
    " agent bigint, place int generated always as identity",
    "stage_lost": "device text, boot text, first bigint, last bigint",
    "stage_presence": "device text, session bigint, step smallint, state text, version text, live boolean",
    "stage_plan": "device text, rev bigint, limit_bytes bigint, period_end date, meter text, meter_at timestamptz,"
    " meter_bytes bigint, meter_difference bigint, meter_correction bigint",
    "stage_traffic": "device int, boot bigint, seq bigint, live boolean, timed boolean, at timestamptz, state text,"
    " bps bigint, start date, used bigint, remaining bigint, received bigint, sent bigint, agent bigint",
}
_COPIES = {
    "stage_report": "device, boot, seq, topic, said, clk, up, body, live, " + ", ".join(Traffic._fields),
    "stage_lost": "device, boot, first, last",
    "stage_presence": "device, session, step, state, version, live",
    "stage_plan": ", ".join(PlanTwin._fields),
}


_NO_TRAFFIC = (None,) * len(Traffic._fields)


@dataclass(frozen=True, slots=True)
class Message:
    """As it came from the broker."""

    topic: str
    payload: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    message: Message
    reason: str


Content: TypeAlias = "Said | Refusal | None"


class Passing(OperatorError):
    """The database is away or busy: the same batch again, later."""


Row = Sequence[Any]  # of a query, which says what each column is


class Office:
    """One connection. Nothing is kept beside the database: a process may end at any time."""

    def __init__(self, dsn: str, root: str = "modem-agent") -> None:
        self._dsn, self._root = dsn, root
        self._connection: Any = None

    def ensure(self) -> None:
        """Connect if need be, and bring the schema up to date. Raises Passing; OperatorError for a newer schema."""
        if self._connection is not None:
            return
        try:
            self._connection = psycopg.connect(self._dsn, application_name="modem-support office")
            with self._connection.transaction():
                migrate(self._connection)
            self._connection.execute("set search_path = office")
            for stage, columns in _STAGES.items():
                self._connection.execute(f"create temporary table {stage} ({columns}) on commit delete rows")
            self._connection.commit()
        except psycopg.Error as error:
            self.close()
            raise _said(error) from error
        except OperatorError:
            self.close()
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def read(self, message: Message) -> Content:
        """What it says, or why it is refused. Needs no connection."""
        try:
            return read(message.topic, message.payload, self._root)
        except RefusedError as error:
            return Refusal(message, str(error))

    def store(self, batch: Sequence[tuple[Message, Content]]) -> int:
        """All of them in one transaction; how many were refused. Raises Passing when nothing was stored."""
        said = [(message, content) for message, content in batch if isinstance(content, Said)]
        refused = [content for _, content in batch if isinstance(content, Refusal)]
        self._take(said, refused)
        return len(refused)

    def _take(self, said: Sequence[tuple[Message, Said]], refused: Sequence[Refusal]) -> None:
        try:
            self._transaction(said, refused)
        except psycopg.DatabaseError as error:
            if _passes(error) or self._connection.closed:
                raise _said(error) from error
            if len(said) <= 1:  # this one the database does not bear; a refusal of it must be borne
                if not said:
                    raise _said(error) from error
                return self._take([], [*refused, Refusal(said[0][0], str(error).splitlines()[0])])
            half = len(said) // 2
            self._take(said[:half], refused)
            self._take(said[half:], [])

    def _transaction(self, said: Sequence[tuple[Message, Said]], refused: Sequence[Refusal]) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for stage, rows in _staged(said).items():
                if rows:
                    with cursor.copy(f"copy {stage} ({_COPIES[stage]}) from stdin") as copy:
                        for row in rows:
                            copy.write_row(row)
            if said:
                cursor.execute("select take()")
            if refused:
                cursor.executemany(
                    "insert into refused (topic, reason, payload) values (%s, %s, %s)",
                    [_refused(one) for one in refused],
                )
                cursor.execute("delete from refused where id <= (select max(id) from refused) - %s", (REFUSED_KEPT,))

    def keep(self, months: int) -> None:
        """Partitions ahead, and nothing older than so many months. Raises Passing."""
        self._run("select keep(%s)", (months,))

    def label(self, labels: Mapping[str, str]) -> None:
        """These labels in place of all before. Raises Passing."""
        try:
            with self._connection.transaction(), self._connection.cursor() as cursor:
                cursor.execute("delete from label")
                cursor.executemany("insert into label values (%s, %s)", list(labels.items()))
        except psycopg.Error as error:
            raise _said(error) from error

    def rows(self, query: str) -> list[Row]:
        return self._run(query, None)

    def _run(self, query: str, arguments: tuple[object, ...] | None) -> list[Row]:
        try:
            with self._connection.transaction():
                return list(self._connection.execute(query, arguments).fetchall())
        except psycopg.Error as error:
            raise _said(error) from error


def _staged(said: Iterable[tuple[Message, Said]]) -> dict[str, list[tuple[object, ...]]]:
    """Rows of each temporary table."""
    stages: dict[str, list[tuple[object, ...]]] = {stage: [] for stage in _COPIES}
    for message, one in said:
        live = not message.retained
        match one:
            case Report():
                row = (one.device, one.boot, one.seq, one.topic, one.said, one.clk, one.up, one.body, live)
                stages["stage_report"].append((*row, *(one.traffic or _NO_TRAFFIC)))
                stages["stage_lost"] += [(one.device, *gap) for gap in one.lost]
            case Presence():
                stages["stage_presence"].append((one.device, one.session, one.step, one.state, one.version, live))
            case PlanTwin():
                stages["stage_plan"].append(one)
    return stages


def _refused(refusal: Refusal) -> tuple[str, str, bytes]:
    topic = refusal.message.topic.replace("\0", "")[:200].encode(errors="replace").decode()
    return topic, refusal.reason[:200], refusal.message.payload[:_REFUSED_BYTES]


def _passes(error: psycopg.Error) -> bool:
    state = error.sqlstate
    return isinstance(error, psycopg.OperationalError) if state is None else state[:2] in _PASSING


def _said(error: psycopg.Error) -> OperatorError:
    sentence = f"database: {(str(error).splitlines() or [type(error).__name__])[0]}"
    return Passing(sentence) if _passes(error) else OperatorError(sentence)


# -- schema ----------------------------------------------------------------------------------------------------------


def migrations() -> list[tuple[int, str]]:
    """Number and SQL of every step, in order."""
    folder = resources.files("agent.support.office") / "schema"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [(int(file.name.partition("_")[0]), file.read_text(encoding="utf-8")) for file in files]


def migrate(connection: Any) -> None:
    """The steps that are not done yet; processes that start together wait for each other."""
    connection.execute("select pg_advisory_xact_lock(hashtext('office.migrate'))")
    connection.execute("create schema if not exists office")
    connection.execute("set local search_path = office")
    connection.execute("create table if not exists migration (step int primary key, done timestamptz default now())")
    (done,) = connection.execute("select coalesce(max(step), 0) from migration").fetchone()
    steps = migrations()
    if done > steps[-1][0]:
        raise OperatorError(f"database: its schema is of step {done}, this program knows {steps[-1][0]}: upgrade it")
    for step, statements in steps:
        if step > done:
            connection.execute(statements)
            connection.execute("insert into migration (step) values (%s)", (step,))
