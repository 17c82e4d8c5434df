"""Everything of the household off the device, at the end of a contract: asked for by the command `device.erase`.

What is asked stands in a file beside the database. The next start does it before the database is opened, so a power cut
in between leaves the file, and the start after it does the rest. What must never go back stays: numbers and issuers'
counters, which are the operator's; the command itself, so that it is answered.

Files are overwritten before they are taken away. That reaches their blocks on ext4, not those of files that went before
(a log that was closed, a copy that was dropped), and on a flash file system (jffs2, ubifs) none at all: each write goes
elsewhere. So the free space is written over as well, which makes those take back all old pages, and is discarded where
the device lets this process do so. The controller of an SD card keeps pages that no program can reach (README.md).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from os import urandom
from pathlib import Path
from time import monotonic
from typing import Any

from agent.errors import StoreError
from agent.plan.ledger import Ledger
from agent.plan.ledger_record import from_dict, to_dict
from agent.store import files, numbers
from agent.store.database import Database
from agent.store.journal import Entry

log = logging.getLogger(__name__)

ASKED = "erase.json"
FILLER = "erase.filler"
BLOCK_BYTES = 64 * 1024
# Free space beyond this is the discard's: a partition of the agent's own, or an overlay, has less.
FILL_BYTES = 256 * 1024 * 1024
FILL_S = 30.0  # the line waits for it
FITRIM = 0xC0185879  # linux/fs.h: _IOWR('X', 121, struct fstrim_range), the same on all architectures of OpenWrt
ALL = struct.pack("QQQ", 0, 2**64 - 1, 0)  # struct fstrim_range: start, len, minlen


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
        database.with_name(FILLER).unlink(missing_ok=True)  # left by a power cut
        asked = json.loads(place.read_bytes())
        for file in sorted(_of_the_household(database, run_dir)):
            _wipe(file)
        _fill(database.with_name(FILLER))
        _discard(database.parent)
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
            for _ in range(-(-os.fstat(stream.fileno()).st_size // BLOCK_BYTES)):
                stream.write(bytes(BLOCK_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        file.unlink()


def _fill(place: Path, now_s: Callable[[], float] = monotonic) -> None:
    """Write over what is free, with bytes that no file system compresses. Raises OSError where nothing can be made."""
    if (free := _free_bytes(place.parent)) > FILL_BYTES:
        log.warning("%d MB of free space are not written over: fstrim discards them", free >> 20)
        return
    limit_s = now_s() + FILL_S
    with place.open("wb", buffering=0) as filler:
        with contextlib.suppress(OSError):  # it is full, which is what was wanted
            while now_s() < limit_s:
                filler.write(urandom(BLOCK_BYTES))
        with contextlib.suppress(OSError):
            os.fsync(filler.fileno())
    place.unlink()
    files.sync_folder(place.parent)


def _free_bytes(folder: Path) -> int:
    room = os.statvfs(folder)
    return room.f_bfree * room.f_frsize


def _discard(folder: Path) -> None:
    """Have the device forget what is free. Only root may, and not every device can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(handle, FITRIM, ALL)
    except OSError as error:
        log.info("free space is not discarded: %s", error)
    finally:
        os.close(handle)
