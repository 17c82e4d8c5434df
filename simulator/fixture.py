"""The pytest fixture `modem_sim`: a module for one test, and assertions that say what was expected of the host.

    def test_my_program_reads_the_signal(modem_sim):
        modem_sim.set("rsrp", -117)
        run_my_program(modem_sim.path)
        modem_sim.assert_asked("AT+CSQ")
        modem_sim.assert_never_asked("AT+CFUN=0")

Another module: @pytest.mark.modem_sim("huawei-me909", faults=["split"]), with the arguments of simulator.serve().
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from simulator.ports.serve import Running

_PATIENCE_S = 10.0


class ModemSim:
    """A served module in a test. What stands in `running` is at hand here too: path, set(), fault(), unplug() …"""

    def __init__(self, running: Running) -> None:
        self.running = running

    def __getattr__(self, name: str) -> Any:
        return getattr(self.running, name)

    @property
    def asked(self) -> list[str]:
        """What the host wrote so far, line by line."""
        return self.running.commands()

    @property
    def sent(self) -> list[tuple[str, str]]:
        """The SMS that the host sent: number and text."""
        return [(message.number, message.text) for message in self.running.modem.sms.sent]

    def ask(self, command: str, timeout_s: float = _PATIENCE_S) -> list[str]:
        """Send a command oneself, as a second program would; the lines of the answer."""
        port = os.open(self.running.path, os.O_RDWR | os.O_NOCTTY)
        try:
            os.write(port, command.encode() + b"\r")
            heard, limit = b"", time.monotonic() + timeout_s
            while not re.search(rb"(?:^|\n)(?:OK|[^\r\n]*ERROR[^\r\n]*|NO CARRIER|CONNECT[^\r\n]*)\r?\r\n$", heard):
                if not select.select([port], [], [], max(0.0, limit - time.monotonic()))[0]:
                    pytest.fail(f"no answer to {command} within {timeout_s:g} s; so far {heard!r}")
                heard += os.read(port, 4_096)
        finally:
            os.close(port)
        lines = [line.strip("\r") for line in heard.decode("latin-1").split("\n")]
        return [line for line in lines if line and line != command]

    def wait_for(self, what: Callable[[], bool], timeout_s: float = _PATIENCE_S) -> bool:
        """Until it is true, for a host that takes its time; whether it became so."""
        limit = time.monotonic() + timeout_s
        while not what():
            if time.monotonic() > limit:
                return False
            time.sleep(0.01)
        return True

    def assert_asked(self, *patterns: str, timeout_s: float = _PATIENCE_S) -> None:
        """That the host wrote these lines, in this order, others between them. Each is a text, or has * in it."""
        __tracebackhide__ = True
        if not self.wait_for(lambda: _in_order(patterns, self.asked) == len(patterns), timeout_s):
            reached = _in_order(patterns, self.asked)
            before = f" after {patterns[reached - 1]!r}" if reached else ""
            pytest.fail(f"the host did not send {patterns[reached]!r}{before}; it sent:\n{_list(self.asked)}")

    def assert_never_asked(self, *patterns: str) -> None:
        """That the host wrote none of these lines so far."""
        __tracebackhide__ = True
        for pattern in patterns:
            found = [line for line in self.asked if _matches(pattern, line)]
            if found:
                pytest.fail(f"the host sent {found[0]!r}; it sent:\n{_list(self.asked)}")

    def assert_sent(self, number: str, text: str, timeout_s: float = _PATIENCE_S) -> None:
        """That the host sent this SMS; * in the text stands for anything."""
        __tracebackhide__ = True

        def fits() -> bool:
            return any(number == to and _matches(text, said) for to, said in self.sent)

        if not self.wait_for(fits, timeout_s):
            pytest.fail(
                f"no SMS {text!r} to {number}; sent were:\n{_list([f'{to}: {said}' for to, said in self.sent])}"
            )


def _matches(pattern: str, text: str) -> bool:
    """As in a shell, but for * alone: AT commands are full of ? and brackets. Letters' case does not count."""
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.IGNORECASE | re.DOTALL))


def _in_order(patterns: tuple[str, ...], lines: list[str]) -> int:
    """How many of the patterns are found one after the other."""
    reached = 0
    for line in lines:
        if reached < len(patterns) and _matches(patterns[reached], line):
            reached += 1
    return reached


def _list(lines: list[str]) -> str:
    return "\n".join(f"  {line}" for line in lines) or "  nothing"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "modem_sim(profile, **options): what the modem_sim fixture serves")


@pytest.fixture
def modem_sim(request: pytest.FixtureRequest) -> Iterator[ModemSim]:
    """A simulated module on a pty; `path` is its AT port."""
    from simulator.ports.serve import serve  # only where a test wants it: every run of pytest loads this file

    marker = request.node.get_closest_marker("modem_sim")
    arguments, options = (marker.args, marker.kwargs) if marker else ((), {})
    with serve(*arguments, **{"pace": 0.1, **options}) as running:
        yield ModemSim(running)
