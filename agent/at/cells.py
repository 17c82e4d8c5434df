"""The cell that the module is on, which is where the home is: its fields, and the commands that tell it. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

from agent.at.table import COMMANDS

# 27.007, 10.1.22 (lac, tac, rac, ci); physical cell and channel, of which few fit a place.
PLACES = frozenset({"lac", "tac", "rac", "ci", "cell_id", "pci", "psc", "bsic", "earfcn", "uarfcn", "arfcn"})
# Whose rows name no single fields: all that they tell is a list of cells.
_LISTS = frozenset({"neighbours", "neighbors", "cells"})


@lru_cache(maxsize=1)
def _tells() -> re.Pattern[str]:
    names = {row.name for row in COMMANDS if (PLACES | _LISTS) & set(row.fields.split())}
    return re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)))


def tells_cell(text: str) -> bool:
    """Whether a command, an answer or a line of the log is one of those that tell the cell."""
    return _tells().search(text.upper()) is not None
