"""A virtual agent: outbox, twins, session, reporter and command runner wired as the daemon wires them, and a ledger.

It stands in the daemon's place (agent.commands.Agent) where there is no kernel and no module: a device of a fleet, and
the tests of the operator's side. What it is asked to do to a machine it does not have goes into `asked`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

from agent import redact
from agent.commands import pushed_config
from agent.commands.agent import Clock, Store
from agent.commands.authority import Authority, BrokerAuthority
from agent.commands.config_trial import ConfigTrials
from agent.commands.runner import Runner
from agent.commands.table import COMMANDS
from agent.config import Config
from agent.events import LedgerChanged, NonceUsedUp, Occurrence, RetainedLost, SessionChanged
from agent.keeper import Event, Keeper
from agent.mqtt import Outbox, Reporter, Session, Timing, Topics, Twins
from agent.mqtt.credentials import FOLDER, Credentials
from agent.plan import Ledger, charge_management, decide, newest, period_at, settle, usage
from agent.status import Snapshot


class BootClock(Clock, Protocol):
    @property
    def boot_id(self) -> str: ...


class VirtualAgent:
    """`session` goes to the Session: its dice, how it connects."""

    modem: Any = None

    def __init__(
        self,
        config: Config,
        clock: BootClock,
        store: Store,
        device: str,
        *,
        timing: Timing,
        version: str = "0",
        authority: Authority | None = None,
        instance: str = "1",
        **session: Any,
    ) -> None:
        self.config, self.store, self.device, self.version = config, store, device, version
        self._file_config = config
        self.clock, now = clock, clock.now
        self.asked: list[str] = []
        self.trials = ConfigTrials(self)
        self._deciding: asyncio.Task[None] | None = None
        self._saving: asyncio.Future[None] | None = None
        self.started_boot_s = now().boot_s
        self.topics = topics = Topics(config.operator.root, device)
        fresh = Ledger.new(config.plan, now())
        self.keeper = Keeper(
            store, clock, config.plan, fresh, Counter(), outbox_comes=True, emit=self.dispatch,
        )  # fmt: skip
        self.outbox = Outbox(self.keeper, store, config.operator, topics, boot=clock.boot_id, now=now)
        self.twins = Twins(store, self.outbox.wake.set)
        self.runner = Runner(
            self, self.outbox, authority or BrokerAuthority(),
            device=device, instance=instance, nonce=lambda: self.nonce, emit=self.dispatch,
        )  # fmt: skip
        self.session = Session(
            config.operator, topics, self.outbox, self.twins, self.runner.deliver,
            version=version, now=now, timing=timing, emit=self.dispatch,
            credentials=Credentials(config.operator, Path(config.device.state_dir) / FOLDER), **session,
        )  # fmt: skip
        self.reporter = Reporter(
            self.outbox, self.twins, self.session, topics,
            look=lambda: redact.located(self.snapshot().to_dict(), self.config.operator.location),
            config=lambda: self.config, commands=sorted(COMMANDS), now=now,
        )  # fmt: skip

    def dispatch(self, event: Occurrence) -> None:
        """As agent.daemon.app does it, of what session and runner emit."""
        match event:
            case RetainedLost():
                self.reporter.raise_again()
            case SessionChanged() | LedgerChanged():
                self.reporter.changed()
            case NonceUsedUp():
                self.session.renew_nonce()

    @property
    def ledger(self) -> Ledger:
        return self.keeper.ledger

    @ledger.setter
    def ledger(self, counted: Ledger) -> None:
        self.keeper.count(counted)
        self.reporter.changed()

    @property
    def nonce(self) -> str:
        return self.session.nonce

    # -- agent.commands.Agent ----------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        now = self.clock.now()
        return Snapshot(
            moment=now,
            device=self.device,
            version=self.version,
            started_boot_s=self.started_boot_s,
            usage=usage(self.ledger, self.config.plan),
            period=period_at(now.wall, self.config.plan.billing_day, self.config.plan.timezone),
            decision=decide(self.ledger, self.config.plan, now),
            operator_count=newest(self.ledger.operator_counts),
            session=self.session.state,
        )

    async def refresh(self) -> None:
        self.asked.append("refresh")
        self.ledger = settle(self.ledger, self.clock.now(), self.config.plan)

    def charge(self, received_bytes: int, sent_bytes: int) -> None:
        self.ledger = charge_management(self.ledger, received_bytes, sent_bytes)

    def event(self, name: str, details: dict[str, Any]) -> None:
        self.keeper.event(Event(name, details))
        self._saving = asyncio.ensure_future(self.keeper.commit())

    async def rebirth(self) -> None:
        self.reporter.rebirth()

    async def restart(self) -> None:
        """What a new process would start on: the file, and what is pushed by now."""
        self.asked.append("restart")
        pushed = await self.store.run(pushed_config.overlay)
        self.config = pushed_config.merged(self._file_config, pushed)

    async def reboot(self, reason: str) -> None:
        self.asked.append(f"reboot {reason}")

    async def reset_modem(self, level: str) -> dict[str, Any]:
        self.asked.append(f"reset {level}")
        return {"done": level}

    async def send_sms(self, number: str, text: str) -> dict[str, Any]:
        self.asked.append(f"sms {number}")
        return {"parts": 1, "references": [1]}

    def trial_begun(self) -> None:
        if self._deciding is None or self._deciding.done():
            self._deciding = asyncio.ensure_future(self.trials.run())
        self.trials.begun()
