"""The cache of kernels and images: an entry is whole or not there, and building one may need another."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from simulator.qemu import cache


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEM_AGENT_CACHE", str(tmp_path / "cache"))


@pytest.mark.timeout(20)
def test_building_one_entry_may_need_another() -> None:
    def outer(folder: Path) -> None:
        inner = cache.entry("tool", lambda place: (place / "program").touch())
        (folder / "found").write_text(str((inner / "program").exists()))

    assert (cache.entry("image/a", outer) / "found").read_text() == "True"


def test_two_who_want_the_same_build_it_once() -> None:
    built: list[int] = []

    def build(folder: Path) -> None:
        built.append(1)
        (folder / "file").touch()

    threads = [threading.Thread(target=cache.entry, args=("image/b", build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]


def test_what_nobody_asked_for_in_a_week_is_forgotten(tmp_path: Path) -> None:
    for name in ("old", "used"):
        place = cache.entry(f"disk/{name}", lambda folder: (folder / "disk.img").touch())
        os.utime(place, (1.0, 1.0))
    cache.entry("disk/used", lambda folder: None)
    cache.forget_old("disk", 7 * 86_400.0)
    assert [path.name for path in (tmp_path / "cache/disk").glob("[!.]*")] == ["used"]


def test_a_build_that_fails_or_is_killed_leaves_no_entry(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        cache.entry("image/c", fail)
    killed = tmp_path / "cache/image/.building-c-left"
    killed.mkdir()
    place = cache.entry("image/c", lambda folder: (folder / "whole").touch())
    assert [path.name for path in place.iterdir()] == ["whole"]
    assert not killed.exists()
