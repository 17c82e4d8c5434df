"""Recovery: looks at the evidence now and then, asks the ladder, remembers, and lets the hands act.

Called by the daemon's modem task: `consider` after each poll and after each failed opening. `memory` is the ladder's
history and the PINs tried, a small dict that the daemon keeps; `save` must have put it on disk when it returns, since
the step that follows may cost the agent its power.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypedDict

from agent.config import ModemSettings
from agent.errors import ModemError
from agent.modem.cause import Evidence, cause_of
from agent.modem.ladder import DAY_S, Decision, History, decide
from agent.modem.modem import Modem
from agent.modem.pin import refusal, remembered
from agent.modem.secret import secret

if TYPE_CHECKING:
    from agent.modem.ladder import Stored

    class Memory(TypedDict, total=False):
        """What outlives the process."""

        ladder: Stored
        pins: list[str]
        contexts: list[float]


log = logging.getLogger(__name__)
Save = Callable[["Memory"], Awaitable[None]]
CONTEXTS_A_DAY = 3  # definitions of the APN: who sets it back each time wins, and no line is detached for ever
SAVE_EVERY_S = 3600.0  # what time alone changes is written seldom: flash


class Recovery:
    """One module's ladder. `boot_s` gives seconds of CLOCK_BOOTTIME."""

    def __init__(
        self, modem: Modem, settings: ModemSettings, memory: Memory, save: Save, *, boot_s: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._modem, self._save, self._boot_s = modem, save, boot_s
        self._history = History.from_dict(memory.get("ladder", {}))
        self._memory = memory
        self._looked_s: float | None = None
        self.pin_refusal = ""  # why the configured PIN is not tried, or what came of it; "" where none waits
        self._saved_uptime_s = self._history.uptime_s
        self.last = Decision("none", None, "not looked yet")

    async def consider(self, evidence: Evidence) -> Decision:
        """Decide, remember, act. What a step came to is logged; a step that fails is a step all the same."""
        now = self._boot_s()
        elapsed_s = now - self._looked_s if self._looked_s is not None else 0.0
        self._looked_s = now
        usable = self._modem.rungs(answers=evidence.answers is True)
        before = self._history
        decision, self._history = decide(cause_of(evidence), before, elapsed_s, usable)
        self.last = decision
        if decision.rung or self._history.cause != before.cause or self._overdue():
            await self._remember()
        if decision.cause == "sim-locked":
            await self._unlock(evidence)
        else:
            self.pin_refusal = ""
        if decision.rung:
            await self._act(decision.rung, decision.reason)
        return decision

    async def _unlock(self, evidence: Evidence) -> None:
        """Try the configured PIN, if it may be tried; it is remembered before it is."""
        value = secret(self._settings.pin_file)
        if not self._settings.pin_file or not self._modem.is_open:
            return
        card = await self._modem.card()
        tried = list(self._memory.get("pins", ()))
        why = refusal(evidence.sim_lock, value, card.get("pin_attempts"), card.get("iccid"), tried)
        if why != self.pin_refusal:
            log.info("recovery: the PIN is %s", f"not tried: {why}" if why else "tried")
            self.pin_refusal = why
        if why:
            return
        self._memory["pins"] = remembered(tried, value, card.get("iccid"))
        await self._remember()
        if not await self._modem.enter_pin(value):
            self.pin_refusal = "the SIM refused this PIN; it is not tried again"
            log.error("recovery: the SIM refuses the PIN of %s; it is not tried again", self._settings.pin_file)

    @property
    def context_due(self) -> bool:
        """Whether the module has another APN than the configured one, and the day's budget lets it be set."""
        return self._modem.context_differs and len(self._defined()) < CONTEXTS_A_DAY

    def _defined(self) -> list[float]:
        """When it was set within the last day, in seconds of the agent's life."""
        kept = self._memory.get("contexts")
        times = kept if isinstance(kept, list) else []
        return [float(at) for at in times if self._history.uptime_s - float(at) < DAY_S]

    async def define_context(self) -> bool:
        """Give the module the configured APN where it has another: detach, define, attach, as often a day as the budget
        allows and remembered before it is done. Whether it was done. Raises ModemError."""
        if not self.context_due:
            return False
        before = self._defined()
        self._memory["contexts"] = [*before, self._history.uptime_s]
        await self._remember()
        done = await self._modem.reset("attach")
        level = logging.WARNING if before else logging.INFO  # once is the first start; again, the module forgets it
        log.log(level, "recovery: the module had another APN than modem.apn: %s", done["text"])
        return True

    def _overdue(self) -> bool:
        return self._history.uptime_s - self._saved_uptime_s >= SAVE_EVERY_S

    async def _remember(self) -> None:
        self._memory["ladder"] = self._history.to_dict()
        self._saved_uptime_s = self._history.uptime_s
        await self._save(self._memory)

    async def _act(self, rung: str, reason: str) -> None:
        log.warning("recovery: %s", reason)
        try:
            outcome = await self._modem.reset(rung)
        except (ModemError, OSError) as error:
            log.warning("recovery: %s failed: %s", rung, error)
            return
        log.info("recovery: %s", outcome["text"])
