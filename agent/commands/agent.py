"""The face that the daemon shows to the commands: all that a command may look at or ask for, and nothing else.

A Protocol, so that commands never import the daemon and tests can hand in a small shipped stand-in. Everything here is
called on the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from agent.at import Response
    from agent.config import Config
    from agent.keeper import Keeper
    from agent.modem.profiles import Profile
    from agent.plan.model import Moment
    from agent.status import Snapshot
    from agent.store.database import Database

T = TypeVar("T")


class Clock(Protocol):
    def now(self) -> Moment: ...


class Store(Protocol):
    async def run(self, fn: Callable[[Database], T]) -> T:
        """Run `fn(Database)` in one transaction on the store's own thread."""
        ...


class ModemPort(Protocol):
    @property
    def profile(self) -> Profile: ...
    async def execute(self, text: str, timeout_s: float | None = None) -> Response:
        """One AT command. Raises the errors of agent.errors.ModemError."""
        ...


class Agent(Protocol):
    """The running agent as a command sees it."""

    @property
    def config(self) -> Config: ...
    @property
    def device(self) -> str:
        """Its name, as in topics."""
        ...

    @property
    def clock(self) -> Clock: ...
    @property
    def store(self) -> Store: ...
    @property
    def keeper(self) -> Keeper:
        """The owner of ledger, journal, audit trail and reports: all changes of them go through it."""
        ...

    @property
    def modem(self) -> ModemPort | None:
        """None while the module is absent, busy or hung."""
        ...

    def snapshot(self) -> Snapshot: ...

    async def refresh(self) -> None:
        """Read the link counters now, so that the next snapshot is exact to this moment."""
        ...

    def charge(self, received_bytes: int, sent_bytes: int) -> None:
        """So much of what the line carries is the operator's own traffic. In memory at once, on the disk soon after."""
        ...

    def event(self, name: str, details: dict[str, object]) -> None:
        """Put an event into the local log and into the operator's outbox (`e/{name}`)."""
        ...

    async def rebirth(self) -> None:
        """Publish status, every twin and every measurement anew."""
        ...

    async def restart(self) -> None:
        """Ask for an orderly end of the process, which the service manager starts again: two seconds, in which the
        kernel goes on shaping. So another configuration is taken up. Returns at once."""
        ...

    async def reboot(self, reason: str) -> None:
        """Ask the system to reboot. Returns at once."""
        ...

    async def reset_modem(self, level: str) -> Mapping[str, object]:
        """One rung of the recovery ladder, or "auto"; what was done and what came of it."""
        ...

    async def send_sms(self, number: str, text: str) -> dict[str, object]: ...

    def trial_begun(self) -> None:
        """A configuration is on trial: decide it (config_trial.py), whatever becomes of who asked."""
        ...
