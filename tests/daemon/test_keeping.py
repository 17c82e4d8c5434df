"""What becomes of the ledger when the disk does not do its part: damaged, full, read-only. A real process each time."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.running import Running, daemon, until
from tests.netns import Wire

pytestmark = pytest.mark.root

GB = 10**9


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of half a megabyte, which is full before long."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "small", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("mounting a file system needs privileges")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def traffic(line: Wire) -> None:
    line.near.run("ping", "-c5", "-i0.05", "-s1000", line.far.address)


def store_state(running: Running) -> str:
    return str((running.ask("status") or {"store": "?"})["store"])


def test_a_damaged_database_is_set_aside_and_the_last_good_generation_used(line: Wire, tmp_path: Path) -> None:
    with daemon(line.near, tmp_path, used_bytes=7 * GB) as running:
        until(lambda: running.counted() >= 7 * GB)
        running.terminate()
        database = tmp_path / "state" / "agent.db"
        database.write_bytes(b"\xff" * 5000)
        running.start()
        assert running.counted() >= 7 * GB
        assert running.ask("status")["faults"]["store.damaged"] == 1
        assert (tmp_path / "state" / "agent.db.damaged-1").read_bytes() == b"\xff" * 5000
        assert "last good generation is used" in running.log()
        told = until(lambda: [event for event in running.ask("log")["events"] if event["name"] == "store"])
        assert told[0]["data"]["set_aside"] == "agent.db.damaged-1"


def test_a_full_disk_is_told_and_what_was_counted_meanwhile_is_kept(line: Wire, tmp_path: Path) -> None:
    with small_disk(tmp_path / "state") as disk, daemon(line.near, tmp_path) as running:
        running.cli("throttle", "force", "--reason", "one saved change")
        with contextlib.suppress(OSError), (disk / "ballast").open("wb") as ballast:
            while True:
                ballast.write(bytes(1024))
                ballast.flush()
        before = running.counted()
        traffic(line)
        refused = [running.cli("throttle", "lift", "--reason", "x" * 190) for _ in range(30)]
        assert any(done.returncode for done in refused)
        until(lambda: running.counted() >= before + 10_000)
        until(lambda: store_state(running) == "full")
        assert running.ask("status")["faults"]["store"] >= 1, "the state report tells it, which needs no disk"
        (disk / "ballast").unlink()
        assert running.terminate()[0] == 0
        running.start()
        assert running.counted() >= before + 10_000
        assert store_state(running) == "ok"


def test_on_a_read_only_disk_it_starts_counts_and_says_so(line: Wire, tmp_path: Path) -> None:
    with small_disk(tmp_path / "state") as disk, daemon(line.near, tmp_path, used_bytes=7 * GB) as running:
        running.terminate()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        running.start()
        assert store_state(running) == "read-only"
        before = running.counted()
        assert before >= 7 * GB
        traffic(line)
        until(lambda: running.counted() >= before + 10_000)
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        running.terminate()


def test_a_newer_database_is_refused_with_one_line_and_left_alone(line: Wire, tmp_path: Path) -> None:
    running = Running(line.near, tmp_path)
    running.seed(7 * GB)
    database = tmp_path / "state" / "agent.db"
    subprocess.run(["sqlite3", str(database), "PRAGMA user_version = 999"], check=True, capture_output=True)
    before = database.read_bytes()
    done = running.cli("run")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "newer agent" in done.stderr
    assert database.read_bytes() == before
