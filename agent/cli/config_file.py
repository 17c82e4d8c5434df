"""Writes the configuration file: what it said before with some keys changed, checked before it replaces the old one.

Called by `setup` and `pin`. Comments of the old file are not kept; the old file is, beside the new one. Where the file
is made from UCI, the values are set there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent import config
from agent.cli import uci
from agent.cli.language import _
from agent.errors import ConfigError, NotPermitted
from agent.system import OPENWRT_OPKG
from agent.toml import dumps, tomllib

KEPT = ".before-setup"
Table = Mapping[str, Any]  # as TOML is read


def read_table(path: Path) -> dict[str, Any]:
    """The file as it stands, checked; empty when there is none. Raises ConfigError."""
    if not path.exists():
        return {}
    config.load(path)
    return dict(tomllib.loads(path.read_text("utf-8")))


def merged(table: Table, changes: Mapping[str, object]) -> dict[str, Any]:
    """`changes` maps "section.key" to a value; an empty one takes the key away."""
    result = {section: dict(values) for section, values in table.items()}
    for key, value in changes.items():
        section, name = key.split(".")
        if value == "":
            result.get(section, {}).pop(name, None)
        else:
            result.setdefault(section, {})[name] = value
    return result


def problem(table: Table, changes: Mapping[str, object]) -> str:
    """What would be wrong with the table after these changes; empty: nothing."""
    try:
        config.parse(dumps(merged(table, changes)), "the answer")
    except ConfigError as error:
        return str(error)
    return ""


def differing(table: Table, changes: Mapping[str, object]) -> dict[str, Any]:
    """Those of the changes that are not in the table already."""
    return {
        key: value
        for key, value in changes.items()
        if table.get(key.partition(".")[0], {}).get(key.partition(".")[2], "") != value
    }


def check_permission(path: Path) -> None:
    """Before the first question, since all answers would be lost at the end. Raises NotPermitted."""
    place = next(place for place in (path, *path.parents) if os.path.exists(place))
    if os.access(place, os.W_OK):
        return
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        raise NotPermitted(_("{path}: its file system is read-only; 'mount -o remount,rw' first", path=path))
    raise NotPermitted(_("{path}: this user may not write it; use sudo", path=path))


def change(path: Path, table: Table, changes: Mapping[str, object]) -> str:
    """Set the changes where they count, all or none of them. The place. Raises ConfigError, AgentError or OSError."""
    text = dumps(merged(table, changes))
    config.parse(text, str(path))
    if not uci.is_source_of(path):
        _write(path, text)
        return str(path)
    uci.write(differing(table, changes))
    return OPENWRT_OPKG.configuration


def _write(path: Path, text: str) -> None:
    """Replace in one step, with the old file's owner and mode."""
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
