"""The household asks by SMS what is left: who is answered, how often, with what; on the simulated module too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import simulator
from agent.config import Household as Settings
from agent.config import ModemSettings
from agent.errors import PortAbsent
from agent.household.balance import LEAST_S, LOOK_S, MOST_A_DAY, Balance
from agent.household.texts import ANSWERS, TEXTS, balance_text
from agent.modem import Modem, sms
from agent.modem.sms import Incoming
from simulator.ports import Running

from .test_notifier import GSM7
from .test_page import NORMAL, STATES

OWN = "+32470000001"


class Inbox:
    """A module's memory of messages, and its way out."""

    def __init__(self, *messages: tuple[str, str]) -> None:
        self.kept = {number: Incoming(number, *message) for number, message in enumerate(messages, 1)}
        self.listed: set[int] = set()
        self.sent: list[tuple[str, str]] = []
        self.absent = False
        self.now_s = 1_000.0

    async def unread_sms(self) -> Sequence[Incoming]:
        if self.absent:
            raise PortAbsent("no modem")
        new = [message for index, message in self.kept.items() if index not in self.listed]
        self.listed |= set(self.kept)
        return new

    async def delete_sms(self, index: int) -> None:
        del self.kept[index]

    async def send(self, number: str, text: str) -> Any:
        self.sent.append((number, text))

    def arrives(self, sender: str, text: str) -> None:
        index = max(self.listed | set(self.kept), default=0) + 1
        self.kept[index] = Incoming(index, sender, text)


def asked(inbox: Inbox, *, sms_to: str = OWN, language: str = "fr") -> Balance:
    settings = Settings(sms_to=sms_to, sms_language=language)
    return Balance(settings, inbox, inbox.send, lambda: NORMAL, lambda: inbox.now_s)


@pytest.mark.parametrize("text", ["SOLDE", "solde", " Stand? ", "saldo\n", "Solde svp"])
@pytest.mark.parametrize("sender", [OWN, "0470000001", "0032470000001"])
def test_the_household_is_answered(text: str, sender: str) -> None:
    inbox = Inbox((sender, text))
    asyncio.run(asked(inbox).look())
    said = "Internet: il vous reste 24,8 Go sur 40 Go jusqu'au 1/12. Rien n'est facturé."
    assert inbox.sent == [(OWN, said)]
    assert inbox.kept == {}


@pytest.mark.parametrize(
    ("sender", "text"),
    [
        ("+32470000002", "SOLDE"), ("70000001", "SOLDE"), ("Proximus", "SOLDE"), ("", "SOLDE"),
        (OWN, "MON SOLDE"), (OWN, "SOLDES -50 %"), (OWN, " "), (OWN, "STOP"),
    ],
)  # fmt: skip
def test_anybody_and_anything_else_is_left_alone(sender: str, text: str) -> None:
    inbox = Inbox((sender, text))
    asyncio.run(asked(inbox).look())
    assert inbox.sent == []
    assert len(inbox.kept) == 1


def test_a_telephone_that_asks_all_day_is_answered_ten_times() -> None:
    inbox = Inbox()
    balance = asked(inbox)
    for _ in range(24 * 60):
        inbox.arrives(OWN, "STAND")
        asyncio.run(balance.look())
        inbox.now_s += LOOK_S
    assert len(inbox.sent) == MOST_A_DAY
    assert inbox.kept == {}  # the module's memory does not fill
    for _ in range(2):  # two questions at once the next day
        inbox.arrives(OWN, "STAND")
    asyncio.run(balance.look())
    assert len(inbox.sent) == MOST_A_DAY + 1
    inbox.arrives(OWN, "STAND")
    inbox.now_s += LEAST_S - 1
    asyncio.run(balance.look())
    assert len(inbox.sent) == MOST_A_DAY + 1


def test_a_question_outlives_a_network_that_takes_no_answer() -> None:
    inbox = Inbox((OWN, "SOLDE"))
    balance = asked(inbox)
    took = inbox.send

    async def refused(number: str, text: str) -> Any:
        raise PortAbsent("no network")

    balance._send = refused
    asyncio.run(balance.look())
    assert (len(inbox.kept), inbox.sent) == (1, [])
    balance._send = took
    asyncio.run(balance.look())
    assert (inbox.kept, len(inbox.sent)) == ({}, 1)


def test_a_module_that_is_gone_is_no_trouble() -> None:
    inbox = Inbox((OWN, "SOLDE"))
    inbox.absent = True
    balance = asked(inbox)
    asyncio.run(balance.look())
    inbox.absent = False
    asyncio.run(balance.look())
    assert len(inbox.sent) == 1


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("kind", ANSWERS)
def test_each_answer_is_one_sms_that_says_that_nothing_is_billed(language: str, kind: str) -> None:
    shown = STATES["normal" if kind == "left" else "slow"]
    for one in (shown, replace(shown, new_day=None, limit_tenths=12_345)):
        text = balance_text(one, language)
        assert len(text) <= 160
        assert set(text) <= GSM7
        assert "{" not in text


FREE = {"fr": "Rien n'est facturé", "nl": "betaalt niets extra", "de": "kostet nichts", "en": "othing is billed"}


@pytest.mark.parametrize("language", TEXTS)
def test_every_text_to_the_household_says_that_nothing_is_billed(language: str) -> None:
    for kind, text in TEXTS[language].items():
        assert FREE[language].lower() in text.lower(), kind


@pytest.mark.parametrize("profile", ["quectel-ec25", "huawei-me909", "simcom-sim7600"])
def test_a_simulated_module_hands_the_question_over_and_sends_the_answer(profile: str, tmp_path: Path) -> None:
    """The module's own PDUs: a question among messages of others, which stay where they are."""

    async def story(running: Running) -> None:
        modem = Modem(ModemSettings(port=running.path), lock_directory=tmp_path)
        try:
            await modem.open()
            for number, text in ((OWN, "Solde?"), ("+32470000002", "SOLDE"), ("Proximus", "Votre facture")):
                running.modem.receive_sms(number, text)
            balance = Balance(Settings(sms_to=OWN), Module(modem), modem.send_sms, lambda: NORMAL, lambda: 1_000.0)
            await balance.look()
            await balance.look()
        finally:
            modem.close()
        (sent,) = running.modem.sms.sent
        assert sent.number == OWN
        assert "24,8 Go" in sent.text
        left = {message.number for memory in running.modem.sms.memories.values() for message in memory.values()}
        assert OWN not in left
        assert "+32470000002" in left

    with simulator.serve(profile) as running:
        asyncio.run(story(running))


class Module:
    """The module as the daemon hands it to the balance."""

    def __init__(self, modem: Modem) -> None:
        self._modem = modem

    async def unread_sms(self) -> Sequence[Incoming]:
        return await sms.unread(self._modem)

    async def delete_sms(self, index: int) -> None:
        await sms.delete(self._modem, index)
