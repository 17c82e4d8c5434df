"""The whole error tree on one screen.

AgentError                 all that the agent raises on purpose; anything else is a bug
├── ConfigError            a file is missing, not TOML, or a key is unknown, mistyped or out of range
├── ModemError
│   ├── PortAbsent         no such port, or it went away (USB re-enumerated)
│   ├── PortBusy           another process holds the port (ModemManager, a technician's terminal)
│   │   └── PortDenied     this user may not open the port
│   ├── CommandError       the modem answered with a final error code (+CME, +CMS, ERROR)
│   └── CommandTimeout     the modem did not answer in the command's time
│       └── NotAtPort      nothing on the port answers AT at all; says what is there instead
├── PlanError              a top-up, override or change of plan that makes no sense
├── StoreError
│   ├── StoreTooNew        the database was written by a newer version; never overwritten
│   └── StoreUnsure        the disk failed at the end of a transaction: a later start may find it there, or not
├── KernelError            netlink refused; carries what was asked for
├── OperatorError          broker or session
│   └── BrokerDenied       the broker does not let this user in, or not do what was asked for
├── Rejected               a command that is not done, with the USP code that says why (TR-369 err_code)
└── ControlError           the control socket
    ├── AgentNotRunning    nobody listens on the socket
    ├── NotPermitted       the socket or the command is not for this user
    └── ControlTimeout     the agent listens and does not answer (also a TimeoutError)
"""

from __future__ import annotations


class AgentError(Exception):
    """Root of all errors that the agent raises on purpose; str() is one line fit for a technician."""


class ConfigError(AgentError):
    """A configuration that cannot be used: file, line or key, the value found and what is allowed."""

    def __init__(self, file: str, where: str, problem: str, *, value: object = None, allowed: str = "") -> None:
        self.file, self.where, self.problem, self.value, self.allowed = file, where, problem, value, allowed
        shown = "" if value is None else f" (found {value!r})"
        hint = f"; allowed: {allowed}" if allowed else ""
        super().__init__(f"{file}: {where + ': ' if where else ''}{problem}{shown}{hint}")


class ModemError(AgentError):
    """The cellular module or the way to it."""


class PortAbsent(ModemError):
    """There is no such serial port, or it has gone away."""


class PortBusy(ModemError):
    """Another process holds the serial port."""


class PortDenied(PortBusy):
    """The port is there and this user may not open it; WORDS tell so in a module's `reason`."""

    WORDS = "this user may not open the port"

    def __init__(self, where: str) -> None:
        super().__init__(f"{where}: {self.WORDS}")


class ModemOccupied(ModemError):
    """The module still works on a command that nobody waits for any more, and hears no other."""


class CommandError(ModemError):
    """A final error result code: `final` is OK's opposite as received, `code` its number if it has one."""

    def __init__(self, command: str, final: str, code: int | None = None, text: str = "") -> None:
        self.command, self.final, self.code, self.text = command, final, code, text
        super().__init__(f"{command}: modem answered {text or final}")


class CommandTimeout(ModemError):
    """No final result code within the command's time."""

    def __init__(self, command: str, timeout_s: float) -> None:
        self.command, self.timeout_s = command, timeout_s
        super().__init__(f"{command}: no answer within {timeout_s:g} s")


class NotAtPort(CommandTimeout):
    """The port is open and AT gets no final result code; `what` says what came instead."""

    def __init__(self, where: str, what: str, timeout_s: float) -> None:
        super().__init__("AT", timeout_s)
        self.where, self.what = where, what
        self.args = (f"{where} {what} (asked for {timeout_s:g} s)",)


class PlanError(AgentError):
    """A top-up, an override or a change of plan that makes no sense."""


class StoreError(AgentError):
    """The database on disk cannot be opened, read or written."""


class StoreTooNew(StoreError):
    """The database was written by a newer version of the agent."""


class StoreUnsure(StoreError):
    """A commit failed in a way that leaves open whether the transaction is on the disk."""


class KernelError(AgentError):
    """The kernel refused a netlink request; `code` is the errno."""

    def __init__(self, what: str, code: int | None = None, reason: str = "") -> None:
        self.what, self.code, self.reason = what, code, reason
        super().__init__(f"{what}: {reason or code}")


class OperatorError(AgentError):
    """The broker, the session with it, or a message on it."""


class BrokerDenied(OperatorError):
    """The broker refused this user: wrong password, or its access rules."""


class Rejected(AgentError):
    """A command that will not be done; `code` is a USP error code (TR-369, section on error codes)."""

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


class ControlError(AgentError):
    """The control socket between CLI and daemon."""


class AgentNotRunning(ControlError):
    """Nobody listens on the control socket."""


class NotPermitted(ControlError):
    """The control socket, or what was asked over it, is not for this user."""


class ControlTimeout(ControlError, TimeoutError):
    """The agent, or the command asked for, did not answer in time."""
