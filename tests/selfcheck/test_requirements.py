"""Every promise of tests/requirements.md has a test that exists; a promise without one fails here."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LIST = TESTS / "requirements.md"
ROW = re.compile(r"^\| (?P<id>[A-Z]\d+) \| (?P<promise>.+?) \| (?P<proof>.*?) ?\|$")
PROMISES_AT_LEAST = 80  # so that a row which no longer parses is missed


def problems(text: str, tests: Path) -> list[str]:
    """What is wrong with the list, one sentence each."""
    found: list[str] = []
    seen: dict[str, list[int]] = {}
    for line in text.splitlines():
        if not line.startswith("| ") or line.startswith("| |"):
            continue
        row = ROW.match(line)
        if row is None:
            found.append(f"not a row: {line[:60]}")
            continue
        seen.setdefault(row["id"][0], []).append(int(row["id"][1:]))
        found += [f"{row['id']}: {wrong}" for wrong in _proof_problems(row["proof"], tests)]
    for letter, numbers in seen.items():
        if numbers != list(range(1, len(numbers) + 1)):
            found.append(f"{letter}: numbers are not 1 to {len(numbers)}")
    return found


def _proof_problems(proof: str, tests: Path) -> list[str]:
    names = [name.strip() for name in proof.split(",") if name.strip()]
    wrong = [f"{name} does not exist" for name in names if not proof_exists(name, tests)]
    if not any("test_" in name for name in names):
        wrong.append("no test proves it")
    return wrong


def proof_exists(name: str, tests: Path) -> bool:
    if name.startswith("bench "):
        return (tests / "bench" / f"{name.removeprefix('bench ')}.py").is_file()
    path, _, function = name.partition("::")
    if not (tests / path).is_file():
        return False
    tests_there = _tests_of(tests / path)
    return function in tests_there if function else bool(tests_there)


@functools.cache
def _tests_of(file: Path) -> frozenset[str]:
    """Test functions, and the test cases that hypothesis makes of a state machine."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return frozenset(name for name in found if name.lower().startswith("test"))


def test_every_promise_has_a_test_that_exists() -> None:
    text = LIST.read_text()
    assert problems(text, TESTS) == []
    assert len(re.findall(r"^\| [A-Z]\d+ \|", text, re.MULTILINE)) >= PROMISES_AT_LEAST


@pytest.mark.parametrize(("row", "wrong"), [
    ("| C1 | It counts. | |", "no test proves it"),
    ("| C1 | It counts. | bench rows |", "no test proves it"),
    ("| C1 | It counts. | plan/test_nowhere.py::test_x |", "does not exist"),
    ("| C1 | It counts. | plan/test_counters.py::test_that_was_renamed |", "does not exist"),
    ("| C2 | It counts. | plan/test_counters.py |", "numbers are not"),
    ("| C1 It counts. |", "not a row"),
])  # fmt: skip
def test_a_promise_without_a_test_fails(row: str, wrong: str) -> None:
    assert any(wrong in problem for problem in problems(row, TESTS))
