"""A roll-out over MQTT: asks whom the plan names, hears answers and presence, keeps the file; one task."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agent.support.client import Client, new_envelope
from agent.support.fleet import Fleet
from agent.support.messages import DeviceMessage, Result
from agent.support.retained import read_fleet
from agent.support.rollout import state_file
from agent.support.rollout.plan import ASKED, FAILED, GOOD, REFUSED, WAITING, Rollout
from agent.support.signature import Sign

if TYPE_CHECKING:
    pass

FINAL = frozenset({"succeeded", "failed", "rejected", "expired", "cancelled", "timed-out"})
COMMAND = "agent.update"
READ_S = 120.0


class Run:
    """`await run.go()`: True when all rings are through, False when it stopped."""

    def __init__(
        self, client: Client, rollout: Rollout, path: Path, *, soak_s: float, stop_at: float, patience_s: float,
        issuer: str, sign: Sign, tell: Callable[[str], None], look_s: float = 5.0, now: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._client, self._rollout, self._path = client, rollout, path
        self._soak_s, self._stop_at, self._patience_s = soak_s, stop_at, patience_s
        self._issuer, self._sign, self._tell, self._look_s, self._now = issuer, sign, tell, look_s, now
        self._fleet = Fleet(rollout.turns)

    async def go(self) -> bool:
        await read_fleet(self._client, self._fleet, READ_S)
        self._rollout.runs_already({name: member.version for name, member in self._fleet.members.items()})
        self._client.subscribe("status")
        self._client.subscribe(f"cmd/{self._client.spelled(COMMAND)}/+/res")
        for name, turn in self._rollout.turns.items():
            if turn.state == ASKED:  # its answer may have come while nobody listened: the same id has it sent again
                self._request(name, turn.id)
        while not self._rollout.finished:
            if self._step():
                return False
            async for message in self._client.messages(self._look_s):
                if self._heard(message):
                    break
        return True

    def _step(self) -> bool:
        """Everything that is due now; whether it stops."""
        rollout, now_s = self._rollout, self._now()
        for name in rollout.overdue(now_s, self._patience_s):
            self._tell(f"{name}: {rollout.turns[name].reason}")
        presences = {name: member.presence for name, member in self._fleet.members.items()}
        if not rollout.too_many(self._stop_at):
            away = [name for name in rollout.turns if presences[name] != "online"]
            lost = [name for name, presence in presences.items() if presence == "lost"]
            while not rollout.finished and rollout.advance(away, now_s, self._soak_s, lost):
                self._tell(f"ring {rollout.ring} of {len(rollout.rings)} is through")
        stops = rollout.too_many(self._stop_at)
        if not stops and not rollout.finished:
            for name in rollout.due(name for name, presence in presences.items() if presence == "online"):
                self._ask(name)
        state_file.save(self._path, rollout)
        return stops

    def _ask(self, name: str) -> None:
        turn = self._rollout.turns[name]
        turn.state, turn.id, turn.asked_s = ASKED, uuid.uuid4().hex, self._now()
        state_file.save(self._path, self._rollout)  # first: a desk that ends now asks again under the same id
        self._request(name, turn.id)

    def _request(self, name: str, id: str) -> None:
        envelope = new_envelope(
            COMMAND, self._rollout.args, device=name, issuer=self._issuer, ttl_s=int(self._patience_s),
            nonce=self._fleet.members[name].nonce,
        )  # fmt: skip
        self._client.request(name, self._sign({**envelope, "id": id}))

    def _heard(self, message: DeviceMessage) -> bool:
        """Whether it changes what is to be done."""
        if message.device not in self._rollout.turns:
            return False
        before = self._fleet.members[message.device].presence
        self._fleet.take(message)
        match message.content:
            case Result(id, state, _, reason) if state in FINAL:
                known = self._rollout.answered(message.device, id, state, reason, self._now())
                if known and self._rollout.turns[message.device].state in (FAILED, REFUSED):
                    self._tell(f"{message.device}: {self._rollout.turns[message.device].reason}")
                return known
        return self._fleet.members[message.device].presence != before


def table(rollout: Rollout) -> list[Mapping[str, object]]:
    """One row a ring."""
    rows: list[Mapping[str, object]] = []
    for ring, share in enumerate(rollout.rings):
        members = rollout.members(ring)
        counts = rollout.counts(members)
        place = "done" if ring < rollout.ring else "soaking" if rollout.done_s and ring == rollout.ring else ""
        states = {state: counts[state] for state in (WAITING, ASKED, GOOD, REFUSED, FAILED)}
        rows.append({"ring": f"{100 * share:g}%", "devices": len(members), **states, "state": place})
    return rows
