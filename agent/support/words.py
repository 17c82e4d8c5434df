"""Words of `modem-support`: options and KEY=VALUE to typed values, and a message to one line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

import click

from agent.cli import screen
from agent.mqtt.topics import LEVEL, TYPE
from agent.support.messages import Alarm, DeviceMessage, NotUnderstood, Plan, Presence, Radio, Result, decode

if TYPE_CHECKING:
    from agent.command_schema import Rule

BROKER_HELP = "mqtts://HOST[:PORT] or mqtt://HOST[:PORT]"
PORTS = {"mqtt": 1883, "mqtts": 8883}  # IANA's for MQTT without and with TLS
_URL = re.compile(r"(?P<scheme>[^:/]*)://(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)(?::(?P<port>[0-9]{1,5}))?/?")


def broker_of(url: str) -> tuple[str, int, bool]:
    """Host, port and whether it is TLS; raises UsageError that names what is wrong."""
    found = _URL.fullmatch(url)
    if found is None:
        raise click.UsageError(f"--broker {url!r} is no URL such as {BROKER_HELP}")
    scheme, host = found["scheme"], found["host"].strip("[]")
    if scheme not in PORTS:  # mqttS and ws too: nothing is sent in clear that was meant to be secret
        raise click.UsageError(f"--broker {url!r}: the scheme is {scheme!r}; it must be mqtts or mqtt")
    port = int(found["port"]) if found["port"] else PORTS[scheme]
    if not 1 <= port <= 65_535:
        raise click.UsageError(f"--broker {url!r}: a port is 1 to 65535")
    return host, port, scheme == "mqtts"


def device_id(value: str) -> str:
    """One topic level that may name a device, or the first of all topics."""
    if not LEVEL.fullmatch(value):
        raise click.BadParameter(f"{value[:80]!r} is no topic level: 1 to 64 letters, digits and . _ : -")
    return value


def command_name(value: str) -> str:
    if not TYPE.fullmatch(value):
        raise click.BadParameter(f"{value[:80]!r} is no command: at most 40 small letters, digits, dots and dashes")
    return value


def mqtt_text(value: str) -> str:
    """Text that MQTT can carry: UTF-8 of at most 65535 bytes, without NUL (MQTT 5, 1.5.4)."""
    try:
        fits = len(value.encode()) <= 65_535 and "\0" not in value
    except UnicodeEncodeError:
        fits = False
    if not fits:
        raise click.BadParameter("not UTF-8 text of at most 65535 bytes")
    return value


_UNITS_S = {"": 1, "s": 1, "min": 60, "h": 3_600, "d": 86_400}
MOST_S = 366 * 86_400
_LENGTH = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s?(s|min|h|d|)")


def seconds(value: str) -> float:
    """A length of time: 90, 90s, 5min, 2h or 1d."""
    found = _LENGTH.fullmatch(value)
    length = float(found[1]) * _UNITS_S[found[2]] if found else math.inf
    if length > MOST_S:
        raise click.BadParameter(f"{value[:80]!r} is no time such as 90, 5min or 2h, of at most a year")
    return length


def devices_in(path: str) -> list[str]:
    """Device ids of a file, one a line; raises UsageError that names the line."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    for number, line in enumerate(lines, 1):
        if line and not LEVEL.fullmatch(line):
            raise click.UsageError(f"{path}:{number}: {line[:80]!r} is no device id")
    devices = list(dict.fromkeys(filter(None, lines)))
    if not devices:
        raise click.UsageError(f"{path}: names no device")
    return devices


def arguments_of(command: str, words: Sequence[str]) -> dict[str, object]:
    """Arguments typed as the command's row says; raises UsageError that names the word. Unknown commands pass.

    The device may be newer than this desk: what this desk does not know is sent as JSON, or as text.
    """
    from agent.commands import arguments
    from agent.commands.table import COMMANDS
    from agent.errors import Rejected

    row = COMMANDS.get(command)
    out: dict[str, object] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or not name:
            raise click.UsageError(f"{word!r} is no KEY=VALUE")
        out[name] = _typed(text, row.args.get(name, {}) if row else {})
    if row is not None:
        try:
            arguments.check(row.args, out)
        except Rejected as refusal:
            raise click.UsageError(f"{command}: {refusal.reason}") from None
    return out


def _typed(text: str, rule: Rule) -> object:
    kind = rule.get("type", "")
    if kind == "string":
        return text
    if kind == "integer":
        return _whole(text)
    try:
        return decode(text)
    except NotUnderstood:
        return text


_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9}


def _whole(text: str) -> int | str:
    """5GB is 5 000 000 000; what is no number stays text, and the row's check says so."""
    number, unit = text[:-2], _UNITS.get(text[-2:].lower())
    try:
        return round(float(number) * unit) if unit else int(text)
    except (ValueError, OverflowError):
        return text


def summary(message: DeviceMessage) -> str:
    """One message for eyes."""
    match message.content:
        case Presence(state, session, version, _):
            return f"{state} session {session} version {version}"
        case Plan(state, used, limit, cost):
            sizes = (("used", used), ("limit", limit), ("reports", cost))
            return ", ".join([str(state), *(f"{name} {screen.size(n)}" for name, n in sizes if n is not None)])
        case Radio(status, technology, rsrp, modem):
            return f"{status} {technology} RSRP {rsrp} modem {modem}"
        case Alarm(_, raised):
            return "raised" if raised else "cleared"
        case Result(id, state, _, reason):
            return f"{id} {state} {reason}".rstrip()
    if message.body is None:
        return f"not understood: {message.problem}" if message.problem else "(empty)"
    plain = {key: value for key, value in message.body.items() if key not in ("v", "boot", "up", "clk")}
    return json.dumps(plain, ensure_ascii=False)[:200]


def escape_what_cannot_be_shown(stream: TextIO) -> None:
    """No locale, or a seven-bit one: what cannot be shown is escaped, never a traceback."""
    getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
