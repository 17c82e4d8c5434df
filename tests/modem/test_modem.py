"""The Modem against a scripted pty: a poll of an EC25, what it costs, and every way a port goes wrong."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from agent.config import ModemSettings
from agent.errors import CommandTimeout, PortAbsent, PortBusy
from agent.events import Occurrence, UnsolicitedLine
from agent.modem import Modem
from agent.modem.lock import lock_name
from agent.modem.reading import Reading
from tests.modem.scripted import OK, ScriptedModem


def run(
    story: Callable[[ScriptedModem, Modem], Awaitable[None]],
    tmp_path: Path,
    answers: dict[str, str | None] | None = None,
) -> None:
    """One story with a scripted module and a Modem on its path; both are closed whatever happens."""

    async def whole() -> None:
        script = ScriptedModem(answers)
        modem = Modem(ModemSettings(port=script.path), boot_clock=lambda: 100.0, lock_directory=tmp_path)
        try:
            await story(script, modem)
        finally:
            modem.close()
            script.unplug()

    asyncio.run(whole())


def test_a_poll_reads_everything_an_ec25_says(tmp_path: Path) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        await modem.poll()
        reading = await modem.poll()  # what changes seldom is asked one a poll
        assert modem.profile.name == "quectel"
        assert (reading.identity.manufacturer, reading.identity.model) == ("Quectel", "EC25")
        assert reading.identity.imei == "990000862471854"
        assert (reading.sim.state, reading.sim.usable) == ("READY", True)
        assert (reading.sim.imsi, reading.sim.iccid) == ("206011234567890", "8932010000000000000")
        assert reading.sim.pin_attempts == 3
        assert (reading.registration.stat, reading.registration.domain) == (1, "eps")
        assert (reading.registration.tac, reading.registration.ci) == (0xBE3, 0x328261F)
        assert reading.registration.roaming is False
        assert (reading.operator.plmn, reading.operator.name) == ("20601", "Proximus")
        assert (reading.signal.rsrp_dbm, reading.signal.rsrq_db, reading.signal.rssi_dbm) == (-94, -9, -66)
        assert (reading.signal.sinr_db, reading.signal.sinr_scale) == (8, "db")
        assert (reading.signal.band, reading.signal.earfcn, reading.signal.pci) == (3, 1300, 280)
        assert reading.access_technology == "LTE"
        assert reading.temperature_c == 30
        assert reading.network_time == datetime(2026, 11, 22, 8, 15, tzinfo=timezone.utc)
        assert reading.network_time_boot_s == 100.0
        assert (reading.module_bytes_sent, reading.module_bytes_received) == (3832, 4618)
        assert reading.address == "10.1.2.3"
        assert reading.contexts[0]["apn"] == "internet.proximus.be"
        assert reading.to_dict()["network_time"] == "2026-11-22T08:15:00+00:00"

    run(story, tmp_path)


def test_a_full_poll_costs_at_most_12_commands_and_300_bytes(tmp_path: Path) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        await modem.poll()  # the first one reads the SIM too
        for _ in range(20):
            script.heard.clear()
            script.bytes_heard = 0
            await modem.poll()
            assert 10 <= len(script.heard) <= 12
            assert script.bytes_heard <= 300

    run(story, tmp_path)


@pytest.mark.parametrize(
    ("answer", "state", "usable"),
    [
        ("\r\n+CME ERROR: 10\r\n", "not-inserted", False),
        ("\r\n+CME ERROR: SIM not inserted\r\n", "not-inserted", False),
        ("\r\n+CME ERROR: 14\r\n", "busy", None),
        ("\r\n+CPIN: SIM PIN\r\n\r\nOK\r\n", "SIM PIN", False),
        ("\r\n+CPIN: SIM PUK2\r\n\r\nOK\r\n", "SIM PUK2", True),
    ],
)
def test_the_state_of_the_sim(tmp_path: Path, answer: str, state: str, usable: bool | None) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        reading = await modem.poll()
        assert (reading.sim.state, reading.sim.usable) == (state, usable)

    run(story, tmp_path, {"AT+CPIN?": answer})


def test_news_between_answers_reaches_the_listener_and_no_answer(tmp_path: Path) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        heard: list[Occurrence] = []
        modem._dialogue._emit = heard.append
        await modem.open()
        script.answers["AT+CSQ"] = '\r\n+CMTI: "ME",1\r\n\r\n+CSQ: 9,99\r\n\r\nOK\r\n\r\n+CEREG: 2\r\n'
        response = await modem.execute("AT+CSQ")
        assert (response.final, response.lines) == ("OK", ("+CSQ: 9,99",))
        assert UnsolicitedLine('+CMTI: "ME",1') in heard
        await modem.execute("AT")
        assert UnsolicitedLine("+CEREG: 2") in heard

    run(story, tmp_path)


def test_a_late_answer_is_never_credited_to_the_next_command(tmp_path: Path) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        script.answers["AT+CSQ"] = None
        with pytest.raises(CommandTimeout):
            await modem.execute("AT+CSQ", timeout_s=0.05)
        script.answers["AT"] = "\r\n+CSQ: 31,99\r\n\r\nOK\r\n\r\nOK\r\n"  # the late answer, then AT's own
        response = await modem.execute("AT+CPIN?")
        assert response.lines == ("+CPIN: READY",)
        assert modem.faults["modem.resync"] == 1

    run(story, tmp_path)


def test_a_command_that_is_given_up_is_aborted_at_once(tmp_path: Path) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        script.answers["AT+COPS=?"] = None
        asked = asyncio.create_task(modem.execute("AT+COPS=?"))
        await script.until("AT+COPS=?")
        script.heard.clear()
        script.answers["AT"] = "\r\nERROR\r\n" + OK  # the scan's end, then AT's own
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await script.until("AT")
        script.answers["AT"] = OK
        assert (await modem.execute("AT+CPIN?")).lines == ("+CPIN: READY",)

    run(story, tmp_path)


def test_a_message_that_is_given_up_is_not_sent(tmp_path: Path) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        script.answers["AT+CMGS=12"] = None
        dialogue = modem._dialogue
        asked = asyncio.create_task(dialogue.execute("AT+CMGS=12", body="00"))
        await script.until("AT+CMGS=12")
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        script.send("\r\n> ")
        assert (await modem.execute("AT+CPIN?")).lines == ("+CPIN: READY",)
        assert not [line for line in script.heard if "00" in line or "\x1a" in line]

    run(story, tmp_path)


def test_an_answer_later_than_the_resync_is_still_not_believed(tmp_path: Path) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        script.answers["AT+CSQ"] = None
        with pytest.raises(CommandTimeout):
            await modem.execute("AT+CSQ", timeout_s=0.05)
        script.answers["AT+CPIN?"] = "\r\n+CSQ: 31,99\r\n\r\nOK\r\n\r\n+CPIN: SIM PIN\r\n\r\nOK\r\n"
        response = await modem.execute("AT+CPIN?")
        assert response.lines == ("+CPIN: SIM PIN",)

    run(story, tmp_path)


def test_a_silent_module_is_hung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.modem.transport.PROBE_S", 0.05)

    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        for command in list(script.answers):
            script.answers[command] = None
        with pytest.raises(CommandTimeout):
            await modem.execute("AT+CSQ", timeout_s=0.05)
        with pytest.raises(CommandTimeout):
            await modem.poll()
        assert modem.faults["modem.hung"] >= 1

    run(story, tmp_path)


def test_unplugging_ends_a_pending_command_and_the_module_is_found_again(tmp_path: Path) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        script.answers["AT+CSQ"] = None
        pending = asyncio.ensure_future(modem.execute("AT+CSQ"))
        await asyncio.sleep(0)
        script.unplug()
        with pytest.raises(PortAbsent):
            await pending
        assert not modem.is_open
        with pytest.raises(PortAbsent):
            await modem.open()
        assert modem.faults["modem.port-lost"] == 1

    run(story, tmp_path)


def test_a_port_in_other_hands_is_reported_and_left_alone(tmp_path: Path) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        lock = tmp_path / lock_name(script.path)
        lock.write_text(f"{1:>10}\n")  # process 1 lives
        with pytest.raises(PortBusy, match="process 1"):
            await modem.open()
        lock.write_text(f"{2**22 + 1:>10}\n")  # a number beyond every process: its owner is dead
        await modem.open()
        assert lock.read_text().split() == [str(os.getpid()), "modem-agent"]
        modem.close()
        assert not lock.exists()

    run(story, tmp_path)


def test_an_unknown_module_is_read_by_the_standard_alone(tmp_path: Path) -> None:
    async def story(script: ScriptedModem, modem: Modem) -> None:
        await modem.open()
        reading: Reading = await modem.poll()
        assert modem.profile.name == "generic"
        assert reading.signal.rsrp_dbm == -61
        assert reading.operator.plmn == "20610"
        assert reading.registration.stat == 1

    run(
        story,
        tmp_path,
        {
            "AT+CGMI": "\r\nNobody\r\n\r\nOK\r\n",
            "AT+CGMM": "\r\nRocket\r\n\r\nOK\r\n",
            "AT+CESQ": "\r\n+CESQ: 99,99,255,255,20,80\r\n\r\nOK\r\n",
            "AT+COPS?": '\r\n+COPS: 0,2,"20610",7\r\n\r\nOK\r\n',
            "AT+CCID": "\r\n+CCID: 8932010000000000000F\r\n\r\nOK\r\n",
        },
    )
