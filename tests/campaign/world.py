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
from typing import NoReturn, TypeVar

from agent.clock import System
from agent.errors import StoreError
from agent.mqtt.transport import Inbound
from agent.plan import Epoch, Sample, Survey
from agent.store import Database

T = TypeVar("T")
ETHERNET = 14


class Cut(BaseException):
    """The power is gone, or the process is killed: nothing of it runs on."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop whose time jumps to the next timer: a pause of an hour takes no time, and is an hour."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


class _Jumping(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits for everything: nothing would ever happen again")
        self.now_s += max(0.0, timeout)
        return super().select(0)


@dataclass
class Link:
    """One WAN interface of the simulated kernel."""

    ifindex: int
    ifname: str
    header_bytes: int
    received_bytes: int = 0
    sent_bytes: int = 0
    received_packets: int = 0
    sent_packets: int = 0

    def carry(self, received_bytes: int, sent_bytes: int) -> None:
        """IP bytes; the kernel counts the link header of each packet too."""
        received_packets, sent_packets = -(-received_bytes // 1400), -(-sent_bytes // 1400)
        self.received_packets += received_packets
        self.sent_packets += sent_packets
        self.received_bytes += received_bytes + self.header_bytes * received_packets
        self.sent_bytes += sent_bytes + self.header_bytes * sent_packets


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
    truth_bytes: int = 0
    truth_sampled: int = 0  # of them those that a sample has shown
    modem_bytes: tuple[int, int] = (0, 0)  # what the module itself counts since it was powered
    link: Link | None = None
    powered: bool = True
    down_bps: float = 100_000.0
    shaped_bps: tuple[int | None, int | None] = (None, None)
    indices: int = 1
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

    def flow(self) -> None:
        """Traffic up to now."""
        seconds = self.loop.time() - self._carried_s
        self._carried_s = self.loop.time()
        if self.link is None or seconds <= 0:
            return
        down = min(self.down_bps, self.shaped_bps[0] or self.down_bps)
        up = min(self.down_bps / 8, self.shaped_bps[1] or self.down_bps)
        received, sent = int(down / 8 * seconds), int(up / 8 * seconds)
        self.link.carry(received, sent)
        self.truth_bytes += received + sent
        self.modem_bytes = (self.modem_bytes[0] + received, self.modem_bytes[1] + sent)

    def make_link(self) -> None:
        if not self.powered:
            return
        self.flow()
        self.indices += 1
        self.link = Link(self.indices, "wwan0", self.dice.choice((0, ETHERNET)))
        self.shaped_bps = (None, None)

    def sample(self, *, final: bool = False) -> Sample | None:
        self.flow()
        self.truth_sampled = self.truth_bytes
        link = self.link
        if link is None:
            return None
        return Sample(
            Epoch(self.boot_id, link.ifindex, link.ifname), self.boot_s(), link.received_bytes, link.sent_bytes,
            link.received_packets, link.sent_packets, link.header_bytes, final,
        )  # fmt: skip

    def survey(self) -> Survey:
        """The link, if there is one, read as the daemon does."""
        sample = self.sample()
        return Survey(self.boot_id, self.boot_s(), self.indices, (sample,) if sample else ())

    def power_on(self, *, away_s: float) -> None:
        """The board after a boot: no battery, so its clock is what it last saved, or nonsense."""
        self.boot += 1
        self.powered = True
        self.booted_s = self.loop.time() - 8.0
        self.indices, self.link, self.modem_bytes = 1, None, (0, 0)
        nonsense = datetime(self.dice.choice((1970, 2004, 2015)), 1, 1, tzinfo=timezone.utc) - self.now
        self.wall_error = self.dice.choice((timedelta(seconds=-away_s), nonsense))
        self.disciplined = False
        self.make_link()


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
