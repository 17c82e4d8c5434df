"""The bundle for a ticket: what support needs to see of a device, redacted, in one tar.gz of bounded size.

Called by `modem-agent bundle` (with the agent dead too) and, in a worker thread, by the command `bundle.get`. Every
collector has its own time limit; one that hangs or fails leaves a line in index.json and costs nothing else. What is
collected passes redact() on its way in: identifiers and PINs never reach the file; secrets live in files that no
collector reads.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from agent.errors import AgentError
from agent.modem.mask import masked
from agent.redact import redact

if TYPE_CHECKING:
    import tarfile

FILE_BYTES = 256_000  # of one collector, before compression; the end is kept, where the news is
BUNDLE_BYTES = 2_000_000  # of all of them together


@dataclass(frozen=True, slots=True)
class Collector:
    """One file of the bundle: how it is made and how long that may take."""

    file: str
    limit_s: float
    collect: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a collector; a line of index.json."""

    file: str
    ok: bool
    seconds: float
    size_bytes: int
    problem: str = ""


def make(collectors: tuple[Collector, ...], tell: Callable[[int, str], None]) -> tuple[bytes, tuple[Entry, ...]]:
    """Run the collectors one after the other and pack what they found."""
    import tarfile  # a hundred kB with its compressors: not before a bundle is asked for

    buffer, entries, room = io.BytesIO(), [], BUNDLE_BYTES
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as tar:
        for number, collector in enumerate(collectors):
            tell(100 * number // len(collectors), f"collecting {collector.file}")
            entry, data = _run(collector, room)
            room -= len(data)
            entries.append(entry)
            if data:
                _add(tar, collector.file, data)
        index = {"v": 1, "files": [_line(entry) for entry in entries]}
        _add(tar, "index.json", json.dumps(index, indent=1).encode())
    return buffer.getvalue(), tuple(entries)


def write(data: bytes, path: Path) -> None:
    """The whole bundle or nothing, readable by its owner alone. Raises OSError."""
    import tempfile

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _run(collector: Collector, room: int) -> tuple[Entry, bytes]:
    """One collector on a thread of its own; a thread that hangs is left behind, as a daemon thread it ends with us."""
    began = time.monotonic()
    result: list[bytes] = []
    problem: list[str] = []

    def work() -> None:
        try:
            result.append(_bytes(collector.collect()))
        except AgentError as error:
            problem.append(masked(str(error)))
        except Exception as error:  # whatever it is, the other collectors go on
            problem.append(masked(f"{type(error).__name__}: {error}"))

    thread = Thread(target=work, name=f"collect {collector.file}", daemon=True)
    thread.start()
    thread.join(collector.limit_s)
    seconds = round(time.monotonic() - began, 3)
    if not result:
        why = problem[0] if problem else f"not done within {collector.limit_s:g} s"
        return Entry(collector.file, False, seconds, 0, why), b""
    data, note = _bounded(result[0], min(FILE_BYTES, max(0, room)))
    return Entry(collector.file, True, seconds, len(data), note), data


def _bytes(found: object) -> bytes:
    clean = redact(found)
    text = clean if isinstance(clean, str) else json.dumps(clean, indent=1, default=str)
    return text.encode("utf-8", "replace")


def _bounded(data: bytes, limit: int) -> tuple[bytes, str]:
    if len(data) <= limit:
        return data, ""
    kept = data[len(data) - limit :].partition(b"\n")[2] if limit else b""
    return kept, f"cut: the last {len(kept)} of {len(data)} bytes"


def _line(entry: Entry) -> dict[str, object]:
    return {
        "file": entry.file,
        "ok": entry.ok,
        "seconds": entry.seconds,
        "bytes": entry.size_bytes,
        "note": entry.problem,
    }


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    import tarfile

    info = tarfile.TarInfo(f"modem-agent/{name}")
    info.size, info.mode, info.mtime = len(data), 0o644, int(time.time())
    tar.addfile(info, io.BytesIO(data))
