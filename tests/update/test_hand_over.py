"""`agent.update` as the agent sees it: refused, fetched and booked, handed over, and answered once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.commands.command import Quiet
from agent.errors import Rejected
from agent.plan import Decision, Rates
from agent.status import Snapshot
from agent.store.database import Database
from agent.store.schema import MIGRATIONS
from agent.update import folders, hand_over, package_manager, verdict
from agent.update.database_copy import put_back
from agent.update.hand_over import Wish
from agent.update.package_manager import PackageManager
from tests.commands.standin import StandIn, config_for
from tests.commands.test_runner import Channel
from tests.update.publisher import Publisher

CONTENT = b"a package" * 1000
FILE = "modem-agent_0.9.0_all.deb"


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageManager:
    """dpkg's versions as Python compares tuples: no dpkg on the machine is needed."""
    unit = tmp_path / "unit"
    unit.touch()
    newer = "import sys; n, o = ([int(x) for x in v.split('.')] for v in sys.argv[1:]); sys.exit(not n > o)"
    made = PackageManager(
        "dpkg", "", ("InRelease", "Packages"), (sys.executable, "-c", newer, "{new}", "{old}"), None, str(unit)
    )
    monkeypatch.setattr(package_manager, "find", lambda: made)
    monkeypatch.setattr(hand_over, "LOOK_S", 0.02)
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Publisher]:
    with Publisher(tmp_path / "pki") as server:
        server.files = {FILE: CONTENT, "InRelease": b"signed", "Packages": b"listed"}
        yield server


def args_of(server: Publisher, **more: Any) -> dict[str, Any]:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    url = f"{server.base}/{FILE}"
    return {"version": "0.9.0", "url": url, "sha256": sha256, "size": len(CONTENT), "rate_bps": 10_000_000, **more}


class Home(StandIn):
    """An agent of version 0.5.0 with folders of its own; `slow` is its line."""

    slow = False

    def __init__(
        self, folder: Path, server: Publisher | None = None, *, version: str = "0.5.0", instance: str = "1"
    ) -> None:
        config = config_for("mqtt://127.0.0.1:1", ca_file=server.pki.path("ca.pem") if server else "")
        device = replace(config.device, state_dir=str(folder / "state"), run_dir=str(folder))
        (folder / "state").mkdir(exist_ok=True)
        super().__init__(folder / "state", replace(config, device=device), instance=instance)
        self.version = version
        self.charged = [0, 0]

    def __enter__(self) -> Home:
        return self

    def snapshot(self) -> Snapshot:
        look = super().snapshot()
        state, rates = ("throttled", Rates(512_000, 512_000)) if self.slow else ("normal", Rates())
        return replace(look, decision=Decision(state, rates, None, ""))

    def charge(self, received_bytes: int, sent_bytes: int) -> None:
        self.charged = [self.charged[0] + received_bytes, self.charged[1] + sent_bytes]
        super().charge(received_bytes, sent_bytes)


def asked(folder: Path) -> Path:
    return folders.asked(str(folder / "state"))


def decide(folder: Path, id: str, result: str, reason: str = "") -> None:
    """What judge.sh leaves at its end."""
    kept = folders.kept(str(folder / "state"))
    kept.mkdir(exist_ok=True)
    words = {"id": id, "result": result, "version": "0.9.0", "previous": "0.5.0", "reason": reason}
    (kept / "verdict").write_bytes(folders.lines(words))


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to be")


@pytest.mark.parametrize(
    ("changes", "slow", "said"),
    [
        ({"version": "0.4.9"}, False, "0.4.9 is not above 0.5.0; say downgrade"),
        ({"version": "0.5.0"}, False, "0.5.0 runs already"),
        ({"version": "0.5.0", "downgrade": True}, False, "0.5.0 runs already"),
        ({}, True, "the line is slow now"),
        ({"size": 10**15}, False, "are needed"),
    ],
)
def test_what_is_refused_before_a_byte_is_fetched(
    tmp_path: Path, manager: PackageManager, changes: dict[str, Any], slow: bool, said: str
) -> None:
    wish = Wish("0.9.0", f"https://example.org/{FILE}", "0" * 64, 10, False, False, 10**6)

    async def story() -> None:
        with Home(tmp_path) as home:
            home.slow = slow
            with pytest.raises(Rejected, match=said):
                hand_over.admissible(home, replace(wish, **changes), manager)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("asked_bps", "shaped_bps", "rate_bps"),
    [(256_000, None, 256_000), (256_000, 512_000, 128_000), (64_000, 512_000, 64_000), (256_000, 20_000_000, 256_000)],
)
def test_a_shaped_line_gives_a_quarter_at_most(asked_bps: int, shaped_bps: int | None, rate_bps: int) -> None:
    wish = Wish("0.9.0", f"https://example.org/{FILE}", "0" * 64, 10, False, True, asked_bps)
    assert hand_over.rate_bps(wish, Rates(shaped_bps, 64_000)) == rate_bps


def test_the_order_to_fetch_bears_that_rate(
    tmp_path: Path, manager: PackageManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = Wish("0.9.0", f"https://example.org/{FILE}", "0" * 64, 10, False, True, 256_000)
    orders: list[dict[str, Any]] = []

    async def start(*words: str, **_: Any) -> None:
        orders.append(json.loads(words[-1]))
        raise OSError("not today")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)

    async def story() -> None:
        with Home(tmp_path) as home:
            home.slow = True
            with pytest.raises(OSError, match="not today"):
                await hand_over.fetched(home, wish, manager, Quiet(home, lambda percent, what: None, "admin"))

    asyncio.run(story())
    assert [order["rate_bps"] for order in orders] == [128_000]


def test_what_is_asked_for_all_the_same(tmp_path: Path, manager: PackageManager) -> None:
    wish = Wish("0.4.9", f"https://example.org/{FILE}", "0" * 64, 10, True, True, 10**6)

    async def story() -> None:
        with Home(tmp_path) as home:
            home.slow = True
            hand_over.admissible(home, wish, manager)
            folders.kept(home.config.device.state_dir).mkdir()
            (folders.kept(home.config.device.state_dir) / "step").touch()
            with pytest.raises(Rejected, match="another update"):
                hand_over.admissible(home, wish, manager)

    asyncio.run(story())


def test_nothing_is_fetched_where_nothing_would_install_it(tmp_path: Path, manager: PackageManager) -> None:
    wish = Wish("0.9.0", f"https://example.org/{FILE}", "0" * 64, 10, False, False, 10**6)
    Path(manager.unit).unlink()

    async def story() -> None:
        with Home(tmp_path) as home, pytest.raises(Rejected, match="nothing here would install it"):
            hand_over.admissible(home, wish, manager)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("result", "state", "said"),
    [
        (verdict.INSTALLED, "succeeded", ""),
        (verdict.RESTORED, "failed", "restored: broker; 0.5.0 runs"),
        (verdict.REFUSED, "failed", "refused: broker; 0.5.0 runs"),
    ],
)
def test_the_next_agent_answers_once(
    tmp_path: Path, manager: PackageManager, server: Publisher, result: str, state: str, said: str
) -> None:
    async def before() -> None:
        with Home(tmp_path, server) as home:
            await home.outbox.open()
            await Channel(home).send("agent.update", "u1", args_of(server))
            await until(lambda: (asked(tmp_path) / "request").exists())
            assert sorted(path.name for path in asked(tmp_path).iterdir()) == [
                "InRelease", "Packages", "agent.db", FILE, "request"]  # fmt: skip
            assert folders.values(asked(tmp_path) / "request")["id"] == "u1"
            assert len(CONTENT) < home.charged[0] < 2 * len(CONTENT)
            await home.runner.stop()

    async def after() -> None:
        with Home(tmp_path, version="0.9.0", instance="2") as home:
            await home.outbox.open()
            await home.runner.resume()
            channel = Channel(home)
            assert (await channel.states("u1"))[-1] == "running"
            decide(tmp_path, "u1", result, "broker")
            await channel.settle()
            assert (await channel.states("u1"))[-1] == state
            assert said in (await channel.answers("u1"))[-1].get("reason", "")
            await home.runner.stop()
        with Home(tmp_path, version="0.9.0", instance="3") as home:
            await home.outbox.open()
            await home.runner.resume()
            answers = await Channel(home).answers("u1")
            assert sum(body["state"] in ("succeeded", "failed") for body in answers) == 1

    asyncio.run(before())
    asyncio.run(after())


def test_an_agent_that_ended_while_fetching_goes_on_where_it_was(
    tmp_path: Path, manager: PackageManager, server: Publisher
) -> None:
    async def before() -> None:
        with Home(tmp_path, server) as home:
            await home.outbox.open()
            await Channel(home).send("agent.update", "u1", args_of(server, rate_bps=8_000))
            await until(lambda: bool(server.asked) and (asked(tmp_path) / f"{FILE}.part").exists())
            await home.runner.stop()

    async def after() -> None:
        with Home(tmp_path, server, instance="2") as home:
            await home.outbox.open()
            (asked(tmp_path) / f"{FILE}.part").write_bytes(CONTENT[:5000])
            await home.runner.resume()
            await until(lambda: len(server.asked) > 1)
            assert server.asked[-1][1] == "bytes=5000-"
            await home.runner.stop()

    asyncio.run(before())
    asyncio.run(after())


def test_a_database_that_the_old_version_cannot_read_is_put_back(tmp_path: Path) -> None:
    path, copy = tmp_path / "agent.db", tmp_path / "copy"
    with Database.open(path) as database:
        database.meta.set("device", "before")
        database.copy_to(copy)
        database.meta.set("device", "after")
        name = database.boot_name("boot")
    assert not put_back(path, copy)
    with Database.open(path) as database:
        assert database.meta.get("device") == "after"
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    newer.close()
    assert put_back(path, copy)
    with Database.open(path) as database:
        assert database.meta.get("device") == "before"
        assert database.boot_name("boot") != name  # its numbers may have been used since
