"""Inside the guest: the store at work on an ext4 disk that dm-log-writes records. Run by ledger_cuts.py, never alone.

    ledger_cut_writer.py COMMITS

/dev/vda becomes the disk, /dev/vdb the log. After each commit that the store has acknowledged a mark goes into the log.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench.ledger_cut_work import work

TARGET = "recorded"


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def main() -> None:
    commits = int(sys.argv[1])
    sectors = Path("/sys/block/vda/size").read_text().strip()
    run("mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", "/dev/vda")
    run("sync")
    run("cp", "--sparse=always", "/dev/vda", "/run/guest/base.img")  # what every cut starts from
    run("dmsetup", "create", TARGET, "--table", f"0 {sectors} log-writes /dev/vda /dev/vdb")
    run("dmsetup", "mknodes")
    mount = Path("/tmp/recorded")
    mount.mkdir()
    # A short interval: the kernel writes back behind the store's back as often as it can.
    run("mount", "-o", "noatime,commit=1", f"/dev/mapper/{TARGET}", str(mount))
    work(
        mount / "agent.db",
        lambda number: number < commits,
        lambda number: run("dmsetup", "message", TARGET, "0", f"mark c{number}"),
    )
    run("umount", str(mount))
    run("dmsetup", "remove", TARGET)


if __name__ == "__main__":
    main()
