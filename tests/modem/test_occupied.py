"""A long command that nobody waits for any more: the module is busy with it, not hung, and is heard again after it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.errors import CommandTimeout, ModemOccupied, PortAbsent
from agent.modem import Modem, transport
from tests.modem.scripted import OK, ScriptedModem
from tests.modem.test_modem import run

LONG = (
    ("AT+COPS=?", "searching networks"),
    ('AT+COPS=1,2,"20601"', "choosing a network"),
    ('AT+CUSD=1,"*100#",15', "waiting for the network's answer to a USSD code"),
    ("AT+CGACT=1,1", "opening or closing the data connection"),
    ("AT+CGATT=1", "attaching to the network or detaching from it"),
    ("AT+XYZZY=1", "working on AT+XYZZY=1"),
)


PATIENT_S = 20.0  # for an answer that does come: a busy machine may take its time


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "SETTLE_S", 0.01)
    monkeypatch.setattr(transport, "PROBE_S", PATIENT_S)


async def give_up(script: ScriptedModem, modem: Modem, command: str, timeout_s: float | None = None) -> None:
    """Ask, and go away; the module goes on and hears nothing."""
    script.answers[command] = script.answers["AT"] = None
    asked = asyncio.create_task(modem.execute(command, timeout_s=timeout_s))
    await script.until(command)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    transport.PROBE_S = 0.02  # for an answer that never comes


async def heard_again(script: ScriptedModem, modem: Modem) -> None:
    script.answers["AT"], transport.PROBE_S = OK, PATIENT_S
    assert (await modem.execute("AT+CPIN?")).lines == ("+CPIN: READY",)


@pytest.mark.parametrize(("command", "work"), LONG)
def test_a_module_that_goes_on_is_busy_and_never_hung(tmp_path: Path, command: str, work: str) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        faults = dict(modem.faults)
        await give_up(script, modem, command, 600.0)
        for _ in range(2 * transport.HUNG_AFTER):
            with pytest.raises(ModemOccupied, match="the modem is busy"):
                await modem.poll()
        for level in ("attach", "radio", "module"):
            with pytest.raises(ModemOccupied, match="busy"):
                await modem.reset(level)
        assert modem.is_open
        assert modem.occupied is not None
        assert modem.occupied[0] == work
        assert {name for name in modem.faults if modem.faults[name] != faults.get(name, 0)} <= {
            "modem.reset-attach",
            "modem.reset-radio",
            "modem.reset-module",
        }
        script.send(
            '\r\n+COPS: (2,"Proximus","PXS","20601",7)\r\n\r\nOK\r\n'
        )  # done; the AT that waited is answered now
        await heard_again(script, modem)
        assert modem.occupied is None

    run(story, tmp_path)


def test_a_module_that_can_be_aborted_is_free_as_soon_as_it_says_so(tmp_path: Path) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        await give_up(script, modem, "AT+COPS=?", 600.0)
        assert modem.occupied is not None
        script.send("\r\nOK\r\n")
        while modem.occupied is not None:  # noqa: ASYNC110  # a pty's bytes come at the loop's next turns
            await asyncio.sleep(0)
        await heard_again(script, modem)

    run(story, tmp_path)


def test_a_module_that_never_comes_back_from_it_is_hung_when_its_time_is_over(tmp_path: Path) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        await give_up(script, modem, "AT+COPS=?", 0.05)
        await asyncio.sleep(0.05)  # the command's own limit
        assert modem.occupied is None
        for _ in range(transport.HUNG_AFTER):
            with pytest.raises(CommandTimeout):
                await modem.execute("AT+CSQ")
        assert modem.faults["modem.hung"] == 1

    run(story, tmp_path)


def test_a_busy_module_that_leaves_the_bus_is_gone(tmp_path: Path) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        await give_up(script, modem, "AT+COPS=?", 600.0)
        script.unplug()
        with pytest.raises(PortAbsent):
            await modem.execute("AT+CSQ")
        assert modem.occupied is None

    run(story, tmp_path)


def test_the_prompt_of_a_message_that_was_given_up_is_escaped(tmp_path: Path) -> None:
    """Whatever is written at the prompt is text: without the escape the module hears no command again."""

    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        script.answers["AT+CMGS=12"] = None
        asked = asyncio.create_task(modem._dialogue.execute("AT+CMGS=12", body="00"))
        await script.until("AT+CMGS=12")
        script.answers["AT"] = None  # text
        script.heard.clear()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert script.heard == []  # nothing that would become part of the text
        script.answers["\x1b"] = OK
        script.send("\r\n> ")
        await script.until("\x1b")
        await heard_again(script, modem)

    run(story, tmp_path)
