"""`modem-agent usage`: what was used, of how much, until when, at what pace; by day, by month, as a table."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import click

from agent.cli import exits, plot, screen
from agent.cli.language import _, spoken
from agent.cli.times import day, day_of_year, local, parsed
from agent.cli.verb import Call, verb
from agent.errors import AgentNotRunning, StoreError

if TYPE_CHECKING:
    from agent import status_schema as schema
    from agent.statement_schema import Answer

LANGUAGES = ("fr", "nl", "de", "en", "ar")  # of the statement; its words are not loaded for the rest
DAYS_ASKED, MONTHS_ASKED = 62, 24


@verb(
    "modem-agent usage",
    "modem-agent usage --months",
    "modem-agent usage --days --csv",
    "modem-agent usage --json",
    lang=False,
)
@click.option("--days", is_flag=True, help="The days of this period against an even pace (as without an option).")
@click.option("--months", is_flag=True, help="The billing periods of the last two years.")
@click.option(
    "--csv", "as_csv", is_flag=True, help="The days, or with --months the periods, as comma-separated values."
)
@click.option("--svg", metavar="FILE", help="The days, or with --months the periods, as an SVG; - is standard output.")
@click.option("--statement", metavar="MONTH", help="A month to put on a table, such as 2026-11.")
@click.option("--html", "as_html", is_flag=True, help="The statement as a page of A5 to print.")
@click.option("--lang", type=click.Choice(LANGUAGES), default="en", help="Its language.")
@click.option("--netjson", is_flag=True, help="The interfaces' counters as a NetJSON DeviceMonitoring object.")
def command(
    call: Call,
    days: bool,
    months: bool,
    as_csv: bool,
    svg: str | None,
    statement: str | None,
    as_html: bool,
    lang: str,
    netjson: bool,
) -> int:
    """What was used this period, by day or by month.

    Without a running agent the numbers come from its store, and say how old they are.
    """
    if statement is not None:
        return _statement(call, statement, lang, as_html=as_html)
    if as_html:
        raise click.UsageError(_("--html is the statement's: --statement MONTH --html"))
    if netjson:
        from agent.cli.netjson import monitoring

        screen.print_json(monitoring(call.config().wan.interfaces))
        return exits.OK
    answer = _ask(call, days=days or not months, months=months)
    if call.json:
        known = answer.get("usage") is not None and answer.get("period") is not None
        screen.print_json({**answer, "forecast": told(runs_out(answer)) if known else None})
        return exits.OK
    if as_csv:
        _print_csv(answer["months"] if months else answer["days"])
        return exits.OK
    if svg is not None:
        return _picture(answer, svg, months=months)
    if answer.get("usage") is None or answer.get("period") is None:
        raise StoreError(_("nothing is counted yet"))
    for line in lines(answer, room=screen.width()):
        print(line)
    return exits.OK


def _picture(answer: schema.UsageAnswer, place: str, *, months: bool) -> int:
    from agent.cli import bar_chart

    if answer.get("usage") is None or answer.get("period") is None:
        raise StoreError(_("nothing is counted yet"))
    limit = answer["usage"]["limit_bytes"]
    if months:
        rows = [(_month_name(m["period"]), m["received_bytes"] + m["sent_bytes"]) for m in answer["months"]]
    else:
        rows = [(d["day"][5:], d["received_bytes"] + d["sent_bytes"]) for d in answer["days"]]
    title = _("Used by billing period") if months else _("Used by day")
    drawn = bar_chart.svg(title, rows, limit=limit if months else None).encode()
    if place == "-":
        sys.stdout.buffer.write(drawn)
    else:
        with open(place, "wb") as file:
            file.write(drawn)
    return exits.OK


def _statement(call: Call, month: str, language: str, *, as_html: bool) -> int:
    from agent.household import statement_page

    if re.fullmatch(r"\d{4}-\d{2}(-\d{2})?", month) is None:
        raise click.UsageError(_("--statement {month}: not a month; such as 2026-11", month=repr(month)))
    answer = _ask_statement(call, month)
    if call.json:
        screen.print_json(answer)
    elif as_html:
        sys.stdout.write(statement_page.page(answer, language))
    else:
        for line in statement_page.lines(answer, language):
            print(screen.clean(line))
    return exits.OK


def _ask_statement(call: Call, month: str) -> Answer:
    try:
        with call.client() as client:
            return client.statement(month)
    except AgentNotRunning as absent:
        from agent.cli import offline_status
        from agent.household.statement import look

        config = call.config()
        with offline_status.instead_of(absent):
            device = config.device.id or offline_status.look(call, lambda db: db.meta.get("device")) or ""
            found = offline_status.look(call, lambda db: look(db, config.plan, month, device=device, version=""))
    if found is None:
        raise StoreError(_("nothing is known of {month}", month=month))
    return {"v": 1, **found}


def _ask(call: Call, *, days: bool, months: bool) -> schema.UsageAnswer:
    wanted = {**({"days": DAYS_ASKED} if days else {}), **({"months": MONTHS_ASKED} if months else {})}
    try:
        with call.client() as client:
            return client.usage(wanted)
    except AgentNotRunning as absent:
        from agent.cli import offline_status
        from agent.status import usage_of

        with offline_status.instead_of(absent):
            kept = offline_status.status(call)
        out = usage_of(kept)
        out["stored"] = kept["stored"]
        if days:
            out["days"] = offline_status.look(call, lambda db: db.history.days(DAYS_ASKED))
        if months:
            out["months"] = offline_status.look(call, lambda db: db.history.months(MONTHS_ASKED))
        return out


def lines(answer: schema.UsageAnswer, *, room: int) -> list[str]:
    """The whole screen: the summary, then the plots that were asked for."""
    out = screen.pairs(summary(answer))
    if "days" in answer:
        out += ["", *_days_plot(answer, room)]
    if "months" in answer:
        rows = [(_month_name(m["period"]), m["received_bytes"] + m["sent_bytes"]) for m in answer["months"]]
        out += ["", *plot.bars(rows, limit=answer["usage"]["allowance_bytes"], room=room)]
    return out


def summary(answer: schema.UsageAnswer) -> list[tuple[str, object]]:
    usage, period = answer["usage"], answer["period"]
    gauge = screen.bar(usage["percent"] / 100, min(40, max(12, screen.width() - 40)))
    # Rounded down: 39.999 GB of 40 must not read as 100 %.
    share = _("{percent:.1f} %", percent=int(usage["percent"] * 10) / 10)
    kept = answer.get("stored")
    clock = None if answer.get("clk") in ("sync", "nitz") else _("not yet known: the period cannot end before it is")
    age = screen.age(kept["age_s"]) if kept else None
    note = _("from the store, written {age} ago; the agent is not running", age=age) if kept else None
    span = _("{start} to {end}", start=local(period["start"]), end=local(period["end"]))
    used = _("{used} of {limit}", used=screen.size(usage["charged_bytes"]), limit=screen.size(usage["limit_bytes"]))
    return [
        (_("Period"), span),
        (_("Used"), f"{gauge} {share}"),
        ("", used),
        (_("Received"), screen.size(usage["received_bytes"])),
        (_("Sent"), screen.size(usage["sent_bytes"])),
        (_("Foreign SIM"), screen.size(usage["foreign_bytes"]) if usage.get("foreign_bytes") else None),
        (_("Agent's own"), screen.size(usage["management_bytes"]) if usage["management_bytes"] else None),
        (_("Operator"), _operator(answer.get("operator_count"))),
        (_("Correction"), _signed(usage["correction_bytes"]) if usage.get("correction_bytes") else None),
        (_("Top-ups"), screen.size(usage["topup_bytes"]) if usage["topup_bytes"] else None),
        (_("Left"), screen.size(max(0, usage["remaining_bytes"]))),
        (_("Forecast"), outlook(answer)),
        (_("Plan"), _unusual(answer.get("plan"))),
        (_("Clock"), clock),
        (_("Note"), note),
    ]


def _operator(count: schema.OperatorCount | None) -> str | None:
    """The other meter, at the instant it is of."""
    if count is None:
        return None
    values = {"used": screen.size(count["used_bytes"]), "time": local(count["as_of"])}
    difference = count["difference_bytes"]
    if difference is None:
        return _("counts {used} at {time}; compared once the clock is known", **values)
    values["difference"] = screen.size(abs(difference))
    if difference >= 0:
        return _("counts {used} at {time}, {difference} more than here", **values)
    return _("counts {used} at {time}, {difference} less than here", **values)


def _signed(amount_bytes: int) -> str:
    sign = "+" if amount_bytes > 0 else "-"
    return _("{amount}, as the operator counts", amount=f"{sign}{screen.size(abs(amount_bytes))}")


def _unusual(plan: schema.Decision | None) -> str | None:
    """Throttled, forced, lifted, suspended, expired: what makes the line another than the allowance lets expect."""
    if plan is None or plan["state"] in ("normal", "warned"):
        return None
    from agent.cli.verbs.status import SPEEDS

    return _("{what}: {reason}", what=_(SPEEDS.get(plan["state"], plan["state"])), reason=spoken(plan["reason"]))


def outlook(answer: schema.UsageAnswer) -> str | None:
    """Whether the allowance lasts, at the pace of the last whole days."""
    start, now = parsed(answer["period"]["start"]), parsed(answer["time"])
    if start is None or now is None:
        return None
    if answer["usage"]["remaining_bytes"] <= 0:
        return _("the allowance is used up")
    when = runs_out(answer)
    if when is None:
        return _("lasts until the period ends") if (now - start).days >= 1 else None
    return _("used up on {day} at the pace of late", day=day_of_year(when))


def told(when: datetime | None) -> str | None:
    return None if when is None else when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def runs_out(answer: schema.UsageAnswer) -> datetime | None:
    """When the allowance will be used up within the period; None if it lasts, or if nobody can tell yet."""
    from agent.plan import BillingPeriod, Usage, forecast

    period = answer["period"]
    start, end, now = parsed(period["start"]), parsed(period["end"]), parsed(answer["time"])
    if start is None or end is None or now is None:
        return None
    return forecast(Usage(**answer["usage"]), BillingPeriod(start, end), now, _recent(answer))


def _recent(answer: schema.UsageAnswer) -> float | None:
    """Mean bytes a day of the whole days of the last week, idle ones too; None with fewer than two known."""
    today = date.fromisoformat(str(answer["time"])[:10])
    known = {date.fromisoformat(d["day"]): d["received_bytes"] + d["sent_bytes"] for d in answer.get("days", [])}
    week = {day: amount for day, amount in known.items() if timedelta(0) < today - day <= timedelta(days=7)}
    if len(week) < 2:
        return None
    first = today - timedelta(days=7) if min(known) < min(week) else min(week)  # counted before: the rest was idle
    return float(sum(week.values()) / (today - first).days)


def _days_plot(answer: schema.UsageAnswer, room: int) -> list[str]:
    period, usage = answer["period"], answer["usage"]
    start, end, now = parsed(period["start"]), parsed(period["end"]), parsed(answer["time"])
    if start is None or end is None or now is None:
        return []
    first = date.fromisoformat(period["label"])
    number = max(1, round((end - start).total_seconds() / 86_400))
    gone = min(number, max(1, int((now - start).total_seconds() // 86_400) + 1))
    by_day = {d["day"]: d["received_bytes"] + d["sent_bytes"] for d in answer["days"]}
    dates = [first + timedelta(days=n) for n in range(number)]
    values = [by_day.get(d.isoformat(), 0) if n < gone else None for n, d in enumerate(dates)]
    pace = usage["limit_bytes"] / number
    even = pace * (now - start).total_seconds() / 86_400
    shown = (
        plot.columns(values, [str(d.day) if d.day == 1 or d.day % 5 == 0 else "" for d in dates], pace=pace, room=room)
        if room >= plot.LEFT + 1 + number
        else plot.bars(
            [(d.isoformat()[5:], v) for d, v in zip(dates, values, strict=True) if v is not None],
            limit=round(pace),
            room=room,
        )
    )
    more = usage["charged_bytes"] - even
    amounts = {"size": screen.size(abs(more)), "pace": screen.size(pace)}
    words = (
        _("{size} more than an even pace of {pace} a day", **amounts)
        if more > 0
        else _("{size} less than an even pace of {pace} a day", **amounts)
    )
    return [*shown, *screen.wrap(words, room)]


def _month_name(label: str) -> str:
    return day(date.fromisoformat(label))


def _print_csv(rows: Sequence[schema.Day] | Sequence[schema.Month]) -> None:
    if not rows:
        return
    writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
