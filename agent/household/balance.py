"""Answers the household's SMS "SOLDE", "STAND" or "SALDO" with what is left.

Run by the daemon as a supervised task. Only what comes from household.sms_to is answered, and the answer goes to that
number as configured, never to a sender, whose number can be made up. What was answered is deleted from the module's
memory, which is small; what anybody else wrote is left alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from agent.config import Household as Settings
from agent.errors import AgentError
from agent.household.page_view import View
from agent.household.texts import balance_text
from agent.modem.sms import Incoming

log = logging.getLogger(__name__)

LOOK_S = 60.0
KEYWORDS = frozenset({"SOLDE", "STAND", "SALDO"})
# An answer costs the operator an SMS: one each five minutes, ten a day.
LEAST_S, DAY_S, MOST_A_DAY = 300.0, 86_400.0, 10
# The digits of a Belgian mobile number behind its 0 or +32 (BIPT, national numbering plan): the same on both sides,
# whichever way each is written.
OWN_DIGITS = 9


class Messages(Protocol):
    """The module's memory of messages. Raises AgentError while there is no module."""

    async def unread_sms(self) -> Sequence[Incoming]: ...
    async def delete_sms(self, index: int) -> None: ...


class Balance:
    """One household's questions. `shown` gives what is left, `send` sends to a number."""

    def __init__(
        self,
        settings: Settings,
        messages: Messages,
        send: Callable[[str, str], Awaitable[object]],
        shown: Callable[[], View],
        boot_s: Callable[[], float],
    ) -> None:
        self._settings, self._messages, self._send = settings, messages, send
        self._shown, self._boot_s = shown, boot_s
        self._asked: list[Incoming] = []  # a module lists a message as unread once
        self._answered_s: deque[float] = deque(maxlen=MOST_A_DAY)

    async def run(self) -> None:
        """Look for ever; a household without a number is never asked for."""
        while True:
            if self._settings.sms_to:
                await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Answer what has come; several questions at once have one answer. What a module refuses is tried again."""
        try:
            self._asked += [message for message in await self._messages.unread_sms() if self._is_question(message)]
            if self._asked and self._may_answer():
                await self._send(self._settings.sms_to, balance_text(self._shown(), self._settings.sms_language))
                self._answered_s.append(self._boot_s())
                log.info("SMS to the household: what is left, as it asked")
            while self._asked:
                await self._messages.delete_sms(self._asked[0].index)
                del self._asked[0]
        except AgentError as error:
            log.debug("SMS of the household: %s", error)

    def _is_question(self, message: Incoming) -> bool:
        known, sender = _own(self._settings.sms_to), _own(message.sender)
        words = message.text.upper().split()
        return len(sender) == OWN_DIGITS and sender == known and bool(words) and words[0].strip(".!?") in KEYWORDS

    def _may_answer(self) -> bool:
        now_s, before = self._boot_s(), self._answered_s
        if before and now_s - before[-1] < LEAST_S:
            return False
        return len(before) < MOST_A_DAY or now_s - before[0] >= DAY_S


def _own(number: str) -> str:
    return "".join(sign for sign in number if sign.isdecimal())[-OWN_DIGITS:]
