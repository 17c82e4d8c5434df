"""What the household is told by SMS, in its language. Pure; used by notifier.py.

Each text is one SMS: at most 160 characters of the GSM 7-bit alphabet (23.038), which has è é à ù ä ö ü but no ê, ç or
capital À. Amounts and days come as figures that read the same in all four languages.
"""

from __future__ import annotations

from datetime import date

from agent.household.page_view import View, amount

KINDS = ("warning", "throttled", "new-period")
ANSWERS = ("left", "nothing-left")  # to the household's own question

# {percent}, {used}, {left} and {limit} in GB, {rate} in kbit/s, {day} on which the line is fast again
TEXTS: dict[str, dict[str, str]] = {
    "fr": {
        "warning": "Internet: {percent} % du volume du mois est utilisé ({used} sur {limit} Go). "
        "Au bout du volume, la ligne ralentit jusqu'au {day}; rien n'est facturé.",
        "throttled": "Internet: les {limit} Go du mois sont utilisés. La ligne est lente ({rate} kbit/s) mais reste "
        "ouverte; elle redevient rapide le {day}. Rien n'est facturé.",
        "new-period": "Internet: un nouveau mois commence. Vous avez {limit} Go jusqu'au {day}. "
        "La ligne est de nouveau rapide. Rien n'est facturé.",
        "left": "Internet: il vous reste {left} Go sur {limit} Go jusqu'au {day}. Rien n'est facturé.",
        "nothing-left": "Internet: les {limit} Go du mois sont utilisés. "
        "Vous recevez de nouveaux Go le {day}. Rien n'est facturé.",
    },
    "nl": {
        "warning": "Internet: {percent} % van het maandvolume is verbruikt ({used} van {limit} GB). "
        "Is het op, dan is de lijn trager tot {day}; u betaalt niets extra.",
        "throttled": "Internet: de {limit} GB van deze maand zijn op. De lijn is traag ({rate} kbit/s) maar blijft "
        "open; vanaf {day} is ze weer snel. U betaalt niets extra.",
        "new-period": "Internet: een nieuwe maand begint. U hebt {limit} GB tot {day}. De lijn is weer snel. "
        "U betaalt niets extra.",
        "left": "Internet: u hebt nog {left} van {limit} GB tot {day}. U betaalt niets extra.",
        "nothing-left": "Internet: de {limit} GB van deze maand zijn op. "
        "Nieuwe GB krijgt u op {day}. U betaalt niets extra.",
    },
    "de": {
        "warning": "Internet: {percent} % des Monatsvolumens sind verbraucht ({used} von {limit} GB). "
        "Ist es aufgebraucht, ist die Leitung bis {day} langsam; es kostet nichts.",
        "throttled": "Internet: die {limit} GB des Monats sind verbraucht. Die Leitung ist langsam ({rate} kbit/s), "
        "bleibt aber offen; ab {day} ist sie wieder schnell. Es kostet nichts.",
        "new-period": "Internet: ein neuer Monat beginnt. Sie haben {limit} GB bis {day}. "
        "Die Leitung ist wieder schnell. Es kostet nichts.",
        "left": "Internet: Sie haben noch {left} von {limit} GB bis {day}. Es kostet nichts.",
        "nothing-left": "Internet: die {limit} GB des Monats sind verbraucht. "
        "Neue GB bekommen Sie am {day}. Es kostet nichts.",
    },
    "en": {
        "warning": "Internet: {percent} % of this month's data is used ({used} of {limit} GB). "
        "When it is used up, the line is slow until {day}; nothing is billed.",
        "throttled": "Internet: this month's {limit} GB are used. The line is slow ({rate} kbit/s) but stays open; "
        "it is fast again on {day}. Nothing is billed.",
        "new-period": "Internet: a new month begins. You have {limit} GB until {day}. The line is fast again. "
        "Nothing is billed.",
        "left": "Internet: you have {left} of {limit} GB left until {day}. Nothing is billed.",
        "nothing-left": "Internet: this month's {limit} GB are used. You get new GB on {day}. Nothing is billed.",
    },
}


def text_of(
    kind: str, language: str, *, percent: int, used_bytes: int, limit_bytes: int, rate_bps: int | None, until: date
) -> str:
    """One SMS. `until` is the local day on which the next period begins."""
    comma = "." if language == "en" else ","
    return TEXTS[language][kind].format(
        percent=percent,
        used=_gigabytes(used_bytes).replace(".", comma),
        limit=_gigabytes(limit_bytes).replace(".", comma),
        rate=(rate_bps or 0) // 1000,
        day=f"{until.day}/{until.month}",
    )


def balance_text(shown: View, language: str) -> str:
    """One SMS that says what is left, as the page does. A day that is not known yet is left open."""
    comma = "." if language == "en" else ","
    return TEXTS[language]["left" if shown.left_tenths else "nothing-left"].format(
        left=amount(shown.left_tenths, comma),
        limit=amount(shown.limit_tenths, comma),
        day=f"{shown.new_day.day}/{shown.new_day.month}" if shown.new_day else "?",
    )


def _gigabytes(count: int) -> str:
    """One decimal where it says something, never rounded up."""
    tenths = count // 10**8
    return str(tenths // 10) if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10}"
