"""The phonebooks of a module (27.007 8.11 to 8.14): its own, the SIM's, and the subscriber's own number in "ON"."""

from __future__ import annotations

from simulator.modem.state import Sim

CAPACITY = {"SM": 250, "ME": 250, "ON": 1}
NUMBER_LENGTH, NAME_LENGTH = 40, 14


class Phonebook:
    """Index -> number and name, by memory."""

    def __init__(self, sim: Sim) -> None:
        self._sim = sim
        self._entries: dict[str, dict[int, tuple[str, str]]] = {"SM": {}, "ME": {}}

    def entries(self, memory: str) -> dict[int, tuple[str, str]]:
        if memory != "ON":
            return self._entries[memory]
        return {1: (self._sim.msisdn, self._sim.number_name or "Own")} if self._sim.msisdn else {}

    def write(self, memory: str, index: int, number: str, name: str) -> None:
        if memory == "ON":
            self._sim.msisdn, self._sim.number_name = number, name
        else:
            self._entries[memory][index] = (number, name)

    def delete(self, memory: str, index: int) -> None:
        if memory == "ON":
            self._sim.msisdn = ""
        else:
            self._entries[memory].pop(index, None)

    def free(self, memory: str) -> int:
        """The first index without an entry; 0 when all have one."""
        return next((i for i in range(1, CAPACITY[memory] + 1) if i not in self.entries(memory)), 0)
