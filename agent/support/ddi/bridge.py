"""The bridge: polls the server for each device, sends what it offers by MQTT, reports what came of it. One task.

No device polls. One action is one command: its id is in the file before it is sent, so that a bridge that ends asks
again under the same id, which a device answers without doing anything twice.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.commands import arguments
from agent.commands.table import COMMANDS
from agent.errors import OperatorError, Rejected
from agent.support.client import Client, new_envelope
from agent.support.ddi import turns
from agent.support.ddi.artifact import Package, Unusable, package
from agent.support.ddi.server import ActionOver, Base, Feedback, Offer, Server
from agent.support.ddi.turns import Turn
from agent.support.fleet import Fleet, Member
from agent.support.messages import DeviceMessage, Result
from agent.support.retained import read_fleet
from agent.support.rollout.run import COMMAND, READ_S
from agent.support.signature import Sign

LOOK_S = 5.0  # at most between two looks at who is due
AGAIN_S = 60.0  # after an error of the server's
AT_A_TIME = 20  # polls before what devices say is heard again


@dataclass(frozen=True)
class Terms:
    """What the operator has said once for all devices."""

    feed: str  # where the packages are published; {version} is replaced
    args: Mapping[str, object] = field(default_factory=dict)  # of agent.update, beyond those of the package
    attributes: Mapping[str, str] = field(default_factory=dict)  # reported of each device
    patience_s: float = 7_200.0
    issuer: str = "support"


class Bridge:
    """`await bridge.run()`: until it is cancelled. Raises OperatorError when the broker ends the session."""

    def __init__(
        self, client: Client, server: Server, path: Path, terms: Terms, *, fleet: Fleet, sign: Sign,
        tell: Callable[[str], None], look_s: float = LOOK_S, now: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._client, self._server, self._path, self._terms = client, server, path, terms
        self._fleet, self._sign, self._tell, self._look_s, self._now = fleet, sign, tell, look_s, now
        self._named = frozenset(fleet.members)
        self._turns = turns.load(path)
        self._due_s: dict[str, float] = {}  # a device that is not here is due at once
        self._versions: dict[str, str] = {}  # as reported in this run
        self._asked: set[str] = set()  # commands that were sent in this run
        self._reported: dict[str, Feedback] = {}  # the last one of each device's turn
        self._unanswered: set[str] = set()  # commands whose end was reported, and the server's answer to it was lost
        self._packages: dict[tuple[tuple[str, str], ...], Package] = {}

    async def run(self) -> None:
        await read_fleet(self._client, self._fleet, READ_S)
        self._client.subscribe("status")
        self._client.subscribe(f"cmd/{self._client.spelled(COMMAND)}/+/res")
        while True:
            now_s = self._now()
            due = [name for name in self._fleet.members if self._due_s.get(name, 0.0) <= now_s][:AT_A_TIME]
            for name in due:
                await self._visit(self._fleet.members[name])
            async for message in self._client.messages(0.01 if len(due) == AT_A_TIME else self._look_s):
                if self._heard(message):
                    break

    def _heard(self, message: DeviceMessage) -> bool:
        """Whether the device is due now."""
        name = message.device
        if self._named and name not in self._named:
            return False
        known = self._fleet.members.get(name)
        before = (known.presence, known.version) if known else None
        member = self._fleet.take(message)
        changed = before != (member.presence, member.version)
        turn = self._turns.get(name)
        match message.content:
            case Result(id, state, _, reason, percent) if turn and turn.id == id and not turn.final:
                turn.state, turn.reason, turn.percent = state, reason, percent
                turns.save(self._path, self._turns)
                changed = True
        if changed:
            self._due_s.pop(name, None)
        return changed

    async def _visit(self, member: Member) -> None:
        """Everything that is due between the server and one device."""
        name = member.device
        self._due_s[name] = self._now() + AGAIN_S
        try:
            if member.version and self._versions.get(name) != member.version:
                # After a roll-back too: a server that takes the device for updated would never offer again.
                attributes = {**self._terms.attributes, "sw_version": member.version}
                await asyncio.to_thread(self._server.report_attributes, name, attributes)
                self._versions[name] = member.version
            base = await asyncio.to_thread(self._server.poll, name)
            self._due_s[name] = self._now() + base.sleep_s
            if base.cancel:
                await self._cancel(name, base.cancel)
            elif name in self._turns:
                await self._go_on(member, base)
            elif base.deployment and member.presence == "online":
                await self._begin(member, base.deployment)
        except OperatorError as error:
            self._tell(f"{name}: {error}")

    async def _begin(self, member: Member, link: str) -> None:
        name = member.device
        offer = await asyncio.to_thread(self._server.offer, link)
        if offer.wait:
            return
        try:
            if offer.version == member.version:
                await self._close(name, offer.action, Feedback("closed", "success", f"{offer.version} runs already"))
                return
            args = self._arguments(offer, await self._package(offer))
        except (Unusable, Rejected) as error:
            await self._close(name, offer.action, Feedback("closed", "failure", str(error)))
            return
        turn = Turn(offer.action, link, uuid.uuid4().hex, offer.version, args, self._now())
        self._turns[name] = turn
        turns.save(self._path, self._turns)
        self._ask(member, turn)
        await self._report(name, turn)

    async def _close(self, name: str, action: str, feedback: Feedback) -> None:
        """An action that no device is asked for."""
        self._tell(f"{name}: action {action}: {feedback.detail}")
        await asyncio.to_thread(self._server.report, name, action, feedback)

    async def _package(self, offer: Offer) -> Package:
        """What the offer's file holds; each file is fetched once."""
        key = tuple(sorted(offer.hashes.items()))
        if key not in self._packages:
            content = await asyncio.to_thread(self._server.artifact, offer)
            self._packages[key] = package(offer.file, content)
        return self._packages[key]

    def _arguments(self, offer: Offer, found: Package) -> dict[str, object]:
        """Of agent.update, checked as a device would. Raises Rejected."""
        url = f"{self._terms.feed.replace('{version}', offer.version).rstrip('/')}/{found.file}"
        args = {"version": offer.version, "url": url, "sha256": found.sha256, "size": found.size, **self._terms.args}
        arguments.check(COMMANDS[COMMAND].args, args)
        return args

    def _ask(self, member: Member, turn: Turn) -> None:
        self._asked.add(turn.id)
        envelope = new_envelope(
            COMMAND, turn.args, device=member.device, issuer=self._terms.issuer, ttl_s=int(self._terms.patience_s),
            nonce=member.nonce,
        )  # fmt: skip
        self._client.request(member.device, self._sign({**envelope, "id": turn.id}))

    async def _go_on(self, member: Member, base: Base) -> None:
        """A turn that is under way, or whose end the server does not know."""
        name, turn = member.device, self._turns[member.device]
        if not turn.final and self._now() - turn.asked_s > self._terms.patience_s:
            turn.state, turn.reason = "timed-out", f"no answer within {self._terms.patience_s:g} s"
            turns.save(self._path, self._turns)
        reported = turn.id not in self._asked or turn.id in self._unanswered
        if turn.final and reported and base.deployment != turn.link:
            self._forget(name)  # the server knows it: its answer was lost, or an earlier run ended before it noted so
            return
        if not turn.final and turn.id not in self._asked and member.presence == "online":
            self._ask(member, turn)
        await self._report(name, turn)

    async def _report(self, name: str, turn: Turn) -> None:
        """What is new of a turn, once: a server counts what it gets twice. The last word ends the turn, and is repeated
        while the server offers the action."""
        feedback = turn.feedback
        if self._reported.get(name) != feedback or turn.final:
            self._reported[name] = feedback
            try:
                await asyncio.to_thread(self._server.report, name, turn.action, feedback)
            except ActionOver as over:
                self._tell(f"{name}: {over}")
            except OperatorError:
                if turn.final:
                    self._unanswered.add(turn.id)
                raise
        if turn.final:
            self._tell(f"{name}: {turn.version}: {feedback.detail}")
            self._forget(name)
            self._due_s.pop(name, None)

    def _forget(self, name: str) -> None:
        self._reported.pop(name, None)
        self._unanswered.discard(self._turns.pop(name).id)
        turns.save(self._path, self._turns)

    async def _cancel(self, name: str, link: str) -> None:
        """What no device was asked for is cancelled; what one has begun it ends by itself."""
        action = await asyncio.to_thread(self._server.cancelled, link)
        turn = self._turns.get(name)
        if turn is not None and turn.action == action and not turn.final:
            feedback = Feedback("rejected", "none", "the device was asked already; its answer comes")
        else:
            feedback = Feedback("closed", "success", "no device was asked")
        await asyncio.to_thread(self._server.report, name, action, feedback, "cancelAction")
