"""The conversation of `modem-sim qemu`: words for module and machine, every other line for the guest's shell."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from typing import Protocol

from simulator.errors import SimulatorError
from simulator.ports.actions import ACTIONS, help_text
from simulator.qemu.errors import GuestError

ENDS = ("quit", "exit")
WORDS = f"""In the guest every line is a shell command, but for these (with ! before it, it is one all the same):
{chr(10).join(f"  {line}" for line in help_text().splitlines())}
  {"cut":<24} pull the power, and power on again with the same disks
  {"help":<24} this list
  {" or ".join(ENDS):<24} end (so does end of file)"""


class Guest(Protocol):
    """A device, or a given image."""

    def shell(self, text: str, timeout_s: float = 60, check: bool = True) -> str: ...

    def control(self, words: list[str]) -> str:
        """What `modem-sim ctl` does, to the guest's module; what it says."""

    def power_cut(self) -> None: ...

    def power_on(self, timeout_s: float = 170) -> float: ...


def converse(guest: Guest, lines: Iterable[str], say: Callable[[str], None], timeout_s: float) -> None:
    """Until the lines end, or one of them ends it. What goes wrong in one is said, and the next comes."""
    for line in lines:
        text = line.strip()
        word = text.split(" ", 1)[0]
        if text in ENDS:
            return
        try:
            if text == "help":
                say(f"{WORDS}\n")
            elif text == "cut":
                guest.power_cut()
                say(f"up again after {guest.power_on(timeout_s):.0f} s\n")
            elif word in ACTIONS:
                say(guest.control(shlex.split(text)))
            elif text:
                say(guest.shell(text.removeprefix("!"), timeout_s=600, check=False))
        except (SimulatorError, GuestError, ValueError) as error:
            say(f"{error}\n")
