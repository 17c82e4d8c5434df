"""What JSON can say, for the type checker: nothing imports this at run time, so it costs the daemon no memory.

`Json` is what was decoded and is not yet checked: a reader narrows it. The shape of a whole status is in
agent/status_schema.py.
"""

from __future__ import annotations

from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = "dict[str, Json]"
