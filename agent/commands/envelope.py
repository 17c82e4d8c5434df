"""A command as it arrives: bytes and a topic in, a checked envelope out, or Rejected. Pure.

Nothing here trusts the sender: any bytes must end in an envelope or in Rejected, never in another exception.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from agent.errors import Rejected
from agent.json_nesting import nested_deeper

if TYPE_CHECKING:
    from agent.json_types import Json, JsonObject

LONGEST_BYTES = 65_536
DEEPEST = 7  # levels; the largest of ours, a pushed plan with its steps, has 5
ALGORITHM = "HS256"  # HMAC-SHA256: the standard library has it, on every device
LARGEST_COUNTER = 2**53 - 1  # the largest number that every JSON reader has exactly (RFC 8259, 6)
HEX = re.compile(r"[0-9A-Fa-f]{64}")
INVALID = 7004  # USP: invalid arguments
UNSUPPORTED_VERSION = 7001  # USP: message not supported

_KEYS = frozenset({"v", "id", "type", "args", "iat", "exp", "ttl", "iss", "aud", "ctr", "nonce", "sig", "cosig"})
_SIGNATURES = ("sig", "cosig")  # what no signature is over


@dataclass(frozen=True, slots=True)
class Signature:
    kid: str
    alg: str
    value: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """One command as asked for. Times are seconds since 1970, `ttl_s` counts from receipt."""

    id: str
    type: str
    args: JsonObject
    ttl_s: float | None = None
    issued: int | None = None
    expires: int | None = None
    issuer: str = ""
    audience: str = ""
    counter: int | None = None
    nonce: str = ""
    signature: Signature | None = None
    cosignature: Signature | None = None  # of a second issuer, over the same text
    signed_text: bytes = field(default=b"", repr=False)  # what the signatures are over


def parse(payload: bytes, *, type: str, id: str, device: str) -> Envelope:
    """Check one payload against the topic it came on. Raises Rejected with a USP code and the reason."""
    body = _load(payload)
    unknown = sorted(set(body) - _KEYS)
    if unknown:
        _refuse(f"unknown field {unknown[0][:40]!r}")
    if body.get("v") != 1 or isinstance(body["v"], bool):
        raise Rejected(UNSUPPORTED_VERSION, f"envelope version {str(body.get('v'))[:20]!r}; this agent speaks 1")
    if body.get("id") != id:
        _refuse("id does not agree with the topic")
    if body.get("type") not in (type, type.replace("-", ".")):
        _refuse("type does not agree with the topic")
    audience = _text(body, "aud", 64)
    if audience and audience != device:
        _refuse("aud names another device")
    return Envelope(
        id=id,
        type=type.replace("-", "."),
        args=_object(body, "args"),
        ttl_s=_seconds(body, "ttl", 366 * 86_400),
        issued=_seconds(body, "iat", 2**40),
        expires=_seconds(body, "exp", 2**40),
        issuer=_text(body, "iss", 64),
        audience=audience,
        counter=_seconds(body, "ctr", LARGEST_COUNTER),
        nonce=_text(body, "nonce", 64),
        signature=_signature(body, "sig"),
        cosignature=_signature(body, "cosig"),
        signed_text=signed_text(body) if "sig" in body else b"",
    )


def signed_text(body: Mapping[str, object]) -> bytes:
    """What each issuer signs: all but the signatures."""
    return canonical({key: value for key, value in body.items() if key not in _SIGNATURES})


def canonical(body: Mapping[str, object]) -> bytes:
    """The bytes of a signed object: the JSON of RFC 8785, with whole numbers only.

    json.dumps escapes as 3.2.2.2 there asks; keys are sorted by their UTF-16 code units (3.2.3), which is another order
    than Python's for characters beyond U+FFFF. Vectors for any language: agent/mqtt/schema/signatures.json.
    """
    try:
        return json.dumps(_sorted(body), separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate
        _refuse("not UTF-8 text")


def _sorted(value: object) -> object:
    """Objects with their keys in order, at every level. Raises Rejected for a number that is read differently."""
    match value:
        case dict():
            return {key: _sorted(value[key]) for key in sorted(value, key=lambda key: key.encode("utf-16-be"))}
        case list():
            return [_sorted(item) for item in value]
        case float():
            _refuse("a signed envelope may hold whole numbers only")
        case int() if abs(value) > LARGEST_COUNTER:
            _refuse(f"a signed envelope may hold numbers up to {LARGEST_COUNTER} only")
    return value


def _refuse(reason: str) -> NoReturn:
    raise Rejected(INVALID, reason)


def _load(payload: bytes) -> JsonObject:
    if len(payload) > LONGEST_BYTES:
        _refuse(f"payload of {len(payload)} bytes; at most {LONGEST_BYTES}")
    try:
        text = payload.decode()
        if nested_deeper(text, DEEPEST):
            _refuse("nested too deeply")
        body: Json = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique)
    except UnicodeDecodeError:
        _refuse("not UTF-8 text")
    except ValueError as error:  # JSONDecodeError, or a number of thousands of digits
        _refuse(f"not JSON: {str(error)[:80]}")
    if not isinstance(body, dict):
        _refuse("not a JSON object")
    return body


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _unique(pairs: Sequence[tuple[str, Json]]) -> JsonObject:
    made = dict(pairs)
    if len(made) != len(pairs):  # two readers could take different ones for the truth
        raise ValueError("a key stands twice in one object")
    return made


def _text(body: Mapping[str, object], key: str, longest: int) -> str:
    value = body.get(key, "")
    if not isinstance(value, str) or len(value) > longest:
        _refuse(f"{key} must be text of at most {longest} characters")
    return value


def _object(body: JsonObject, key: str) -> JsonObject:
    value = body.get(key, {})
    if not isinstance(value, dict):
        _refuse(f"{key} must be an object")
    return value


def _seconds(body: Mapping[str, object], key: str, most: int) -> int | None:
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        _refuse(f"{key} must be a whole number from 0 to {most}")
    return value


def _signature(body: Mapping[str, object], name: str) -> Signature | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != {"kid", "alg", "v"}:
        _refuse(f"{name} must be an object of kid, alg and v")
    kid, algorithm, hexadecimal = (_text(value, key, 128) for key in ("kid", "alg", "v"))
    if algorithm != ALGORITHM or not HEX.fullmatch(hexadecimal):
        _refuse(f"{name} must be {ALGORITHM}, 64 hex digits")
    return Signature(kid, algorithm, hexadecimal)
