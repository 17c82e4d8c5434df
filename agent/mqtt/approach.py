"""By which protocol, and to which server, the broker is approached next: learned from how attempts ended. Pure."""

from __future__ import annotations

from dataclasses import replace

from agent.mqtt import reconnection
from agent.mqtt.reconnection import End, Outcome
from agent.mqtt.transport import Target


class Approach:
    """`configured` is operator.protocol."""

    def __init__(self, configured: str) -> None:
        self._both = configured == "auto"
        self._protocol = "3.1.1" if configured == "3.1.1" else "5"
        self._unanswered = 0  # connections in a row that ended before CONNACK
        self._elsewhere: tuple[str, int] | None = None

    def of(self, target: Target) -> Target:
        host, port = self._elsewhere or (target.host, target.port)
        return replace(target, host=host, port=port, protocol=self._protocol)

    def answered(self) -> None:
        """There was a CONNACK that lets us in."""
        self._unanswered = 0

    def note(self, outcome: Outcome) -> None:
        """Learn from how an attempt ended."""
        if outcome.code in reconnection.ELSEWHERE and outcome.server:
            host, _, port = outcome.server.rpartition(":")
            self._elsewhere = (host, int(port)) if host and port.isdigit() else None
        elif outcome.lasted_s == 0:
            self._elsewhere = None
        if self._both and outcome.lasted_s == 0:
            self._other_protocol(outcome)

    def _other_protocol(self, outcome: Outcome) -> None:
        """A broker that speaks 3.1.1 alone refuses MQTT 5 by code, or just closes."""
        if outcome.end is End.UNREACHABLE and outcome.reason.startswith(("closed before CONNACK", "no CONNACK")):
            self._unanswered += 1
        if outcome.code == reconnection.UNSUPPORTED_PROTOCOL or self._unanswered >= 2:
            self._unanswered = 0
            self._protocol = "3.1.1" if self._protocol == "5" else "5"
