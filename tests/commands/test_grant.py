"""What a signed command needs to be believed: each check alone makes the difference."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from agent.commands import results
from agent.commands.authority import SKEW_S, BrokerAuthority, Grant, KeyAuthority, authority_of, sign, timely
from agent.commands.envelope import Envelope, Signature, canonical
from agent.commands.keys_file import Issuer
from agent.config import CommandSettings
from agent.errors import ConfigError, Rejected
from agent.plan import Moment, Trust
from agent.store.counter_window import CounterWindow

DEVICE, NONCE = "imei::990000862471854", "0123456789abcdef"
KEY = bytes(range(32))
LIMITS: Mapping[str, Mapping[str, float]] = {"plan.topup": {"bytes": 100}}
SUPPORT = Issuer("support", "s1", KEY, "act", ("status", "plan.*"), LIMITS)
ADMIN = Issuer("admin", "a1", bytes(32), "admin")
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=timezone.utc)
USED = CounterWindow(10, (12,))  # up to 10, and 12


def moment(*, trusted: bool = True) -> Moment:
    return Moment(wall=NOW, boot_s=1_000.0, boot_id="b", trust=Trust.NITZ if trusted else Trust.UNSYNC)


def envelope(**changes: object) -> Envelope:
    """A good one of support, signed after the changes; `signature` and `signed_text` may be changed too."""
    asked = replace(Envelope("c1", "plan.topup", {}, issuer="support", audience=DEVICE, counter=11), **changes)  # type: ignore[arg-type]  # names of its fields
    if "signature" in changes:
        return asked
    body = {"id": asked.id, "iss": asked.issuer, "aud": asked.audience}
    signed: Any = sign(body, "s1", KEY)["sig"]
    return replace(asked, signed_text=canonical(body), signature=Signature(signed["kid"], signed["alg"], signed["v"]))


def granted(asked: Envelope, *, require: bool = True, nonce: str = NONCE, trusted: bool = True) -> Grant:
    keys = KeyAuthority({"s1": SUPPORT, "a1": ADMIN}, require=require, device=DEVICE)
    return keys.grant(asked, moment(trusted=trusted), nonce=nonce, used=USED)


def test_a_good_command_is_granted_what_stands_in_the_keys_file() -> None:
    assert granted(envelope()) == Grant("support", "act", 11, LIMITS, verified=True, bucket="support")


def test_hexadecimal_digits_of_a_signature_may_be_of_either_case() -> None:
    good = envelope()
    assert good.signature is not None
    assert granted(replace(good, signature=replace(good.signature, value=good.signature.value.upper()))).verified


@pytest.mark.parametrize(
    ("asked", "code", "reason"),
    [
        (envelope(signature=None), results.NOT_SIGNED, "this device asks for a signature"),
        (envelope(signature=Signature("x9", "HS256", "0" * 64)), results.NOT_SIGNED, "unknown key"),
        (envelope(signature=Signature("s1", "HS256", "0" * 64)), results.NOT_SIGNED, "the signature does not fit"),
        (replace(envelope(), signed_text=b"{}"), results.NOT_SIGNED, "the signature does not fit"),
        (envelope(audience=""), results.NOT_SIGNED, "a signed command must name its issuer and this device"),
        (envelope(audience=DEVICE[:-1]), results.NOT_SIGNED, "a signed command must name its issuer and this device"),
        (envelope(issuer=""), results.NOT_SIGNED, "a signed command must name its issuer and this device"),
        (envelope(issuer="admin"), results.NOT_SIGNED, "a signed command must name its issuer and this device"),
        (envelope(counter=None), results.REPLAYED, "neither a new counter nor the nonce of this session"),
        (envelope(counter=None, nonce=NONCE[::-1]), results.REPLAYED, "neither a new counter nor the nonce"),
        (envelope(counter=10), results.REPLAYED, "counter 10 of support was used, or is older than those kept"),
        (envelope(counter=12), results.REPLAYED, "counter 12 of support was used, or is older than those kept"),
        (envelope(type="modem.reset"), results.PERMISSION_DENIED, "modem.reset is not for support"),
        (envelope(type="PLAN.TOPUP"), results.PERMISSION_DENIED, "PLAN.TOPUP is not for support"),
    ],
)
def test_one_thing_wrong_is_enough_to_refuse(asked: Envelope, code: int, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        granted(asked)
    assert refused.value.code == code
    assert refused.value.reason.startswith(reason)


def test_an_empty_nonce_is_nobodys() -> None:
    """Before the first session there is none."""
    with pytest.raises(Rejected):
        granted(envelope(counter=None, nonce=""), nonce="")


def test_the_nonce_lets_in_what_has_no_new_counter_and_uses_none_up() -> None:
    assert granted(envelope(counter=None, nonce=NONCE)).counter is None
    assert granted(envelope(counter=12, nonce=NONCE)).counter is None
    assert granted(envelope(counter=13, nonce=NONCE)).counter == 13


def test_an_expiry_that_no_clock_can_judge_needs_the_nonce() -> None:
    dated = envelope(expires=int(NOW.timestamp()) + 60)
    assert granted(dated).counter == 11
    with pytest.raises(Rejected) as refused:
        granted(dated, trusted=False)
    reason = "the clock here cannot judge exp; use the nonce of this session"
    assert (refused.value.code, refused.value.reason) == (results.REPLAYED, reason)
    assert granted(replace(dated, nonce=NONCE), trusted=False).counter == 11
    assert granted(envelope(), trusted=False).counter == 11


def test_unsigned_commands_may_read_where_no_signature_is_asked_for() -> None:
    asked = envelope(signature=None)
    assert granted(asked, require=False) == Grant("", "read", None, {}, verified=False, bucket="")


def test_limits_hold_for_numbers_of_that_command_alone() -> None:
    grant = granted(envelope())
    grant.within_limits("plan.topup", {"bytes": 100})
    grant.within_limits("plan.topup", {"bytes": "text"})
    grant.within_limits("plan.topup", {})
    grant.within_limits("status", {"bytes": 101})
    for beyond in (101, 100.5):
        with pytest.raises(Rejected, match=f"bytes of {beyond} is beyond the limit of support: 100") as refused:
            grant.within_limits("plan.topup", {"bytes": beyond})
        assert refused.value.code == results.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("times", "refused"),
    [
        ({"expires": int(NOW.timestamp())}, None),
        ({"expires": int(NOW.timestamp()) - 1}, (results.TOO_LATE, "it expired 1 s before it arrived")),
        ({"issued": int(NOW.timestamp()) + SKEW_S}, None),
        (
            {"issued": int(NOW.timestamp()) + SKEW_S + 1},
            (results.INVALID_VALUE, f"it was issued {SKEW_S + 1} s in the future"),
        ),
    ],
)
def test_a_trusted_clock_judges_the_times(times: dict[str, int], refused: tuple[int, str] | None) -> None:
    timely(envelope(**times), moment(trusted=False))
    if refused is None:
        timely(envelope(**times), moment())
        return
    with pytest.raises(Rejected) as rejected:
        timely(envelope(**times), moment())
    assert (rejected.value.code, rejected.value.reason) == refused


def test_without_a_keys_file_the_brokers_acl_is_the_authority() -> None:
    authority = authority_of(CommandSettings(), DEVICE)
    assert isinstance(authority, BrokerAuthority)
    assert authority.grant(envelope(signature=None), moment(), nonce="", used=USED) == Grant("support", "admin")
    for type, role in (("modem.info", "read"), ("agent.cancel", "admin"), ("diag.speed", "admin")):
        asked = envelope(signature=None, type=type)
        assert authority.grant(asked, moment(), nonce="", used=USED).role == role
    assert authority.named("support") == "claimed:support"
    with pytest.raises(ConfigError) as refused:
        authority_of(CommandSettings(require_signature=True), DEVICE)
    expected = ConfigError("configuration", "commands.require_signature", "no keys_file to check signatures with")
    assert str(refused.value) == str(expected)


def test_a_signature_is_over_all_but_itself() -> None:
    once = sign({"id": "i", "iss": "support"}, "s1", KEY)
    assert sign(once, "s1", KEY) == once
    assert set(once) == {"id", "iss", "sig"}
    value = hmac.new(KEY, canonical({"id": "i", "iss": "support"}), "sha256").hexdigest()
    assert once["sig"] == {"kid": "s1", "alg": "HS256", "v": value}
