"""paho's client with what it lacks. The only file that imports paho; used by transport.py.

Works on paho 1.6.1 (Debian bookworm, OpenWrt releases) and on 2.x. The few private names used are overridden here and
nowhere else, and tests/mqtt runs them against a real broker on both.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.lean import without
from agent.mqtt.tcp import CONNECT_TIMEOUT_S, as_bytes, dial
from agent.net.wire_cost import Meter

# paho asks urllib.request, which brings all of http and email, for proxies of WebSockets only; our sockets are our own.
with without("urllib.request"):
    import paho.mqtt.client as mqtt
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

if TYPE_CHECKING:
    from agent.mqtt.transport import Target

__all__ = ["Client", "PacketTypes", "Properties", "made", "mqtt"]

# Of one read: paho asks for all that a packet announces, up to 256 MB, and Python allocates it.
PIECE_BYTES = 65_536


class Client(mqtt.Client):  # type: ignore[misc]  # paho 1.6.1 is untyped
    """paho's client with its socket made by us, its PUBACKs sent when we say so, and the broker's reason kept."""

    target: Target
    meter: Meter | None = None
    puback_code: int = 0
    alert: str = ""  # what TLS said when it ended the connection
    told: int | None = None  # the reason code of the broker's DISCONNECT
    skipping: bool = False  # the rest of a packet beyond the limit is coming in
    _ahead: bytes = b""  # of the last read; paho has had all before `_taken`
    _taken: int = 0

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

    def loop_read(self, max_packets: int = 1) -> object:
        """All packets of one read. paho alone reads each in four pieces and looks at the socket before the next."""
        result = super().loop_read(max_packets)
        while self._taken < len(self._ahead) and result == mqtt.MQTT_ERR_SUCCESS:
            result = super().loop_read(max_packets)
        return result

    def _piece(self, size: int) -> bytes:
        """Reads ahead where a packet begins only, so that nothing is left when loop_read() returns."""
        if self._taken == len(self._ahead):
            if self._in_packet["command"]:
                return bytes(super()._sock_recv(size))
            self._ahead, self._taken = super()._sock_recv(PIECE_BYTES), 0
        begin, self._taken = self._taken, min(self._taken + size, len(self._ahead))
        return self._ahead[begin : self._taken]

    def _sock_recv(self, bufsize: int) -> bytes:
        try:
            return self._limited(self._piece(min(bufsize, PIECE_BYTES)))
        except ssl.SSLError as error:
            # With TLS 1.3 a broker refuses a certificate only after the handshake. paho 1.6.1 would let this through
            # to its thread, which dies without a word; 2.x says no more than that the connection is lost.
            self.alert = str(error)
            raise ConnectionAbortedError(self.alert) from error

    def _limited(self, piece: bytes) -> bytes:
        """What paho gets of `piece`: all of it, or one byte in its place where the packet would pass the limit.

        MQTT 3.1.1 cannot tell a broker what is too large. Such a packet is read to its end and its beginning handed
        over: topic and message id are there, so it is answered and acknowledged as any other, and never comes again.
        """
        packet = self._in_packet  # paho's: what came of the packet, and how much is still to come
        longest = self.target.largest_packet_bytes
        self.skipping = len(packet["packet"]) + len(piece) > longest
        if not self.skipping:
            return piece
        del packet["packet"][longest - 1 :]
        packet["to_process"] -= len(piece) - 1  # paho takes off what it gets
        self._ping_t = 0.0  # a PINGRESP waits behind this packet; paho 1.6.1 would give up
        return piece[:1]

    def _sock_send(self, buf: bytes) -> object:
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

    def _send_puback(self, mid: int) -> object:
        return mqtt.MQTT_ERR_SUCCESS  # only after the command is in the journal: acknowledge()

    def acknowledge(self, mids: Sequence[int]) -> None:
        """All PUBACKs as one piece for the socket: paho would wake its thread and write once for each."""
        # MQTT 5, 3.4.2.1: a remaining length of 2 is success without properties; 3.1.1, 3.4: always 2.
        packets = b"".join(struct.pack("!BBH", mqtt.PUBACK, 2, mid) for mid in mids)
        self._packet_queue(mqtt.PUBACK, packets, mids[-1], 0)

    def _handle_pubackcomp(self, cmd: object) -> object:
        packet = self._in_packet["packet"]  # paho 1.6.1 keeps the reason code to itself
        self.puback_code = packet[2] if len(packet) > 2 else 0
        return super()._handle_pubackcomp(cmd)

    def _handle_disconnect(self) -> object:
        packet = self._in_packet["packet"]  # paho 1.6.1 drops a reason that comes without properties
        self.told = packet[0] if packet else 0
        return super()._handle_disconnect()

    def obey_keepalive(self, seconds: int) -> None:
        self._keepalive = seconds  # Server Keep Alive, which paho before 2.2 ignores

    def drop(self) -> None:
        if self.meter is not None:
            self.meter.shutdown()


def made(target: Target) -> Client:
    """A client for one connection."""
    version = mqtt.MQTTv5 if target.protocol == "5" else mqtt.MQTTv311
    arguments: dict[str, object] = {"client_id": target.client_id, "protocol": version, "reconnect_on_failure": False}
    if version == mqtt.MQTTv311:
        arguments["clean_session"] = target.clean
    if hasattr(mqtt, "CallbackAPIVersion"):  # 2.x
        arguments["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
    client = Client(**arguments)
    client.target = target
    if target.username:
        client.username_pw_set(target.username, target.password or None)
    return client
