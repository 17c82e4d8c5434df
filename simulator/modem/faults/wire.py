"""Faults of the line itself: what the bytes look like and when they come."""

from __future__ import annotations

import re

from simulator.modem.fault import Fault
from simulator.modem.port import AtPort
from simulator.modem.reply import Reply
from simulator.modem.serial_port import SimPort

_COMMON_URCS = (
    '+QIND: "csq",20,99',
    '+CMTI: "ME",3',
    "+CREG: 1",
    '+QIND: "act","LTE"',
    "^RSSI:13",
    "+CGEV: ME PDN ACT 1",
)


class Echo(Fault):
    name = "echo"
    number = 1
    help = "the echo comes back by itself: ATE0 is answered and not kept"

    def on_receive(self, port: SimPort, data: bytes) -> None:
        if isinstance(port, AtPort):
            port.settings.basic["E"] = 1


class Split(Fault):
    name = "split"
    number = 2
    help = "what is sent arrives in pieces of 1 to N bytes, a few ms apart (argument: N, default 64)"

    def on_bytes(self, port: SimPort, data: bytes) -> list[tuple[float, bytes]]:
        largest = max(1, int(self.amount(64)))
        pieces: list[tuple[float, bytes]] = []
        at = 0
        while at < len(data):
            size = self.chance.randint(1, largest)
            pieces.append((0.002 if at else 0.0, data[at : at + size]))
            at += size
        return pieces


class Urc(Fault):
    name = "urc"
    number = 3
    help = "unsolicited lines before, between and after the lines of replies (argument: chance at each place, 0.3)"

    def on_segments(self, port: AtPort, element: str, segments: list[bytes]) -> list[bytes]:
        likely = self.amount(0.3)
        out: list[bytes] = []
        for segment in [*segments, b""]:
            if self.chance.random() < likely:
                out.append(b"\r\n" + self.chance.choice(_COMMON_URCS).encode() + b"\r\n")
            out.append(segment)
        return out


class DoubledReturns(Fault):
    name = "crcrlf"
    number = 4
    help = "lines end in CR CR LF"

    def on_segments(self, port: AtPort, element: str, segments: list[bytes]) -> list[bytes]:
        return [re.sub(rb"\r+\n", b"\r\r\n", segment) for segment in segments]


class Noise(Fault):
    name = "noise"
    number = 5
    help = "NULs and 0xFF before what is sent, above all after the port has come up (argument: chance, 0.2)"

    def start(self) -> None:
        self.on_boot()

    def on_boot(self) -> None:
        self._fresh = True

    def on_bytes(self, port: SimPort, data: bytes) -> list[tuple[float, bytes]]:
        if self._fresh or self.chance.random() < self.amount(0.2):
            self._fresh = False
            dirt = bytes(self.chance.choice((0, 0xFF)) for _ in range(self.chance.randint(1, 12)))
            return [(0.0, dirt + data)]
        return [(0.0, data)]


class Late(Fault):
    name = "late"
    number = 6
    help = "now and then an answer comes after N seconds, when the client has given up (argument: N, default 20)"

    def on_reply(self, port: AtPort, element: str, reply: Reply) -> Reply:
        if reply.prompt is None and self.chance.random() < 0.1:
            reply.delay_s += self.amount(20.0)
        return reply


class MissingOk(Fault):
    name = "missing-ok"
    number = 7
    help = "+CPIN? answers its line and no OK"

    def on_reply(self, port: AtPort, element: str, reply: Reply) -> Reply:
        if element.upper() == "+CPIN?":
            reply.final = ""
        return reply


class VerboseErrors(Fault):
    name = "cme-text"
    number = 8
    help = "+CMEE is ignored: errors come in words (argument: 0 for bare ERROR, 1 for numbers)"

    def cmee(self, port: AtPort) -> int | None:
        return int(self.amount(2))


class Thief(Fault):
    name = "thief"
    number = 16
    help = "a second process on the port reads replies away and writes commands of its own (argument: chance, 0.3)"

    def on_segments(self, port: AtPort, element: str, segments: list[bytes]) -> list[bytes]:
        return [segment for segment in segments if self.chance.random() >= self.amount(0.3)]

    def on_second(self) -> None:
        for port in self.modem.ports:
            if isinstance(port, AtPort) and self.modem.state.power.state == "on":
                stray = self.chance.choice((b"AT+CGSN\r", b'AT+QENG="servingcell"\r', b"AT+COPS?\r"))
                port.send(stray if port.settings.basic["E"] else b"")


class Unsupported(Fault):
    name = "unsupported"
    number = 17
    help = "every vendor command is answered ERROR (argument: a pattern of the commands meant)"
    numeric = False

    def on_command(self, port: AtPort, element: str) -> Reply | None:
        pattern = self.argument or r"\+Q.*|\^.*|#.*|!.*|\$.*|\+CPSI.*|\+CPMUTEMP.*|\+X.*|\+GT.*|\+Z.*|\+U.*"
        return Reply([], final="ERROR") if re.fullmatch(pattern, element, re.IGNORECASE) else None


class Deaf(Fault):
    name = "deaf-port"
    number = 20
    help = "the primary AT port answers nothing, as a DIAG port does; the other ports go on"

    def on_command(self, port: AtPort, element: str) -> Reply | None:
        return Reply([], final="") if port is self.modem.at else None

    def on_receive(self, port: SimPort, data: bytes) -> None:
        if port is self.modem.at and isinstance(port, AtPort):
            port.settings.basic["E"] = 0


class ModemLines(Fault):
    name = "dtr"
    number = 21
    help = "setting DTR or RTS fails: a pty refuses it always (ENOTTY), so this only marks a run that wants it"


class MidReadLoss(Fault):
    name = "eio"
    number = 22
    help = "the port vanishes in the middle of a reply and is back after N seconds (argument: N, default 5)"

    def on_bytes(self, port: SimPort, data: bytes) -> list[tuple[float, bytes]]:
        if isinstance(port, AtPort) and len(data) > 4:
            self.modem.after(0.0, self._vanish)
            return [(0.0, data[: len(data) // 2])]
        return [(0.0, data)]

    def _vanish(self) -> None:
        self.modem.clear(self.name)
        self.modem.unplug()
        self.modem.after(self.amount(5.0), self.modem.plug)
