"""How a standard command is written down: @command("+CSQ") over a function from a Call to a Reply."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.modem.reply import Refused, Reply, ok

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem
    from simulator.modem.port import AtPort
    from simulator.modem.state import State


@dataclass
class Call:
    """A command as it came in: `form` is execute, read, test or set (V.250 5.4.3)."""

    modem: SimModem
    port: AtPort
    name: str
    form: str
    text: str  # what stood after the equals sign, or after a basic command's letter
    args: list[str]

    @property
    def state(self) -> State:
        return self.modem.state

    def number(self, index: int, default: int | None = None, *, allowed: Container[int] | None = None) -> int:
        """A numeric parameter; +CME ERROR: 50 when it is none or out of range."""
        text = self.args[index] if index < len(self.args) else ""
        if not text and default is not None:
            return default
        if not text.lstrip("-").isdigit() or (allowed is not None and int(text) not in allowed):
            raise Refused(50)
        return int(text)

    def argument(self, index: int, default: str = "") -> str:
        return self.args[index] if index < len(self.args) else default

    def need_sim(self) -> None:
        """Commands that read the SIM or the network need it there, unlocked and ready (27.007 9.2.1)."""
        sim = self.state.sim
        if not sim.present:
            raise Refused(10)
        if sim.busy:
            raise Refused(sim.busy)
        if sim.locked == "SIM PIN":
            raise Refused(11)
        if sim.locked == "SIM PUK":
            raise Refused(12)


def dialled(number: str, kind: str) -> str:
    """A number with its <type>: 145 is an international one, with or without the plus (24.008 10.5.4.7)."""
    return f"+{number}" if kind == "145" and not number.startswith("+") else number


Handler = Callable[[Call], Reply]
COMMANDS: dict[str, Handler] = {}


def command(*names: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        for name in names:
            COMMANDS[name] = handler
        return handler

    return register


def setting(name: str, values: str, read: Callable[[Call], str], write: Callable[[Call], None]) -> None:
    """A command with nothing but a read, a test and a set form."""

    def handler(call: Call) -> Reply:
        if call.form == "test":
            return ok(f"{name}: {values}") if values else ok()
        if call.form == "read":
            return ok(f"{name}: {read(call)}")
        write(call)
        return ok()

    COMMANDS[name] = handler
