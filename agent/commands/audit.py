"""The audit trail's entries: who asked for what, in which role, and what came of it. Used by both channels.

A command by MQTT is noted in the transactions of its journal (runner.py); one over the control socket has no journal
and is noted here, before it begins and when it has ended.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING

from agent.commands.agent import Agent
from agent.errors import StoreError
from agent.keeper import Change
from agent.plan.model import Moment

if TYPE_CHECKING:
    from agent.command_schema import AuditEntry

log = logging.getLogger(__name__)


def entry(
    moment: Moment, what: str, *, type: str, id: str, issuer: str, role: str, code: int = 0, reason: str = ""
) -> AuditEntry:
    """One entry, without the chain that the store adds. `what` is a state of the command (results.py)."""
    return {
        "up": int(moment.boot_s),
        "boot": moment.boot_id.replace("-", "")[:8],
        "time": moment.wall.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "clk": moment.trust.value,
        "what": what,
        "type": type,
        "id": id,
        "issuer": issuer,
        "role": role,
        "code": code,
        "reason": reason[:400],
    }


class Trail:
    """Notes one command of the control socket."""

    def __init__(self, agent: Agent, command: str, *, source: str, role: str) -> None:
        self._agent, self._command, self._source, self._role = agent, command, source, role
        self._id = f"local-{secrets.token_hex(4)}"

    async def note(self, what: str, code: int = 0, reason: str = "") -> None:
        """On the flash when this returns. A disk that takes nothing must not keep a technician from repairing."""
        made = entry(
            self._agent.clock.now(),
            what,
            type=self._command,
            id=self._id,
            issuer=self._source,
            role=self._role,
            code=code,
            reason=reason,
        )
        try:
            await self._agent.keeper.do(Change(audit=made))
        except StoreError as error:
            log.warning("audit trail: %s by %s is not noted: %s", self._command, self._source, error)
