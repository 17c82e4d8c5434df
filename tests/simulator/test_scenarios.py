"""The shipped scenarios pass, a wrong expectation fails, and a mistake in a file is named with its line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from simulator.errors import DataError, UnknownName
from simulator.scenarios import load, names, play
from simulator.scenarios.cli import command
from simulator.scenarios.devices import KINDS, Announcement
from simulator.scenarios.runner import Player, holds

WANTED = {
    "household-day",
    "tunnel",
    "sim-pulled",
    "registration-denied",
    "hang-power",
    "re-enumeration",
    "operator-outage",
    "month-end",
    "wrong-clock",
    "updates-held",
}


def test_the_scenarios_of_the_field_are_there() -> None:
    assert set(names()) >= WANTED


@pytest.mark.parametrize("name", names())
def test_a_shipped_scenario_passes(name: str) -> None:
    run = play(load(name))
    assert run.failures == []
    assert sum(line.ok is True for line in run.lines) >= 2


def test_a_seed_repeats_a_timeline() -> None:
    scenario = load("re-enumeration")
    assert play(scenario, seed=5).lines == play(scenario, seed=5).lines


def test_an_expectation_that_does_not_hold_fails_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[[step]]\nat = "1s"\ndo = "set rsrp -120"\nexpect = { "reading.signal.rsrp_dbm" = "> -100" }\n')
    run = play(load(str(file)))
    assert not run.passed
    assert run.failures[0].text == "reading.signal.rsrp_dbm is -120, expected '> -100' (line 1)"
    shell = CliRunner().invoke(command, [str(file)])
    assert shell.exit_code == 1
    assert "FAILED expect" in shell.output


def test_an_action_that_fails_fails_the_run(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[[step]]\nat = "1s"\ndo = ["top-up 900000"]\n')
    run = play(load(str(file)))
    assert "top-up 900000: top-up of 900000000000000 bytes" in run.failures[0].text


def test_the_command_lists_and_plays() -> None:
    listed = CliRunner().invoke(command, [])
    assert "tunnel " in listed.output
    played = CliRunner().invoke(command, ["tunnel", "--json"])
    assert played.exit_code == 0
    assert '"kind": "expect"' in played.output


@pytest.mark.parametrize(
    ("found", "wanted", "outcome"),
    [
        (3, 3, True),
        (3, ">= 3", True),
        (3, "> 3", False),
        (-120.5, "< -120", True),
        (None, "< 5", False),
        (True, "> 0", False),
        ("home", ["roaming", "home"], True),
        ("2026-11", "~ ^2026", True),
        (None, "~ .", False),
    ],
)
def test_how_an_expectation_is_held(found: object, wanted: object, outcome: bool) -> None:
    assert holds(found, wanted) is outcome


def month_of_updates(metered: str) -> dict[str, Any]:
    player = Player(replace(load("updates-held"), metered=metered), tell=lambda line: None)
    player.play()
    return player.household.facts()


def test_devices_that_hear_of_the_metered_line_leave_3_gb_and_keep_it_fast() -> None:
    heard, unheard = month_of_updates("auto"), month_of_updates("off")
    assert unheard["updates_gb"] - heard["updates_gb"] >= 3.0
    assert unheard["slow_hours"] > 24.0
    assert heard["slow_hours"] == 0.0


BEACON = b"\xdd\x08\x00\x50\xf2\x11%c\x00\x00\x00"


@pytest.mark.parametrize(
    ("kind", "said", "held"),
    [
        ("windows-wifi", Announcement({}, BEACON % 2), True),
        ("windows-wifi", Announcement({}, BEACON % 4), True),
        ("windows-wifi", Announcement({}, BEACON % 1), False),
        ("windows-wifi", Announcement({}, b"\xdd\x04\x00\x50\xf2\x01" + BEACON % 2), True),
        ("windows-wifi", Announcement({43: b"ANDROID_METERED"}), False),
        ("windows-cable", Announcement({43: b"ANDROID_METERED"}, BEACON % 2), False),
        ("android", Announcement({43: b"\x01\x0fANDROID_METERED"}), True),
        ("android", Announcement({114: b"ANDROID_METERED"}, BEACON % 2), False),
        ("linux", Announcement({}, BEACON % 2), True),
        ("linux", Announcement({}, b"\xdd\x08\x00\x50"), False),
        ("iphone", Announcement({43: b"ANDROID_METERED"}, BEACON % 2), False),
    ],
)
def test_what_a_device_makes_of_what_it_hears(kind: str, said: Announcement, held: bool) -> None:
    assert KINDS[kind].holds_back(said) is held


MISTAKES = [
    ("[[step]\n", 1, "not TOML"),
    ('name = "x"\n', 1, "needs at least one [[step]]"),
    ('colour = 1\n[[step]]\nat = "1s"\n', 1, "unknown key 'colour'"),
    ('profile = "nokia"\n[[step]]\nat = "1s"\n', 1, "no profile named 'nokia'"),
    ('seed = "x"\n[[step]]\nat = "1s"\n', 1, "seed must be a number"),
    ('start = "noon"\n[[step]]\nat = "1s"\n', 1, "start must be a date and time"),
    ('[[step]]\nat = "1s"\n\n[[step]]\nat = "soon"\n', 5, "at must be a time such as 2h30m"),
    ('[[step]]\nat = "10s"\n\n[[step]]\nat = "5s"\n', 5, "lies before the step above"),
    ('[[step]]\nat = "1s"\ndo = "dance"\n', 3, "no action 'dance'"),
    ('[[step]]\nat = "1s"\nexpect = { "weather" = 1 }\n', 3, "'weather' begins with none of"),
    ('[[step]]\nat = "1s"\nwhen = 3\n', 3, "unknown key 'when'"),
    ('[[step]]\nat = "1s"\ndo = ["fault hnag"]\n', 3, "no fault named 'hnag'"),
    ('[[step]]\nat = "1s"\ndo = ["set rsrq loud"]\n', 3, "is not a number"),
    ('[[step]]\nat = "1s"\ndo = ["traffic fast"]\n', 3, "could not convert"),
    ('[[step]]\nat = "1s"\ndo = ["updates linux"]\n', 3, "has not the words that it needs: updates DEVICE GB"),
    ('[[step]]\nat = "1s"\ndo = ["updates fridge 1"]\n', 3, "no device named 'fridge'"),
    ('metered = "yes"\n[[step]]\nat = "1s"\n', 1, "metered must be auto or off"),
    ('[[step]]\nat = "1s"\ndo = ["top-up"]\n', 3, "has not the words that it needs: top-up GB"),
    ('[[step]]\nat = "1s"\nexpect = { "plan.stat" = "x" }\n', 3, "the plan tells no 'stat'"),
    ('[[step]]\nat = "1s"\nexpect = { "reading.signal.rspr" = 1 }\n', 3, "at 'rspr' there are"),
    ('[[step]]\nat = "1s"\nexpect = { "modem.colour" = 1 }\n', 3, "no setting named 'colour'"),
    ('[[step]]\nat = "1s"\nexpect = { "plan.percent" = "> much" }\n', 3, "'> much': could not convert"),
    ('[[step]]\nat = "1s"\nexpect = { "urc" = "~ (" }\n', 3, "unterminated subpattern"),
    ('[settings]\n"radio.rsrp_dbm" = "loud"\n[[step]]\nat = "1s"\n', 2, "is not a number"),
]


@pytest.mark.parametrize(("text", "line", "problem"), MISTAKES)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, text: str, line: int, problem: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        load(str(file))
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert problem in str(caught.value)


def test_a_scenario_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(UnknownName, match=r"no scenario named 'picnic'; there are: .*tunnel"):
        load("picnic")
