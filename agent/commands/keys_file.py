"""The keys of those who may command: on a device those of its own, at a desk the master keys they are derived from.

A device's key is worth nothing elsewhere: it is HMAC-SHA256 of the master key over the device id, so that whoever takes
a box apart can command that box alone. The master key never leaves the operator's desk.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.commands.command import ROLES
from agent.errors import ConfigError
from agent.mqtt.tls import secret
from agent.toml import dumps, tomllib

SHORTEST_KEY_BYTES = 16
SHORTEST_MASTER_BYTES = 32  # the length of what is derived from it (RFC 2104, 3)
PURPOSE = "modem-agent issuer key 1"  # a master key may serve other purposes too: then with another text

Limits = Mapping[str, Mapping[str, float]]  # command -> argument -> highest value


@dataclass(frozen=True, slots=True)
class Issuer:
    """One section of a keys file."""

    name: str
    key_id: str
    key: bytes = field(repr=False)
    role: str
    commands: tuple[str, ...] = ("*",)  # patterns of command names
    limits: Limits = field(default_factory=dict)


def derived(master: bytes, device: str) -> bytes:
    """The issuer's key on one device."""
    return hmac.new(master, f"{PURPOSE}\n{device}".encode(), hashlib.sha256).digest()


def load(path: str, *, desk_of: str = "") -> dict[str, Issuer]:
    """Issuers by key id, from a TOML file that only its owner may read. Raises ConfigError.

    `desk_of` is the device that a desk commands: a section with a master key then gives that device's key.
    """
    issuers = [_issuer(path, name, section, desk_of) for name, section in _table(path).items()]
    by_id = {issuer.key_id: issuer for issuer in issuers}
    if len(by_id) != len(issuers):
        raise ConfigError(path, "key_id", "two issuers have the same key_id")
    return by_id


def for_device(path: str, device: str) -> str:
    """The keys file of one device, from a desk's file of master keys. Raises ConfigError."""
    sections = _table(path)
    for name, section in sections.items():
        if not isinstance(section, dict) or "master" not in section:
            raise ConfigError(path, name, "no master key", allowed=f"[{name}] with master, key_id and role")
    issuers = load(path, desk_of=device).values()
    kept = {issuer.name: {**sections[issuer.name], "master": None, "key": issuer.key.hex()} for issuer in issuers}
    return dumps({name: {"key": made.pop("key"), **made} for name, made in kept.items()})


def _table(path: str) -> dict[str, Any]:
    try:
        return dict(tomllib.loads(secret(path)))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, "", f"not TOML: {error}") from error


_KNOWN = frozenset({"key", "master", "key_id", "role", "commands", "limits"})


def _issuer(path: str, name: str, section: object, desk_of: str) -> Issuer:
    if not isinstance(section, dict):
        raise ConfigError(path, name, "not a section", allowed="[issuer] with key, key_id and role")
    for key in section:
        if key not in _KNOWN:
            raise ConfigError(path, f"{name}.{key}", "unknown key", allowed=", ".join(sorted(_KNOWN)))
    if "master" in section and not desk_of:
        raise ConfigError(path, f"{name}.master", "a master key on a device", allowed="what keys derive makes of it")
    secret_key = _key(path, name, section, desk_of)
    role = section.get("role", "read")
    if role not in ROLES:
        raise ConfigError(path, f"{name}.role", "not allowed", value=role, allowed=" | ".join(ROLES))
    commands = section.get("commands", ["*"])
    limits = section.get("limits", {})
    if not isinstance(commands, list) or not _is_limits(limits):
        raise ConfigError(path, name, "wrong type", allowed="commands = [...], [issuer.limits.COMMAND] of numbers")
    key_id = str(section.get("key_id", name))
    return Issuer(name, key_id, secret_key, role, tuple(map(str, commands)), limits)


def _is_limits(value: object) -> bool:
    tables = list(value.values()) if isinstance(value, dict) else [None]
    return all(
        isinstance(table, dict) and all(type(most) in (int, float) for most in table.values()) for table in tables
    )


def _key(path: str, name: str, section: Mapping[str, object], desk_of: str) -> bytes:
    if "master" not in section:
        return _hex(path, f"{name}.key", section.get("key", ""), SHORTEST_KEY_BYTES)
    if "key" in section:
        raise ConfigError(path, f"{name}.key", "beside a master key", allowed="one of the two")
    return derived(_hex(path, f"{name}.master", section["master"], SHORTEST_MASTER_BYTES), desk_of)


def _hex(path: str, where: str, value: object, shortest: int) -> bytes:
    try:
        found = bytes.fromhex(str(value))
    except ValueError:
        found = b""
    if len(found) < shortest:
        raise ConfigError(path, where, "not a key", allowed=f"{2 * shortest} hex digits or more")
    return found
