"""What the simulator says when it is given something it cannot use: the file, the line, and what is wrong with it."""

from __future__ import annotations


class SimulatorError(Exception):
    """Root of what the simulator raises on purpose; str() is one line."""


class DataError(SimulatorError):
    """A vendor data file or a scenario with a mistake in it."""

    def __init__(self, file: str, line: int | None, problem: str) -> None:
        self.file, self.line, self.problem = file, line, problem
        where = f"{file}:{line}" if line else file
        super().__init__(f"{where}: {problem}")


class UnknownName(SimulatorError):
    """A fault, a setting, a profile or an action that does not exist; names those that do."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        self.kind, self.name, self.known = kind, name, known
        super().__init__(f"no {kind} named {name!r}; there are: {', '.join(sorted(known))}")
