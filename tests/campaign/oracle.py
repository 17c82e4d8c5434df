"""Knows the truth and compares: bytes, the month, the state of the line, commands, messages, readings."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from agent.commands.results import FINAL
from agent.plan import Ledger, period_at
from tests.bench.operator_ledger import Received
from tests.campaign.life import Life
from tests.campaign.world import World

CUT_COSTS_BYTES = 40_000_000
TRUSTED_S = 1_200.0  # the clock was right and trusted for so long: from then on there is no excuse
TRIAL_S = 3_000.0  # a configuration that keeps the broker away may be in force so long, restarts included
REMEMBERED = 60  # of the top-ups carried out last: their ids the ledger surely still knows


class Oracle:
    """`violations` grows with (step, sentence)."""

    def __init__(self, world: World, received: Received) -> None:
        self.world, self.received = world, received
        self.step = 0
        self.violations: list[str] = []
        self.lost_bytes = self.phantom_bytes = self.worst_cut_bytes = 0
        self.excused = 0  # cuts while the disk refused: what they cost is not promised
        self.checks: Counter[str] = Counter()
        self.ran: Counter[str] = Counter()
        self.issued: dict[str, str] = {}  # id -> type
        self.finals: dict[str, set[str]] = {}
        self.promised: set[int] = set()
        self._trusted_since: float | None = None
        self._period_truth = 0
        self._period_start: Any = None
        self._period_clean = False
        self._nowhere_s = 0.0
        self._life: Life | None = None
        self._granted: dict[str, None] = {}  # in the order in which they were carried out

    def blame(self, sentence: str) -> None:
        self.violations.append(f"step {self.step}: {sentence}")

    # -- bytes

    @staticmethod
    def total(life: Life) -> int:
        ledger = life.accounting.ledger
        return ledger.total_received_bytes + ledger.total_sent_bytes

    def lose(self, count: int) -> None:
        """Bytes that no agent can have seen: a link that was deleted without a last word."""
        self.lost_bytes += count
        self._period_truth -= count

    def changed(self, ledger: Ledger) -> None:
        """The ledger as a change left it on the disk: the top-ups that it holds were granted."""
        self._granted.update(dict.fromkeys(ledger.topup_ids))

    def restarted(self, life: Life, *, boot: bool, excused: bool) -> None:
        """After a restart: what the run before took with it."""
        self.changed(life.accounting.ledger)  # also what was on the disk when nobody could be told any more
        lost = self.world.truth_bytes - self.total(life) - self.lost_bytes
        self._life = life
        if lost < 0:
            self.phantom_bytes -= lost
            self.blame(f"{-lost} phantom bytes after a restart")
        elif boot and not excused and lost > CUT_COSTS_BYTES:
            self.blame(f"a power cut cost {lost} bytes")
        elif not boot and not excused and lost:
            self.blame(f"a kill without a reboot lost {lost} bytes")
        if excused:
            self.excused += 1
        elif boot:
            self.worst_cut_bytes = max(self.worst_cut_bytes, lost)
        self.checks["restart"] += 1
        self.lose(lost)

    def counted(self, life: Life) -> None:
        """After each sample: every byte once."""
        self._life = life
        self.checks["bytes"] += 1
        wrong = self.total(life) + self.lost_bytes - self.world.truth_sampled
        if wrong > 0:
            self.phantom_bytes += wrong
            self.blame(f"{wrong} phantom bytes")
        elif wrong < 0:
            self.blame(f"{-wrong} bytes lost without a cause")
        self.lost_bytes -= wrong  # told once

    # -- month and line

    def month(self, life: Life, passed_bytes: int) -> None:
        """The period, its usage and the line, wherever the agent has no excuse."""
        world, moment = self.world, life.clock.now()
        right = moment.trusted and abs((moment.wall - world.now).total_seconds()) < 5
        self._trusted_since = (self._trusted_since or world.loop.time()) if right else None
        sure = self._trusted_since is not None and world.loop.time() - self._trusted_since > TRUSTED_S
        plan = life.config.plan
        truly = period_at(world.now, plan.billing_day, plan.timezone)
        if truly.start != self._period_start:
            installed = self._period_start is None  # the ledger begins with the world
            self._period_start, self._period_truth, self._period_clean = truly.start, 0, sure or installed
        else:
            self._period_truth += passed_bytes
        if not sure:
            return
        self.checks["month"] += 1
        ledger = life.accounting.ledger
        if ledger.period != truly:
            self.blame(f"the period is {ledger.period.label}, truly {truly.label}")
        elif self._period_clean:
            self.line(life, ledger.counted_bytes)

    def line(self, life: Life, counted: int) -> None:
        self.checks["line"] += 1
        slack = 40_000_000  # what passed in the step in which the month began is shared out by time
        if abs(counted - self._period_truth) > slack:
            self.blame(f"the month counts {counted} bytes, truly {self._period_truth}")
        limit = life.accounting.usage().limit_bytes
        slowed = self.world.shaped_bps[0] == 512_000
        if slowed and self._period_truth < limit - slack:
            self.blame(f"slowed at {self._period_truth} of {limit} bytes")
        if not slowed and self._period_truth > limit + slack and life.accounting.ledger.override is None:
            self.blame(f"not slowed at {self._period_truth} of {limit} bytes")

    def configuration(self, life: Life, seconds: float) -> None:
        """A pushed configuration that keeps the broker away goes back by itself."""
        nowhere = life.config.operator.url.endswith("away.test")
        self._nowhere_s = self._nowhere_s + seconds if nowhere else 0.0
        if self._nowhere_s > TRIAL_S:
            self.blame(f"a configuration without a broker is in force for {self._nowhere_s:.0f} s")
            self._nowhere_s = 0.0

    # -- messages and commands

    def heard(self, topic: str, payload: bytes) -> None:
        self.received.message(topic, payload)
        if not topic.endswith("/res"):
            return
        body = json.loads(payload)
        if body["state"] in FINAL:
            told = {key: body.get(key) for key in ("state", "code", "reason", "n")}
            before = self.finals.setdefault(body["id"], set())
            if not before and body["type"] == "plan.topup":
                self._topped_up(body["id"], body["state"])
            before.add(json.dumps(told))

    def _topped_up(self, id: str, state: str) -> None:
        """Answered as it was done; the newest stand in the ledger, older ones stood there once."""
        if self._life is None:
            return
        self.checks["top-up"] += 1
        forgotten = id in self._granted and id not in list(self._granted)[-REMEMBERED:]
        granted = forgotten or id in self._life.accounting.ledger.topup_ids
        if granted != (state == "succeeded"):
            self.blame(f"top-up {id} was answered {state}, granted: {granted}")

    def final(self) -> None:
        """At the end, after a quiet hour: nothing may be missing."""
        for problem in self.received.problems():
            self.blame(problem)
        arrived = {body.get("number") for body in self.received._bodies.values()}
        for number in sorted(self.promised - arrived):
            self.blame(f"event {number} was on the disk and never came")
        for id, count in self.ran.items():
            if count > 1:
                self.blame(f"command {id} ran {count} times")
        for id in self.issued:
            answers = self.finals.get(id, set())
            if len(answers) != 1:
                self.blame(f"command {id} ({self.issued[id]}) has {len(answers)} final answers")
            elif self.issued[id] == "test.once" and '"succeeded"' in next(iter(answers)) and not self.ran[id]:
                self.blame(f"command {id} succeeded and never ran")
