"""The beat of the counting: read the link counters, enter them, save when it is due, wait as long as is safe."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from agent.daemon.accounting import Accounting
from agent.events import Emit, Progressed, unheard
from agent.traffic import Kernel, LinkEvent, matches

log = logging.getLogger(__name__)

PROMISE_S = 60.0  # after the pause: what a busy kernel and a slow processor may take for one sample
LONGEST_SAVE_S = 300.0  # far beyond what a card that is busy with itself takes


class Counting:
    """Feeds the accounting from the kernel: on a beat, and with the last counters of a link that goes."""

    def __init__(self, kernel: Kernel, patterns: Sequence[str], accounting: Accounting, emit: Emit = unheard) -> None:
        self._kernel, self._patterns, self._accounting, self._emit = kernel, tuple(patterns), accounting, emit
        self._saving: asyncio.Task[None] | None = None
        self._saving_since_s = 0.0

    async def run(self) -> None:
        """Sample for ever. A KernelError ends it; the supervisor starts it again."""
        while True:
            await self.sample()
            self._save_if_due()
            pause_s = self._accounting.interval_s()
            if not self._save_hangs():
                self._emit(Progressed("counting", pause_s + PROMISE_S))
            await self._accounting.wake.wait(pause_s)

    def _save_if_due(self) -> None:
        """Save beside the counting: a card that is busy with itself for seconds must not keep a counter unread."""
        if self._saving is not None and self._saving.done():
            saved, self._saving = self._saving, None
            saved.result()
        if self._saving is None and self._accounting.keeper.commit_due():
            self._saving_since_s = asyncio.get_running_loop().time()
            self._saving = asyncio.create_task(self._accounting.keeper.commit())
            self._saving.add_done_callback(lambda _: self._accounting.wake.set())

    def _save_hangs(self) -> bool:
        """What is counted and never saved is as good as not counted."""
        busy = self._saving is not None and not self._saving.done()
        return busy and asyncio.get_running_loop().time() - self._saving_since_s > LONGEST_SAVE_S

    async def sample(self) -> None:
        """Read the counters now."""
        self._accounting.take_all(await self._kernel.survey(self._patterns))

    def link_event(self, event: LinkEvent) -> None:
        """A WAN link came, changed or went: its counters are worth more now than at the next beat. So are those of one
        that was counted until it got another name."""
        link = event.link
        if matches(self._patterns, link.ifname) or self._accounting.counts(link.ifindex):
            if event.kind != "changed":
                log.info("link %s (%d) %s", link.ifname, link.ifindex, event.kind)
            if event.sample is not None:
                self._accounting.take([event.sample])
            self._accounting.wake.set()
        elif event.kind == "new":
            self._accounting.notice(link.ifindex)
