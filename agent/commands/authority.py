"""Who may ask for what: the role that an envelope is granted, or Rejected. Pure but for the keys file.

Without a keys file the broker's ACL is the authority, and whatever reaches the topic may run (role `admin`). With one,
a command may be signed: HMAC-SHA256 over the canonical envelope, by an issuer whose role and limits stand in the file.
Unsigned commands may then only read, or nothing at all (`commands.require_signature`).

A signed command is fresh when its counter is higher than the last one of its issuer, or when it bears the nonce that
this session's birth has published. Neither needs a clock, so a replay fails at 1970 too.
"""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.commands import results
from agent.commands.command import ROLES
from agent.commands.envelope import ALGORITHM, Envelope, canonical
from agent.config import CommandSettings
from agent.errors import ConfigError, Rejected
from agent.mqtt.tls import secret
from agent.plan.model import Moment
from agent.toml import tomllib

SHORTEST_KEY_BYTES = 16
SKEW_S = 300  # how far an issuer's clock may be ahead of ours

Limits = Mapping[str, Mapping[str, float]]  # command -> argument -> highest value


@dataclass(frozen=True, slots=True)
class Grant:
    """What the checks found: who asks, in which role, and the counter to remember so that a replay fails."""

    issuer: str
    role: str
    counter: int | None = None
    limits: Limits = field(default_factory=dict)
    verified: bool = True  # by a signature, or by a broker whose ACL is the authority
    bucket: str = ""  # whose rate it counts against: the issuer's own once he is proved by his key

    def within_limits(self, command: str, args: Mapping[str, Any]) -> None:
        """Raises Rejected when an argument is beyond what this issuer may ask for."""
        for name, most in self.limits.get(command, {}).items():
            value = args.get(name)
            if isinstance(value, (int, float)) and value > most:
                raise Rejected(
                    results.PERMISSION_DENIED, f"{name} of {value} is beyond the limit of {self.issuer}: {most}"
                )


class Authority(Protocol):
    def grant(self, envelope: Envelope, moment: Moment, *, nonce: str, last_counter: int) -> Grant:
        """Raises Rejected when the envelope is not to be believed."""
        ...


class BrokerAuthority:
    """The broker's ACL alone decides."""

    def grant(self, envelope: Envelope, moment: Moment, *, nonce: str, last_counter: int) -> Grant:
        return Grant(envelope.issuer, "admin")


@dataclass(frozen=True, slots=True)
class Issuer:
    """One section of the keys file."""

    name: str
    key_id: str
    key: bytes = field(repr=False)
    role: str
    commands: tuple[str, ...] = ("*",)  # patterns of command names
    limits: Limits = field(default_factory=dict)


class KeyAuthority:
    """Signatures checked against the keys file."""

    def __init__(self, issuers: Mapping[str, Issuer], *, require: bool, device: str) -> None:
        self._issuers, self._require, self._device = issuers, require, device

    def grant(self, envelope: Envelope, moment: Moment, *, nonce: str, last_counter: int) -> Grant:
        signature = envelope.signature
        if signature is None:
            if self._require:
                raise Rejected(results.NOT_SIGNED, "this device asks for a signature")
            return Grant(envelope.issuer, "read", verified=False)
        issuer = self._issuers.get(signature.kid)
        if issuer is None:
            raise Rejected(results.NOT_SIGNED, "unknown key")
        expected = hmac.new(issuer.key, envelope.signed_text, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.value.lower().encode()):
            raise Rejected(results.NOT_SIGNED, "the signature does not fit")
        if envelope.issuer != issuer.name or envelope.audience != self._device:
            raise Rejected(results.NOT_SIGNED, "a signed command must name its issuer and this device")
        self._fresh(envelope, moment, nonce, last_counter)
        if not any(fnmatch.fnmatchcase(envelope.type, pattern) for pattern in issuer.commands):
            raise Rejected(results.PERMISSION_DENIED, f"{envelope.type} is not for {issuer.name}")
        return Grant(issuer.name, issuer.role, envelope.counter, issuer.limits, bucket=issuer.name)

    def _fresh(self, envelope: Envelope, moment: Moment, nonce: str, last_counter: int) -> None:
        of_this_session = bool(nonce) and hmac.compare_digest(envelope.nonce.encode(), nonce.encode())
        newer = envelope.counter is not None and envelope.counter > last_counter
        if envelope.counter is not None and not newer:
            # Without the last counter, which moves on: whoever sends it again gets the same answer.
            raise Rejected(results.REPLAYED, f"counter {envelope.counter} is not above the last of {envelope.issuer}")
        if not of_this_session and not newer:
            raise Rejected(results.REPLAYED, "neither a new counter nor the nonce of this session")
        if envelope.expires is not None and not moment.trusted and not of_this_session:
            raise Rejected(results.REPLAYED, "the clock here cannot judge exp; use the nonce of this session")


def timely(envelope: Envelope, moment: Moment) -> None:
    """Raises Rejected when a trusted clock says that the command is too late, or from the future."""
    if not moment.trusted:
        return
    now = moment.wall.timestamp()
    if envelope.expires is not None and now > envelope.expires:
        raise Rejected(results.TOO_LATE, f"it expired {now - envelope.expires:.0f} s before it arrived")
    if envelope.issued is not None and envelope.issued > now + SKEW_S:
        raise Rejected(results.INVALID_VALUE, f"it was issued {envelope.issued - now:.0f} s in the future")


def sign(body: Mapping[str, Any], key_id: str, key: bytes) -> dict[str, Any]:
    """An envelope with its signature: what the operator's desk does."""
    plain = {name: value for name, value in body.items() if name != "sig"}
    value = hmac.new(key, canonical(plain), hashlib.sha256).hexdigest()
    return {**plain, "sig": {"kid": key_id, "alg": ALGORITHM, "v": value}}


def authority_of(settings: CommandSettings, device: str) -> Authority:
    """What the configuration asks for. Raises ConfigError."""
    if not settings.keys_file:
        if settings.require_signature:
            raise ConfigError("configuration", "commands.require_signature", "no keys_file to check signatures with")
        return BrokerAuthority()
    issuers = load(settings.keys_file)
    return KeyAuthority(issuers, require=settings.require_signature, device=device)


def load(path: str) -> dict[str, Issuer]:
    """Issuers by key id, from a TOML file that only its owner may read. Raises ConfigError."""
    try:
        table = tomllib.loads(secret(path))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, "", f"not TOML: {error}") from error
    issuers = [_issuer(path, name, section) for name, section in table.items()]
    by_id = {issuer.key_id: issuer for issuer in issuers}
    if len(by_id) != len(issuers):
        raise ConfigError(path, "key_id", "two issuers have the same key_id")
    return by_id


_KNOWN = frozenset({"key", "key_id", "role", "commands", "limits"})


def _issuer(path: str, name: str, section: Any) -> Issuer:
    if not isinstance(section, dict):
        raise ConfigError(path, name, "not a section", allowed="[issuer] with key, key_id and role")
    for key in section:
        if key not in _KNOWN:
            raise ConfigError(path, f"{name}.{key}", "unknown key", allowed=", ".join(sorted(_KNOWN)))
    try:
        secret_key = bytes.fromhex(str(section.get("key", "")))
    except ValueError:
        secret_key = b""
    if len(secret_key) < SHORTEST_KEY_BYTES:
        raise ConfigError(path, f"{name}.key", "not a key", allowed=f"{2 * SHORTEST_KEY_BYTES} hex digits or more")
    role = section.get("role", "read")
    if role not in ROLES:
        raise ConfigError(path, f"{name}.role", "not allowed", value=role, allowed=" | ".join(ROLES))
    commands = section.get("commands", ["*"])
    limits = section.get("limits", {})
    if not isinstance(commands, list) or not isinstance(limits, dict):
        raise ConfigError(path, name, "wrong type", allowed="commands = [...], [issuer.limits.COMMAND]")
    key_id = str(section.get("key_id", name))
    return Issuer(name, key_id, secret_key, role, tuple(map(str, commands)), limits)
