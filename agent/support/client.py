"""One MQTT client of the operator's: `modem-support` over it, and a model for an operator's own consumer.

Keeps no session at the broker. Works with every broker of README.md, those without retained messages for wildcard
filters (RabbitMQ) included.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.errors import BrokerDenied, OperatorError
from agent.mqtt.topics import Topics
from agent.mqtt.transport import (
    Accepted,
    Closed,
    Connection,
    Event,
    Inbound,
    Message,
    Published,
    Refused,
    Subscribed,
    Target,
)
from agent.support.messages import DeviceMessage, Result, read

if TYPE_CHECKING:
    from agent.command_schema import Request

CONNECT_S = 20.0
ANSWER_S = 5.0  # without any packet of the broker's; what is late all the same is asked for again
FINAL = frozenset({"succeeded", "failed", "rejected", "expired", "cancelled", "timed-out"})
# MQTT 5, 2.4: bad user name or password, not authorized, bad authentication method.
DENIED = frozenset({0x86, 0x87, 0x8C})
FILTERS_A_PACKET = 8  # AWS IoT Core's limit in one SUBSCRIBE, the tightest of the brokers in README.md


class Listener(Connection):
    """A Connection that can ask for delivery at QoS 0.

    Retained messages at QoS 1 wait in the broker's queue for this client, and mosquitto drops in silence what is beyond
    max_inflight_messages + max_queued_messages (20 + 1000 by default). At QoS 0 they go straight to the socket.
    """

    def listen(self, filters: Sequence[str]) -> int:
        """One SUBSCRIBE at QoS 0; the message id that Subscribed will bear. Raises OSError."""
        code, mid = self._client.subscribe([(topic_filter, 0) for topic_filter in filters])
        if code or mid is None:
            raise OSError("the connection to the broker is closed")
        return int(mid)


class Client:
    """`async with Client(target, root) as client`. Raises OperatorError when the broker does not let us in."""

    def __init__(self, target: Target, root: str, *, dots: bool = True) -> None:
        self.target = replace(target, clean=True, client_id=target.client_id or f"support-{uuid.uuid4().hex[:12]}")
        self.root, self._dots = root, dots
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    async def __aenter__(self) -> Client:
        for protocol in ("5", "3.1.1") if self.target.protocol == "auto" else (self.target.protocol,):
            self._events = asyncio.Queue()
            self._connection = Listener(replace(self.target, protocol=protocol), self._events.put_nowait)
            try:
                await self._connect()
                return self
            except OperatorError as error:
                await self._connection.close(graceful=False)
                problem = error
            if isinstance(problem, BrokerDenied):  # another protocol changes nothing
                break
        raise problem

    async def _connect(self) -> None:
        """Wait for the broker's CONNACK. Raises OperatorError with the reason."""
        host, port = self.target.host, self.target.port
        where = f"{host}:{port}"
        try:
            await self._connection.open()
            event = await self._next(CONNECT_S)
        except (asyncio.TimeoutError, TimeoutError):
            raise OperatorError(f"{where}: no answer") from None
        except (OSError, UnicodeError) as error:
            raise OperatorError(f"{where}: {_reason(error, tls=self.target.tls is not None)}") from error
        match event:
            case Accepted():
                return
            case Refused(code, reason):
                kind = BrokerDenied if code in DENIED else OperatorError
                raise kind(f"{where}: the broker refused the connection: {reason}")
            case Closed(_, reason) if self.target.tls is None and await asyncio.to_thread(
                speaks_tls, self.target.host, self.target.port
            ):
                raise OperatorError(f"{where}: this port is for TLS; say mqtts://")
            case Closed(_, reason):
                raise OperatorError(f"{where}: the connection was closed before an answer: {reason}")
        raise OperatorError(f"{where}: not an MQTT broker")

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close(graceful=True)

    # -- listening ---------------------------------------------------------------------------------------------------

    def filter(self, below: str, device: str = "+") -> str:
        return f"{self.root}/v1/{device}/{below}"

    def subscribe(self, below: str, device: str = "+") -> None:
        """Everything under `below` (such as `m/#`) of one device or all, each message acknowledged (QoS 1)."""
        self._connection.subscribe(self.filter(below, device))

    async def retained(
        self, filters: Sequence[str], quiet_s: float, take: Callable[[DeviceMessage], object]
    ) -> tuple[list[str], bool]:
        """Read what is retained under `filters`, up to a quiet time after the broker's last answer.

        Returns the topics that came as retained, in their order, and whether every subscription was answered: mosquitto
        drops the answers too when it drops messages. Raises OperatorError.
        """
        packets = [filters[i : i + FILTERS_A_PACKET] for i in range(0, len(filters), FILTERS_A_PACKET)]
        waiting = {self._connection.listen(packet) for packet in packets}
        # mosquitto answers a SUBSCRIBE first and then sends what is retained: a second answer comes after all of it.
        waiting.add(self._connection.listen([self.filter("-", "-")]))
        topics: list[str] = []
        while True:
            try:
                event = await self._next(ANSWER_S if waiting else quiet_s)
            except (asyncio.TimeoutError, TimeoutError):
                return topics, not waiting
            if isinstance(event, Subscribed):
                waiting.discard(event.mid)
            if message := self._handle(event):
                take(message)
                if message.retained:
                    topics.append(f"{message.device}/{message.topic}")

    async def messages(self, limit_s: float | None = None) -> AsyncIterator[DeviceMessage]:
        """What comes, until the time is over. Raises OperatorError when the session ends."""
        end_s = None if limit_s is None else time.monotonic() + limit_s
        while True:
            left_s = None if end_s is None else end_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                return
            try:
                event = await self._next(left_s)
            except (asyncio.TimeoutError, TimeoutError):
                return
            if message := self._handle(event):
                yield message

    async def _next(self, limit_s: float | None) -> Event:
        """The next event; what is there already costs no timer, of which a fleet would need 40 000."""
        if not self._events.empty():
            return self._events.get_nowait()
        return await asyncio.wait_for(self._events.get(), limit_s)

    def _handle(self, event: Event) -> DeviceMessage | None:
        match event:
            case Inbound():
                if event.mid:  # QoS 0 bears no id and wants no PUBACK
                    self._connection.acknowledge(event.mid)
                return read(self.root, event.topic, event.payload, retained=event.retained)
            case Published(_, code) if code >= 0x80:
                raise BrokerDenied(f"the broker refused the command (0x{code:02x}): not permitted for this user")
            case Subscribed(_, codes) if any(code >= 0x80 for code in codes):
                raise BrokerDenied(f"the broker refused the subscription (0x{max(codes):02x}): not permitted")
            case Closed(_, reason):
                raise OperatorError(f"the broker ended the session: {reason}")
        return None

    # -- commands ----------------------------------------------------------------------------------------------------

    def spelled(self, type: str) -> str:
        """A command's name as a topic level; RabbitMQ makes two levels of a dot, NATS before 2.10 ends the session."""
        return type if self._dots else type.replace(".", "-")

    async def delivered(self, limit_s: float = CONNECT_S) -> None:
        """Wait until the broker has the last command. Raises OperatorError."""

        async def wait() -> None:
            while not isinstance(event := await self._events.get(), Published):
                self._handle(event)
            self._handle(event)

        try:
            await asyncio.wait_for(wait(), limit_s)
        except (asyncio.TimeoutError, TimeoutError):
            raise OperatorError("the broker did not acknowledge the command") from None

    def request(self, device: str, envelope: Mapping[str, object]) -> None:
        """Publish a command; its results come as messages of `cmd/{type}/{id}/res`, if subscribed to."""
        topic = Topics(self.root, device).request(self.spelled(str(envelope["type"])), str(envelope["id"]))
        payload = json.dumps(envelope, separators=(",", ":")).encode()
        ttl = envelope.get("ttl")
        self._connection.publish(Message(topic, payload, expiry_s=ttl if isinstance(ttl, int) and ttl else None))

    async def results(self, device: str, id: str, limit_s: float) -> AsyncIterator[Result]:
        """Results of one command, the final one last; ends early when the time is over. Raises NotUnderstood."""
        async for message in self.messages(limit_s):
            if message.device != device or not message.topic.endswith(f"/{id}/res"):
                continue
            if message.problem:
                raise OperatorError(f"{device}: not understood: {message.problem}")
            if isinstance(message.content, Result) and message.content.id == id:
                yield message.content
                if message.content.state in FINAL:
                    return


def _reason(error: Exception, *, tls: bool) -> str:
    """One sentence of what the system or TLS said."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"the broker's certificate is not trusted: {error.verify_message}"
        case ssl.SSLError() | ConnectionResetError() if tls:  # mosquitto resets what begins with no CONNECT
            return f"no TLS session: {getattr(error, 'reason', None) or error.strerror}; is this port for mqtt://?"
        case UnicodeError():
            return "not a host name"
        case OSError() if error.strerror:
            return error.strerror
    return str(error) or type(error).__name__


def speaks_tls(host: str, port: int) -> bool:
    """Whether the port answers a TLS greeting. Nothing is trusted, and nothing is said over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), 5) as plain, context.wrap_socket(plain) as secure:
            return secure.version() is not None
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # it wants a certificate of ours, and says so in TLS
    except OSError:
        return False


def new_envelope(
    type: str, args: Mapping[str, object], *, device: str, issuer: str, ttl_s: int, nonce: str = ""
) -> Request:
    """A command that was never sent before.

    `exp` says to the device what the message expiry of MQTT 5 says to the broker: 3.1.1 has none. `nonce`, of the
    device's session, makes `exp` acceptable to a device whose clock is not set.
    """
    now = int(time.time())
    asked: Request = {
        "v": 1,
        "id": uuid.uuid4().hex,
        "type": type,
        "args": dict(args),
        "ttl": ttl_s,
        "iat": now,
        "exp": now + ttl_s,
        "iss": issuer,
        "aud": device,
    }
    return {**asked, "nonce": nonce} if nonce else asked
