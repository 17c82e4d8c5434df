"""What the structure must not lose: typed values between the rooms, events and not callbacks, files and functions of a
length that is read at one go."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[2]
AGENT = PROJECT / "agent"
LONGEST_FILE, LONGEST_FUNCTION = 400, 60  # lines
ANY_IN_1000_LINES = 2.0  # the aim was 5: left are click, pyroute2, SQL rows, TOML and types that are read at run time
FOREIGN = {"mqtt/transport.py"}  # paho's own callbacks, set where a client is made


def sources() -> Iterator[tuple[str, str]]:
    for path in sorted(AGENT.rglob("*.py")):
        yield path.relative_to(AGENT).as_posix(), path.read_text("utf-8")


def anys(text: str) -> int:
    return sum(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(ast.parse(text)))


def callbacks(text: str) -> list[int]:
    """Lines that hang a function on another object: `part.on_change = …`, `part.state = lambda: …`."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)):
            continue
        places = [
            place
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            for place in (target.elts if isinstance(target, ast.Tuple) else [target])
            if isinstance(place, ast.Attribute)
        ]
        others = [place for place in places if not (isinstance(place.value, ast.Name) and place.value.id == "self")]
        if any(place.attr.startswith("on_") for place in places) or (others and isinstance(node.value, ast.Lambda)):
            found.append(node.lineno)
    return found


def test_the_counts_see_what_they_count() -> None:
    assert anys("from typing import Any\nx: dict[str, Any] = {}\n\ndef f(y: Any) -> Any: ...\n") == 3
    assert callbacks("part.on_change = self.show\n") == [1]
    assert callbacks("self.on_beat: Callable[[], None] = lambda: None\n") == [1]
    assert callbacks("agent.cause = lambda: other.cause\n") == [1]
    assert callbacks("self._look = lambda: None\npart.cause = 'none'\n") == []


def long_functions(text: str) -> list[str]:
    return [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]


def test_the_length_of_a_function_is_seen() -> None:
    body = "    pass\n"
    assert long_functions("def f():\n" + body * LONGEST_FUNCTION) == ["f"]
    assert long_functions("def f():\n" + body * (LONGEST_FUNCTION - 1)) == []


def test_files_and_functions_are_read_at_one_go() -> None:
    found = []
    for path in sorted(path for room in ("agent", "simulator", "tests") for path in (PROJECT / room).rglob("*.py")):
        text = path.read_text("utf-8")
        found += [path.name] if text.count("\n") > LONGEST_FILE else []
        found += [f"{path.name}: {name}" for name in long_functions(text)]
    assert found == []


def test_values_between_the_rooms_are_typed() -> None:
    texts = [text for _, text in sources()]
    lines = sum(text.count("\n") for text in texts)
    assert sum(map(anys, texts)) / lines * 1000 <= ANY_IN_1000_LINES


def test_parts_emit_events_and_nobody_hangs_callbacks_on_them() -> None:
    found = {name: places for name, text in sources() if name not in FOREIGN and (places := callbacks(text))}
    assert found == {}
