"""Text as HTML. Pure; used by page.py, picture.py and sheet.py.

Of our own: the library's module for it reads two thousand names of characters, which a small board pays for.
"""

from __future__ import annotations

import re

_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
# Control characters but the line's end (C0, DEL, C1), signs without width or that turn the direction of what follows
# (Unicode Standard Annex 9, table 4), halves of pairs and private signs.
_UNPRINTABLE = re.compile(
    "[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\uf8ff\ufeff\U000e0000-\U0010ffff]"
)


def escaped(text: str) -> str:
    """The text as it is to be read, whatever stands in it: in an element or in a quoted attribute."""
    return text.translate(_MARKUP)


def filled(wording: str, **values: str) -> str:
    """A sentence with its values, each of which keeps its own direction."""
    return escaped(wording).format(
        **{name: f"<bdi>{escaped(printable(value))}</bdi>" for name, value in values.items()}
    )


def printable(text: str) -> str:
    """What others wrote, without what cannot be seen or moves the rest."""
    return _UNPRINTABLE.sub("", text).strip()
