"""A whole agent for tests of the operator's side: real store, real ledger, a clock moved by hand, no modem."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from agent.commands.authority import Authority
from agent.config import CommandSettings, Config
from agent.mqtt import Timing
from agent.plan import Moment, Trust
from agent.store import Store
from simulator.fleet.virtual import VirtualAgent

DEVICE = "imei::990000862471854"
BOOT = "9f1c2e34-0000-4000-8000-000000000001"
FAST = Timing(tick_s=0.02, backoff_base_s=0.05, backoff_cap_s=0.2, store_retry_s=0.05)


class HandClock:
    """Boot time follows the loop unless moved; wall time and trust are what the test says."""

    def __init__(self) -> None:
        self.wall = datetime.now(timezone.utc)  # certificates of the tests are judged by it
        self.boot_s = 1000.0
        self.boot_id = BOOT
        self.trust = Trust.SYNC

    def now(self) -> Moment:
        return Moment(self.wall, self.boot_s, self.boot_id, self.trust)


class StandIn(VirtualAgent):
    """A virtual agent over a real store, with the events of the log kept; `with` closes it."""

    clock_type: type[HandClock] = HandClock
    clock: HandClock
    store: Store

    def __init__(
        self,
        folder: Path,
        config: Config,
        *,
        authority: Authority | None = None,
        instance: str = "1",
        device: str = DEVICE,
        boot: str = BOOT,
        version: str = "0",
    ) -> None:
        clock = self.clock_type()
        clock.boot_id = boot
        self.events: list[tuple[str, dict[str, Any]]] = []
        super().__init__(
            config, clock, Store(folder / "agent.db"), device, timing=FAST, authority=authority, instance=instance,
            version=version,
        )  # fmt: skip

    def event(self, name: str, details: dict[str, Any]) -> None:
        self.events.append((name, details))
        super().event(name, details)

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    async def __aenter__(self) -> StandIn:
        """The session, the reporter and what was left open, under way."""
        await self.outbox.open()
        await self.runner.resume()
        self._tasks = [asyncio.create_task(self.session.run()), asyncio.create_task(self.reporter.run())]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.stop()
        await asyncio.wait_for(self._tasks[0], 15)
        self._tasks[1].cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.runner.stop()
        await self.outbox.flush(last=True)
        self.store.close()


def config_for(url: str, **operator: Any) -> Config:
    base = Config()
    return replace(base, operator=replace(base.operator, url=url, **operator))


def unlimited(per_minute: int) -> CommandSettings:
    """More top-ups than any story grants."""
    return CommandSettings(rate_per_minute=per_minute, topups_month=100_000, topup_bytes_month=10**15)
