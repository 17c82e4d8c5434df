"""Keeps the devices of the house informed that the line is metered: the beacon's element, and the DHCP options.

A reconciliation like the shaping: what is wanted is compared with what is there, every second for a decision or another
hostapd, and at every tick for all. It hinders nothing: what cannot be announced is shown by `status` and the doctor. A
program that hangs is no reason to end the daemon, hence no beat.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from agent.backoff import Backoff
from agent.config import Household
from agent.errors import AgentError
from agent.events import Emit, SignalsAnnounced
from agent.household import dnsmasq, dnsmasq_conf, hostapd, metered
from agent.household.hostapd import AccessPoint
from agent.household.metered import NO, NONE, OFF, YES, Announced, Signal

log = logging.getLogger(__name__)

LOOK_S = 1.0  # a look is one stat of each socket; a decision, or a new hostapd, is followed within 2 s
TICK_S = 30.0  # a hostapd that reads its configuration anew keeps its socket
FIRST_RETRY_S, LONGEST_RETRY_S = 60.0, 3_600.0  # of a dnsmasq that cannot be changed


class Announcing:
    """What is announced, and what became of it."""

    def __init__(self, settings: Household, emit: Emit, boot_s: Callable[[], float], root: Path = Path("/")) -> None:
        self._settings, self._emit, self._boot_s, self._root = settings, emit, boot_s, root
        self._plan_state = "normal"
        self._options = metered.dhcp_options(settings.metered, settings.captive_portal_url)
        self._written: dict[AccessPoint, tuple[bytes, str]] = {}  # the element, and what was wrong
        self._next_tick_s = self._next_change_s = 0.0
        self._problem = ""  # of the last change of dnsmasq
        self._backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        self.announced = Announced()

    def want(self, plan_state: str) -> None:
        """The plan's state that is to be announced, from the next look on."""
        self._plan_state = plan_state

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Look once, and put right what is not as wanted."""
        now_s = self._boot_s()
        ticked = now_s >= self._next_tick_s
        if ticked:
            self._next_tick_s = now_s + TICK_S
            if self._settings.metered != "off":
                self._written.clear()
        wifi = await self._wifi()
        cable = await asyncio.to_thread(self._cable, now_s) if ticked else self.announced.cable
        self._show(Announced(wifi, cable))

    def _show(self, announced: Announced) -> None:
        for name in ("wifi", "cable"):
            before, now = getattr(self.announced, name), getattr(announced, name)
            if now != before:
                level = logging.WARNING if now.state == NO else logging.INFO
                reason = f" ({now.reason})" if now.reason else ""
                log.log(level, "announced to the devices by %s: %s%s", name, now.state, reason)
        if announced != self.announced:
            self.announced = announced
            self._emit(SignalsAnnounced(announced))

    async def _wifi(self) -> Signal:
        wanted = metered.element(self._plan_state) if self._settings.metered != "off" else b""
        try:
            points = hostapd.access_points(self._root)
        except AgentError as error:
            return Signal(NO if wanted else OFF, str(error))
        self._written = {point: written for point, written in self._written.items() if point in points}
        for point in points:
            if self._written.get(point, (None, ""))[0] != wanted:
                self._written[point] = wanted, await asyncio.to_thread(self._announce, point, wanted)
        problems = "; ".join(problem for _, problem in self._written.values() if problem)
        if not wanted:
            return Signal(OFF, problems)
        if not points:
            return Signal(NONE, "no access point of hostapd here")
        return Signal(NO, problems) if problems else Signal(YES)

    def _announce(self, point: AccessPoint, element: bytes) -> str:
        try:
            hostapd.announce(point, element, self._root)
        except AgentError as error:
            return str(error)
        return ""

    def _cable(self, now_s: float) -> Signal:
        """Off the loop: programs are run where something is to be changed."""
        try:
            found = dnsmasq_conf.look(self._root)
            if dnsmasq_conf.settled(found, self._options):
                self._problem, self._next_change_s = "", 0.0
                self._backoff.reset()
            elif now_s >= self._next_change_s:
                self._problem = self._change()
                self._next_change_s = now_s + self._backoff.next_s()
                found = dnsmasq_conf.look(self._root)
        except AgentError as error:
            return Signal(NO, str(error))
        return dnsmasq_conf.signal(found, self._options, self._problem)

    def _change(self) -> str:
        try:
            return dnsmasq.settle(self._options, self._root)
        except AgentError as error:
            return str(error)
