"""One connection to the broker: one paho client (paho_client.py), used once and thrown away.

Called by agent/mqtt/session.py. paho's thread calls back here and does nothing but hand an event over to the loop:
an exception in a paho callback would kill that thread while `is_connected()` stays true.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agent.mqtt.paho_client import PacketTypes, Properties, made, mqtt
from agent.net.wire_cost import Cost

# CONNACK return codes of MQTT 3.1.1 (3.2.2.3) and the MQTT 5 codes that mean the same.
_CONNACK_311 = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how to connect."""

    host: str
    port: int
    client_id: str
    keepalive_s: int
    protocol: str = "5"  # 5 or 3.1.1
    username: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    bind_interface: str = ""
    session_expiry_s: int = 30 * 86_400  # how long the broker keeps commands for a device that is away
    receive_maximum: int = 8
    clean: bool = False  # the desk tool keeps no session
    largest_packet_bytes: int = 1_048_576  # of what the broker sends; only the beginning of a larger one is kept


@dataclass(frozen=True, slots=True)
class Accepted:
    """CONNACK with success."""

    session_present: bool
    server_keepalive_s: int | None = None
    receive_maximum: int = 65_535
    maximum_packet_bytes: int | None = None
    topic_aliases: int = 0  # how many topics the broker lets us name by a number


@dataclass(frozen=True, slots=True)
class Refused:
    """CONNACK with a failure; the code is one of MQTT 5 whatever the protocol."""

    code: int
    reason: str
    server: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """PUBACK: code 0 or above 0x80 for a failure."""

    mid: int
    code: int


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message of the broker; to be acknowledged by `mid` once it is safe. 0: it came with QoS 0."""

    topic: str
    payload: bytes
    mid: int
    retained: bool
    response_topic: str = ""
    correlation: bytes = b""


@dataclass(frozen=True, slots=True)
class Subscribed:
    mid: int
    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over; `code` is the broker's DISCONNECT reason, 0 when it said nothing."""

    code: int
    reason: str
    server: str = ""
    silent: bool = False


Event = Accepted | Refused | Published | Inbound | Subscribed | Closed


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be published."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    expiry_s: int | None = None
    correlation: bytes = b""
    alias: int = 0  # MQTT 5, 3.3.2.3.4: stands for the topic, which may then be empty


def _code(reason: object) -> int:
    """The number of a paho reason, which is an int, an enum or a ReasonCode(s) object by version and protocol."""
    value = getattr(reason, "value", reason)
    return value if isinstance(value, int) else 0


def _property(properties: object, name: str, default: T) -> T:
    """A field that the broker need not send."""
    found: T = getattr(properties, name, default)
    return found


class Connection:
    """One connection from CONNECT to its end. `on_event` is called on the loop, never from paho's thread."""

    def __init__(self, target: Target, on_event: Callable[[Event], None], *, will: Message | None = None) -> None:
        self.target = target
        self._loop = asyncio.get_running_loop()
        self._on_event = on_event
        self._events: deque[Event] = deque()
        self._woken = False
        self._client = made(target)
        if will is not None:
            self._client.will_set(will.topic, will.payload, will.qos, will.retain)
        self._hook()
        self._opening: asyncio.Task[None] | None = None
        self._closed = False

    # -- paho's thread: hand over, do nothing else -------------------------------------------------------------------

    def _hand_over(self, event: Event) -> None:
        self._events.append(event)
        if self._woken:  # it takes this one too: a wake for each of a thousand messages costs more than they do
            return
        self._woken = True
        # RuntimeError: the loop has been closed, nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._take_over)

    def _take_over(self) -> None:
        self._woken = False  # first: what comes from here on wakes the loop again
        for _ in range(len(self._events)):
            self._loop.call_soon(self._on_event, self._events.popleft())

    def _hook(self) -> None:
        client = self._client
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_publish = lambda c, u, mid, *rest: self._hand_over(
            Published(mid, _code(rest[0]) if rest else client.puback_code)
        )
        client.on_subscribe = lambda c, u, mid, codes, *rest: self._hand_over(
            Subscribed(mid, tuple(_code(code) for code in codes))
        )
        client.on_message = lambda c, u, message: self._hand_over(_inbound(message))

    def _connected(
        self, client: object, userdata: object, flags: Any, reason: object, properties: object = None
    ) -> None:
        # flags: 1.6.1 has a dict, 2.x an object.
        code = _code(reason)
        if code:
            if self.target.protocol != "5":
                code = _CONNACK_311.get(code, code)
            server = str(_property(properties, "ServerReference", ""))
            return self._hand_over(Refused(code, str(reason), server))
        present = flags.get("session present") if isinstance(flags, dict) else flags.session_present
        keepalive: int | None = _property(properties, "ServerKeepAlive", None)
        if keepalive is not None:
            self._client.obey_keepalive(keepalive)
        self._hand_over(
            Accepted(
                bool(present),
                keepalive,
                _property(properties, "ReceiveMaximum", 65_535),
                _property(properties, "MaximumPacketSize", None),
                _property(properties, "TopicAliasMaximum", 0),
            )
        )

    def _disconnected(self, client: object, userdata: object, *rest: object) -> None:
        # 2.x: flags, reason, properties. 1.6.1: rc, properties on MQTT 5; rc alone on 3.1.1.
        reason = rest[1] if len(rest) == 3 else rest[0]
        properties = rest[-1] if len(rest) > 1 else None
        told = self._client.told
        if told is not None:
            name = str(reason) if hasattr(reason, "packetType") else f"reason code 0x{told:02x}"
            return self._hand_over(Closed(told, name, str(_property(properties, "ServerReference", ""))))
        silent = _code(reason) == mqtt.MQTT_ERR_KEEPALIVE or str(reason) == "Keep alive timeout"
        self._hand_over(Closed(0, self._client.alert or str(reason), silent=silent))

    # -- the loop ----------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """TCP, TLS and CONNECT; the answer comes as an Accepted or Refused event. Raises OSError."""
        target = self.target
        arguments: dict[str, object] = {}
        if target.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)
            properties.ReceiveMaximum = target.receive_maximum
            properties.MaximumPacketSize = target.largest_packet_bytes
            if not target.clean:
                properties.SessionExpiryInterval = target.session_expiry_s
            # clean_start defaults to "the first time only", which would drop the queued commands at every start.
            arguments = {"clean_start": target.clean, "properties": properties}
        await asyncio.to_thread(self._client.connect, target.host, target.port, target.keepalive_s, **arguments)
        self._begin()

    def publish(self, message: Message) -> int:
        """Queue one message with paho; returns the message id that Published will bear. Raises OSError."""
        wanted = {
            "MessageExpiryInterval": message.expiry_s,
            "CorrelationData": message.correlation or None,
            "TopicAlias": message.alias or None,
        }
        wanted = {name: value for name, value in wanted.items() if value is not None}
        properties = Properties(PacketTypes.PUBLISH) if wanted and self.target.protocol == "5" else None
        if properties is not None:
            for name, value in wanted.items():
                setattr(properties, name, value)
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain, properties)
        if info.rc not in (mqtt.MQTT_ERR_SUCCESS, mqtt.MQTT_ERR_NO_CONN):
            raise OSError(f"publish: {mqtt.error_string(info.rc)}")
        return int(info.mid)

    def subscribe(self, topic_filter: str) -> int:
        code, mid = self._client.subscribe(topic_filter, qos=1)
        if code != mqtt.MQTT_ERR_SUCCESS or mid is None:
            raise OSError(f"subscribe: {mqtt.error_string(code)}")
        return int(mid)

    def acknowledge(self, *mids: int) -> None:
        """PUBACK for messages that are safe now."""
        # Nothing is owed for QoS 0, and mosquitto ends a connection that acknowledges number 0.
        if owed := [mid for mid in mids if mid]:
            self._client.acknowledge(owed)

    @property
    def skipping(self) -> bool:
        """Whether the rest of a packet beyond the limit is coming in; all that the broker says waits behind it."""
        return self._client.skipping

    def peer(self) -> tuple[str, int] | None:
        """Address and port of the broker as this connection reached it."""
        connection = self._client.socket()
        try:
            return connection.getpeername()[:2] if connection is not None else None
        except OSError:
            return None

    def peer_certificate(self) -> dict[str, object] | None:
        connection = self._client.socket()
        try:
            return connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None  # type: ignore[return-value]
        except (OSError, ValueError):
            return None

    def cost(self) -> Cost:
        return self._client.meter.read() if self._client.meter is not None else Cost()

    def drop(self) -> None:
        """Cut the connection without a DISCONNECT; the broker will publish the will."""
        self._client.drop()

    async def close(self, *, graceful: bool) -> Cost:
        """End the connection and paho's thread; what it cost in all."""
        if not self._closed:
            self._closed = True
            if graceful:
                self._client.disconnect()
            else:
                self._client.drop()
            await self._end()
            self._client.drop()
            self._release()
        return self._client.meter.close() if self._client.meter is not None else Cost()

    # Who moves the bytes: a thread of paho's. The simulator's fleet, with thousands of these, does it on its loop.

    def _begin(self) -> None:
        self._client.loop_start()

    async def _end(self) -> None:
        await asyncio.to_thread(self._client.loop_stop)

    def _release(self) -> None:
        """paho leaves its socket pair and, after a failed loop, its socket to the garbage collector."""
        for name in ("_sock", "_sockpairR", "_sockpairW"):
            leftover = getattr(self._client, name, None)
            if leftover is not None:
                with contextlib.suppress(OSError):
                    leftover.close()


def _inbound(message: Any) -> Inbound:  # paho's MQTTMessage, which 1.6.1 has no types for
    try:
        topic = str(message.topic)
    except UnicodeDecodeError:  # the broker should have refused it; nothing of ours has such a topic
        topic = ""
    properties = getattr(message, "properties", None)
    return Inbound(
        topic,
        bytes(message.payload),
        message.mid,
        bool(message.retain),
        str(_property(properties, "ResponseTopic", "")),
        bytes(_property(properties, "CorrelationData", b"")),
    )
