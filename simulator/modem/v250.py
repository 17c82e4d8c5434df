"""The line settings of V.250: what basic commands and S registers may be, what they are, and what they begin with.

Ranges and defaults are V.250's (clauses 6.1 to 6.3); V.250 leaves S1, S2 and S12 to the maker, and they are as in the
Hayes Smartmodem's command reference, which defined them: S2 43 (`+`), S12 50 fiftieths of a second.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# Basic command -> its values; the first is the one that `&F` and power-up bring.
BASIC: dict[str, tuple[int, ...]] = {
    "E": (1, 0),
    "Q": (0, 1),
    "V": (1, 0),
    "X": (4, 0, 1, 2, 3),
    "L": (0, 1, 2, 3),
    "M": (0, 1, 2, 3),
    "B": (0, 1),
    "&C": (1, 0),
    "&D": (2, 0, 1),
    "&K": (3, 0, 4, 5, 6),
    "&R": (0, 1),
    "&S": (0, 1),
    "\\Q": (3, 0, 1, 2),
}

# Register -> what it begins with, and the range of its values.
REGISTERS: dict[int, tuple[int, range]] = {
    0: (0, range(256)),  # rings before an automatic answer; 0: none
    1: (0, range(256)),  # rings counted
    2: (43, range(256)),  # the escape character; above 127: none
    3: (13, range(128)),  # ends a command line
    4: (10, range(128)),  # the other half of the line end of replies
    5: (8, range(128)),  # takes a character back
    6: (2, range(2, 11)),  # seconds to wait before blind dialling
    7: (50, range(1, 256)),  # seconds to wait for the connection
    8: (2, range(256)),  # seconds that a comma in a dial string pauses
    10: (14, range(1, 255)),  # tenths of a second without carrier before hanging up
    12: (50, range(256)),  # fiftieths of a second of silence around the escape
}
CONNECT_RATE_FROM_X = 1  # X0 says CONNECT alone (V.250 6.2.7)
ESCAPE_LIMIT = 127


@dataclass
class LineSettings:
    """What one port is set to; `&W` keeps a copy of it, `Z` brings that back."""

    error_mode: int = 0  # +CMEE
    basic: dict[str, int] = field(default_factory=lambda: {name: values[0] for name, values in BASIC.items()})
    registers: dict[int, int] = field(
        default_factory=lambda: {number: start for number, (start, _) in REGISTERS.items()}
    )

    def copy(self) -> LineSettings:
        return LineSettings(self.error_mode, dict(self.basic), dict(self.registers))

    @property
    def guard_s(self) -> float:
        return self.registers[12] / 50

    def listing(self) -> list[str]:
        """The active profile as `&V` shows it."""
        basics = [f"{name}: {value}" for name, value in self.basic.items()]
        return basics + [f"S{number}: {value:03d}" for number, value in self.registers.items()]
