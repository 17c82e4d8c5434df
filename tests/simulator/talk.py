"""A conversation with a SimModem in its own time: say() writes a command and returns the lines of the answer."""

from __future__ import annotations

from simulator.modem import SimModem
from simulator.modem.serial_port import SimPort

# One of each maker whose ways differ most.
PROFILES = ("quectel-ec25", "huawei-me909", "simcom-sim7600", "telit-le910")


class Talk:
    """A modem without echo, driven by hand; `wait` lets simulated seconds pass."""

    def __init__(self, profile: str = "quectel-ec25", **options: object) -> None:
        self.modem = SimModem(profile, **options)  # type: ignore[arg-type]
        self.port: SimPort = self.modem.at
        self.say("ATE0")

    def raw(self, data: bytes, wait_s: float = 2.0) -> bytes:
        self.port.receive(data)
        return self.wait(wait_s)

    def say(self, command: str, wait_s: float = 2.0) -> list[str]:
        return [line for line in self.raw(command.encode() + b"\r", wait_s).decode("latin-1").split("\r\n") if line]

    def wait(self, seconds: float) -> bytes:
        self.modem.advance(self.modem.now + seconds)
        return self.heard()

    def heard(self) -> bytes:
        out = b""
        while piece := self.port.take():
            out += piece
        return out


def quiet(profile: str, **options: object) -> Talk:
    """A module that says nothing by itself: Huawei's stops at ^CURC=0."""
    talk = Talk(profile, **options)
    talk.say("AT^CURC=0")
    return talk
