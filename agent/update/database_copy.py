"""Puts the kept copy of the database back where the old agent cannot read what the new one has made of it.

Run by judge.sh with the old version's files in place and no agent running: `python3 -m agent.update.database_copy
DATABASE COPY`. A database whose schema did not move stays as it is, with all that was counted meanwhile; of the other
the kernel's counters still tell the bytes, since the copy holds the counters' last readings.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from agent.errors import AgentError, StoreError, StoreTooNew
from agent.store import Database, files, generation


def put_back(path: Path, copy: Path) -> bool:
    """False where nothing needs to be done. Raises StoreError, OSError."""
    try:
        Database.open_readonly(path).close()
        return False
    except StoreTooNew:
        pass
    except StoreError:  # damaged or not there: the agent's own start sees to that, by the last good generation
        return False
    folder = path.parent.stat()
    fresh = path.with_name(f"{path.name}.copy")
    shutil.copyfile(copy, fresh)
    for old in (*(Path(f"{path}{suffix}") for suffix in files.SUFFIXES[1:]), *generation.places(path)):
        old.unlink(missing_ok=True)
    fresh.replace(path)
    with Database.open(path) as database:
        database.begin_anew()  # numbers that were used since the copy was made must not come again
    for place in path.parent.glob(f"{path.name}*"):
        os.chown(place, folder.st_uid, folder.st_gid)
    files.sync_folder(path.parent)
    return True


if __name__ == "__main__":
    try:
        print("put back" if put_back(Path(sys.argv[1]), Path(sys.argv[2])) else "kept")
    except (AgentError, OSError) as error:
        sys.exit(str(error))
