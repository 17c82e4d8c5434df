"""Where in a TOML text a key stands: tomllib does not keep it, and a mistake must be told with its line.

`tomllib` too, which Python 3.10 has under another name.
"""

from __future__ import annotations

import re
import sys

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["line_of", "tomllib"]


def line_of(text: str, table: str, index: int, key: str) -> int | None:
    """The line of `key` in the index-th [[table]] (or in [table], or at the top); tomllib does not keep it."""
    lines = text.splitlines()
    start = 0
    if table:
        heads = [i for i, line in enumerate(lines) if re.match(rf"\s*\[\[?{re.escape(table)}\]\]?\s*(#.*)?$", line)]
        if index >= len(heads):
            return None
        start = heads[index]
    if not key:
        return start + 1
    for at in range(start + 1 if table else 0, len(lines)):
        if re.match(r"\s*\[", lines[at]):
            break
        if re.match(rf"""\s*["']?{re.escape(key)}["']?\s*[.=]""", lines[at]):
            return at + 1
    return start + 1
