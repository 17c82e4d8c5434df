"""Ports that are no AT port: bounded in time, named, and the module behind the next port found all the same."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from agent.config import ModemSettings
from agent.errors import CommandTimeout, ModemError, NotAtPort, PortAbsent
from agent.modem import Modem, transport
from agent.modem.discovery import Candidate
from agent.modem.probe import judge
from agent.modem.serial_port import Port
from agent.modem.transport import HUNG_AFTER
from tests.modem.scripted import ScriptedModem

NMEA = "$GPGGA,,,,,,0,,,,,,,,*66\r\n$GPRMC,,V,,,,,,,,,,N*53\r\n"


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        (b"", "answers nothing"),
        (NMEA.encode(), "streams NMEA"),
        (b"$GNGSA,A,1,,,*00\r\n", "streams NMEA"),
        (b"$PQTMVER,1*00\r\n", "streams NMEA"),
        (b"AT\rAT\r", "an echo"),
        (b"\x7e\x13\x00\x7e\x7d", "a diagnostic port"),
        (bytes(range(0x80, 0x90)), "a diagnostic port"),
        (b"AT\r\r\nBON\r\n", "but 'AT BON'"),
    ],
)
def test_what_is_on_a_port_is_named(heard: bytes, said: str) -> None:
    assert said in judge(heard)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time a port is given, shortened: what is looked at is the order, not the clock."""
    monkeypatch.setattr(transport, "PROBE_S", 0.05)
    monkeypatch.setattr(transport, "LISTEN_S", 0.05)
    monkeypatch.setattr(transport, "SETTLE_S", 0.01)


class Offered(Modem):
    """A Modem that is offered these ports, none of which any table knows."""

    ports: tuple[str, ...] = ()
    found: tuple[Candidate, ...] | list[Candidate] = ()

    def _where(self) -> list[Candidate]:
        return [*self.found, *map(Candidate, self.ports)]


async def opened(modem: Offered, *ports: str) -> str:
    modem.ports = ports
    try:
        await modem.open()
        return ""
    except ModemError as error:
        return f"{type(error).__name__} {error}"
    finally:
        modem.close()


class Silent(ScriptedModem):
    def _answer(self, command: str) -> None:
        self.heard.append(command)


class Echo(ScriptedModem):
    def _answer(self, command: str) -> None:
        self.heard.append(command)
        self.send(command + "\r")


class Foreign(ScriptedModem):
    """Says OK in words of its own."""

    def _answer(self, command: str) -> None:
        self.heard.append(command)
        self.send("\r\nBON\r\n")


class Numeric(ScriptedModem):
    """Left with ATV0 by another program: result codes are digits (V.250 6.2.6)."""

    verbose = False

    def _answer(self, command: str) -> None:
        self.verbose = self.verbose or command == "ATV1"
        if self.verbose:
            return super()._answer(command)
        self.heard.append(command)
        self.send("0\r")
        return None


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("far", "said"), [(Silent, "answers nothing"), (Echo, "an echo"), (Foreign, "BON")])
def test_a_port_that_is_no_modem_is_left_after_two_lines_and_named(
    far: type[ScriptedModem], said: str, tmp_path: Path
) -> None:
    async def story() -> None:
        port = far()
        modem = Offered(ModemSettings(), sysfs=tmp_path, lock_directory=tmp_path)
        told = await opened(modem, port.path)
        assert told.startswith("PortAbsent no port speaks AT: ")
        assert said in told
        assert port.heard == ["AT", "AT"]
        assert len(modem.tried) == 1

    asyncio.run(story())


@pytest.mark.usefixtures("quick")
def test_a_gps_port_is_left_without_a_byte_and_the_module_found_behind_it(tmp_path: Path) -> None:
    async def story() -> None:
        gps, silent, module = ScriptedModem(), Silent(), ScriptedModem()
        modem = Offered(ModemSettings(), sysfs=tmp_path, lock_directory=tmp_path)
        timer = asyncio.get_running_loop().create_task(_stream(gps))
        assert await opened(modem, gps.path, silent.path, module.path) == ""
        timer.cancel()
        assert gps.bytes_heard == 0
        assert [said.split(": ")[0].split(" ", 1)[-1] for said in modem.tried[:1]] == ["streams NMEA sentences"]
        assert "answers nothing" in modem.tried[1]
        assert modem.tried[2] == f"{module.path}: speaks AT"

    asyncio.run(story())


async def _stream(port: ScriptedModem) -> None:
    while True:
        port.send(NMEA)
        await asyncio.sleep(0.01)


@pytest.mark.usefixtures("quick")
def test_a_modem_left_in_numeric_mode_is_brought_back_to_words(tmp_path: Path) -> None:
    async def story() -> None:
        port = Numeric()
        modem = Offered(ModemSettings(), sysfs=tmp_path, lock_directory=tmp_path)
        assert await opened(modem, port.path) == ""
        assert port.verbose
        assert modem.identity.model == "EC25"

    asyncio.run(story())


@pytest.mark.usefixtures("quick")
def test_ports_that_nobody_knows_get_so_much_time_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.modem.modem.PROBING_S", 0.0)

    async def story() -> None:
        port = Silent()
        modem = Offered(ModemSettings(), sysfs=tmp_path, lock_directory=tmp_path)
        assert "not tried, 0 s are over" in await opened(modem, port.path)
        assert port.heard == []

    asyncio.run(story())


@pytest.mark.usefixtures("quick")
def test_a_product_that_no_table_knows_is_named_with_the_port_that_answered(tmp_path: Path) -> None:
    async def story() -> None:
        silent, module = Silent(), ScriptedModem()
        modem = Offered(ModemSettings(), sysfs=tmp_path, lock_directory=tmp_path)
        modem.found = [
            Candidate(silent.path, "1-1:0", "abcd:0001", 0),
            Candidate(module.path, "1-1:2", "abcd:0001", 2),
        ]
        assert await opened(modem) == ""
        assert "answers nothing" in modem.tried[0]
        assert modem.tried[1] == f"{module.path}: speaks AT (abcd:0001, interface 2, not listed)"

    asyncio.run(story())


@pytest.mark.usefixtures("quick")
def test_a_configured_port_that_streams_is_named(tmp_path: Path) -> None:
    async def story() -> None:
        gps = Silent()
        timer = asyncio.get_running_loop().create_task(_stream(gps))
        modem = Modem(ModemSettings(port=gps.path), sysfs=tmp_path, lock_directory=tmp_path)
        with pytest.raises(NotAtPort, match="streams NMEA sentences: a GPS port"):
            await modem.open()
        timer.cancel()

    asyncio.run(story())


class Estranged(ScriptedModem):
    """A module that another program has set to words of its own, to echo alone or to NMEA, after it was known."""

    instead: str | None = None

    def _answer(self, command: str) -> None:
        if self.instead is None:
            return super()._answer(command)
        self.send(self.instead.format(command))
        return None


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("instead", "said"),
    [("\r\nBON\r\n", "but 'BON'"), ("{}\r", "an echo"), (NMEA, "streams NMEA"), ("", "no answer within")],
)
def test_a_module_that_changes_its_language_is_named_within_a_few_commands(
    instead: str, said: str, tmp_path: Path
) -> None:
    async def story() -> None:
        port = Estranged()
        modem = Modem(ModemSettings(port=port.path), sysfs=tmp_path, lock_directory=tmp_path)
        await modem.open()
        port.instead = instead
        for _ in range(HUNG_AFTER + 1):
            with pytest.raises(CommandTimeout) as refused:
                await modem.execute("AT+CSQ", timeout_s=0.05)
        assert said in str(refused.value)
        with pytest.raises(CommandTimeout):  # and a poll does not go through all its commands any more
            await modem.poll()
        assert modem.faults["modem.hung"] >= 1
        modem.close()

    asyncio.run(story())


def test_a_channel_without_a_terminal_is_opened_as_it_is(tmp_path: Path) -> None:
    """cdc-wdm takes no terminal settings, as a pipe takes none."""

    async def story() -> None:
        pipe = tmp_path / "cdc-wdm0"
        os.mkfifo(pipe)
        came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        port = Port(str(pipe), on_data=came.set_result, on_lost=lambda why: None, lock_directory=tmp_path)
        await port.open()
        port.write(b"AT\r")
        assert await came == b"AT\r"
        port.close()

    asyncio.run(story())


def test_nothing_on_the_bus_is_said_as_such(tmp_path: Path) -> None:
    modem = Modem(ModemSettings(), sysfs=tmp_path, dev=tmp_path, lock_directory=tmp_path)
    with pytest.raises(PortAbsent, match="no cellular module found on USB"):
        asyncio.run(modem.open())
    assert modem.tried == ()
