"""Exit statuses, and which error ends in which: the contract with scripts and with `modem-support`.

Used by main() alone. A verb raises an AgentError whose text is one sentence; it never prints a traceback.
"""

from __future__ import annotations

from agent import errors

OK = 0
FAILED = 1
USAGE = 2  # command line or configuration
NOT_RUNNING = 3
NOT_PERMITTED = 4
NO_MODEM = 5
TIMED_OUT = 6
INTERRUPTED = 130  # 128 + SIGINT, as shells say it
PIPE_CLOSED = 141  # 128 + SIGPIPE: what every other tool in a pipeline ends with

NAMES = {
    FAILED: "failed",
    USAGE: "usage",
    NOT_RUNNING: "agent-not-running",
    NOT_PERMITTED: "not-permitted",
    NO_MODEM: "modem-absent",
    TIMED_OUT: "timed-out",
    INTERRUPTED: "interrupted",
}

# First match wins, so the narrow ones stand first.
_BY_ERROR: tuple[tuple[type[BaseException], int], ...] = (
    (errors.ConfigError, USAGE),
    (errors.AgentNotRunning, NOT_RUNNING),
    (errors.NotPermitted, NOT_PERMITTED),
    (errors.BrokerDenied, NOT_PERMITTED),
    (PermissionError, NOT_PERMITTED),
    (errors.PortDenied, NOT_PERMITTED),
    (errors.PortAbsent, NO_MODEM),
    (errors.CommandTimeout, TIMED_OUT),
    (TimeoutError, TIMED_OUT),
)


def status_of(error: BaseException) -> int:
    """The exit status that an error ends in."""
    for kind, status in _BY_ERROR:
        if isinstance(error, kind):
            return status
    return FAILED
