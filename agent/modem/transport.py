"""The dialogue with a module over one port: a command line out, its response back, one at a time.

Called by the Modem and by the recovery ladder's hands. It binds the pure engine to a port and to the loop's clock.
After a command that ran out of time the next one begins with a resync: a late answer is never taken for a fresh one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from agent.at import Engine, Prompt, Response, Stray, Urc, find, parse_command
from agent.at.engine.final_codes import final_of
from agent.errors import CommandTimeout, ModemError, ModemOccupied, NotAtPort, PortAbsent
from agent.events import Emit, PortLost, UnsolicitedLine, unheard
from agent.modem.lock import LOCK_DIRECTORY
from agent.modem.mask import masked
from agent.modem.probe import SAMPLE_BYTES, judge
from agent.modem.serial_port import Port

log = logging.getLogger(__name__)

_CTRL_Z, _ESCAPE = b"\x1a", b"\x1b\r"  # the CR keeps the escape apart from the command that follows
PROBE_S, PROBE_TRIES = 1.0, 4  # of a port that is known to speak AT: a module that boots drops the first lines
LISTEN_S, UNKNOWN_TRIES = 1.1, 2  # of any other: NMEA comes every second (NMEA 0183), and nothing is sent to it
SETTLE_S = 0.3  # quiet after a resync: a late answer follows the next OK within milliseconds
SUSPICION_S = 60.0  # how long after a timeout a late answer is reckoned with
HUNG_AFTER = 3  # commands in a row without any answer
OCCUPIED_AFTER_S = 5.0  # a command that runs for longer is worth a word; what only reads answers sooner

# What the module does meanwhile, by the command's name and kind.
WORK = {
    ("+COPS", "test"): "searching networks",
    ("+COPS", "set"): "choosing a network",
    ("+CGATT", "set"): "attaching to the network or detaching from it",
    ("+CGACT", "set"): "opening or closing the data connection",
    ("+CFUN", "set"): "switching the radio",
    ("+CUSD", "set"): "waiting for the network's answer to a USSD code",
    ("+CMGS", "set"): "sending an SMS",
}


@dataclass(frozen=True, slots=True)
class Occupation:
    """A command that the module works on. Times are the loop's."""

    command: str
    since_s: float
    until_s: float  # by then it has answered, or it hangs

    @property
    def work(self) -> str:
        command = parse_command(self.command)
        return WORK.get((command.name, command.kind), f"working on {masked(self.command)}")


class Dialogue:
    """One module's command line. `faults` is shared with the owner; `emit` is handed each unsolicited line, and
    the loss of the port."""

    def __init__(
        self,
        faults: Counter[str],
        *,
        baud: int = 115_200,
        lock_directory: Path = LOCK_DIRECTORY,
        emit: Emit = unheard,
    ) -> None:
        self.faults, self._emit = faults, emit
        self.silent = 0  # commands in a row that nothing answered
        self._baud, self._lock_directory = baud, lock_directory
        self._engine = Engine(find)
        self._port: Port | None = None
        self._lost: str | None = None
        self._turn = asyncio.Lock()
        self._waiter: asyncio.Future[Response] | None = None
        self._body: bytes | None = None
        self._needs_resync = False
        self._suspect_until = 0.0
        self._sample: bytearray | None = None  # the first bytes that come, while the port is not yet known
        self._running: Occupation | None = None
        self._left: Occupation | None = None  # given up by whoever asked, but not by the module

    @property
    def occupied(self) -> tuple[str, float] | None:
        """What keeps the module from hearing anybody, and for how many seconds it has; None while it is free."""
        now = asyncio.get_running_loop().time()
        if (left := self._left) is not None and now < left.until_s:
            return left.work, now - left.since_s
        running = self._running
        if running is None or now - running.since_s < OCCUPIED_AFTER_S:
            return None
        return running.work, now - running.since_s

    @property
    def is_open(self) -> bool:
        return self._port is not None

    @property
    def where(self) -> str:
        return self._port.where if self._port else ""

    @property
    def hung(self) -> bool:
        return self.silent >= HUNG_AFTER

    async def open(self, device: str) -> None:
        """Take the port. Raises PortAbsent or PortBusy."""
        self._engine = Engine(find)
        self._lost, self._needs_resync, self.silent, self._suspect_until = None, False, 0, 0.0
        self._left = None
        port = Port(
            device, baud=self._baud, on_data=self._data, on_lost=self._gone, lock_directory=self._lock_directory
        )
        await port.open()
        self._port = port

    def close(self) -> None:
        """Give the port back; a pending command ends with PortAbsent."""
        port, self._port, self._left = self._port, None, None
        self._engine.abandon()
        if port is not None:
            port.close()
        self._fail_waiter("the port was closed")

    async def wake(self, *, known: bool = True) -> None:
        """AT until one OK comes; whatever else arrives in between is dropped. Raises NotAtPort.

        On a port that is not `known` to speak AT one listens first, and a GPS port is left without a byte.
        """
        async with self._turn:
            self._sample = bytearray()
            try:
                tries = PROBE_TRIES if known else UNKNOWN_TRIES
                if not known and await self._streams():
                    tries = 0
                for _ in range(tries):
                    response = await self._exchange("AT", PROBE_S)
                    if response.result is not None:
                        self._needs_resync = False
                        await asyncio.sleep(SETTLE_S)
                        return
                raise NotAtPort(self.where, judge(bytes(self._sample)), PROBE_S * tries)
            finally:
                self._sample = None

    async def _streams(self) -> bool:
        """Whether the port talks by itself, as GPS and trace ports do; a module's own news after a start is words."""
        await asyncio.sleep(LISTEN_S)
        return judge(bytes(self._sample or b"")).startswith(("streams", "sends"))

    async def execute(self, text: str, timeout_s: float | None = None, body: str | None = None) -> Response:
        """One command line and its response, whatever it says; `body` is sent at the prompt and closed by Ctrl-Z.

        Raises CommandTimeout, ModemOccupied or PortAbsent.
        """
        async with self._turn:
            if self._needs_resync:
                await self._resync()
            self._body = None if body is None else body.encode("ascii") + _CTRL_Z
            response = await self._exchange(text, timeout_s)
        if response.result is None and not response.ok:
            raise CommandTimeout(masked(text), timeout_s or response.row.timeout_s)
        return response

    async def free(self) -> None:
        """Raises ModemOccupied while the module works on what nobody waits for any more."""
        async with self._turn:
            if self._needs_resync:
                await self._resync()

    async def _resync(self) -> None:
        """Drop what comes late: AT until an OK, and quiet behind it."""
        self._sample = bytearray()
        try:
            response = await self._exchange("AT", PROBE_S)
            heard = bytes(self._sample)
        finally:
            self._sample = None
        if response.result is None:
            if (occupied := self.occupied) is not None:
                raise ModemOccupied(f"the modem is busy: {occupied[0]}, for {occupied[1]:.0f} s so far")
            if self.hung:
                self.faults["modem.hung"] += 1
            raise NotAtPort(self.where, judge(heard), PROBE_S) if heard else CommandTimeout("AT", PROBE_S)
        self._needs_resync, self._left = False, None
        self.faults["modem.resync"] += 1
        await asyncio.sleep(SETTLE_S)

    async def _exchange(self, text: str, timeout_s: float | None) -> Response:
        """Write, then wait for the final result code or the end of the command's time."""
        port = self._port
        if port is None:
            raise PortAbsent(self._lost or "the port is not open")
        loop = asyncio.get_running_loop()
        if self._engine.suspect and loop.time() > self._suspect_until:
            self._engine.suspect = False
        waiter: asyncio.Future[Response] = loop.create_future()
        self._waiter = waiter
        began = loop.time()
        data = self._engine.submit(text, began, timeout_s)
        log.debug("> %s", masked(text))
        running = self._running = Occupation(text, began, self._engine.deadline or began)
        timer = loop.call_at(running.until_s, self._expire)
        try:
            port.write(data)
            response = await waiter
        except BaseException as ended:
            prompting = self._engine.prompting
            self._engine.expire(float("inf"))  # cancelled, or the port is gone: the engine must not wait for ever
            self._needs_resync, self._body = True, None
            if isinstance(ended, asyncio.CancelledError) and self._port is port:
                self._left = self._left or running
                if not prompting:
                    self._abort(port)
            raise
        finally:
            timer.cancel()
            self._waiter = self._running = None
            self._drain()
        self._judge(response, loop.time())
        return response

    def _abort(self, port: Port) -> None:
        """Whoever asked has given up: a module that can be aborted stops a scan or an attach at the next character
        (V.250 5.6.1), and a household is not left waiting for the rest of three minutes. One that cannot hears nothing
        until it is done. A text is left alone: what is written now would become part of it, and a prompt that comes
        late is escaped."""
        with contextlib.suppress(ModemError):
            port.write(b"AT\r")

    def _judge(self, response: Response, now: float) -> None:
        """Keep count of silence."""
        if response.result is not None:
            self.silent = 0
            return
        if self._left is not None and now < self._left.until_s:  # it is busy, which is no silence
            self._needs_resync, self._suspect_until = True, now + SUSPICION_S
            return
        self.faults["modem.missing-final" if response.ok else "modem.timeout"] += 1
        said = response.lines and response.command.name  # what answers AT alone without an OK has lost its language
        self.silent = 0 if said else self.silent + 1
        self._needs_resync = not response.ok
        self._suspect_until = now + SUSPICION_S

    # -- from the port ------------------------------------------------------------------------------------------

    def _data(self, data: bytes) -> None:
        if self._sample is not None:
            self._sample += data[: max(0, SAMPLE_BYTES - len(self._sample))]
        self._engine.receive(data)
        self._drain()

    def _expire(self) -> None:
        self._engine.expire(float("inf"))
        self._drain()

    def _drain(self) -> None:
        """Hand on what the engine made of the bytes."""
        while (event := self._engine.next_event()) is not None:
            if isinstance(event, Response):
                log.debug("< %s %s", masked(" | ".join(event.lines)), event.final)
                if self._waiter is not None and not self._waiter.done():
                    self._waiter.set_result(event)
            elif isinstance(event, Urc):
                log.debug("< %s", masked(event.text))
                self._emit(UnsolicitedLine(event.text))
            elif isinstance(event, Stray):
                self.faults["modem.stray"] += 1
                if final_of(event.text) is not None:  # the end of what was given up, aborted or done
                    self._left = None
                log.debug("stray: %s", masked(event.text))
            elif isinstance(event, Prompt) and self._port is not None:
                # Nobody asked for the prompt: escape, or every command that follows becomes text (27.005 3.5.1).
                self._port.write(self._body or _ESCAPE)
                self._body = None

    def _gone(self, reason: str) -> None:
        """The port left the bus, in the middle of anything."""
        self.faults["modem.port-lost"] += 1
        self._lost, self._port, self._left = reason, None, None
        log.warning("modem port lost: %s", reason)
        self._fail_waiter(reason)
        self._emit(PortLost())

    def _fail_waiter(self, reason: str) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(PortAbsent(reason))
