"""Every configuration key has a reader: a setting that nothing reads is a promise that nobody keeps."""

from __future__ import annotations

import ast
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from agent.config import Config

AGENT = Path(__file__).parents[2] / "agent"

# Names under which the code holds a section; the section's own name counts too (config.modem.apn).
HOLDERS = {"settings", "_settings", "the section itself"}
# Written and shown, but no reader of a setting: the schema, what writes it, what it is printed by.
NOT_READERS = {"config.py", "cli/verbs/setup.py", "cli/config_file.py", "cli/verbs/config.py"}


def sections() -> list[tuple[str, str, type]]:
    """(section, key, section's class) of the whole schema, lists of tables included."""
    found = []
    hints = typing.get_type_hints(Config)
    for section in (f.name for f in fields(Config) if is_dataclass(hints[f.name])):
        found += _keys(section, hints[section])
    return found


def _keys(section: str, cls: type) -> list[tuple[str, str, type]]:
    found: list[tuple[str, str, type]] = []
    hints = typing.get_type_hints(cls)
    for f in fields(cls):
        found.append((section, f.name, cls))
        inner = next((h for h in typing.get_args(hints[f.name]) if is_dataclass(h)), None)
        if isinstance(inner, type):
            found += _keys(f.name, inner)
    return found


def reads() -> dict[str, set[str]]:
    """For each attribute that the agent's code reads, the names of what it is read from."""
    found: dict[str, set[str]] = {}
    for path in AGENT.rglob("*.py"):
        if str(path.relative_to(AGENT)) in NOT_READERS:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                holder = node.value
                name = holder.attr if isinstance(holder, ast.Attribute) else getattr(holder, "id", "")
                if name == "self" and path.name == "model.py":  # the sections of the plan read their own keys
                    name = "the section itself"
                found.setdefault(node.attr, set()).add(name)
            elif key := _of_table(node):
                found.setdefault(key[1], set()).add(key[0])
    return found


def _of_table(node: ast.AST) -> tuple[str, str] | None:
    """probe["speed_url"] and device.get("language"): a section as TOML or JSON has it, in a variable of its name."""
    if isinstance(node, ast.Subscript):
        holder, key = node.value, node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        holder, key = node.func.value, node.args[0]
    else:
        return None
    if isinstance(holder, ast.Name) and isinstance(key, ast.Constant) and isinstance(key.value, str):
        return holder.id, key.value
    return None


READS = reads()


@pytest.mark.parametrize(("section", "key", "cls"), sections(), ids=lambda value: str(value))
def test_every_key_is_read(section: str, key: str, cls: type) -> None:
    singular = section.removesuffix("s")
    assert READS.get(key, set()) & {section, singular, *HOLDERS}, f"nothing reads {section}.{key}"


def test_a_key_without_a_reader_is_noticed() -> None:
    assert not READS.get("no_such_key", set())
    assert "apn" in READS
