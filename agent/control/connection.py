"""One client of the control socket: lines in, answers and notifications out. Made by the server alone.

A request runs as its own task, so a long one does not keep a short one waiting; when the client goes away, what it
waited for is cancelled (Ctrl-C in a technician's terminal reaches the command this way).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import select
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from agent import __version__
from agent.commands.envelope import DEEPEST
from agent.control import protocol
from agent.control.beats import Beats, encode, error_of
from agent.control.peer import Peer
from agent.errors import AgentError, NotPermitted, Rejected
from agent.json_nesting import nested_deeper

log = logging.getLogger(__name__)

Number: TypeAlias = "int | float | str | None"  # of a request (JSON-RPC 2.0, section 4)
# functools.partial(agent.commands.execute, agent): (name, args, *, role, source, progress)
Execute = Callable[..., Awaitable[Mapping[str, object]]]
# functools.partial(agent.commands.admit, agent): (name, args, *, role, source)
Admit = Callable[..., None]

MOST_REQUESTS = 8  # at once, of one connection
STALL_S = 30.0  # a client that reads nothing for so long is cut off
STREAM_BUFFER_BYTES = 131_072  # past it a watcher misses beats instead of making the daemon grow


class Connection:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        peer: Peer,
        role: str,
        execute: Execute,
        beats: Beats,
        admit: Admit | None = None,
    ) -> None:
        self.peer, self.role = peer, role
        self._reader, self._writer = reader, writer
        self._execute, self._beats, self._admit = execute, beats, admit
        self._sending = asyncio.Lock()  # Python 3.10 allows one drain() at a time
        self._requests: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(MOST_REQUESTS)
        self.missed = 0

    # -- in --------------------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Read requests until the client goes away, then let go of all that it asked for."""
        try:
            while line := await self._line():
                await self._room.acquire()
                task = asyncio.create_task(self._answer(line))
                self._requests.add(task)
                task.add_done_callback(self._answered)
            await self._finish_half_closed()
        finally:
            self._beats.leave(self)
            for task in self._requests:
                task.cancel()
            await asyncio.gather(*self._requests, return_exceptions=True)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._requests.discard(task)
        self._room.release()

    async def _line(self) -> bytes:
        try:
            return await self._reader.readline()
        except ValueError:  # the reader's limit
            await self.refuse(protocol.INVALID_REQUEST, f"a request may have {protocol.REQUEST_BYTES} bytes at most")
        except OSError:
            pass
        return b""

    async def _finish_half_closed(self) -> None:
        """`echo … | nc -U` closes its sending side before the answer is there; a client that is gone hangs up."""
        while self._requests and not self._hung_up():
            await asyncio.wait(self._requests, timeout=1.0)

    def _hung_up(self) -> bool:
        connection = self._writer.get_extra_info("socket")
        if self._writer.is_closing() or connection is None:
            return True
        poll = select.poll()
        poll.register(connection.fileno(), 0)  # POLLHUP is always told
        return bool(poll.poll(0))

    # -- a request -------------------------------------------------------------------------------------------------

    async def _answer(self, line: bytes) -> None:
        number, method, params, problem = parse(line)
        if problem:
            await self.send({"id": number, "error": {"code": problem[0], "message": problem[1]}})
            return
        try:
            result = await self._run(number, method, params)
            answer: dict[str, object] = {"result": result}
        except AgentError as error:
            answer = {"error": error_of(error)}
        except Exception:
            log.exception("control socket: '%s' failed", method)
            answer = {"error": {"code": protocol.INTERNAL_ERROR, "message": f"'{method}' failed; the log says why"}}
        if number is not None:  # a notification (JSON-RPC 2.0, section 4.1) wants no answer
            await self.send({"id": number, **answer})

    async def _run(self, number: object, method: str, params: dict[str, object]) -> Mapping[str, object]:
        if method == "hello":
            return self._hello(params)
        if method == "watch":
            return self._watch(params)
        if method == "check" and self._admit is not None:
            return self._check(self._admit, params)

        def progress(percent: int, what: str) -> None:
            if number is not None:
                self.offer(encode({"method": "progress", "params": {"id": number, "percent": percent, "what": what}}))

        return await self._execute(method, params, role=self.role, source=self.source, progress=progress)

    def _hello(self, params: dict[str, object]) -> Mapping[str, object]:
        asked = params.get("protocol", protocol.PROTOCOL)
        if asked != protocol.PROTOCOL:
            raise Rejected(
                protocol.INVALID_REQUEST,
                f"the agent that runs is {__version__} and speaks control protocol {protocol.PROTOCOL}; this tool "
                f"is {params.get('version')} and speaks {asked}: restart the agent to finish the upgrade",
            )
        return {"protocol": protocol.PROTOCOL, "version": __version__, "role": self.role}

    def _check(self, admit: Admit, params: dict[str, object]) -> Mapping[str, object]:
        method, args = params.get("method"), params.get("params", {})
        if not isinstance(method, str) or not isinstance(args, dict):
            raise Rejected(protocol.INVALID_PARAMS, "check wants method and params")
        admit(method, args, role=self.role, source=self.source)
        return {"admitted": method}

    def _watch(self, params: dict[str, object]) -> Mapping[str, object]:
        method, args, every_s = params.get("method"), params.get("params", {}), params.get("every_s", 1.0)
        if not isinstance(method, str) or not isinstance(args, dict) or not isinstance(every_s, (int, float)):
            raise Rejected(protocol.INVALID_PARAMS, "watch wants method, params and every_s")
        if self.role not in protocol.ROLES:
            raise NotPermitted("this user may not watch")
        self._beats.join(self, method, args, min(3600.0, max(0.2, float(every_s))))
        return {"watching": method}

    @property
    def source(self) -> str:
        """Who asks, for the audit trail."""
        return f"local:{self.peer.name} (uid {self.peer.uid})"

    # -- out -------------------------------------------------------------------------------------------------------

    async def send(self, message: dict[str, object]) -> None:
        """Write one answer and wait until the client has room for the next; a client that stalls is cut off."""
        data = encode(message)
        if len(data) > protocol.LINE_BYTES:
            reason = f"the answer has {len(data)} bytes, more than {protocol.LINE_BYTES}; ask for less"
            data = encode({"id": message.get("id"), "error": {"code": protocol.INTERNAL_ERROR, "message": reason}})
        async with self._sending:
            if self._writer.is_closing():
                return
            self._writer.write(data)
            try:
                await asyncio.wait_for(self._writer.drain(), STALL_S)
            except (OSError, asyncio.TimeoutError):
                self._abort()

    def offer(self, data: bytes) -> bool:
        """Write a notification if the client keeps up; a beat that it has no room for is missed, never queued."""
        if self._writer.is_closing():
            return False
        transport = self._writer.transport
        if transport.get_write_buffer_size() > STREAM_BUFFER_BYTES:
            self.missed += 1
            return True
        self._writer.write(data)
        return True

    async def refuse(self, code: int, reason: str) -> None:
        """Say why, to nobody's request in particular, and let the connection end."""
        with contextlib.suppress(OSError):
            await self.send({"id": None, "error": {"code": code, "message": reason}})

    def close(self) -> None:
        if self._writer.transport.get_write_buffer_size() > 0 and self.missed:
            self._abort()
        self._writer.close()

    def _abort(self) -> None:
        self._writer.transport.abort()


def parse(line: bytes) -> tuple[Number, str, dict[str, object], tuple[int, str] | None]:
    """A request line as (id, method, params, problem); problem is (code, reason) or None."""
    try:
        text = line.decode()
        if nested_deeper(text, DEEPEST):
            return None, "", {}, (protocol.PARSE_ERROR, "nested too deeply")
        message = json.loads(text)
    except ValueError:
        return None, "", {}, (protocol.PARSE_ERROR, "not JSON, one object a line")
    if not isinstance(message, dict):
        return None, "", {}, (protocol.INVALID_REQUEST, "a request is an object (batches are not served)")
    number, method, params = message.get("id"), message.get("method"), message.get("params", {})
    if isinstance(number, bool) or not isinstance(number, (int, str, float, type(None))):
        return None, "", {}, (protocol.INVALID_REQUEST, "id is a number or text")
    if not isinstance(method, str):
        return number, "", {}, (protocol.INVALID_REQUEST, "method is missing")
    if not isinstance(params, dict):
        return number, method, {}, (protocol.INVALID_PARAMS, "params is an object")
    return number, method, params, None
