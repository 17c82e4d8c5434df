"""A call between two browsers: the page that both open, and the way of each of its audio packets through the line.

What the receivers made of it is WebRTC's own account (getStats). One way is measured at the packets: each is seen where
it leaves one end and where it arrives at the other, by the one clock of this machine's kernel (SO_TIMESTAMPNS). SRTP
leaves the header of RTP legible (RFC 3711, 3.1).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.netns import Namespace

# `?offer&…` calls, the other answers; each says its account after that many seconds.
PAGE = b"""<!DOCTYPE html><meta charset=utf-8><title>call</title><video autoplay></video><script>
const asked = new URLSearchParams(location.search), mark = asked.get('mark'), calls = asked.has('offer');
const leave = (name, value) => fetch('/' + name + mark, {method: 'POST', body: JSON.stringify(value)});
const fetched = async name => (await fetch('/' + name + mark)).json();
const once = (what, name, is) => new Promise(done => { const look = () => is() && done(); what[name] = look; look(); });
(async () => {
  const video = {width: 320, height: 240, frameRate: 15};
  const stream = await navigator.mediaDevices.getUserMedia({audio: true, video});
  const line = new RTCPeerConnection();
  line.ontrack = event => { document.querySelector('video').srcObject = event.streams[0]; };
  stream.getTracks().forEach(track => line.addTrack(track, stream));
  if (!calls) await line.setRemoteDescription(await fetched('offer'));
  await line.setLocalDescription();
  await once(line, 'onicegatheringstatechange', () => line.iceGatheringState === 'complete');
  await leave(calls ? 'offer' : 'answer', line.localDescription);
  if (calls) await line.setRemoteDescription(await fetched('answer'));
  await once(line, 'onconnectionstatechange', () => line.connectionState === 'connected');
  await new Promise(done => setTimeout(done, 1000 * asked.get('seconds')));
  const found = [...(await line.getStats()).values()].filter(one => one.type === 'inbound-rtp');
  await leave(calls ? 'home' : 'away', Object.fromEntries(found.map(one => [one.kind, one])));
})().catch(error => leave(calls ? 'home' : 'away', {error: String(error)}));
</script>"""

OPUS = 111  # the payload type that Chromium offers it by
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h
_ETH_P_ALL = 3
_UDP = 17


@dataclass(slots=True)
class Seen:
    """When each audio packet passed a place, in ns: by its sender's address, source and number."""

    at_ns: dict[tuple[bytes, int, int], int] = field(default_factory=dict)

    def look(self, packet: bytes, at_ns: int) -> None:
        if len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != _UDP:
            return
        rtp = packet[(packet[0] & 15) * 4 + 8 :]
        if len(rtp) >= 12 and rtp[0] >> 6 == 2 and rtp[1] & 0x7F == OPUS:
            number, source = struct.unpack(">2xH4xI", rtp[:12])
            self.at_ns.setdefault((packet[12:16], source, number), at_ns)


@contextlib.contextmanager
def watched(place: Namespace) -> Iterator[Seen]:
    """The audio packets at a namespace's end of the line."""
    seen, ended = Seen(), threading.Event()
    with place.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL)) as tap:
        tap.bind(("eth0", _ETH_P_ALL))
        tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        tap.settimeout(0.2)
        watching = threading.Thread(target=_watch, args=(tap, seen, ended))
        watching.start()
        try:
            yield seen
        finally:
            ended.set()
            watching.join()


def _watch(tap: socket.socket, seen: Seen, ended: threading.Event) -> None:
    while not ended.is_set():
        with contextlib.suppress(TimeoutError):
            packet, ancillary, _, _ = tap.recvmsg(96, 64)
            for _, kind, data in ancillary:
                if kind == _SO_TIMESTAMPNS:
                    seconds, ns = struct.unpack("@ll", data)
                    seen.look(packet, seconds * 10**9 + ns)


def one_way_ms(sender: Namespace, left: Seen, arrived: Seen) -> list[float]:
    """How long each packet of that sender was on its way, in the order in which they left."""
    own = socket.inet_aton(sender.address)
    return [
        (arrived.at_ns[key] - at_ns) / 1e6
        for key, at_ns in left.at_ns.items()
        if key[0] == own and key in arrived.at_ns
    ]
