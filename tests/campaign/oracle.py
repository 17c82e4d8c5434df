"""Knows the truth and compares: bytes, the month, the state of the line, commands, messages, readings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from agent.commands.results import FINAL
from agent.plan import Ledger, Plan, period_at
from tests.bench.operator_ledger import Received
from tests.campaign.life import Life
from tests.campaign.world import World

CUT_COSTS_BYTES = 40_000_000
TRUSTED_S = 1_200.0  # the clock was right and trusted for so long: from then on there is no excuse
TRIAL_S = 3_000.0  # a configuration that keeps the broker away may be in force so long, restarts included
GENERATION = timedelta(days=2)  # the last good one may be so old, and of the month before
NAMED_S = 180.0  # a line that is dead, or lives again, is called so within this time
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
        self._period_base = 0
        self._period_start: Any = None
        self._period_clean = False
        self._nowhere_s = 0.0
        self._life: Life | None = None
        self._said: set[tuple[datetime, int, str]] = set()  # the operator's counts, as they were sent
        self._granted: dict[str, None] = {}  # in the order in which they were carried out
        self._forgotten: set[str] = set()  # with a database

    def blame(self, sentence: str) -> None:
        self.violations.append(f"step {self.step}: {sentence}")

    # -- bytes

    @staticmethod
    def total(life: Life) -> int:
        ledger = life.accounting.ledger
        return ledger.total_received_bytes + ledger.total_sent_bytes

    def lose(self, count: int) -> None:
        """Bytes that no agent can have seen."""
        self.lost_bytes += count

    @property
    def _known(self) -> int:
        """All that the agent can have seen."""
        return self.world.truth_bytes - self.lost_bytes

    @property
    def _period_truth(self) -> int:
        return self._known - self._period_base

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

    def emptied(self) -> None:
        """The database lost what it held since its last generation: reports, answers, the memory of commands."""
        self._commands(id for id in self.issued if id in self.finals)
        arrived = self.received._bodies
        for recorded in (self.received._events, self.received._measurements):
            for key in recorded.keys() - arrived.keys():
                del recorded[key]
        for boot, seq in list(arrived):
            self.received._lost.update((boot, number) for number in range(1, seq))
        numbers = {body.get("number") for body in arrived.values()}
        self.promised &= {number for number in numbers if number is not None}
        self.issued.clear()
        self.ran.clear()
        self._forgotten.update(self._granted)
        if self._period_start is None or self.world.now - self._period_start < GENERATION:
            self._period_clean = False

    # -- month and line

    def passes(self, life: Life) -> None:
        """Traffic passes whenever a link is up, what others have set up stands, and a dead line is named."""
        world = self.world
        self.checks["traffic"] += 1
        for device in world.tables.devices.values():
            down, up = world.tables.rates(device)
            if device.kind != "ifb" and min(down, up) <= 0:
                self.blame(f"nothing passes on {device}")
        for device, qdiscs, filters in world.foreign:
            kept = [f for f in device.filters if f in filters]
            if world.tables.devices.get(device.ifindex) is not device:
                self.blame(f"{device.ifname} of another program is gone")
            elif kept != filters or any(node not in device.qdiscs for node in qdiscs):
                self.blame(
                    f"what another program has set up on {device.ifname} is gone: {device.qdiscs} {device.filters}"
                )
        self._named(life)

    def _named(self, life: Life) -> None:
        now_s, cause = self.world.loop.time(), life.recovering.cause
        since_s = max(life.began_s, self.world.standing_since_s or now_s)
        silent_s = now_s - max(self.world.silent_since_s or now_s, since_s)
        passing_s = now_s - max(self.world.passing_since_s or now_s, since_s)
        self.checks["line named"] += silent_s > NAMED_S or passing_s > NAMED_S
        if silent_s > NAMED_S and cause in ("none", "throttled"):
            self.blame(f"the line has been silent for {silent_s:.0f} s, and is called {cause}")
        if passing_s > NAMED_S and cause not in ("none", "throttled"):
            self.blame(f"the line has passed packets for {passing_s:.0f} s, and is called {cause}")

    def month(self, life: Life) -> None:
        """The period, its usage and the line, wherever the agent has no excuse."""
        world, moment = self.world, life.clock.now()
        right = moment.trusted and abs((moment.wall - world.now).total_seconds()) < 5
        self._trusted_since = (self._trusted_since or world.loop.time()) if right else None
        sure = self._trusted_since is not None and world.loop.time() - self._trusted_since > TRUSTED_S
        plan = life.config.plan
        truly = period_at(world.now, plan.billing_day, plan.timezone)
        if truly.start != self._period_start:
            installed = self._period_start is None  # the ledger begins with the world
            self._period_start, self._period_base, self._period_clean = truly.start, self._known, sure or installed
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
        limit = life.accounting.usage().limit_bytes - life.accounting.usage().correction_bytes
        if self.world.link is None or not self.world.counted:
            return
        slowed = max(self.world.tables.rates(self.world.link)) <= 512_000
        if slowed and self._period_truth < limit - slack:
            self.blame(f"slowed at {self._period_truth} of {limit} bytes")
        if not slowed and self._period_truth > limit + slack and life.accounting.ledger.override is None:
            self.blame(f"not slowed at {self._period_truth} of {limit} bytes")

    def operators_count(self, plan: Plan, difference_bytes: int, mode: str) -> dict[str, object]:
        """What the operator's meter says now, as the arguments of plan.reconcile."""
        as_of = self.world.now.replace(microsecond=0)
        used = max(0, self._period_truth + difference_bytes)
        self._said.add((as_of, used, mode))
        period = period_at(as_of, plan.billing_day, plan.timezone).label
        told = as_of.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"period": period, "used_bytes": used, "as_of": told, "source": "pcrf", "mode": mode}

    def meters(self, life: Life) -> None:
        """The operator's counts stand beside the own one, as they were said: used = own - exempt + correction."""
        ledger, used = life.accounting.ledger, life.accounting.usage()
        self.checks["meters"] += 1
        for count in ledger.operator_counts:
            if (count.as_of, count.used_bytes, "follow" if count.follow else "tell") not in self._said:
                self.blame(f"the operator never said {count.used_bytes} bytes as of {count.as_of}")
            elif count.own_bytes is None or not 0 <= count.own_bytes <= ledger.counted_bytes:
                self.blame(f"{count.own_bytes} bytes were counted by {count.as_of}, of {ledger.counted_bytes} by now")
        followed = [count for count in ledger.operator_counts if count.follow]
        correction = followed[-1].used_bytes - (followed[-1].own_bytes or 0) if followed else 0
        own = ledger.counted_bytes - sum(ledger.foreign_bytes)
        exempt = ledger.management_received_bytes + ledger.management_sent_bytes
        if used.charged_bytes != max(0, max(0, own - exempt) + correction):
            self.blame(f"{used.charged_bytes} bytes are used, of {own} - {exempt} + {correction}")
        self.checks["correction"] += correction != 0

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
        if id in self._forgotten:
            return
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
        self._commands(self.issued)

    def _commands(self, ids: Iterable[str]) -> None:
        """Each ran at most once, and was answered once."""
        for id, count in self.ran.items():
            if count > 1:
                self.blame(f"command {id} ran {count} times")
        for id in ids:
            answers = self.finals.get(id, set())
            if len(answers) != 1:
                self.blame(f"command {id} ({self.issued[id]}) has {len(answers)} final answers")
            elif self.issued[id] == "test.once" and '"succeeded"' in next(iter(answers)) and not self.ran[id]:
                self.blame(f"command {id} succeeded and never ran")
