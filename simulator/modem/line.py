"""Takes a command line apart as V.250 5.2 does: basic commands run together, extended ones end at a semicolon.

Spaces mean nothing but within a number or a string (V.250 5.2.1).
"""

from __future__ import annotations

import re

_BASIC = re.compile(r"S *\d+ *(?:= *\d*|\?)?|[&\\]? *[A-Z] *\d*", re.IGNORECASE)
_TEST = re.compile(r"= *\?")


def elements(body: str) -> list[str] | None:
    """The commands of what stood after AT, or None when it is no command line at all."""
    found: list[str] = []
    rest = body.strip()
    while rest:
        if rest[0] in "; ":
            rest = rest[1:]
        elif rest[0].isalpha() or rest[0] in "&\\":
            length = _basic_length(rest)
            if not length:
                return None
            found.append(rest[:length] if rest[0] in "dD" else rest[:length].replace(" ", ""))
            rest = rest[length:]
        else:
            length = _extended_length(rest)
            found.append(_compact(rest[:length].rstrip()))
            rest = rest[length:]
    return found


def _basic_length(text: str) -> int:
    if text[0] in "dD":  # a dial string takes the rest of the line
        return len(text)
    match = _BASIC.match(text)
    return match.end() if match else 0


def _compact(text: str) -> str:
    """Its name and the signs after it without spaces; what stands after an equals sign is the parameters'."""
    if " " not in text:
        return text
    name = re.split(r"[=?]", text, maxsplit=1)[0]
    rest = text[len(name) :]
    return name.replace(" ", "") + ("=?" if _TEST.fullmatch(rest) else rest)


def _extended_length(text: str) -> int:
    quoted = False
    for at, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif char == ";" and not quoted:
            return at
    return len(text)


def arguments(text: str) -> list[str]:
    """Comma-separated parameters with the quotes taken off; an empty text has none."""
    if not text:
        return []
    parts, quoted, current = [], False, ""
    for char in text:
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    return [*parts, current.strip()]
