"""What `modem-sim ctl` does, by name: wrong words are named, and nothing is changed by them."""

from __future__ import annotations

import pytest

from simulator.errors import SimulatorError
from simulator.modem import SimModem
from simulator.ports.actions import ACTIONS, help_text, perform


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("carry a b", "carry: 'a' is not a number"),
        ("carry 5 b", "carry: 'b' is not a number"),
        ("carry -5 1", "carry: '-5' is below zero"),
        ("carry 1.5 1", "carry: '1.5' is not a number"),
        ("carry 1", "usage: carry RECEIVED SENT"),
        ("carry 1 2 3", "usage: carry RECEIVED SENT"),
        ("unplug now", "usage: unplug"),
        ("set rsrp", "usage: set NAME VALUE"),
        ("set operator BASE Company", "usage: set NAME VALUE"),
        ("set rsrp loud", "'loud' is not a number"),
        ("fault split few", "fault split: 'few' is not a number"),
        ("sms +32470000001", "usage: sms NUMBER TEXT…"),
        ("clock noon", "'noon' is no date and time"),
        ("dance", "no action named 'dance'"),
        ("log", "needs a served port"),
        ("provoke port-stolen", "needs a served port"),
    ],
)
def test_wrong_words_are_named(words: str, says: str) -> None:
    modem = SimModem()
    with pytest.raises(SimulatorError) as error:
        perform(modem, words.split()[0], words.split()[1:])
    assert says in str(error.value)
    assert modem.state.counters.received_bytes == 0


def test_a_cause_is_provoked_without_a_served_port() -> None:
    modem = SimModem()
    perform(modem, "provoke", ["no-coverage"])
    assert not modem.covered
    perform(modem, "provoke", ["none"])
    assert modem.covered


def test_every_action_stands_in_the_help() -> None:
    lines = help_text().splitlines()
    assert [line.split()[0] for line in lines] == list(ACTIONS)


def test_a_data_files_own_setting_is_set_and_read() -> None:
    modem = SimModem("huawei-me909")
    assert perform(modem, "set", ["var.curc", "0"]) == {"var.curc": "0"}
    assert perform(modem, "get", ["var.curc"]) == {"var.curc": "0"}
    with pytest.raises(SimulatorError, match=r"no variable named 'ghost'; there are: .*curc"):
        perform(modem, "get", ["var.ghost"])
