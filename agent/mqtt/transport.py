"""One connection to the broker: one paho client, used once and thrown away. The only file that imports paho.

Called by agent/mqtt/session.py. paho's thread calls back here and does nothing but hand an event over to the loop:
an exception in a paho callback would kill that thread while `is_connected()` stays true. Works on paho 1.6.1 (Debian
bookworm, OpenWrt releases) and on 2.x; the few private names used are overridden here and nowhere else, and
tests/mqtt runs them against a real broker on both.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.lean import without
from agent.mqtt.tcp import CONNECT_TIMEOUT_S, as_bytes, dial
from agent.net.wire_cost import Cost, Meter

# paho asks urllib.request, which brings all of http and email, for proxies of WebSockets only; our sockets are our own.
with without("urllib.request"):
    import paho.mqtt.client as mqtt
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

# CONNACK return codes of MQTT 3.1.1 (3.2.2.3) and the MQTT 5 codes that mean the same.
_CONNACK_311 = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}


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
    """A message of the broker; to be acknowledged by `mid` once it is safe."""

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


def _code(reason: Any) -> int:
    """The number of a paho reason, which is an int, an enum or a ReasonCode(s) object by version and protocol."""
    value = getattr(reason, "value", reason)
    return value if isinstance(value, int) else 0


def _property(properties: Any, name: str, default: Any = None) -> Any:
    return getattr(properties, name, default) if properties is not None else default


class _Client(mqtt.Client):  # type: ignore[misc]  # paho 1.6.1 is untyped
    """paho's client with its socket made by us, its PUBACKs sent when we say so, and the broker's reason kept."""

    target: Target
    meter: Meter | None = None
    puback_code: int = 0
    alert: str = ""  # what TLS said when it ended the connection
    told: int | None = None  # the reason code of the broker's DISCONNECT

    def _create_socket_connection(self) -> socket.socket:
        connection = dial(self.target.host, self.target.port, self.target.bind_interface)
        self.meter = Meter(connection)
        if self.target.tls is None:
            return connection
        connection.settimeout(CONNECT_TIMEOUT_S)
        try:
            # Wrapped here, not by paho: 1.6.1 waits for the handshake as long as a whole keep-alive interval.
            return self.target.tls.wrap_socket(connection, server_hostname=as_bytes(self.target.host))
        except BaseException:
            connection.close()
            raise

    def _sock_recv(self, bufsize: int) -> Any:
        try:
            return super()._sock_recv(bufsize)
        except ssl.SSLError as error:
            # With TLS 1.3 a broker refuses a certificate only after the handshake. paho 1.6.1 would let this through
            # to its thread, which dies without a word; 2.x says no more than that the connection is lost.
            self.alert = str(error)
            raise ConnectionAbortedError(self.alert) from error

    def _sock_send(self, buf: Any) -> Any:
        try:
            return super()._sock_send(buf)
        except BlockingIOError:
            raise
        except OSError as error:  # the alert may be there already, unread
            self.alert = self._last_word() or str(error)
            raise ConnectionAbortedError(self.alert) from error

    def _last_word(self) -> str:
        try:
            self._sock.recv(1)
        except ssl.SSLWantReadError:
            return ""
        except ssl.SSLError as alert:
            return str(alert)
        except (OSError, ValueError):
            return ""
        return ""

    def _send_puback(self, mid: int) -> Any:
        return mqtt.MQTT_ERR_SUCCESS  # only after the command is in the journal: acknowledge()

    def acknowledge(self, mid: int) -> None:
        super()._send_puback(mid)

    def _handle_pubackcomp(self, cmd: Any) -> Any:
        packet = self._in_packet["packet"]  # paho 1.6.1 keeps the reason code to itself
        self.puback_code = packet[2] if len(packet) > 2 else 0
        return super()._handle_pubackcomp(cmd)

    def _handle_disconnect(self) -> Any:
        packet = self._in_packet["packet"]  # paho 1.6.1 drops a reason that comes without properties
        self.told = packet[0] if packet else 0
        return super()._handle_disconnect()

    def obey_keepalive(self, seconds: int) -> None:
        self._keepalive = seconds  # Server Keep Alive, which paho before 2.2 ignores

    def drop(self) -> None:
        if self.meter is not None:
            self.meter.shutdown()


class Connection:
    """One connection from CONNECT to its end. `on_event` is called on the loop, never from paho's thread."""

    def __init__(self, target: Target, on_event: Callable[[Event], None], *, will: Message | None = None) -> None:
        self.target = target
        self._loop = asyncio.get_running_loop()
        self._on_event = on_event
        self._client = _make(target)
        self._client.target = target
        if will is not None:
            self._client.will_set(will.topic, will.payload, will.qos, will.retain)
        self._hook()
        self._opening: asyncio.Task[None] | None = None
        self._closed = False

    # -- paho's thread: hand over, do nothing else -------------------------------------------------------------------

    def _hand_over(self, event: Event) -> None:
        # RuntimeError: the loop has been closed, nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._on_event, event)

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

    def _connected(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any = None) -> None:
        code = _code(reason)
        if code:
            if self.target.protocol != "5":
                code = _CONNACK_311.get(code, code)
            server = str(_property(properties, "ServerReference", ""))
            return self._hand_over(Refused(code, str(reason), server))
        present = flags.get("session present") if isinstance(flags, dict) else flags.session_present
        keepalive = _property(properties, "ServerKeepAlive")
        if keepalive is not None:
            self._client.obey_keepalive(keepalive)
        self._hand_over(
            Accepted(
                bool(present),
                keepalive,
                _property(properties, "ReceiveMaximum", 65_535),
                _property(properties, "MaximumPacketSize"),
                _property(properties, "TopicAliasMaximum", 0),
            )
        )

    def _disconnected(self, client: Any, userdata: Any, *rest: Any) -> None:
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
        arguments: dict[str, Any] = {}
        if target.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)
            properties.ReceiveMaximum = target.receive_maximum
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

    def acknowledge(self, mid: int) -> None:
        """PUBACK for a message that is safe now."""
        self._client.acknowledge(mid)

    def peer(self) -> tuple[str, int] | None:
        """Address and port of the broker as this connection reached it."""
        connection = self._client.socket()
        try:
            return connection.getpeername()[:2] if connection is not None else None
        except OSError:
            return None

    def peer_certificate(self) -> dict[str, Any] | None:
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


def _make(target: Target) -> _Client:
    version = mqtt.MQTTv5 if target.protocol == "5" else mqtt.MQTTv311
    arguments: dict[str, Any] = {"client_id": target.client_id, "protocol": version, "reconnect_on_failure": False}
    if version == mqtt.MQTTv311:
        arguments["clean_session"] = target.clean
    if hasattr(mqtt, "CallbackAPIVersion"):  # 2.x
        arguments["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
    client = _Client(**arguments)
    if target.username:
        client.username_pw_set(target.username, target.password or None)
    return client


def _inbound(message: Any) -> Inbound:
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
