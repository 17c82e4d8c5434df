"""The agent's eyes in a scenario: its real AT engine, parsers and profiles, asking a SimModem in simulated time.

agent.modem.Modem does the same over a port in real time; here nothing waits.
"""

from __future__ import annotations

from typing import Any

from agent.at import Engine, Response, Urc, find, read
from agent.modem import Reading, choose
from agent.modem.modem import BUILT
from agent.modem.poll import assemble
from agent.modem.reading import Identity
from simulator.modem import SimModem

_STEP_S = 0.05
_RESYNC_TRIES, _SETTLE_S = 4, 0.3
_HELLO = ("AT", "ATE0", "ATV1", "AT+CMEE=1")


class Observer:
    """Polls one module. `urcs` grows with what it says unasked; `reading` is None while it does not answer."""

    def __init__(self, modem: SimModem) -> None:
        self.modem = modem
        self.urcs: list[str] = []
        self.reading: Reading | None = None
        self._engine = Engine(find)
        self._greeted = self._late = False
        self._identity = Identity()
        self._card: dict[str, Any] = {}
        self._profile = choose(None, None, "auto")
        modem.on_presence.append(self._presence)

    def _presence(self, present: bool) -> None:
        self._engine = Engine(find)
        self._greeted = self._late = False
        if not present:
            self.reading = None

    def ask(self, text: str, timeout_s: float | None = None) -> Response | None:
        """One command; None when the module did not answer in the command's time."""
        if self._late and not self._resynchronised():
            return None
        response = self._exchange(text, timeout_s)
        self._late = response is None
        return response

    def _resynchronised(self) -> bool:
        """After a timeout a late answer is on its way: AT until an OK, and quiet behind it."""
        for _ in range(_RESYNC_TRIES):
            if self._exchange("AT", 1.0) is not None:
                self.modem.advance(self.modem.now + _SETTLE_S)
                self.listen()
                self._late = False
                return True
        return False

    def _exchange(self, text: str, timeout_s: float | None) -> Response | None:
        port, modem, engine = self.modem.at, self.modem, self._engine
        port.receive(engine.submit(text, modem.now, timeout_s))
        while True:
            self._listen(engine)
            while (event := engine.next_event()) is not None:
                if isinstance(event, Response):
                    return event if event.ok or event.result else None
                if isinstance(event, Urc):
                    self.urcs.append(event.text)
            deadline = engine.deadline
            if engine is not self._engine or deadline is None:
                return None  # the module left the bus meanwhile
            if modem.now >= deadline:
                engine.expire(modem.now)
            else:
                modem.advance(min(deadline, max(modem.next_due() or deadline, modem.now + _STEP_S)))

    def _listen(self, engine: Engine) -> None:
        while piece := self.modem.at.take():
            engine.receive(piece)

    def listen(self) -> None:
        """Take what the module said by itself."""
        self._listen(self._engine)
        while (event := self._engine.next_event()) is not None:
            if isinstance(event, Urc):
                self.urcs.append(event.text)

    def poll(self) -> None:
        """One status poll, as the agent's Modem does it."""
        if self.modem.state.power.state == "gone" or not self._greet():
            self.reading = None
            return
        answers: dict[str, Any] = {}
        sim_error: int | str | None = None
        time_s: float | None = None
        silent = 0
        for command in (*self._profile.poll, *self._profile.seldom):
            response = self.ask(command)
            silent = silent + 1 if response is None else 0
            if silent >= 3:
                self.reading, self._greeted = None, False
                return
            if response is None:
                continue
            if response.command.name == "+CPIN" and not response.ok:
                sim_error = response.code
            found = read(response) if response.ok else None
            if found is not None:
                answers[response.command.name] = found
                time_s = self.modem.now if found.get("time") else time_s
        self.reading = assemble(
            answers,
            at_boot_s=self.modem.now,
            profile=self._profile.name,
            identity=self._identity,
            card=self._card,
            sim_error=sim_error,
            time_boot_s=time_s,
            believable_from=BUILT,
        )

    def _greet(self) -> bool:
        if self._greeted:
            return True
        for command in _HELLO:
            if self.ask(command, 3.0) is None and command == "AT":
                return False
        found: dict[str, Any] = {}
        for command in ("AT+CGMI", "AT+CGMM", "AT+CGMR", "AT+CGSN"):
            response = self.ask(command)
            found.update(read(response) or {} if response is not None and response.ok else {})
        self._identity = Identity(**{k: found.get(k) for k in ("manufacturer", "model", "revision", "imei")})
        self._profile = choose(self._identity.manufacturer, self._identity.model, "auto")
        for command in (*self._profile.init, f"AT+COPS=3,{self._profile.operator_format}"):
            self.ask(command)
        self._greeted = True
        return True
