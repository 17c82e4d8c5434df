"""The keep-alive interval, adapted to what the carrier's NAT bears. Pure.

A ping costs about 204 bytes on the wire with TLS: 294 kB a day every minute, 20 kB every quarter of an hour. So it is
halved only when a session died in silence, and doubled again after a clean day.
"""

from __future__ import annotations

LEAST_S = 60
CLEAN_S = 86_400.0


class KeepAlive:
    """`seconds` is what the next CONNECT asks for; `limit` is what the configuration or the broker allows."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.seconds = limit
        self._clean_s = 0.0

    def asked(self, server_s: int) -> None:
        """The broker's own Server Keep Alive (MQTT 5, 3.2.2.3.14): obeyed, also when it is longer."""
        self.seconds = server_s

    def died_in_silence(self) -> None:
        self._clean_s = 0.0
        self.seconds = max(min(LEAST_S, self.limit), self.seconds // 2)

    def lived(self, seconds: float) -> None:
        """A stretch of session without a silent drop."""
        self._clean_s += seconds
        if self._clean_s >= CLEAN_S:
            self._clean_s = 0.0
            self.seconds = min(self.limit, self.seconds * 2)
