"""What is on a port that gave no answer to AT, judged from the bytes that came. Pure."""

from __future__ import annotations

import re

from agent.at.engine.urc import NMEA

SAMPLE_BYTES = 512  # enough for several sentences of any of these

_HDLC = 0x7E  # ends each frame of Qualcomm's diagnostic protocol
_SENT = re.compile(rb"AT[\r\n]*")


def judge(heard: bytes) -> str:
    """One clause for a technician: what the port does instead of answering."""
    if not heard:
        return "answers nothing"
    if NMEA.search(heard.decode("latin-1")):
        return "streams NMEA sentences: a GPS port"
    if not _SENT.sub(b"", heard):
        return "sends back what it is sent and nothing else: an echo, no modem"
    if _HDLC in heard or sum(byte > 0x7E for byte in heard) * 2 > len(heard):
        return "sends binary data: a diagnostic port"
    shown = " ".join(heard.decode("ascii", "replace").split())[:40]
    return f"answers AT with neither OK nor ERROR, but {shown!r}"
