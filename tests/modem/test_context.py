"""modem.apn takes effect: the context that differs is defined between detach and attach, within a budget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.config import ModemSettings
from agent.errors import ModemError
from agent.modem import Modem, Recovery, profiles
from agent.modem.context import bearer, definition, differs
from agent.modem.mask import masked
from agent.modem.recovery import CONTEXTS_A_DAY
from agent.status_schema import Context
from tests.modem.scripted import OK, ScriptedModem

PROXIMUS: list[Context] = [{"cid": 1, "apn": "internet.proximus.be", "pdp_type": "IPV4V6"}]


@pytest.mark.parametrize(
    ("apn", "contexts", "wrong"),
    [
        ("internet.proximus.be", PROXIMUS, False),
        ("Internet.Proximus.BE", PROXIMUS, False),  # 23.003 9.1: names compare without case
        ("orange.be", PROXIMUS, True),
        ("", PROXIMUS, False),
        ("orange.be", [{"cid": 1, "apn": "orange.be.mnc010.mcc206.gprs"}], False),
        ("orange.be", [{"cid": 1, "apn": "ims"}, {"cid": 2, "apn": "orange.be"}], False),
        ("orange.be", [{"cid": 1, "apn": ""}], True),
        ("orange.be", [], True),
        ("orange.be", [{"cid": 1, "apn": None}], True),
    ],
)
def test_when_the_context_differs(apn: str, contexts: list[Context], wrong: bool) -> None:
    assert differs(apn, contexts) is wrong


def test_the_context_of_the_services_is_left_alone() -> None:
    assert bearer([{"cid": 1, "apn": "IMS"}, {"cid": 3, "apn": "x"}, {"cid": 2, "apn": "sos"}])["cid"] == 3


# As the makers' AT manuals have it, by name of the command.
AUTH = {
    "generic": 'AT+CGAUTH=1,1,"u","p"',  # 27.007 10.1.31
    "quectel": 'AT+QICSGP=1,3,"a.be","u","p",1',  # Quectel LTE TCP/IP application note
    "quectel-5g": 'AT+QICSGP=1,3,"a.be","u","p",1',
    "huawei": 'AT^AUTHDATA=1,1,"","p","u"',
    "sierra": 'AT$QCPDPP=1,1,"p","u"',
    "simcom": 'AT+CGAUTH=1,1,"p","u"',
    "simcom-a76": 'AT+CGAUTH=1,1,"u","p"',
    "telit": 'AT#PDPAUTH=1,1,"u","p"',
    "ublox": 'AT+UAUTHREQ=1,1,"u","p"',
    "zte": 'AT+ZGPCOAUTH=1,"u","p",1',
}


@pytest.mark.parametrize("name", AUTH)
def test_user_and_password_go_the_makers_way(name: str) -> None:
    settings = ModemSettings(apn="a.be", apn_user="u")
    define, auth = definition(settings, profiles()[name], PROXIMUS, "p")
    assert define == 'AT+CGDCONT=1,"IPV4V6","a.be"'
    assert auth == AUTH[name]


@pytest.mark.parametrize("name", sorted(profiles()))
def test_the_password_is_in_no_log(name: str) -> None:
    settings = ModemSettings(apn="a.be", apn_user="someone", apn_auth="chap")
    _, auth = definition(settings, profiles()[name], PROXIMUS, "geheim")
    assert "geheim" not in masked(auth)
    assert "someone" not in masked(auth)


def test_without_a_user_nothing_is_sent_about_one() -> None:
    assert definition(ModemSettings(apn="a.be"), profiles()["quectel"], [], "p") == ('AT+CGDCONT=1,"IPV4V6","a.be"',)


# -- with a module -------------------------------------------------------------------------------------------------


class Module(ScriptedModem):
    """Keeps the context that it is given; `stubborn` takes it and has the old one at the next look."""

    def __init__(self, *, stubborn: bool = False) -> None:
        super().__init__()
        self.apn, self.stubborn = "internet.proximus.be", stubborn
        self.answers["AT+CGDCONT?"] = lambda: f'\r\n+CGDCONT: 1,"IPV4V6","{self.apn}","0.0.0.0",0,0\r\n' + OK

    def _answer(self, command: str) -> None:
        if command.startswith("AT+CGDCONT=") and not self.stubborn:
            self.apn = command.split('"')[3]
        super()._answer(command)

    @property
    def acted(self) -> list[str]:
        return [command for command in self.heard if "CGATT=" in command or "CGDCONT=" in command]


def run(tmp_path: Path, story: Callable[[Module, Modem], Awaitable[None]], apn: str, *, stubborn: bool = False) -> None:
    async def whole() -> None:
        module = Module(stubborn=stubborn)
        modem = Modem(ModemSettings(port=module.path, apn=apn), lock_directory=tmp_path, boot_clock=lambda: 5.0)
        try:
            await modem.open()
            await modem.poll()
            await story(module, modem)
        finally:
            modem.close()

    asyncio.run(whole())


SET = ["AT+CGATT=0", 'AT+CGDCONT=1,"IPV4V6","orange.be"', "AT+CGATT=1"]


def test_attaching_again_brings_the_configured_apn(tmp_path: Path) -> None:
    async def story(module: Module, modem: Modem) -> None:
        assert modem.context_differs
        assert "configured APN" in (await modem.reset("attach"))["text"]
        assert module.acted == SET
        assert not modem.context_differs
        assert (await modem.poll()).contexts[0]["apn"] == "orange.be"
        assert not modem.context_differs
        await modem.reset("attach")
        assert module.acted[3:] == ["AT+CGATT=0", "AT+CGATT=1"]  # it has it now

    run(tmp_path, story, "orange.be")


def test_a_module_that_refuses_the_context_is_attached_again_all_the_same(tmp_path: Path) -> None:
    async def story(module: Module, modem: Modem) -> None:
        module.answers[SET[1]] = "\r\n+CME ERROR: 50\r\n"
        with pytest.raises(ModemError, match="CGDCONT"):
            await modem.reset("attach")
        assert module.acted == SET

    run(tmp_path, story, "orange.be", stubborn=True)


def recovery(modem: Modem, memory: Any, saved: list[Any]) -> Recovery:
    async def save(now: Any) -> None:
        saved.append(dict(now))

    return Recovery(modem, ModemSettings(apn="orange.be"), memory, save, boot_s=lambda: 5.0)


def test_it_is_done_without_being_asked_and_no_more_than_so_often_a_day(tmp_path: Path) -> None:
    """Somebody sets it back each time: after the budget the line is left alone, over a restart of the agent too."""

    async def story(module: Module, modem: Modem) -> None:
        memory: dict[str, Any] = {}
        saved: list[dict[str, Any]] = []
        done = 0
        for _ in range(2 * CONTEXTS_A_DAY):
            done += await recovery(modem, memory, saved).define_context()  # a restart between any two
            await modem.poll()
            assert modem.context_differs
        assert done == CONTEXTS_A_DAY
        assert len(module.acted) == 3 * CONTEXTS_A_DAY
        assert len(saved) == CONTEXTS_A_DAY

    run(tmp_path, story, "orange.be", stubborn=True)


@pytest.mark.parametrize("apn", ["", "internet.proximus.be"])
def test_the_right_or_no_apn_touches_nothing(apn: str, tmp_path: Path) -> None:
    async def story(module: Module, modem: Modem) -> None:
        assert not await recovery(modem, {}, []).define_context()
        assert module.acted == []

    run(tmp_path, story, apn)


def test_a_memory_that_is_damaged_begins_anew(tmp_path: Path) -> None:
    async def story(module: Module, modem: Modem) -> None:
        assert await recovery(modem, {"contexts": "x"}, []).define_context()

    run(tmp_path, story, "orange.be")
