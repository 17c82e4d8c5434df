"""What `setup` asks, a row a question: each answer is checked when it is given, and a dash empties one.

An answer is judged as a part of the whole configuration, by the rules that the agent itself starts by.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.cli import config_file, screen
from agent.cli.language import N_, _, spoken
from agent.cli.verbs.pin import pin_problem

NONE = "-"
NO_KEY = N_("a certificate is of no use without its key: name the key's file")
LEDS = Path("/sys/class/leds")
FILES = ("ca", "cert", "key")
KEYS = {
    "port": "modem.port",
    "apn": "modem.apn",
    "wan": "wan.interfaces",
    "billing_day": "plan.billing_day",
    "broker": "operator.url",
    "sms": "household.sms_to",
    "language": "household.sms_language",
    "led": "household.led",
    **{name: f"operator.{name}_file" for name in FILES},
    "keys": "commands.keys_file",
}
Answers = Mapping[str, object]


def _always(answers: Answers) -> bool:
    return True


def _encrypted(answers: Answers) -> bool:
    return str(answers["broker"]).startswith("mqtts://")


def _own_certificate(answers: Answers) -> bool:
    return _encrypted(answers) and bool(answers["cert"])


@dataclass(frozen=True, slots=True)
class Question:
    """`name` is the flag's; `asks` says whether the question stands after the answers before it."""

    name: str
    text: str
    hidden: bool = False
    asks: Callable[[Answers], bool] = _always


QUESTIONS = (
    Question("wan", N_("Mobile link(s)")),
    Question("apn", N_("Access point name (empty: the module knows it)")),
    Question("pin", N_("PIN of the SIM, not shown"), hidden=True),
    Question("billing_day", N_("Day of the month on which the allowance is new")),
    Question("broker", N_("Operator's broker, mqtts://HOST:8883 (empty: none)")),
    Question("ca", N_("Authority's certificate, a file (empty: the system's)"), asks=_encrypted),
    Question("cert", N_("This device's certificate, a file (empty: none)"), asks=_encrypted),
    Question("key", N_("Its key, a file"), asks=_own_certificate),
    Question("sms", N_("The household's phone number for SMS (empty: none)")),
    Question("language", N_("The household's language: fr, nl, de or en (empty: fr)")),
    Question("led", N_("LED for ok, slow and no service (empty: none)")),
)


def ask_all(found: Answers, table: config_file.Table) -> dict[str, object]:
    """The answers, with what was found as defaults; `table` is the configuration that they change."""
    answers = dict(found)
    for question in QUESTIONS:
        answers[question.name] = _asked(question, answers, table) if question.asks(answers) else ""
    return answers


def problem(name: str, value: object, table: config_file.Table) -> str:
    """What is wrong with one answer; empty: nothing."""
    if name == "pin":
        return pin_problem(str(value)) if value else ""
    if name == "key" and not value:
        return _(NO_KEY)
    return (file_problem(str(value)) if name in FILES else "") or config_file.problem(table, {KEYS[name]: value})


def file_problem(path: str) -> str:
    return (
        _("{path} cannot be read: put the file there first", path=path) if path and not os.access(path, os.R_OK) else ""
    )


def _asked(question: Question, answers: Answers, table: config_file.Table) -> object:
    """Asked again until it is right. The PIN alone has no default that could be shown: None leaves it as it is."""
    default = answers[question.name]
    shown = " ".join(default) if isinstance(default, list) else str(default)
    text = _(question.text)
    if leds := _leds() if question.name == "led" else "":
        text = _("{question}, one of {names}", question=text, names=leds)
    if question.hidden:
        text = _("{question} (Enter: as it is, - for none)", question=text)
    elif shown:
        text = _("{question} (- for none) [{default}]", question=text, default=shown)
    while True:
        answer = screen.asked(f"{text}:", hidden=question.hidden)
        if not answer and question.hidden:
            return default
        value = _value(question.name, "" if answer == NONE else answer or shown)
        wrong = problem(question.name, value, table)
        if not wrong:
            return value
        screen.note(spoken(wrong))


def _value(name: str, answer: str) -> object:
    """As the configuration has it; a number that is none stays text, and is refused as such."""
    if name == "wan":
        return answer.split()
    return int(answer) if name == "billing_day" and answer.isdecimal() else answer


def _leds(folder: Path = LEDS) -> str:
    """The first few of this device, to choose from."""
    names = sorted(led.name for led in folder.iterdir()) if folder.is_dir() else []
    return " ".join(names[:6])
