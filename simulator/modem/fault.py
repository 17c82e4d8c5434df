"""What a fault is: a named object that is asked at every seam of a module. The faults themselves are in faults/.

A fault takes its chance from the modem's seed and its own name, so that a run can be repeated, alone or mixed.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, ClassVar

from simulator.errors import SimulatorError, UnknownName
from simulator.modem.reply import Reply

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem
    from simulator.modem.port import AtPort
    from simulator.modem.serial_port import SimPort

FAULTS: dict[str, type[Fault]] = {}


class Fault:
    """A subclass sets `name`, `number` (of the list in README.md) and `help`, and overrides what it spoils."""

    name: ClassVar[str] = ""
    number: ClassVar[int] = 0
    help: ClassVar[str] = ""
    numeric: ClassVar[bool] = True  # what its argument is
    ends_with_power: ClassVar[bool] = False  # a power cycle cures it

    def __init__(self, modem: SimModem, argument: str = "") -> None:
        self.modem, self.argument = modem, argument
        if self.numeric:
            self.amount(0.0)  # a mistyped argument is told now, not when the fault first strikes
        self.chance = random.Random(f"{modem.seed}/{self.name}")

    def __init_subclass__(cls) -> None:
        if cls.name:
            FAULTS[cls.name] = cls

    def amount(self, default: float) -> float:
        """The argument as a number."""
        try:
            return float(self.argument) if self.argument else default
        except ValueError:
            raise SimulatorError(f"fault {self.name}: {self.argument!r} is not a number") from None

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def on_receive(self, port: SimPort, data: bytes) -> None:
        """Bytes from the host, before the module sees them."""

    def on_command(self, port: AtPort, element: str) -> Reply | None:
        """Answer in the module's place."""
        return None

    def on_reply(self, port: AtPort, element: str, reply: Reply) -> Reply:
        return reply

    def on_segments(self, port: AtPort, element: str, segments: list[bytes]) -> list[bytes]:
        """The reply as whole lines with their line ends."""
        return segments

    def on_bytes(self, port: SimPort, data: bytes) -> list[tuple[float, bytes]]:
        """What goes out, as pieces with the pause before each."""
        return [(0.0, data)]

    def on_second(self) -> None: ...

    def on_boot(self) -> None: ...

    def cmee(self, port: AtPort) -> int | None:
        """The error mode in force whatever the host has set."""
        return None

    def boot_s(self, seconds: float) -> float:
        """How long a restart takes."""
        return seconds

    def boot_line_s(self, seconds: float) -> float:
        """When a line of the boot is said."""
        return seconds


def make(name: str, modem: SimModem, argument: str) -> Fault:
    from simulator.modem import faults  # the faults register themselves by being imported

    if name not in FAULTS:
        raise UnknownName("fault", name, list(faults.names()))
    return FAULTS[name](modem, argument)
