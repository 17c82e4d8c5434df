"""What is reported when: measurements on their rhythm, twins on change, events and alarms at once.

One task of the daemon (`run`). When something happened, or a measurement is due, it looks at the agent through `look`,
which gives the status schema, and puts what is due into the outbox; it never waits for the broker.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from agent import config as configuration
from agent.config import Config
from agent.errors import StoreError
from agent.keeper import Report
from agent.mqtt import reports
from agent.mqtt.outbox import Outbox
from agent.mqtt.schedule import Rhythm
from agent.mqtt.session import Session
from agent.mqtt.topics import Topics
from agent.mqtt.twins import Twins
from agent.plan.model import Moment
from agent.wake import Wake

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 900.0  # the beat becomes shorter when the budget's day is over, and nobody says so
STORE_RETRY_S = 5.0
NEWS_KEPT = 1_000  # alarms in memory while the store cannot be written


class Reporter:
    """See the module docstring."""

    def __init__(
        self,
        outbox: Outbox,
        twins: Twins,
        session: Session,
        topics: Topics,
        *,
        look: Callable[[], Mapping[str, object]],
        config: Callable[[], Config],
        commands: Sequence[str],
        now: Callable[[], Moment],
    ) -> None:
        self._outbox, self._twins, self._session, self._topics = outbox, twins, session, topics
        self._look, self._config, self._commands, self._now = look, config, commands, now
        self._rhythm = Rhythm()
        self._shown: tuple[Config, dict[str, dict[str, object]]] | None = None  # a configuration, and how it is shown
        self._news: deque[tuple[Report, ...]] = deque(maxlen=NEWS_KEPT)
        self._wake = Wake()
        self._reporting = asyncio.Lock()
        self.alarms: dict[str, Mapping[str, object]] = {}  # those that are raised, by name

    # -- called by the daemon ----------------------------------------------------------------------------------------

    def changed(self) -> None:
        """Something happened that a report may be due for; harmless when it is not."""
        self._wake.set()

    def alarm(self, name: str, details: Mapping[str, object] | None) -> None:
        """Raise `a/{name}`, or clear it with None. Raising a raised one, or clearing a clear one, does nothing."""
        if (details is not None) == (name in self.alarms):
            return
        if details is not None:
            self.alarms[name] = dict(details)
            self._raise(name)
        else:
            del self.alarms[name]
            # The empty retained message after it takes the alarm off the broker.
            topic = self._topics.alarm(name)
            self._news.append((Report(topic, {"state": "cleared"}, retain=True), Report(topic, None)))
        self._wake.set()

    def _raise(self, name: str) -> None:
        body = {"state": "raised", **self.alarms[name]}
        self._news.append((Report(self._topics.alarm(name), body, retain=True),))

    def raise_again(self) -> None:
        """What the broker shall have retained; the twins see to themselves."""
        for name in self.alarms:
            self._raise(name)
        self._wake.set()

    def rebirth(self) -> None:
        """Everything anew: presence, twins, alarms and measurements."""
        self.raise_again()
        self._rhythm.again()
        self._session.rebirth()
        self._wake.set()

    # -- the task ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            try:
                await self._outbox.open()
                break
            except StoreError as error:
                log.warning("outbox: %s", error)
                await asyncio.sleep(STORE_RETRY_S)
        while True:
            try:
                await self.report()
            except StoreError as error:
                log.warning("reports: %s", error)
                await asyncio.sleep(STORE_RETRY_S)
                continue
            await self._wake.wait(self.pause_s())

    def pause_s(self) -> float:
        """Until something is due that no event announces."""
        now_s = self._now().boot_s
        due_s = self._rhythm.due_s(self._session.budget.beat_s(now_s))
        return max(0.0, min(due_s - now_s, self._outbox.flush_in_s(), LONGEST_PAUSE_S))

    async def report(self) -> None:
        """Everything that is due now. Raises StoreError; what is due stays due."""
        async with self._reporting:
            await self._tell_news()
            await self._tell_what_is_due()
            if self._outbox.flush_due():
                await self._outbox.flush()

    async def _tell_what_is_due(self) -> None:
        status, now_s = self._look(), self._now().boot_s
        beat_s = self._session.budget.beat_s(now_s)
        await self._offer_twins(status)
        traffic = reports.traffic(status, agent_bytes=self._session.budget.today_bytes)
        if self._rhythm.traffic_due(traffic, now_s, beat_s):
            await self._outbox.measure(self._topics.measurement("traffic"), traffic)
            self._session.budget.beat_done()
        state = reports.state(status)
        if self._rhythm.state_due(state, now_s, beat_s):
            await self._outbox.measure(self._topics.measurement("state"), state)

    async def _tell_news(self) -> None:
        while self._news:
            await self._outbox.add(*self._news[0])
            self._news.popleft()

    async def _offer_twins(self, status: Mapping[str, object]) -> None:
        config = self._shown_config()
        topics = self._topics
        await self._twins.offer(topics.twin("info"), reports.info(status, commands=self._commands))
        await self._twins.offer(topics.twin("sim"), reports.sim(status))
        await self._twins.offer(topics.twin("plan"), reports.plan(status, plan=config["plan"]))
        await self._twins.offer(topics.twin("config"), {"config": config})

    def _shown_config(self) -> dict[str, dict[str, object]]:
        """Made anew when there is another one, not at every look."""
        config = self._config()
        if self._shown is None or self._shown[0] is not config:
            self._shown = config, configuration.to_dict(config)
        return self._shown[1]
