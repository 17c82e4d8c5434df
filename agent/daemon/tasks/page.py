"""Keeps the household's page: looks at usage, plan and line after each reading of the counters, and once a minute; once
a minute too at what each device has used.

What cannot be written (a full memory) or counted (a kernel without nf_tables) is said once in the log, and tried again;
the line does not wait for a page.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from agent.config import Household
from agent.daemon.live_agent import LiveAgent
from agent.errors import AgentError
from agent.events import Emit, Progressed
from agent.household.device_use import DeviceUse
from agent.household.page_view import View, view
from agent.household.publication import Publication, Shares
from agent.wake import Wake

log = logging.getLogger(__name__)

LEAST_S = 1.0  # near a limit the counters are read five times a second, and nobody reads so fast
CONFIRM_S = 60.0  # the page calls itself old after 150 s (modem-agent.page of the OpenWrt feed)
AGAIN_S = 600.0  # after the kernel has refused to count by device
# So much is nobody's that is known after a power cut, and flash is written 200 times a month.
SAVE_BYTES = 200_000_000
USE_KEY = "household.use"  # in the store's table meta


class Page:
    """The page of one household. `online` says whether the line works."""

    def __init__(self, agent: LiveAgent, emit: Emit, online: Callable[[], bool]) -> None:
        self._agent, self._emit, self._online = agent, emit, online
        self._publication = Publication(Path(agent.config.device.run_dir))
        self._confirmed_s = -CONFIRM_S
        self._use: DeviceUse | None = None  # read from the store by the first count
        self._count_s, self._counts, self._unsaved_bytes = 0.0, False, 0
        self._shares: list[tuple[str, Shares]] = []
        self._complaints: set[str] = set()
        self.wake = Wake()

    async def run(self) -> None:
        """Publish for ever, or take away what an earlier agent has published."""
        if not self._settings.page:
            self._publication.remove()
        while True:
            if self._settings.page:
                await self._count()
                self.publish()
            self._emit(Progressed("page", CONFIRM_S + 60))
            await asyncio.sleep(LEAST_S)
            await self.wake.wait(CONFIRM_S - LEAST_S)

    def publish(self) -> None:
        """Write what has changed, and once a minute that nothing has."""
        boot_s = self._agent.clock.now().boot_s
        use = self._use if self._counts else None
        listed = use.listed() if use and self._settings.devices == "list" else None
        try:
            new = self._publication.publish(self.view(), listed, count=use is not None)
            self._publication.share(self._shares if use else ())
            if new or boot_s - self._confirmed_s >= CONFIRM_S - 1:
                self._publication.confirm(boot_s, self._settings.sms_language)
                self._confirmed_s = boot_s
        except OSError as error:
            self._complain(f"the household's page: {self._publication.folder}: {error.strerror or error}")

    async def _count(self) -> None:
        """Once a minute, what each device has used since."""
        agent, now_s = self._agent, self._agent.clock.now().boot_s
        if self._settings.devices == "off" or now_s < self._count_s:
            return
        try:
            if self._use is None:
                self._use = DeviceUse.restored(await agent.store.run(lambda db: db.meta.get(USE_KEY)))
            more = await agent.devices()
        except AgentError as error:
            self._complain(f"use by device is not shown: {error}")
            self._counts, self._count_s = False, now_s + AGAIN_S
            return
        self._counts, self._count_s = True, now_s + CONFIRM_S - 1
        accounting = agent.accounting
        self._unsaved_bytes += self._use.take(more, accounting.period.label, accounting.plan.charge)
        self._shares = self._use.shares(accounting.usage().charged_bytes)
        if self._unsaved_bytes >= SAVE_BYTES:
            await self._save(self._use.saved())

    async def _save(self, text: str) -> None:
        self._unsaved_bytes = 0
        try:
            await self._agent.store.run(lambda db: db.meta.set(USE_KEY, text))
        except AgentError as error:
            self._complain(f"use by device is not kept: {error}")

    def _complain(self, complaint: str) -> None:
        if complaint not in self._complaints:
            log.warning("%s", complaint)
        self._complaints.add(complaint)

    @property
    def _settings(self) -> Household:
        return self._agent.config.household

    def view(self) -> View:
        """What the household is shown now."""
        accounting, moment, settings = self._agent.accounting, self._agent.clock.now(), self._settings
        return view(
            accounting.usage(),
            accounting.period,
            accounting.decision.state,
            online=self._online(),
            now=moment.wall if moment.trusted else None,
            zone=accounting.plan.timezone,
            phone=settings.help_phone,
            help_text=settings.help_text,
        )
