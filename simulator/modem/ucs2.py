"""Text as the host's character set (+CSCS) wants it: UCS2 is hex of UTF-16BE, the rest is sent as it is."""

from __future__ import annotations


def displayed(text: str, charset: str) -> str:
    return text.encode("utf-16-be").hex().upper() if charset == "UCS2" else text


def understood(text: str, charset: str) -> str:
    if charset != "UCS2":
        return text
    try:
        return bytes.fromhex(text).decode("utf-16-be")
    except (ValueError, UnicodeDecodeError):
        return text
