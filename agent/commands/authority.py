"""Who may ask for what: the role that an envelope is granted, or Rejected. Pure but for the keys file.

Without a keys file the broker's ACL is the authority, and whatever reaches the topic may run (role `admin`). With one,
a command may be signed: HMAC-SHA256 over the canonical envelope, by an issuer whose role and limits stand in the file.
Unsigned commands may then only read, or nothing at all (`commands.require_signature`).

A second issuer may sign the same envelope, which names the first. Then both must be allowed to ask for it, and one of
the two alone commands nothing that needs two (`commands.two_issuers`): what a thief of one key has is not enough.

A signed command is fresh when its issuer never used its counter here (agent/store/counter_window.py), or when it bears
the nonce that is published with this session's presence. Neither needs a clock, so a replay fails at 1970 too.
"""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.commands import results
from agent.commands.command import ROLES
from agent.commands.envelope import ALGORITHM, Envelope, Signature, signed_text
from agent.commands.keys_file import Issuer, Limits, load
from agent.commands.table import COMMANDS
from agent.config import CommandSettings
from agent.errors import ConfigError, Rejected
from agent.plan.model import Moment
from agent.store.counter_window import CounterWindow

CANCEL = "agent.cancel"  # by whoever may act: the shipped ACL gives it to nobody else
SKEW_S = 300  # how far an issuer's clock may be ahead of ours


@dataclass(frozen=True, slots=True)
class Grant:
    """What the checks found: who asks, in which role, and the counter to remember so that a replay fails."""

    issuer: str
    role: str
    counter: int | None = None
    limits: Limits = field(default_factory=dict)
    verified: bool = True  # by a signature, or by a broker whose ACL is the authority
    cosigner: str = ""  # the second issuer, where two have signed
    bucket: str = ""  # whose rate it counts against: the issuer's own once he is proved by his key

    def within_limits(self, command: str, args: Mapping[str, object]) -> None:
        """Raises Rejected when an argument is beyond what this issuer may ask for."""
        for name, most in self.limits.get(command, {}).items():
            value = args.get(name)
            if isinstance(value, (int, float)) and value > most:
                raise Rejected(
                    results.PERMISSION_DENIED, f"{name} of {value} is beyond the limit of {self.issuer}: {most}"
                )


class Authority(Protocol):
    def grant(self, envelope: Envelope, moment: Moment, *, nonce: str, used: CounterWindow) -> Grant:
        """Raises Rejected when the envelope is not to be believed."""
        ...

    def named(self, issuer: str) -> str:
        """How the audit trail names an issuer."""
        ...


class BrokerAuthority:
    """The broker's ACL alone decides. It names commands and no arguments: one that only looks shows what everybody may
    see who is let through to it."""

    def grant(self, envelope: Envelope, moment: Moment, *, nonce: str, used: CounterWindow) -> Grant:
        row = COMMANDS.get(envelope.type)
        looks = row is not None and row.role == ROLES[0] and envelope.type != CANCEL
        return Grant(envelope.issuer, ROLES[0] if looks else ROLES[-1])

    def named(self, issuer: str) -> str:
        return f"claimed:{issuer}" if issuer else ""


class KeyAuthority:
    """Signatures checked against the keys file."""

    def __init__(
        self, issuers: Mapping[str, Issuer], *, require: bool, device: str, two_issuers: Collection[str] = ()
    ) -> None:
        self._issuers, self._require, self._device, self._two_issuers = issuers, require, device, two_issuers

    def grant(self, envelope: Envelope, moment: Moment, *, nonce: str, used: CounterWindow) -> Grant:
        if envelope.signature is None:
            if self._require or envelope.type in self._two_issuers:
                raise Rejected(results.NOT_SIGNED, "this device asks for a signature")
            return Grant("", "read", verified=False)  # the name that it bears is nobody's proof
        issuer = self._signer(envelope.signature, envelope.signed_text)
        if envelope.issuer != issuer.name or envelope.audience != self._device:
            raise Rejected(results.NOT_SIGNED, "a signed command must name its issuer and this device")
        second = self._second(envelope, issuer)
        counter = self._fresh(envelope, moment, nonce, used)
        both = (issuer, *second)
        for one in both:
            if not any(fnmatch.fnmatchcase(envelope.type, pattern) for pattern in one.commands):
                raise Rejected(results.PERMISSION_DENIED, f"{envelope.type} is not for {one.name}")
        role = min((one.role for one in both), key=ROLES.index)
        cosigner = "".join(one.name for one in second)
        return Grant(issuer.name, role, counter, _tightest(both), cosigner=cosigner, bucket=issuer.name)

    def named(self, issuer: str) -> str:
        return issuer

    def _signer(self, signature: Signature, text: bytes) -> Issuer:
        """Whose signature it is. Raises Rejected."""
        issuer = self._issuers.get(signature.kid)
        if issuer is None:
            raise Rejected(results.NOT_SIGNED, "unknown key")
        expected = hmac.new(issuer.key, text, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.value.lower().encode()):
            raise Rejected(results.NOT_SIGNED, "the signature does not fit")
        return issuer

    def _second(self, envelope: Envelope, first: Issuer) -> tuple[Issuer, ...]:
        """The other issuer, or nobody where one is enough. Raises Rejected.

        It signs what the first one signed, the first one's name and counter among it: its signature fits no other
        command, and is used up with this one.
        """
        if envelope.cosignature is None:
            if envelope.type in self._two_issuers:
                raise Rejected(results.NOT_SIGNED, f"{envelope.type} needs the signatures of two issuers here")
            return ()
        second = self._signer(envelope.cosignature, envelope.signed_text)
        if hmac.compare_digest(second.key, first.key):  # under one name or two
            raise Rejected(results.NOT_SIGNED, "both signatures are of one issuer")
        return (second,)

    def _fresh(self, envelope: Envelope, moment: Moment, nonce: str, used: CounterWindow) -> int | None:
        """The counter that this command uses up; None when it is the nonce that shows it to be new. Raises Rejected."""
        of_this_session = bool(nonce) and hmac.compare_digest(envelope.nonce.encode(), nonce.encode())
        counter = envelope.counter if envelope.counter is not None and used.fresh(envelope.counter) else None
        if not of_this_session and counter is None:
            if envelope.counter is None:
                raise Rejected(results.REPLAYED, "neither a new counter nor the nonce of this session")
            # Without the window, which moves on: whoever sends it again gets the same answer.
            raise Rejected(
                results.REPLAYED,
                f"counter {envelope.counter} of {envelope.issuer} was used, or is older than those kept",
            )
        if envelope.expires is not None and not moment.trusted and not of_this_session:
            raise Rejected(results.REPLAYED, "the clock here cannot judge exp; use the nonce of this session")
        return counter


def _tightest(issuers: Sequence[Issuer]) -> Limits:
    """The limits of all: the lowest of each."""
    found: dict[str, dict[str, float]] = {}
    for issuer in issuers:
        for command, limits in issuer.limits.items():
            kept = found.setdefault(command, {})
            kept.update({name: min(most, kept.get(name, most)) for name, most in limits.items()})
    return found


def timely(envelope: Envelope, moment: Moment) -> None:
    """Raises Rejected when a trusted clock says that the command is too late, or from the future."""
    if not moment.trusted:
        return
    now = moment.wall.timestamp()
    if envelope.expires is not None and now > envelope.expires:
        raise Rejected(results.TOO_LATE, f"it expired {now - envelope.expires:.0f} s before it arrived")
    if envelope.issued is not None and envelope.issued > now + SKEW_S:
        raise Rejected(results.INVALID_VALUE, f"it was issued {envelope.issued - now:.0f} s in the future")


def sign(body: Mapping[str, object], key_id: str, key: bytes) -> dict[str, object]:
    """An envelope with its signature: what the operator's desk does."""
    return {**_without(body, "sig"), "sig": _signature(body, key_id, key)}


def cosign(body: Mapping[str, object], key_id: str, key: bytes) -> dict[str, object]:
    """A signed envelope with the signature of a second issuer."""
    return {**_without(body, "cosig"), "cosig": _signature(body, key_id, key)}


def _without(body: Mapping[str, object], key: str) -> dict[str, object]:
    return {name: value for name, value in body.items() if name != key}


def _signature(body: Mapping[str, object], key_id: str, key: bytes) -> dict[str, str]:
    value = hmac.new(key, signed_text(body), hashlib.sha256).hexdigest()
    return {"kid": key_id, "alg": ALGORITHM, "v": value}


def authority_of(settings: CommandSettings, device: str) -> Authority:
    """What the configuration asks for. Raises ConfigError."""
    for name in settings.two_issuers:
        if name not in COMMANDS:  # it would protect nothing
            raise ConfigError("configuration", "commands.two_issuers", "no such command", value=name)
    if not settings.keys_file:
        for key in ("require_signature", "two_issuers"):
            if getattr(settings, key):
                raise ConfigError("configuration", f"commands.{key}", "no keys_file to check signatures with")
        return BrokerAuthority()
    issuers = load(settings.keys_file)
    return KeyAuthority(
        issuers, require=settings.require_signature, device=device, two_issuers=settings.two_issuers
    )  # fmt: skip
