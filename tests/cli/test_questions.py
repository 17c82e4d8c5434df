"""setup's questions on a real pseudo-terminal: each answer is checked when it is given, kept, and can be emptied."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent import config
from agent.cli import config_file
from tests.cli.terminal import Terminal, plain

Dialogue = tuple[tuple[str, str], ...]
# What is asked, in this order, and an answer to each.
ANSWERS: Dialogue = (
    ("Mobile link", "wan0"),
    ("Access point name", "internet"),
    ("PIN of the SIM", ""),
    ("allowance is new", "15"),
    ("Operator's broker", ""),
    ("phone number", "+32470000001"),
    ("language", "nl"),
    ("LED", ""),
)


def instead(question: str, *answers: tuple[str, str]) -> Dialogue:
    """ANSWERS with other ones to one question, each with what must be on the screen before it."""
    at = [asked for asked, _ in ANSWERS].index(question)
    return (*ANSWERS[:at], *answers, *ANSWERS[at + 1 :])


def answered(file: Path, dialogue: Dialogue, *, columns: int = 80) -> str:
    """The wizard led through to its end; all that stood on the screen."""
    shown = ""
    with Terminal(["setup", "--no-doctor", "--config", str(file)], columns=columns) as terminal:
        for asked, answer in dialogue:
            for word in asked.split():
                shown += terminal.expect(rf"[^\0]*?{re.escape(word)}")
            shown += terminal.expect(r"[^\0]*?(?:[\])]|a\s+file): $")  # not the colon within "(empty: none)"
            terminal.send(answer + "\n")
        status = terminal.wait()
        shown += terminal.seen
    assert status == 0, shown
    return plain(shown)


@pytest.mark.parametrize(
    ("question", "wrong", "said"),
    [
        ("allowance is new", "45", "plan.billing_day: out of range"),
        ("allowance is new", "soon", "plan.billing_day: wrong type"),
        ("Operator's broker", "broker.example", "operator.url: not allowed"),
        ("Mobile link", "a-name-far-too-long", "wan.interfaces: not allowed"),
        ("Mobile link", "br-lan", "wan.interfaces: br-lan is the household's own network"),
        ("phone number", "call me", "household.sms_to: not allowed"),
        ("language", "es", "household.sms_language: not allowed"),
        ("Access point name", "a b", "modem.apn: not allowed"),
        ("LED", "../../etc", "household.led: not the name of a LED"),
        ("PIN of the SIM", "12a4", "a PIN has 4 to 8 digits"),
        ("PIN of the SIM", "123", "a PIN has 4 to 8 digits"),
    ],
)
def test_a_wrong_answer_is_asked_again_and_the_others_are_kept(
    tmp_path: Path, question: str, wrong: str, said: str
) -> None:
    file = tmp_path / "config.toml"
    right = dict(ANSWERS)[question]
    answered(file, instead(question, (question, wrong), (f"{said} {question}", right)))
    found = config.load(file)
    assert (found.wan.interfaces, found.modem.apn, found.plan.billing_day) == (("wan0",), "internet", 15)
    assert (found.operator.url, found.modem.pin_file) == ("", "")
    assert found.household.sms_to == "+32470000001"
    assert (found.household.sms_language, found.household.led) == ("nl", "")


def test_an_answer_is_judged_with_the_rest_of_the_configuration(tmp_path: Path) -> None:
    """What the file says is taken with the answer, or the whole would be refused after the last question."""
    table = {"plan": {"contract_start": "2027-01-01"}}
    assert config_file.problem(table, {"plan.contract_end": "2027-02-01"}) == ""
    assert "contract_end" in config_file.problem(table, {"plan.contract_end": "2026-12-01"})


def test_a_certificate_is_asked_for_with_its_key(tmp_path: Path) -> None:
    file, key = tmp_path / "config.toml", tmp_path / "k"
    key.write_text("key")
    tls = (
        ("Operator's broker", "mqtts://broker.example:8883"),
        ("Authority's certificate", "/nowhere.pem"),
        ("/nowhere.pem cannot be read Authority's certificate", ""),
        ("This device's certificate", str(key)),
        ("Its key", ""),
        ("no use without its key Its key", str(key)),
    )
    answered(file, instead("Operator's broker", *tls))
    found = config.load(file).operator
    assert (found.url, found.ca_file) == ("mqtts://broker.example:8883", "")
    assert (found.cert_file, found.key_file) == (str(key), str(key))


def test_a_dash_empties_what_was_set(tmp_path: Path) -> None:
    file, kept = tmp_path / "config.toml", tmp_path / "sim-pin"
    kept.write_text("4711\n")
    file.write_text(
        f'[modem]\napn = "old"\npin_file = "{kept}"\n[household]\nsms_to = "+321"\nsms_language = "de"\n'
        '[operator]\nurl = "mqtt://h"\nca_file = "/gone.pem"\nroot = "kept"\n'
    )
    asked = [question for question, _ in ANSWERS]
    shown = answered(file, tuple((question, "wan0" if question == "Mobile link" else "-") for question in asked))
    assert "[old]" in shown
    found = config.load(file)
    assert (found.modem.apn, found.modem.pin_file, found.plan.billing_day) == ("", "", 1)
    assert (found.operator.url, found.operator.ca_file, found.operator.root) == ("", "", "kept")
    assert (found.household.sms_to, found.household.sms_language) == ("", "fr")
    assert not kept.exists()


def test_enter_keeps_what_was_set(tmp_path: Path) -> None:
    file, kept = tmp_path / "config.toml", tmp_path / "sim-pin"
    kept.write_text("4711\n")
    file.write_text(f'[modem]\npin_file = "{kept}"\n[household]\nsms_language = "de"\n[plan]\nbilling_day = 9\n')
    answered(file, tuple((question, "") for question, _ in ANSWERS))
    found = config.load(file)
    assert (found.modem.pin_file, found.household.sms_language, found.plan.billing_day) == (str(kept), "de", 9)
    assert kept.read_text() == "4711\n"


def test_the_pin_is_kept_for_the_agent_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    shown = answered(file, instead("PIN of the SIM", ("PIN of the SIM", "4711")))
    assert "4711" not in shown
    assert (tmp_path / "pin").read_text() == "4711\n"
    assert (tmp_path / "pin").stat().st_mode & 0o777 == 0o640
    assert config.load(file).modem.pin_file == str(tmp_path / "pin")


@pytest.mark.parametrize("columns", [40, 80])
def test_the_questions_fold_between_words(tmp_path: Path, columns: int) -> None:
    wrong = (("language", "es"), ("household.sms_language: not allowed language", "de"))
    shown = answered(tmp_path / "config.toml", instead("language", *wrong), columns=columns)
    printed = re.sub(r"(?m): \S+$", ": ", shown)  # without what was typed
    assert max(map(len, printed.splitlines())) <= columns, shown
