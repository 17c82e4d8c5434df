"""A whole agent for tests of the operator's side: real store, real ledger, a clock moved by hand, no modem."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from agent.commands import COMMANDS, Snapshot
from agent.commands.authority import Authority, BrokerAuthority
from agent.commands.runner import Runner
from agent.config import Config
from agent.operator import Outbox, Reporter, Session, Timing, Topics, Twins
from agent.plan import Ledger, Moment, Trust, decide, period_at, usage
from agent.store import Store

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


class StandIn:
    """agent.commands.Agent over a real store; `with` closes it."""

    clock_type: type[HandClock] = HandClock

    def __init__(
        self,
        folder: Path,
        config: Config,
        *,
        authority: Authority | None = None,
        instance: str = "1",
        device: str = DEVICE,
        boot: str = BOOT,
    ) -> None:
        self.config, self.clock, self.device = config, self.clock_type(), device
        self.clock.boot_id = boot
        self.store = Store(folder / "agent.db")
        self.modem: Any = None
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[str] = []
        self.topics = Topics(config.operator.root, device)
        now = self.clock.now
        self.ledger = Ledger.new(config.plan, now())
        self.outbox = Outbox(self.store, config.operator, self.topics, boot=self.clock.boot_id, now=now)
        self.twins = Twins(self.store, self.outbox.wake.set)
        self.runner = Runner(
            self,
            self.outbox,
            authority or BrokerAuthority(),
            device=device,
            instance=instance,
            nonce=lambda: self.nonce,
        )
        self.session = Session(
            config.operator,
            self.topics,
            self.outbox,
            self.twins,
            self.runner.deliver,
            version="0",
            now=now,
            timing=FAST,
        )
        self.reporter = Reporter(
            self.outbox,
            self.twins,
            self.session,
            self.topics,
            look=lambda: self.snapshot().to_dict(),
            config=lambda: self.config,
            commands=sorted(COMMANDS),
            now=now,
        )

    @property
    def nonce(self) -> str:
        return self.session.nonce

    def snapshot(self) -> Snapshot:
        now = self.clock.now()
        return Snapshot(
            moment=now,
            device=self.device,
            version="0",
            started_boot_s=1000.0,
            usage=usage(self.ledger, self.config.plan),
            period=period_at(now.wall, self.config.plan.billing_day, self.config.plan.timezone),
            decision=decide(self.ledger, self.config.plan, now),
            session=self.session.state,
        )

    async def refresh(self) -> None:
        self.asked.append("refresh")

    async def change_ledger(
        self, change: Callable[[Any, Moment], Any], also: Callable[[Any], None] | None = None
    ) -> Any:
        made = change(self.ledger, self.clock.now())

        def save(db: Any) -> None:
            db.keep(made)
            if also is not None:
                also(db)

        await self.store.run(save)
        self.ledger = made
        return made

    def event(self, name: str, details: dict[str, Any]) -> None:
        self.events.append((name, details))
        self.reporter.event(name, details)

    async def rebirth(self) -> None:
        self.reporter.rebirth()

    async def restart(self) -> None:
        self.asked.append("restart")

    async def reboot(self, reason: str) -> None:
        self.asked.append(f"reboot {reason}")

    async def reset_modem(self, level: str) -> dict[str, Any]:
        self.asked.append(f"reset {level}")
        return {"done": level}

    async def send_sms(self, number: str, text: str) -> dict[str, Any]:
        self.asked.append(f"sms {number}")
        return {"reference": 1}

    async def adopt(self, config: Config) -> None:
        self.config = config

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
