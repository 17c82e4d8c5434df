"""A module in a few lines: a pty whose far end answers from a table, on the test's own loop. No thread, no clock."""

from __future__ import annotations

import asyncio
import os
import pty
import tty
from collections.abc import Callable

OK = "\r\nOK\r\n"
EC25: dict[str, str] = {
    "AT": OK,
    "ATE0": OK,
    "ATV1": OK,
    "AT+CMEE=1": OK,
    "AT+CGMI": "\r\nQuectel\r\n" + OK,
    "AT+CGMM": "\r\nEC25\r\n" + OK,
    "AT+CGMR": "\r\nEC25EFAR06A08M4G\r\n" + OK,
    "AT+CGSN": "\r\n990000862471854\r\n" + OK,
    "AT+CIMI": "\r\n206011234567890\r\n" + OK,
    "AT+QCCID": "\r\n+QCCID: 8932010000000000000F\r\n" + OK,
    "AT+CNUM": OK,
    "AT+QPINC?": '\r\n+QPINC: "SC",3,10\r\n+QPINC: "P2",3,10\r\n' + OK,
    "AT+CPIN?": "\r\n+CPIN: READY\r\n" + OK,
    "AT+CREG?": '\r\n+CREG: 2,1,"0BE3","328261F",7\r\n' + OK,
    "AT+CGREG?": "\r\n+CGREG: 2,4\r\n" + OK,
    "AT+CEREG?": '\r\n+CEREG: 2,1,"0BE3","328261F",7\r\n' + OK,
    "AT+COPS?": '\r\n+COPS: 0,0,"Proximus",7\r\n' + OK,
    "AT+CSQ": "\r\n+CSQ: 23,99\r\n" + OK,
    "AT+QCSQ": '\r\n+QCSQ: "LTE",-66,-94,142,-9\r\n' + OK,
    'AT+QENG="servingcell"': (
        '\r\n+QENG: "servingcell","NOCONN","LTE","FDD",206,01,328261F,280,1300,3,4,4,BE3,-94,-9,-66,8,30\r\n' + OK
    ),
    "AT+QCAINFO": '\r\n+QCAINFO: "PCC",1300,100,"LTE BAND 3",1,280,-94,-9,-66,8\r\n' + OK,
    "AT+QTEMP": "\r\n+QTEMP: 30,28,27\r\n" + OK,
    "AT+QGDCNT?": "\r\n+QGDCNT: 3832,4618\r\n" + OK,
    "AT+CGPADDR": '\r\n+CGPADDR: 1,"10.1.2.3"\r\n+CGPADDR: 2,"0.0.0.0"\r\n' + OK,
    "AT+QLTS=1": '\r\n+QLTS: "2026/11/22,08:15:00+04,0"\r\n' + OK,
    "AT+CGDCONT?": '\r\n+CGDCONT: 1,"IPV4V6","internet.proximus.be","0.0.0.0",0,0\r\n' + OK,
}


class ScriptedModem:
    """Answers each command line from `answers`; None stays silent, a function is called for its reply."""

    def __init__(self, answers: dict[str, str | None] | None = None) -> None:
        self.answers: dict[str, str | Callable[[], str] | None] = {**EC25, **(answers or {})}
        self.heard: list[str] = []
        self._news = asyncio.Event()
        self.bytes_heard = 0
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._buffer = b""
        asyncio.get_running_loop().add_reader(self._master, self._readable)
        os.close(self._slave)

    def _readable(self) -> None:
        try:
            data = os.read(self._master, 4096)
        except OSError:  # EIO: nobody has the other end open just now
            return
        self.bytes_heard += len(data)
        self._buffer += data
        while b"\r" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\r")
            self._answer(line.decode("ascii").strip())

    def _answer(self, command: str) -> None:
        self.heard.append(command)
        self._news.set()
        default = OK if "=" in command else "\r\nERROR\r\n"
        reply = self.answers.get(command, default)
        reply = reply() if callable(reply) else reply
        if reply is not None:
            self.send(reply)

    async def until(self, command: str) -> None:
        """Wait until it was heard."""
        while command not in self.heard:
            self._news.clear()
            await self._news.wait()

    def send(self, text: str) -> None:
        """Say something unasked."""
        os.write(self._master, text.encode("latin-1"))

    def unplug(self) -> None:
        """The far end goes away: the agent's side reads EIO or an end of file."""
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            self._master = -1
