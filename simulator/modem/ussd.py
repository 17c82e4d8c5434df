"""USSD (22.090, 27.007 7.15): codes that the network answers with text, in a session where it asks back.

The texts are the setting `network.ussd`: a code and its text. What is typed next in a session follows a slash:
`*100#` is a menu because `*100#/1` is there too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.modem.charset import displayed, septets

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem

ENDED, ASKS, TERMINATED, UNSUPPORTED = 0, 1, 2, 4  # <m> of +CUSD
_GSM, _UCS2 = 15, 72  # data coding schemes of 23.038 5: default alphabet, UCS2
_ANSWER_S = 2.0
_PATIENCE_S = 120.0  # how long the network waits for an answer


class Ussd:
    """The one session that a module may have open."""

    def __init__(self, modem: SimModem) -> None:
        self.modem = modem
        self._open = ""  # the code, and what was answered since
        self._asked = False  # whether the network waits for an answer to that
        self._turn = 0  # what is still to happen belongs to a turn, and is void after the next

    @property
    def busy(self) -> bool:
        """Whether the network is still to answer: there is one request at a time (24.090 clause 6)."""
        return bool(self._open) and not self._asked

    def request(self, text: str) -> None:
        """A code, or within a session an answer."""
        path = f"{self._open}/{text}" if self._open else text
        turn = self._begin(path)
        self.modem.after(_ANSWER_S, lambda: self._answered(turn, path))

    def cancel(self) -> None:
        self._begin("")

    def _begin(self, path: str) -> int:
        self._open, self._turn, self._asked = path, self._turn + 1, False
        return self._turn

    def _answered(self, turn: int, path: str) -> None:
        if turn != self._turn:
            return
        texts = self.modem.state.network.ussd
        if not self.modem.registration.registered:
            self._end(TERMINATED)
        elif path not in texts:
            self._end(UNSUPPORTED)
        elif any(code.startswith(path + "/") for code in texts):
            self._asked = True
            self._report(ASKS, texts[path])
            self.modem.after(_PATIENCE_S, lambda: self._expired(turn))
        else:
            self._end(ENDED, texts[path])

    def _expired(self, turn: int) -> None:
        if turn == self._turn:
            self._end(TERMINATED)

    def _end(self, how: int, text: str = "") -> None:
        self._begin("")
        self._report(how, text)

    def _report(self, how: int, text: str) -> None:
        reporting = self.modem.state.reporting
        if not reporting.ussd:
            return
        words = ""
        if text and septets(text) is not None:
            words = f',"{displayed(text, reporting.charset)}",{_GSM}'
        elif text:
            words = f',"{displayed(text, "UCS2")}",{_UCS2}'
        self.modem.unsolicited(f"+CUSD: {how}{words}", keep=True)
