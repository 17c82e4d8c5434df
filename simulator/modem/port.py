"""One serial port of a module: V.250 framing between raw bytes and the commands of the modem behind it.

A shell (pty, TCP, a test) calls receive() with what the host wrote and take() for what to send back; `on_output`
tells it that there is something. Time and scheduling are the modem's; faults are asked at every seam.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from simulator.modem import line as grammar
from simulator.modem.data_call import DataCall
from simulator.modem.registration import NETWORK_FAILURE, REGULAR
from simulator.modem.reply import Prompt, Refused, Reply, error_line
from simulator.modem.serial_port import NmeaPort, SimPort

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem
    from simulator.modem.state import Context

LF, ESCAPE, CTRL_Z, SPACE, SLASH = 10, 0x1B, 0x1A, 0x20, 0x2F
_PLAIN = re.compile(rb"[^\x00-\x1f/]+")
_LONGEST_LINE = 2_048
_KEPT_URCS = 32  # 27.005 3.4.1: when the buffer is full the oldest may go
_NUMERIC = {"OK": "0", "CONNECT": "1", "RING": "2", "NO CARRIER": "3", "ERROR": "4", "NO DIALTONE": "6", "BUSY": "7"}


class AtPort(SimPort):
    """A port that speaks AT."""

    def __init__(self, modem: SimModem, interface: int, role: str = "at") -> None:
        super().__init__(modem, interface, role)
        self._ready = True  # DTR, until somebody lets it fall
        self._settle()

    def _settle(self) -> None:
        self.settings = self.modem.stored_settings()
        self.call: DataCall | None = None
        self.data_mode = False
        self._kept: deque[str] = deque(maxlen=_KEPT_URCS)
        self._line = bytearray()
        self._last_line = ""
        self._held = bytearray()
        self._elements: deque[str] = deque()
        self._busy = False
        self._prompt: Prompt | None = None
        self._text = bytearray()
        self._echoed = bytearray()

    def reset(self) -> None:
        super().reset()
        if self.call is not None:
            self._call_over(self.call)
        self._settle()

    # -- from the host ---------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        with self.modem.lock:
            self.modem.touch()
            super().receive(data)
            for fault in list(self.modem.faults.values()):
                fault.on_receive(self, data)
            if self.modem.state.power.state == "on":
                self._consume(data)

    def _consume(self, data: bytes) -> None:
        place = 0
        while place < len(data):
            if self._busy:
                self._held += data[place:]
                break
            if self.data_mode:
                self._data(data[place:])
                break
            if self._prompt is not None:
                self._text_byte(self._prompt, data[place])
            elif plain := self._plain(data, place):
                place += plain
                continue
            else:
                self._command_byte(data[place])
            place += 1
        self._flush_echo()

    def _plain(self, data: bytes, place: int) -> int:
        """Take characters of a command that mean nothing by themselves, together; how many they were."""
        registers = self.settings.registers
        match = _PLAIN.match(data, place) if registers[3] < SPACE and registers[5] < SPACE else None
        if match is None:
            return 0
        if self.settings.basic["E"]:
            self._echoed += match[0]
        self._line += match[0][: _LONGEST_LINE + 1 - len(self._line)]
        return len(match[0])

    def _command_byte(self, byte: int) -> None:
        registers = self.settings.registers
        if self.settings.basic["E"]:
            self._echo(byte)
        if byte == registers[3]:
            text = self._line.decode("latin-1")
            self._line.clear()
            self._run_line(text)
        elif byte == SLASH and self._line.strip(b" ").upper() == b"A":  # V.250 5.2.4: nothing ends it
            self._line.clear()
            self._flush_echo()
            self._run_line(self._last_line)
        elif byte == registers[5]:
            del self._line[-1:]
        elif byte not in (LF, 0) and len(self._line) <= _LONGEST_LINE:
            self._line.append(byte)

    def _echo(self, byte: int) -> None:
        self._echoed.append(byte)
        if byte == self.settings.registers[3]:
            self._flush_echo()

    def _flush_echo(self) -> None:
        if self._echoed:
            echoed = bytes(self._echoed)
            self._echoed.clear()
            self.send(echoed)

    # -- data mode -------------------------------------------------------------------------------------------------

    def connect(self, context: Context) -> None:
        """CONNECT has been said: what follows is for the network."""
        self.call = DataCall(self.modem, context, self._from_peer, self._peer_ended)
        self.data_mode = True

    def resume(self) -> None:
        """ATO: data mode again."""
        if self.call is not None:
            self.call.escape.last = self.modem.now
            self.data_mode = True

    @property
    def carrier(self) -> bool:
        """Circuit 109 (V.250 6.2.8): always on at &C0, else as long as there is a call, escaped from or not."""
        return self.call is not None or self.settings.basic["&C"] == 0

    def terminal_ready(self, ready: bool) -> None:
        """Circuit 108/2, which the host holds up while it has the port open (V.250 6.2.9)."""
        with self.modem.lock:
            self.modem.touch()
            fell, self._ready = self._ready and not ready, ready
            if not fell or self.call is None:
                return
            reaction = self.settings.basic["&D"]
            if reaction == 1 and self.data_mode:
                self.data_mode = False
                self._finish("OK")
                self._flush_kept()
            elif reaction == 2:
                self.hang_up()
                self._finish("NO CARRIER")
                self._flush_kept()

    def hang_up(self) -> None:
        """The host ends the call; nothing is said of it."""
        if self.call is not None:
            context = self._call_over(self.call)
            self.modem.registration.release_cause = REGULAR
            self.modem.registration.deactivate(context, "ME")

    def _call_over(self, call: DataCall) -> Context:
        """What it stood on."""
        self.call, self.data_mode = None, False
        call.end()
        return call.context

    def carrier_lost(self, context: Context, who: str) -> None:
        """The network (NW), or the module itself (ME), has ended the context that this port's call stands on."""
        if self.call is not None and self.call.context is context:
            self.call.peer.terminate()
            self._call_over(self.call)
            self.modem.registration.release_cause = NETWORK_FAILURE if who == "NW" else REGULAR
            self._finish("NO CARRIER")
            self._flush_kept()

    def _peer_ended(self) -> None:
        if self.call is not None:
            self.modem.registration.deactivate(self.call.context, "ME")

    def _from_peer(self, frame: bytes) -> None:
        if self.data_mode:
            self.send(frame)

    def _data(self, data: bytes) -> None:
        call = self.call
        if call is None:
            return
        for byte in data:
            if call.escape.take(byte, self.modem.now, self.settings):
                mark = call.escape.last
                self.modem.after(self.settings.guard_s, partial(self._escaped, call, mark), pace=1.0)
        if self.modem.state.network.data:
            call.peer.receive(data)

    def _escaped(self, call: DataCall, mark: float) -> None:
        """The silence after the escape is over, unless something came meanwhile."""
        if self.call is call and self.data_mode and call.escape.count == 3 and call.escape.last == mark:
            call.escape.count = 0
            self.data_mode = False
            self._finish("OK")
            self._flush_kept()

    def _text_byte(self, prompt: Prompt, byte: int) -> None:
        if byte in (CTRL_Z, ESCAPE):
            text = bytes(self._text)
            self._prompt = None
            self._text.clear()
            self._answer("", lambda: prompt.use(text) if byte == CTRL_Z else Reply([]))
            self._proceed()
            return
        if self.settings.basic["E"]:
            self._echo(byte)
        if byte == self.settings.registers[5]:
            del self._text[-1:]
        else:
            self._text.append(byte)
        if prompt.lines and byte == self.settings.registers[3]:
            self._ask()

    def _ask(self) -> None:
        self.send(self._line_start() + b"> ")

    # -- commands --------------------------------------------------------------------------------------------------

    def _run_line(self, text: str) -> None:
        stripped = text.strip("\x00 \t")
        start = stripped.upper().find("AT")
        if start < 0:
            return  # noise, or the tail of something: a module says nothing to it
        self._last_line = stripped[start:]
        found = grammar.elements(stripped[start + 2 :]) if len(text) <= _LONGEST_LINE else None
        if found is None:
            self._finish("ERROR")
            return
        if not found:
            self._answer("", lambda: Reply([]))
        self._elements = deque(found)
        self._proceed()

    def _proceed(self) -> None:
        """The commands of the line that are left, until one takes time or asks for text."""
        while self._elements and not self._busy and self._prompt is None:
            element = self._elements.popleft()
            self._answer(element, partial(self.modem.execute, self, element))

    def _answer(self, element: str, run: Callable[[], Reply]) -> None:
        code: tuple[int | None, str] | None = None
        try:
            reply = self.modem.faulted(self, element, run)
        except Refused as refused:
            code = (refused.code, refused.kind)
            reply = Reply([], final=error_line(refused.code, refused.kind, self.modem.cmee(self)))
        if code is not None:
            self._elements.clear()
        if reply.delay_s > 0:
            self._busy = True
            self.modem.after(reply.delay_s, lambda: self._completed_late(element, reply))
        else:
            self._complete(element, reply)

    def _completed_late(self, element: str, reply: Reply) -> None:
        self._busy = False
        self._complete(element, reply)
        self._proceed()
        if self._held and not self._busy:
            held = bytes(self._held)
            self._held.clear()
            self._consume(held)

    def _complete(self, element: str, reply: Reply) -> None:
        if self.modem.state.power.state != "on":
            return
        if reply.prompt is not None:
            self._prompt = reply.prompt
            self._ask()
            return
        if self._elements and reply.final == "OK":  # more to come on this line: only the last has a final code
            self._write(element, reply.lines, "")
            if reply.then is not None:
                reply.then()
            return
        self._elements.clear()
        self._write(element, reply.lines, reply.final)
        if reply.then is not None:
            reply.then()
        self._flush_kept()
        self.modem.indicators.report()

    # -- to the host -----------------------------------------------------------------------------------------------

    def _finish(self, final: str) -> None:
        self._write("", [], final)

    def _write(self, element: str, lines: list[str], final: str) -> None:
        segments = self._segments(lines, final)
        for fault in list(self.modem.faults.values()):
            segments = fault.on_segments(self, element, segments)
        if segments:
            self.send(b"".join(segments))

    def _segments(self, lines: list[str], final: str) -> list[bytes]:
        end = self._line_end()
        quiet, verbose = self.settings.basic["Q"], self.settings.basic["V"]
        encoded = [text.encode("latin-1", "replace") for text in lines]
        if verbose:
            start = self._line_start()
            out = [(start if index == 0 else b"") + text + end for index, text in enumerate(encoded)]
            if final and not quiet:
                out.append(start + final.encode("latin-1") + end)
        else:
            out = [text + end for text in encoded]
            if final and not quiet:
                number = _NUMERIC.get("CONNECT" if final.startswith("CONNECT") else final, final)
                out.append(number.encode("latin-1") + bytes([self.settings.registers[3]]))
        return out

    def _line_start(self) -> bytes:
        return bytes([self.settings.registers[3], self.settings.registers[4]])

    def _line_end(self) -> bytes:
        """The profile's, in the characters that S3 and S4 hold."""
        start, end = self._line_start(), self.modem.profile.line_end
        return end if start == b"\r\n" else end.translate(bytes.maketrans(b"\r\n", start))

    @property
    def speaks(self) -> bool:
        """Whether an unsolicited line could be sent now."""
        return not self.data_mode and self._prompt is None and self.modem.state.power.state == "on"

    def unsolicited(self, text: str, *, keep: bool = False) -> None:
        """A line that nobody asked for. In data mode it is lost, or kept until the escape; at a prompt it waits.

        It is a result code as others are: with Q1 there is none (V.250 6.2.5).
        """
        if self.settings.basic["Q"]:
            return
        if self.speaks:
            start = self._line_start() if self.settings.basic["V"] else b""
            lines = text.encode("latin-1", "replace").split(b"\n")
            self.send(start + self._line_end().join(lines) + self._line_end())
        elif self.modem.state.power.state == "on" and (keep or not self.data_mode):
            self._kept.append(text)

    def _flush_kept(self) -> None:
        while self._kept and self.speaks:
            self.unsolicited(self._kept.popleft())


PORT_KINDS: dict[str, type[SimPort]] = {"at": AtPort, "modem": AtPort, "nmea": NmeaPort, "diag": SimPort}
