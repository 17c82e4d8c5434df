"""All fields that a device stores, sends or is configured with, by the name under which PRIVACY.md lists them."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from agent.config import Config
from agent.plan import Ledger
from agent.store.schema import MIGRATIONS
from tests.mqtt import contract, events

TEXT = Path(__file__).parents[2] / "firmware-config" / "PRIVACY.md"
NUMBERING = ("v", "boot", "seq", "up", "time", "clk")


def stored() -> Iterator[str]:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        for step in MIGRATIONS:
            for statement in step:
                database.execute(statement)
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            if not table.startswith("sqlite_"):
                yield from (f"{table}.{column[1]}" for column in database.execute(f"PRAGMA table_info({table})"))
    yield from (f"ledger.data.{f.name}" for f in fields(Ledger))


def sent() -> Iterator[str]:
    for file in sorted(entry.name for entry in contract.SCHEMAS.iterdir() if entry.name.endswith(".schema.json")):
        name = file.removesuffix(".schema.json")
        yield from (f"{name}.{field}" for field in _properties(contract.schema(file)) if field not in NUMBERING)
    for kind, level in (("events", "e"), ("alarms", "a")):
        for name, listed in events.known()[kind].items():
            yield from (f"{level}/{name}.{field}" for field in listed["fields"])


def _properties(schema: dict[str, Any], before: str = "") -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        yield before + name
        yield from _properties(inner, f"{before}{name}.")
        yield from _properties(inner.get("items", {}), f"{before}{name}.")


def configured() -> Iterator[str]:
    for section in fields(Config):
        value = getattr(Config(), section.name)
        if is_dataclass(value):
            yield from (f"{section.name}.{f.name}" for f in fields(value))


def listed(heading: str) -> list[str]:
    """The fields in the first column of a chapter's table: `name.field` or `name.{a b c}`."""
    chapter = TEXT.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = []
    for cell in re.findall(r"^\| (`.+?) \|", chapter, re.MULTILINE):
        for name in re.findall(r"`(.+?)`", cell):
            first, brace, inner = name.partition("{")
            found += [first + one for one in inner.rstrip("}").split()] if brace else [name]
    return found
