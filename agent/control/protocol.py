"""What server and client agree on: the version, the bounds and the error codes of the lines between them."""

from __future__ import annotations

PROTOCOL = 1  # rises when an old client would misunderstand a new server or the other way round

LINE_BYTES = 1_000_000  # an answer may carry a day of readings; a request never comes near (REQUEST_BYTES)
REQUEST_BYTES = 64_000

# JSON-RPC 2.0, section 5.1
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

# USP error codes (TR-369), as operators see them too; 7800 to 7999 are the vendor's own. The table of commands uses
# the same (a test holds them equal): the CLI turns some of them back into their errors.
PERMISSION_DENIED = 7006
COMMAND_FAILURE = 7022
TIMED_OUT = 7800
MODEM_ABSENT = 7801

ROLES = ("read", "act", "admin")  # each includes those before it


def allows(role: str, wanted: str) -> bool:
    """Whether a client of `role` may call a command that wants `wanted`."""
    return role in ROLES and wanted in ROLES and ROLES.index(role) >= ROLES.index(wanted)
