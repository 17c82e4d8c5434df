"""The operator's end of the cut benches: every message received, every record the agent claims, and the comparison.

It is also the consumer that agent/mqtt/README.md describes: dedupe by (boot, seq), order within a lane, gaps.
"""

from __future__ import annotations

import json
from typing import Any

Key = tuple[str, int]


class Received:
    """What was received and recorded; `problems` says where the two part."""

    def __init__(self) -> None:
        self.cuts = 0
        self.duplicates = 0
        self._number = 0
        self._begun: set[int] | None = None  # None: nobody says what it begins
        self._keys: dict[int, Key] = {}
        self._session = 0
        self._bodies: dict[Key, dict[str, Any]] = {}
        self._events: dict[Key, int] = {}
        self._measurements: dict[Key, int] = {}
        self._newest: dict[tuple[str, bool], int] = {}
        self._lost: set[Key] = set()
        self._problems: list[str] = []

    def next_number(self) -> int:
        self._number += 1
        return self._number

    # -- what the agent claims

    def begun(self, number: int) -> None:
        """What is about to be recorded: whether it was, nobody knows if the agent is cut off now."""
        if self._begun is None:
            self._begun = set()
        self._begun.add(number)

    def recorded_event(self, boot: str, seq: int, number: int) -> None:
        self._events[boot, seq] = number

    def recorded_measurement(self, boot: str, seq: int, number: int) -> None:
        self._measurements[boot, seq] = number

    # -- what the operator hears

    def message(self, topic: str, payload: bytes) -> None:
        body = json.loads(payload)
        key = (body["boot"], body["seq"])
        if topic.endswith("/e/lost"):
            for boot, first, last in body["ranges"]:
                self._lost.update((boot, seq) for seq in range(first, last + 1))
        if key in self._bodies:
            self.duplicates += 1
            if self._bodies[key] != body:
                self._problems.append(f"{key} came with another content")
            return
        self._bodies[key] = body
        self._invented(key, body)
        lane = (key[0], "/m/" in topic)
        if key[1] < self._newest.get(lane, 0):
            self._problems.append(f"{key} came after {self._newest[lane]} of its lane")
        self._newest[lane] = max(self._newest.get(lane, 0), key[1])

    def _invented(self, key: Key, body: dict[str, Any]) -> None:
        """What was recorded once comes under one key, and nothing comes that was never begun."""
        number = body.get("number")
        if number is None:
            return
        if self._keys.setdefault(number, key) != key:
            self._problems.append(f"{number} came under {self._keys[number]} and {key}")

    def presence(self, body: dict[str, Any]) -> None:
        """`status` as it is published: no two connections bear one session number."""
        if body["state"] == "online":
            if body["session"] <= self._session:
                self._problems.append(f"session {body['session']} came after {self._session}")
            self._session = max(self._session, body["session"])

    # -- the comparison

    def problems(self) -> list[str]:
        out = list(self._problems)
        for key, number in self._events.items():
            if key not in self._bodies:
                out.append(
                    f"event {key} was recorded and never came" + (" (reported lost)" if key in self._lost else "")
                )
            elif self._bodies[key].get("number") != number:
                out.append(f"event {key} came as another one")
        for key, number in self._measurements.items():
            if key not in self._bodies and key not in self._lost:
                out.append(f"measurement {key} is missing and was not reported")
            elif key in self._bodies and self._bodies[key].get("number") != number:
                out.append(f"measurement {key} came as another one")
        if self._begun is not None:
            out += [f"{number} was never begun" for number in self._keys if number not in self._begun]
        highest: dict[str, int] = {}
        for boot, seq in self._bodies:
            highest[boot] = max(highest.get(boot, 0), seq)
        for boot, newest in highest.items():
            for seq in range(1, newest + 1):
                if (boot, seq) not in self._bodies and (boot, seq) not in self._lost:
                    out.append(f"gap {(boot, seq)} was not reported")
        return out

    def summary(self) -> str:
        return self.sum_up([self])

    @staticmethod
    def sum_up(all_of_them: list[Received]) -> str:
        events, measurements, keys, duplicates, lost = (
            sum(numbers)
            for numbers in zip(
                *(
                    (len(r._events), len(r._measurements), len(r._bodies), r.duplicates, len(r._lost - set(r._bodies)))
                    for r in all_of_them
                ),
                strict=True,
            )
        )
        return (
            f"{events} events and {measurements} measurements recorded, {keys} keys received, {duplicates} duplicates, "
            f"{lost} numbers reported lost"
        )
