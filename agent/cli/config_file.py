"""Writes the configuration file: what it said before with some keys changed, checked before it replaces the old one.

Called by `setup`. Comments of the old file are not kept; the old file is, beside the new one.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from agent import config
from agent.errors import ConfigError
from agent.toml import dumps, tomllib

KEPT = ".before-setup"


def read_table(path: Path) -> dict[str, Any]:
    """The file as it stands, checked; empty when there is none. Raises ConfigError."""
    if not path.exists():
        return {}
    config.load(path)
    return dict(tomllib.loads(path.read_text("utf-8")))


def merged(table: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` maps "section.key" to a value; an empty one takes the key away."""
    result = {section: dict(values) for section, values in table.items()}
    for key, value in changes.items():
        section, name = key.split(".")
        if value == "":
            result.get(section, {}).pop(name, None)
        else:
            result.setdefault(section, {})[name] = value
    return result


def problem(key: str, value: Any) -> str:
    """What is wrong with one value; empty: nothing."""
    try:
        config.parse(dumps(merged({}, {key: value})), "the answer")
    except ConfigError as error:
        return str(error)
    return ""


def differing(table: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Those of the changes that are not in the table already."""
    return {
        key: value
        for key, value in changes.items()
        if table.get(key.partition(".")[0], {}).get(key.partition(".")[2], "") != value
    }


def check(path: Path, text: str) -> None:
    """Raises ConfigError; `path` stands for the file in it."""
    config.parse(text, str(path))


def write(path: Path, text: str) -> None:
    """Check, then replace in one step, with the old file's owner and mode. Raises ConfigError or OSError."""
    check(path, text)
    path.parent.mkdir(parents=True, exist_ok=True)
    side = path.with_name(path.name + ".new")
    descriptor = os.open(side, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if path.exists():
            before = path.stat()
            os.fchmod(file.fileno(), before.st_mode & 0o777)
            with contextlib.suppress(PermissionError):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            path.with_name(path.name + KEPT).write_bytes(path.read_bytes())
            path.with_name(path.name + KEPT).chmod(before.st_mode & 0o777)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(side, path)
