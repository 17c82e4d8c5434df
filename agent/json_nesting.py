"""How deep a JSON text is nested, from the text alone: json.loads recurses, and where that ends differs by Python."""

from __future__ import annotations

import re

# A text, with its escapes and to the end if it is not closed, or one bracket (RFC 8259, 2 and 7).
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)


def nested_deeper(text: str, levels: int) -> bool:
    """Whether arrays and objects stand in each other more than so many levels deep. The text need not be JSON."""
    if text.count("[") + text.count("{") <= levels:
        return False
    depth = 0
    for token in _TOKENS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > levels:
            return True
    return False
