"""The household's world in simulated time, and the truth of it: links, counters, clocks, a disk that fails, a broker.

Nothing here asks the agent anything; the oracle compares what the agent says with what this file knows.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from agent.clock import System
from agent.errors import StoreError
from agent.mqtt.transport import Inbound
from agent.store import Database
from agent.traffic import matches
from agent.traffic.netlink.messages import Filter, Node
from tests.campaign.netlink import Device, Netlink, Tables

T = TypeVar("T")
ETHERNET = 14
ASKED_BPS = 60_000.0  # for so much at least a household asks in vain over a silent line
OTHERS = ("lan0", "eth1")


class Cut(BaseException):
    """The power is gone, or the process is killed: nothing of it runs on."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop whose time jumps to the next timer: a pause of an hour takes no time, and is an hour."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """What would go to a thread is done at once: no time passes here while a thread works."""
        done: asyncio.Future[T] = self.create_future()
        done.set_result(func(*args))
        return done


class _Jumping(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits for everything: nothing would ever happen again")
        self.now_s += max(0.0, timeout)
        return super().select(0)


Standing = tuple[Device, list[Node], list[Filter]]  # what another program has set up on a link, and nobody may touch


@dataclass
class World:
    """Time and traffic as they really are."""

    dice: random.Random
    began: datetime
    loop: asyncio.AbstractEventLoop
    boot: int = 1
    booted_s: float = -60.0
    wall_error: timedelta = timedelta(0)  # of the board's clock
    disciplined: bool = True
    truth_bytes: int = 0  # over a link that the agent is to count
    passed_bytes: int = 0  # over one that it is not
    truth_sampled: int = 0  # of them those that a sample has shown
    modem_bytes: tuple[int, int] = (0, 0)  # what the module itself counts since it was powered
    link: Device | None = None
    watched: tuple[str, ...] = ("*",)  # the links that the agent is to count
    silent_since_s: float | None = None  # the line stands and nothing comes in
    fast_s: float = -1e9  # when the line was last faster than the plan says
    foreign: list[Standing] = field(default_factory=list)
    standing_since_s: float | None = None  # the link is there, and the agent is to count it
    passing_since_s: float | None = None  # packets come in
    powered: bool = True
    down_bps: float = 100_000.0
    tables: Tables = field(default_factory=Tables)
    _carried_s: float = 0.0

    @property
    def now(self) -> datetime:
        """The true time."""
        return self.began + timedelta(seconds=self.loop.time())

    @property
    def boot_id(self) -> str:
        return f"{self.boot:08x}-0000-4000-8000-000000000000"

    # -- agent.clock.System

    def wall(self) -> datetime:
        return self.now + self.wall_error

    def boot_s(self) -> float:
        return self.loop.time() - self.booted_s

    # -- the kernel

    def boot_up(self) -> None:
        """The links that a boot brings: the household's own, a port beside it, and the modem's."""
        for ifname in OTHERS:
            self.tables.add(ifname)
        self.make_link()

    @property
    def counted(self) -> bool:
        """Whether the agent is to count the household's link."""
        return self.link is not None and matches(self.watched, self.link.ifname)

    def flow(self) -> None:
        """Traffic up to now."""
        now_s = self.loop.time()
        before_s, seconds, self._carried_s = self._carried_s, now_s - self._carried_s, now_s
        if seconds <= 0:
            return
        self.standing_since_s = (self.standing_since_s or before_s) if self.counted else None
        if self.link is None:
            return
        rates = self.tables.rates(self.link)
        wished_bps = self.down_bps if self.silent_since_s is None else max(self.down_bps, ASKED_BPS)
        down, up = min(wished_bps, rates[0]), min(wished_bps / 8, rates[1])
        received = int(down / 8 * seconds) if self.silent_since_s is None else 0
        sent = int(up / 8 * seconds)
        self.link.carry(received, sent)
        self.passing_since_s = (self.passing_since_s or before_s) if received else None
        if self.counted:
            self.truth_bytes += received + sent
        else:
            self.passed_bytes += received + sent
        self.modem_bytes = (self.modem_bytes[0] + received, self.modem_bytes[1] + sent)

    def make_link(self, ifname: str = "wwan0") -> None:
        """The household's link comes; one that was there goes without a last word that anybody heard."""
        if not self.powered:
            return
        self.flow()
        self.drop_link(heard=False)
        self.link = self.tables.add(ifname, header_bytes=self.dice.choice((0, ETHERNET)))

    def drop_link(self, *, heard: bool = True) -> None:
        if self.link is not None:
            self.flow()
            self.foreign = [entry for entry in self.foreign if entry[0] is not self.link]
            self.tables.leave(self.link, heard=heard)
            self.link = None

    def answers(self) -> bool:
        """Whether somebody out there can be reached."""
        return self.link is not None and self.silent_since_s is None and min(self.tables.rates(self.link)) > 0

    def watch(self, patterns: tuple[str, ...]) -> None:
        """From now on these are the links that the agent is to count."""
        self.flow()
        self.watched = patterns
        if not self.counted:
            self.unseen()

    def unseen(self) -> int:
        """What has passed since the last reading can no longer be read: no truth that the agent could know."""
        self.flow()
        unseen, self.truth_bytes = self.truth_bytes - self.truth_sampled, self.truth_sampled
        return unseen

    def netlink(self) -> Netlink:
        """For one run of the agent."""
        return Netlink(self.tables, self.flow, self.boot_id)

    def power_on(self, *, away_s: float) -> None:
        """The board after a boot: no battery, so its clock is what it last saved, or nonsense."""
        self.boot += 1
        self.powered = True
        self.booted_s = self.loop.time() - 8.0
        self.tables, self.link, self.foreign, self.modem_bytes = Tables(), None, [], (0, 0)
        nonsense = datetime(self.dice.choice((1970, 2004, 2015)), 1, 1, tzinfo=timezone.utc) - self.now
        self.wall_error = self.dice.choice((timedelta(seconds=-away_s), nonsense))
        self.disciplined = False
        self.boot_up()


class Kernel(System):
    """agent.clock.System over the world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def wall(self) -> datetime:
        return self._world.wall()

    def boot_s(self) -> float:
        return self._world.boot_s()

    def boot_id(self) -> str:
        return self._world.boot_id

    def disciplined(self) -> bool:
        return self._world.disciplined


class Disk:
    """agent.store.Database on a file, without its thread: every step is repeated by the seed. It fails when told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.full = False
        self.doom: tuple[int, str] | None = None  # so many transactions more; before, inside or after
        self.dead = False
        self._database: Database | None = None

    def power_on(self) -> None:
        self._database, self.dead, self.doom = Database.open(self.path), False, None

    def die(self) -> None:
        """What was not committed is gone."""
        self.dead = True
        if self._database is not None:
            self._database.close()
            self._database = None

    async def run(self, fn: Callable[[Database], T]) -> T:
        await asyncio.sleep(0)
        phase = self._phase()
        if self.dead or self._database is None or phase == "before":
            self._cut()
        if self.full:
            raise StoreError(f"{self.path}: database or disk is full")
        with self._database.transaction():
            made = fn(self._database)
            if phase == "inside":
                self._cut()  # rolled back
        if phase == "after":
            self._cut()  # on the disk, and nobody was told
        await asyncio.sleep(0)
        if self.dead:
            raise Cut
        return made

    def empty(self, what: str) -> None:
        """What a power cut may leave: a `file` of no length, or a `ledger` without its row. Not while it is open."""
        if what == "ledger":
            with Database.open(self.path) as database, database.transaction():
                database.connection.execute("DELETE FROM ledger")
            return
        for suffix in ("-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        self.path.write_bytes(b"")

    def look(self, fn: Callable[[Database], T]) -> T:
        """For the oracle: what the disk holds."""
        with Database.open_readonly(self.path) if self._database is None else self._database.transaction() as database:
            return fn(database)

    def _phase(self) -> str:
        if self.doom is None:
            return ""
        left, phase = self.doom
        self.doom = (left - 1, phase)
        return phase if left == 0 else ""

    def _cut(self) -> NoReturn:
        self.dead = True
        raise Cut


@dataclass
class Broker:
    """What the operator sends, and whether the line to him stands."""

    up: bool = True
    waiting: list[Inbound] = field(default_factory=list)
    heard: Callable[[str, bytes], None] = lambda topic, payload: None
