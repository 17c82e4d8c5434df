"""Keeps the household's page: looks at usage, plan and line after each reading of the counters, and once a minute.

What cannot be written (a full memory) is said once in the log, and tried again; the line does not wait for a page.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from agent.config import Household
from agent.daemon.live_agent import LiveAgent
from agent.daemon.wait import Wake
from agent.household.page_view import View, view
from agent.household.publication import Publication

log = logging.getLogger(__name__)

CONFIRM_S = 60.0  # the page calls itself old after 150 s (firmware-config/openwrt/modem-agent/files/modem-agent.page)


class Page:
    """The page of one household. `online` says whether the line works."""

    def __init__(self, agent: LiveAgent, online: Callable[[], bool]) -> None:
        self._agent, self._online = agent, online
        self._publication = Publication(Path(agent.config.device.run_dir))
        self._confirmed_s = -CONFIRM_S
        self._complaint = ""
        self.wake = Wake()
        self.on_beat: Callable[[float], None] = lambda within_s: None

    async def run(self) -> None:
        """Publish for ever, or take away what an earlier agent has published."""
        if not self._settings.page:
            self._publication.remove()
        while True:
            if self._settings.page:
                self.publish()
            self.on_beat(CONFIRM_S + 60)
            await self.wake.wait(CONFIRM_S)

    def publish(self) -> None:
        """Write what has changed, and once a minute that nothing has."""
        boot_s = self._agent.clock.now().boot_s
        try:
            new = self._publication.publish(self._view(), None, count=False)
            if new or boot_s - self._confirmed_s >= CONFIRM_S - 1:
                self._publication.confirm(boot_s, self._settings.sms_language)
                self._confirmed_s = boot_s
            self._complaint = ""
        except OSError as error:
            if self._complaint != str(error):
                log.warning("the household's page: %s: %s", self._publication.folder, error.strerror or error)
            self._complaint = str(error)

    @property
    def _settings(self) -> Household:
        return self._agent.config.household

    def _view(self) -> View:
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
