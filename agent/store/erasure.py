"""Everything of the household off the device, at the end of a contract: asked for by the command `device.erase`.

What is asked stands in a file beside the database. The next start does it before the database is opened, so a power cut
in between leaves the file, and the start after it does the rest. What must never go back stays: numbers and issuers'
counters, which are the operator's; the command itself, so that it is answered.

Files are overwritten before they are taken away. On ext4 that reaches their blocks; a flash file system (jffs2, ubifs)
and the controller of an SD card write elsewhere and keep old pages until they need the space (README.md).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from agent.errors import StoreError
from agent.plan.ledger import Ledger
from agent.plan.ledger_record import from_dict, to_dict
from agent.store import files, numbers
from agent.store.database import Database
from agent.store.journal import Entry

log = logging.getLogger(__name__)

ASKED = "erase.json"
BLOCK = bytes(64 * 1024)


def ask(database: Path, entry: Entry | None, ledger: Ledger | None) -> None:
    """Have the next start erase; `ledger` is that of a contract that goes on. Raises StoreError."""
    place = database.with_name(ASKED)
    kept = {
        "entry": None if entry is None else {**asdict(entry), "correlation": entry.correlation.hex()},
        "ledger": None if ledger is None else to_dict(_bare(ledger)),
    }
    fresh = place.with_suffix(".new")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(json.dumps(kept).encode())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(place)
        files.sync_folder(place.parent)
    except OSError as error:
        raise StoreError(f"{place}: {error}") from error


def _bare(ledger: Ledger) -> Ledger:
    """The period under way without what tells of the days before, or of whose card it is."""
    return replace(ledger, hours=(), previous=None, lapsed=(), sim="", sim_before="", sim_since=None, marks=())


def finish(database: Path, run_dir: Path) -> bool:
    """Do what was asked, if anything was. A disk that refuses keeps no line from starting: it is tried again then."""
    place = database.with_name(ASKED)
    try:
        asked = json.loads(place.read_bytes())
        for file in sorted(_of_the_household(database, run_dir)):
            _wipe(file)
        with Database.open(database) as fresh:
            _begin(fresh, asked)
        place.unlink()
        files.sync_folder(place.parent)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, TypeError, KeyError, StoreError) as error:
        log.error("erasing is not done, the next start tries again: %s", error)
        return False
    log.warning("everything of the household was erased")
    return True


def _begin(fresh: Database, asked: dict[str, Any]) -> None:
    """A new database whose numbers go on beyond all that were used."""
    fresh.begin_anew()
    with fresh.transaction():
        if asked["ledger"] is not None:
            fresh.keep(from_dict(asked["ledger"]))
        if asked["entry"] is not None:
            fresh.journal.put(Entry(**{**asked["entry"], "correlation": bytes.fromhex(asked["entry"]["correlation"])}))


def _of_the_household(database: Path, run_dir: Path) -> Iterator[Path]:
    """The database with its copies, and what tells of the line in memory. Numbers and the kernel's abilities stay."""
    kept = {*numbers.places(database), database.with_name(ASKED)}
    yield from (file for file in database.parent.glob(f"{database.name}*") if file not in kept)
    yield from database.parent.glob("config.good*")
    yield from run_dir.glob("readings*.jsonl")
    yield from run_dir.glob("status.json*")
    yield from run_dir.glob("page")


def _wipe(file: Path) -> None:
    """Raises OSError."""
    if file.is_dir():
        for inner in file.iterdir():
            _wipe(inner)
        file.rmdir()
        return
    with contextlib.suppress(FileNotFoundError):
        with file.open("r+b") as stream:
            for _ in range(-(-os.fstat(stream.fileno()).st_size // len(BLOCK))):
                stream.write(BLOCK)
            stream.flush()
            os.fsync(stream.fileno())
        file.unlink()
