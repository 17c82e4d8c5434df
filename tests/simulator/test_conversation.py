"""The words of `modem-sim qemu`: for the module, for the machine, and everything else for the guest's shell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulator.errors import SimulatorError
from simulator.ports.actions import ACTIONS
from simulator.qemu.conversation import WORDS, converse
from simulator.qemu.errors import GuestError
from simulator.qemu.firmware import Firmware
from simulator.qemu.outside import OutsideModule


class Guest:
    """Writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def shell(self, text: str, timeout_s: float = 60, check: bool = True) -> str:
        self.asked.append(text)
        if text == "hang":
            raise GuestError("not done after 600 s: hang")
        return f"ran {text}\n"

    def control(self, words: list[str]) -> str:
        self.asked.append(words)
        if words[0] == "provoke":
            raise SimulatorError("no cause named 'ghost'")
        return "{}\n"

    def power_cut(self) -> None:
        self.asked.append("cut")

    def power_on(self, timeout_s: float = 170) -> float:
        return 12.0


def talk(*lines: str) -> tuple[list[Any], str]:
    guest, said = Guest(), ""

    def say(text: str) -> None:
        nonlocal said
        said += text

    converse(guest, [f"{line}\n" for line in lines], say, 10)
    return guest.asked, said


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("set rsrp -118", ["set", "rsrp", "-118"]),
        ("fault split 3", ["fault", "split", "3"]),
        ("sms +32470000001 'two  words'", ["sms", "+32470000001", "two  words"]),
        ("unplug", ["unplug"]),
        ("status", ["status"]),
        ("uname -a", "uname -a"),
        ("!set -x", "set -x"),
        ("settle", "settle"),
        ("cut", "cut"),
    ],
)
def test_a_line_goes_where_it_belongs(line: str, asked: object) -> None:
    assert talk(line)[0] == [asked]


@pytest.mark.parametrize("word", ["exit", "quit"])
def test_it_ends_by_either_word(word: str) -> None:
    assert talk("true", word, "false")[0] == ["true"]


def test_what_goes_wrong_is_said_and_the_next_line_comes() -> None:
    asked, said = talk("provoke ghost", "hang", "sms +32470000001 'open", "", "true")
    assert asked[-1] == "true"
    assert said.splitlines() == [
        "no cause named 'ghost'", "not done after 600 s: hang", "No closing quotation", "ran true",
    ]  # fmt: skip


def test_every_word_is_listed() -> None:
    listed = [line.split()[0] for line in WORDS.splitlines()[1:]]
    assert listed == [*ACTIONS, "cut", "help", "quit"]
    assert talk("help")[1] == f"{WORDS}\n"


class Machine:
    """Writes down what QEMU is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def qmp(self, command: str, **arguments: Any) -> None:
        self.asked.append((command, arguments["id"]))


def test_the_module_of_an_image_takes_the_same_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    firmware = object.__new__(Firmware)
    firmware.module = OutsideModule()
    monkeypatch.setattr(Firmware, "machine", property(lambda self: machine))
    with firmware.module as module:
        assert firmware.control(["set", "rsrp", "-118"]) == '{\n  "rsrp": -118.0\n}\n'
        assert module.running.modem.rsrp_dbm == pytest.approx(-118, abs=1)
        firmware.control(["provoke", "no-coverage"])
        assert machine.asked == [], "the cable is in already"
        firmware.control(["provoke", "usb-gone"])
        assert machine.asked == [("device_del", "module-at"), ("device_del", "module-net")]
        assert not module.running.present
        assert not any("module-at" in word for word in module.arguments), "a machine that starts now has no module"
        firmware.control(["provoke", "none"])
        assert machine.asked[2:] == [("device_add", "module-at"), ("device_add", "module-net")]
        with pytest.raises(SimulatorError, match="no action named 'dance'"):
            firmware.control(["dance"])
