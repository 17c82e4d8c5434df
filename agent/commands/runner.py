"""Commands that come by MQTT: journalled before they are acknowledged, run once, answered once.

`deliver` is what the session calls; it returns when the command is on the flash. `resume`, at the start, brings to an
end what the last run left open. Lives on the loop; every state that matters is written in the same transaction as the
answer that tells it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from agent.commands import arguments, audit, results
from agent.commands.agent import Agent
from agent.commands.authority import Authority, Grant, timely
from agent.commands.call import Call
from agent.commands.command import ROLES, Command, allows
from agent.commands.envelope import Envelope, parse
from agent.commands.execute import locks, lookup, perform, permitted
from agent.commands.rate import Rates
from agent.commands.results import answer
from agent.errors import AgentError, Rejected, StoreError
from agent.events import Emit, NonceUsedUp, unheard
from agent.keeper import AlreadyFinished, Begun, Change, LedgerChange, Report
from agent.mqtt import Inbound, Outbox
from agent.mqtt.topics import Request
from agent.plan import Ledger, Moment
from agent.store.counter_window import CounterWindow
from agent.store.journal import KEPT, Entry

if TYPE_CHECKING:
    from agent.command_schema import AuditEntry, Result
    from agent.commands.command import Args, Out

log = logging.getLogger(__name__)

CANCEL_AGAIN_S = 0.2
REFUSED, REPEATED = " refused", " repeated"  # buckets that no issuer has
ANSWER_LOST = "it was begun before the device's database was damaged; what came of it is not known"
NONCE_COMMANDS = KEPT // 2  # the journal still knows all that one nonce may have let in
LONGEST_CORRELATION = 256  # bytes kept with each command in the journal; MQTT would bear 65 535
RESTART_LIMIT_S = 120.0  # a restart or reboot that has not happened by then has failed


def _refused_state(refusal: Rejected) -> str:
    return results.EXPIRED if refusal.code == results.TOO_LATE else results.REJECTED


class Runner:
    """See the module docstring. `instance` names this run of the process, `boot` this boot of the system."""

    def __init__(
        self,
        agent: Agent,
        outbox: Outbox,
        authority: Authority,
        *,
        device: str,
        instance: str,
        nonce: Callable[[], str],
        commands: Mapping[str, Command] | None = None,
        faults: Counter[str] | None = None,
        emit: Emit = unheard,
    ) -> None:
        self.agent, self.outbox, self._authority, self._emit = agent, outbox, authority, emit
        self._device, self.instance, self._nonce = device, instance, nonce
        self._commands = commands
        self._rates = Rates()
        self._calls: dict[str, Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._since_nonce = 0  # commands kept since it was last renewed
        self.faults: Counter[str] = Counter() if faults is None else faults

    def _now(self) -> Moment:
        return self.agent.clock.now()

    def _fault(self, name: str) -> None:
        self.faults[f"commands.{name}"] += 1

    def _lookup(self, name: str) -> Command:
        if self._commands is not None and name in self._commands:
            return self._commands[name]
        return lookup(name)

    # -- arrival -----------------------------------------------------------------------------------------------------

    async def deliver(self, message: Inbound) -> None:
        """One message of a command topic. Returns when it is safe to acknowledge it. Raises StoreError."""
        request = self.outbox.topics.parse_request(message.topic)
        if request is None:
            self._fault("command-topic")  # no answer can be addressed
            return
        known, counters = await self.agent.store.run(lambda db: (db.journal.get(request.id), db.journal.counters()))
        entry = self._received(request, message)
        if known is not None:
            if self._takes(REPEATED):
                await self._repeat(known, request, entry)
            return
        grant = None
        try:
            if len(message.correlation) > LONGEST_CORRELATION:
                found = f"{len(message.correlation)} bytes of correlation data; at most {LONGEST_CORRELATION}"
                raise Rejected(results.INVALID_ARGUMENTS, found)
            if message.retained:
                raise Rejected(results.REQUEST_DENIED, "a retained command would run again at every connection")
            envelope = parse(message.payload, type=request.type, id=request.id, device=self._device)
            grant = self._believed(envelope, counters)
            entry = replace(entry, issuer=grant.issuer, role=grant.role, ttl_s=envelope.ttl_s)
            if not self._takes(grant.bucket):
                too_many = Rejected(results.RESOURCES_EXCEEDED, "too many commands; try again in a minute")
                await self._tell_refusal(entry, too_many, grant.bucket)
                return
            command = self._lookup(envelope.type)
            entry = replace(entry, args=self._admitted(envelope, command, grant))
        except Rejected as refusal:
            await self._refuse(entry, refusal, verified=grant is not None and grant.verified)
            return
        self._count_for_nonce()
        await self._begin(entry, command, grant)

    def _count_for_nonce(self) -> None:
        """A command that the journal forgets must not come in again by the nonce that let it in."""
        self._since_nonce += 1
        if self._since_nonce >= NONCE_COMMANDS:
            self._since_nonce = 0
            self._emit(NonceUsedUp())

    def _takes(self, bucket: str) -> bool:
        return self._rates.takes(bucket, self.agent.config.commands.rate_per_minute, self._now().boot_s)

    async def _refuse(self, entry: Entry, refusal: Rejected, *, verified: bool) -> None:
        """A known issuer's command is kept with its refusal. What anybody may have sent uses up neither the journal,
        nor the audit trail, nor the rate of others, and leaves its id free."""
        self._fault("command-rejected")
        if verified:
            self._count_for_nonce()
            await self._end(entry, _refused_state(refusal), refusal.code, refusal.reason)
        elif self._takes(REFUSED):
            await self._tell_refusal(entry, refusal, REFUSED)
        else:
            self._fault("command-flood")

    async def _tell_refusal(self, entry: Entry, refusal: Rejected, bucket: str) -> None:
        """An answer that is not kept: the same id may be sent again. None while there are far too many."""
        if self._rates.silent(bucket):
            self._fault("command-flood")
            return
        told = self._next(entry, _refused_state(refusal), code=refusal.code, reason=refusal.reason)
        await self.outbox.add(Report(told.topic, told.answer, correlation=told.correlation))

    def _received(self, request: Request, message: Inbound) -> Entry:
        now = self._now()
        topics = self.outbox.topics
        own = topics.may_answer_on(message.response_topic) and len(message.correlation) <= LONGEST_CORRELATION
        return Entry(
            id=request.id,
            type=request.command,
            args={},
            issuer="",
            role="",
            state="",
            n=0,
            boot=now.boot_id,
            received_s=now.boot_s,
            ttl_s=None,
            received=int(now.wall.timestamp()) if now.trusted else 0,
            instance=self.instance,
            topic=message.response_topic if own else topics.response(request.type, request.id),
            correlation=message.correlation if own else b"",
            answer={},
        )

    def _believed(self, envelope: Envelope, counters: Mapping[str, CounterWindow]) -> Grant:
        """Who asks, and whether in time. Raises Rejected."""
        timely(envelope, self._now())
        used = counters.get(envelope.issuer, CounterWindow())
        return self._authority.grant(envelope, self._now(), nonce=self._nonce(), used=used)

    def _admitted(self, envelope: Envelope, command: Command, grant: Grant) -> Args:
        """The arguments, once all is checked that can be before anything is done. Raises Rejected."""
        permitted(command, grant.role)
        args = arguments.check(command.args, envelope.args)
        grant.within_limits(command.name, args)
        return args

    async def _repeat(self, known: Entry, request: Request, entry: Entry) -> None:
        """The same id again: the answer that is stored, and nothing is done. Another command's is not this one's: who
        may only read could use up the id of a command that acts, which would then seem done."""
        self._fault("command-repeated")
        if request.command != known.type.replace("-", "."):
            refusal = Rejected(results.INVALID_VALUE, f"{known.id} was the id of {known.type}")
            await self._tell_refusal(entry, refusal, REPEATED)
            return
        told = known.answer or self._lost(known)
        topic = known.topic or self.outbox.topics.response(known.type, known.id)
        await self.outbox.add(Report(topic, told, correlation=known.correlation))

    def _lost(self, known: Entry) -> Result:
        code = results.COMMAND_FAILURE
        return answer(id=known.id, type=known.type, n=known.n, state=results.FAILED, code=code, reason=ANSWER_LOST)

    # -- running -----------------------------------------------------------------------------------------------------

    async def _begin(self, entry: Entry, command: Command, grant: Grant) -> None:
        """Accepted, and running at once when nothing is in the way: one transaction for both.

        A command that only looks, and waits for nothing, is done first and then told in its final answer alone: half
        the flash writes and a third of the messages. A cut before that leaves it with the broker, to come again.
        """
        if command.at_once and grant.counter is None:
            call = Call(self, entry)
            await self._run(call, command)
            return
        steps = [self._next(entry, results.ACCEPTED)]
        if command.resource is None or not locks().of(command.resource).locked():
            steps.append(self._next(steps[0], results.RUNNING))
        acts = command.role != ROLES[0] or grant.counter is not None
        begun = Begun(entry.id, entry.type, grant.issuer, grant.counter) if acts else None
        change = Change(entries=tuple(steps), begun=begun, audit=self._audit(steps[-1], grant.cosigner))
        started = self.agent.keeper.put(change)
        # By the change and not by this task, which a lost session cancels: what is accepted is carried out.
        started.add_done_callback(partial(self._begun, steps[-1], command))
        await asyncio.shield(started)

    def _begun(self, entry: Entry, command: Command, done: asyncio.Future[Ledger]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._spawn(entry, command)

    def _next(
        self, entry: Entry, state: str, *, code: int = results.OK, reason: str = "",
        progress: int | None = None, out: Out | None = None,
    ) -> Entry:  # fmt: skip
        """The next step of a command, with the message that tells it."""
        n = entry.n + 1
        body = answer(
            id=entry.id, type=entry.type, n=n, state=state, code=code, reason=reason, progress=progress, out=out
        )
        return replace(entry, state=state, n=n, answer=body, finished=state in results.FINAL)

    def _audit(self, entry: Entry, cosigner: str = "") -> AuditEntry | None:
        """None for what only looks, as over the control socket: a desk's polling would push out what acted."""
        with contextlib.suppress(Rejected):
            if self._lookup(entry.type).role == "read":
                return None
        code, reason = entry.answer.get("code", 0), entry.answer.get("reason", "")
        if cosigner:
            reason = f"signed by {cosigner} too"
        who = {"id": entry.id, "issuer": self._authority.named(entry.issuer), "role": entry.role}
        return audit.entry(self._now(), entry.state, type=entry.type, code=code, reason=reason, **who)

    def _spawn(self, entry: Entry, command: Command) -> None:
        call = self._calls[entry.id] = Call(self, entry)
        task = asyncio.ensure_future(self._run(call, command))
        call.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._calls.pop(entry.id, None))

    async def _run(self, call: Call, command: Command) -> None:
        state, code, reason, out = results.SUCCEEDED, results.OK, "", None
        try:
            out = await self._perform(call, command)
        except Rejected as refusal:
            code, reason = refusal.code, refusal.reason
            state = results.failure_state(code)
        except AlreadyFinished:
            return  # cancelled, or too late
        except asyncio.CancelledError:
            if not call.cancelled_by:
                raise  # the agent ends; the next run finds the entry and decides
            state, code, reason = results.CANCELLED, results.COMMAND_CANCELED, f"cancelled by {call.cancelled_by}"
            out = await asyncio.shield(self._undone(call, command))
        except Exception as error:
            log.exception("command %s", command.name)
            self._fault("command-bug")
            state, code, reason = results.FAILED, results.INTERNAL_ERROR, f"{type(error).__name__}: {error}"
        if not call.finished:
            await self._end(call.entry, state, code, reason, out)

    async def _undone(self, call: Call, command: Command) -> Out | None:
        """The state after a cancelled command; None where nothing need be taken back."""
        if command.undo is None:
            return None
        try:
            return await command.undo(self.agent, call.entry.args, call)
        except AgentError as error:
            return {"v": 1, "result": f"not taken back: {error}"}

    async def _perform(self, call: Call, command: Command) -> Out:
        if command.resource is None:
            return await self._started(call, command)
        async with locks().of(command.resource):
            return await self._started(call, command)

    async def _started(self, call: Call, command: Command) -> Out:
        """It is this command's turn: not too late, told to be running, then done."""
        entry = call.entry
        if entry.state == results.ACCEPTED:  # it had to wait
            if entry.too_late(self._now()):
                raise Rejected(results.TOO_LATE, "its time to live passed before its turn came")
            call.entry = entry = self._next(entry, results.RUNNING)
            await self.agent.keeper.do(Change(entries=(entry,)))
        out = await perform(self.agent, replace(command, resource=None), entry.args, call)
        if command.survives:
            await asyncio.sleep(RESTART_LIMIT_S)
            raise Rejected(results.COMMAND_FAILURE, f"nothing happened within {RESTART_LIMIT_S:g} s")
        return out

    def tell_progress(self, call: Call, percent: int, what: str) -> None:
        """A progress message, best effort: a full disk loses it."""
        call.entry = entry = self._next(call.entry, results.RUNNING, progress=percent, reason=what)
        self.agent.keeper.put(Change(entries=(entry,))).add_done_callback(self._told)

    def _told(self, done: asyncio.Future[Ledger]) -> None:
        if not done.cancelled() and isinstance(done.exception(), StoreError):
            self._fault("command-progress")

    # -- the end -----------------------------------------------------------------------------------------------------

    def success(self, entry: Entry, ledger: LedgerChange, out: Callable[[Ledger], Out]) -> Change:
        """A change of the ledger with the final answer of the command that asked for it."""
        final = self._next(entry, results.SUCCEEDED)
        return Change(ledger=ledger, entries=(final,), out=out, audit=self._audit(final))

    async def _end(self, entry: Entry, state: str, code: int, reason: str, out: Out | None = None) -> None:
        """The final answer of a command, whatever it takes: a full disk only delays it.

        Raises StoreError for one that is not accepted yet: the broker keeps it.
        """
        final = self._next(entry, state, code=code, reason=reason, out=out)
        change = Change(entries=(final,), audit=self._audit(final), insists=bool(entry.state))
        with contextlib.suppress(AlreadyFinished):
            await self.agent.keeper.do(change)

    # -- from one run to the next ------------------------------------------------------------------------------------

    async def resume(self) -> None:
        """Bring to an end, or take up again, what the last run left open. Raises StoreError."""
        for entry in await self.agent.store.run(lambda db: db.journal.unfinished()):
            try:
                command = self._lookup(entry.type)
            except Rejected as refusal:
                await self._end(entry, results.FAILED, refusal.code, refusal.reason)
                continue
            await self._resume(entry, command)

    async def _resume(self, entry: Entry, command: Command) -> None:
        if entry.state == results.RUNNING and command.survives:
            happened = (entry.boot != self._now().boot_id) if command.survives == "boot" else True
            if entry.instance == self.instance:
                return
            if happened:
                await self._end(entry, results.SUCCEEDED, results.OK, "", {"v": 1})
            else:
                await self._end(entry, results.FAILED, results.COMMAND_FAILURE, "the device did not reboot")
        elif entry.state == results.RUNNING and command.resume is not None:
            self._spawn(entry, replace(command, run=command.resume))
        elif entry.state == results.RUNNING and not command.repeatable:
            reason = "interrupted; whether it took effect is not known"
            await self._end(entry, results.FAILED, results.COMMAND_FAILURE, reason)
        elif entry.too_late(self._now()):
            await self._end(
                entry, results.EXPIRED, results.TOO_LATE, "its time to live passed while the agent was away"
            )
        else:
            self._spawn(entry, command)

    def cancel(self, id: str, by: Entry) -> bool:
        """End a running command; False when it is not under way.

        Raises Rejected unless whoever asks has the role of the one who began it, and is the same or an admin.
        """
        call = self._calls.get(id)
        if call is None or call.task is None:
            return False
        begun = call.entry
        if not allows(by.role, begun.role):
            raise Rejected(results.PERMISSION_DENIED, f"cancelling it needs the role {begun.role}, not {by.role}")
        if by.issuer != begun.issuer and by.role != ROLES[-1]:
            raise Rejected(results.PERMISSION_DENIED, f"{begun.type} was begun by {begun.issuer or 'another'}")
        call.cancelled_by = f"{by.issuer or 'the operator'} ({by.role})"
        return call.task.cancel()

    async def stop(self) -> None:
        """The agent ends: leave running commands to the next run.

        Cancelled until they are gone: before Python 3.12 `wait_for` loses a cancellation that comes as its own ends.
        """
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
