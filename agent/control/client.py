"""The control socket from the CLI's side: blocking, small, no asyncio. Never used inside the daemon.

Errors of the agent come back as the same classes that the agent raised where the CLI acts on the difference
(Rejected, NotPermitted, PortAbsent, ControlTimeout); the rest is a ControlError with the agent's own sentence.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from agent import __version__
from agent.control import protocol
from agent.errors import AgentError, AgentNotRunning, ControlError, ControlTimeout, NotPermitted, PortAbsent, Rejected

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from agent import status_schema as schema
    from agent.command_schema import Log
    from agent.json_types import Json, JsonObject
    from agent.statement_schema import Answer

Progress = Callable[["JsonObject"], None]


class UnknownCommand(ControlError):
    """The agent that runs is of another version."""


class ControlClient:
    """One connection. `timeout_s` bounds each call; `agent_version` is the daemon's, known once connected."""

    def __init__(self, path: Path | str, *, timeout_s: float = 10.0) -> None:
        self.path, self.timeout_s = path, timeout_s
        self._socket = _connect(path, timeout_s)
        self._buffer = b""
        self._next_id = 0
        try:
            hello = self.call("hello", {"protocol": protocol.PROTOCOL, "version": __version__})
        except BaseException:
            self.close()
            raise
        self.agent_version = str(hello.get("version"))
        self.role = str(hello.get("role"))

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def status(self) -> schema.Status:
        """What the agent looks like now; one of another version may leave fields out."""
        return cast("schema.Status", self.call("status"))

    def usage(self, wanted: Mapping[str, object]) -> schema.UsageAnswer:
        return cast("schema.UsageAnswer", self.call("usage", wanted))

    def log(self, wanted: Mapping[str, object]) -> Log:
        return cast("Log", self.call("log.get", wanted))

    def statement(self, month: str) -> Answer:
        return cast("Answer", self.call("usage.statement", {"month": month}))

    def signal(self) -> schema.Heard:
        """What the antenna hears now."""
        return cast("schema.Heard", self.call("modem.signal"))

    def call(
        self,
        method: str,
        params: Mapping[str, object] | None = None,
        *,
        timeout_s: float | None = None,
        progress: Progress | None = None,
        waiting: Callable[[], None] | None = None,
    ) -> dict[str, Any]:
        """Ask, wait for the one answer, return its result. Closing the connection cancels what was asked; `waiting`
        is called once a second meanwhile."""
        number = self._send(method, params or {})
        deadline = time.monotonic() + (timeout_s or self.timeout_s)
        while True:
            message = self._receive(deadline, method, waiting)
            if message.get("method") == "progress" and progress is not None:
                progress(_object(message.get("params")))
            if "method" not in message and message.get("id") in (number, None):
                return _result(message)

    def check(self, method: str, params: Mapping[str, object]) -> None:
        """Raises as the call itself would before anything is done; nothing is done. An agent that cannot tell without
        doing it says so when it is asked to."""
        with contextlib.suppress(UnknownCommand):
            self.call("check", {"method": method, "params": params})

    def signals(self, every_s: float) -> Iterator[schema.Heard | AgentError]:
        """The same, once a beat."""
        return cast("Iterator[schema.Heard | AgentError]", self.stream("modem.signal", {}, every_s=every_s))

    def stream(self, method: str, params: JsonObject, *, every_s: float) -> Iterator[JsonObject | AgentError]:
        """Results of a reading command, one a beat, until the caller stops or the agent goes away. A fault of one
        beat is yielded, not raised: the modem that a technician watches for may come back."""
        number = self._send("watch", {"method": method, "params": params, "every_s": every_s})
        while True:
            message = self._receive(time.monotonic() + self.timeout_s + every_s, method)
            if message.get("method") == "watch":
                try:
                    yield _result(_object(message.get("params")))
                except AgentError as error:
                    yield error
            elif message.get("id") in (number, None):
                _result(message)  # raises if the watch was refused; its acceptance says nothing more

    def _send(self, method: str, params: Mapping[str, object]) -> int:
        self._next_id += 1
        line = json.dumps({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params})
        try:
            self._socket.sendall(line.encode() + b"\n")
        except TimeoutError:
            raise ControlTimeout("the agent does not read its control socket; it hangs or is overloaded") from None
        except OSError as error:
            # A refused stranger's connection is closed at once: its last word is still to be read.
            if not isinstance(error, (BrokenPipeError, ConnectionResetError)):
                raise
        return self._next_id

    def _receive(self, deadline: float, method: str, waiting: Callable[[], None] | None = None) -> JsonObject:
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise ControlTimeout(f"the agent did not answer '{method}' in time")
            self._socket.settimeout(min(left, 1.0) if waiting else left)
            try:
                chunk = self._socket.recv(65_536)
            except TimeoutError:
                if waiting:
                    waiting()
                continue
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                raise AgentNotRunning(f"the agent closed the connection before it answered '{method}'")
            self._buffer += chunk
            if len(self._buffer) > protocol.LINE_BYTES:
                raise ControlError("the agent sent a line that is too long; is it another version?")
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            raise ControlError(f"what listens on {self.path} is not a modem-agent")
        return message


def _connect(path: Path | str, timeout_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    try:
        connection.connect(str(path))
    except BaseException as error:
        connection.close()
        if isinstance(error, TimeoutError):
            raise ControlTimeout(f"the agent does not take connections on {path}; it hangs or is overloaded") from None
        if isinstance(error, OSError):
            raise _absent(path, error) from None
        raise
    return connection


def _absent(path: Path | str, error: OSError) -> ControlError:
    if isinstance(error, FileNotFoundError):
        return AgentNotRunning(f"the agent is not running (no control socket {path})")
    if isinstance(error, ConnectionRefusedError):
        return AgentNotRunning(f"the agent is not running (it left a stale control socket {path})")
    if isinstance(error, PermissionError):
        return NotPermitted(f"this user may not use the control socket {path}; use sudo, or join the agent's group")
    return AgentNotRunning(f"no agent listens on {path}: {error.strerror or error}")


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _result(message: JsonObject) -> JsonObject:
    if "error" not in message:
        return _object(message.get("result"))
    error = _object(message["error"])
    code, reason = error.get("code", 0), str(error.get("message", "the agent gave no reason"))
    if code == protocol.PERMISSION_DENIED:
        raise NotPermitted(reason)
    if code == protocol.MODEM_ABSENT:
        raise PortAbsent(reason)
    if code == protocol.TIMED_OUT:
        raise ControlTimeout(reason)
    if reason.startswith("unknown command"):
        raise UnknownCommand(f"{reason}; this tool is {__version__}: the agent that runs is of another version")
    if isinstance(code, int) and code >= 7000:
        raise Rejected(code, reason)
    raise ControlError(reason)
