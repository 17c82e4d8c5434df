"""What a command's handler hands back to the port, and the errors of 27.007 9.2 and 27.005 3.2.5."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

CME_TEXT = {
    0: "phone failure",
    3: "operation not allowed",
    4: "operation not supported",
    10: "SIM not inserted",
    11: "SIM PIN required",
    12: "SIM PUK required",
    13: "SIM failure",
    14: "SIM busy",
    15: "SIM wrong",
    16: "incorrect password",
    17: "SIM PIN2 required",
    18: "SIM PUK2 required",
    20: "memory full",
    21: "invalid index",
    22: "not found",
    24: "text string too long",
    26: "dial string too long",
    27: "invalid characters in dial string",
    30: "no network service",
    31: "network timeout",
    32: "network not allowed - emergency calls only",
    50: "incorrect parameters",
    53: "invalid characters in text string",
    100: "unknown",
    107: "GPRS services not allowed",
    111: "PLMN not allowed",
    133: "requested service option not subscribed",
    148: "unspecified GPRS error",
    149: "PDP authentication failure",
    515: "SIM initialising",
}
CMS_TEXT = {
    302: "operation not allowed",
    303: "operation not supported",
    304: "invalid PDU mode parameter",
    305: "invalid text mode parameter",
    310: "SIM not inserted",
    311: "SIM PIN required",
    316: "SIM PUK required",
    314: "SIM busy",
    321: "invalid memory index",
    322: "memory full",
    330: "SMSC address unknown",
    331: "no network service",
    340: "no +CNMA acknowledgement expected",
    500: "unknown error",
}


@dataclass(frozen=True)
class Prompt:
    """Asks for text, which `use` gets; `lines` says that it asks again after each of its lines (27.005 3.5.1)."""

    use: Callable[[bytes], Reply]
    lines: bool = False


@dataclass
class Reply:
    """Information lines and a final result code, perhaps later, perhaps with something after it."""

    lines: list[str]
    final: str = "OK"  # OK, ERROR, CONNECT, NO CARRIER, or "" for a handler that never answers
    delay_s: float = 0.0
    then: Callable[[], None] | None = None  # done once the final code is on the wire
    prompt: Prompt | None = None


def ok(*lines: str, delay_s: float = 0.0, then: Callable[[], None] | None = None) -> Reply:
    return Reply(list(lines), delay_s=delay_s, then=then)


class Refused(Exception):
    """A handler ends its command with an error: +CME ERROR, +CMS ERROR, or the bare ERROR of a code of None."""

    def __init__(self, code: int | None = None, kind: str = "CME") -> None:
        self.code, self.kind = code, kind
        super().__init__(f"{kind} {code}")


def error_line(code: int | None, kind: str, mode: int) -> str:
    """The final code as +CMEE has it: 0 plain ERROR, 1 the number, 2 the words."""
    if code is None or (mode == 0 and kind == "CME"):
        return "ERROR"
    if mode == 2:
        words = (CME_TEXT if kind == "CME" else CMS_TEXT).get(code, "unknown")
        return f"+{kind} ERROR: {words}"
    return f"+{kind} ERROR: {code}"
