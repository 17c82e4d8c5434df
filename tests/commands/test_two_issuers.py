"""Commands that one issuer alone cannot give: what a thief of one key, or of one signature, tries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.command_schema import Request
from agent.commands import results
from agent.commands.authority import Grant, KeyAuthority, authority_of, cosign, sign
from agent.commands.command import Command, Progress
from agent.commands.envelope import parse
from agent.commands.keys_file import Issuer
from agent.commands.table import COMMANDS
from agent.config import CommandSettings
from agent.errors import ConfigError, Rejected
from agent.store.counter_window import CounterWindow
from agent.support.signature import signer
from tests.commands.standin import DEVICE, HandClock, StandIn
from tests.commands.test_runner import Channel, tell

ANNE = Issuer("anne", "a", bytes(range(32)), "admin", limits={"agent.update": {"size": 500}})
BEN = Issuer("ben", "b", bytes(range(1, 33)), "admin", limits={"agent.update": {"size": 400, "rate_bps": 9_000}})
DESK = Issuer("desk", "d", bytes(range(2, 34)), "act")  # may not update
SAME = Issuer("other name", "s", ANNE.key, "admin")
ARGS = {"version": "0.9.0", "url": "https://updates.example/a.deb", "sha256": "0" * 64, "size": 300}


def body(**changes: Any) -> dict[str, Any]:
    return {
        "v": 1, "id": "u1", "type": "agent.update", "args": ARGS, "iss": "anne", "aud": DEVICE, "ctr": 11, **changes,
    }  # fmt: skip


def by(envelope: Mapping[str, Any], first: Issuer = ANNE, second: Issuer | None = BEN) -> dict[str, Any]:
    once = sign(envelope, first.key_id, first.key)
    return cosign(once, second.key_id, second.key) if second else once


def with_half(envelope: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Anne's signature over one envelope, and Ben's that was made over another."""
    return {**by(envelope, second=None), "cosig": by(other)["cosig"]}


def authority(*, require: bool = True, two: tuple[str, ...] = ("agent.update",)) -> KeyAuthority:
    issuers = {issuer.key_id: issuer for issuer in (ANNE, BEN, DESK, SAME)}
    return KeyAuthority(issuers, require=require, device=DEVICE, two_issuers=two)


def granted(sent: Mapping[str, Any], *, used: int = 10, **more: Any) -> Grant:
    type, id = sent["type"], sent["id"]
    envelope = parse(json.dumps(sent).encode(), type=type, id=id, device=DEVICE)
    return authority(**more).grant(envelope, HandClock().now(), nonce="", used=CounterWindow(used))


def test_two_issuers_may_what_both_may() -> None:
    grant = granted(by(body()))
    assert (grant.issuer, grant.cosigner, grant.role, grant.counter) == ("anne", "ben", "admin", 11)
    assert grant.limits == {"agent.update": {"size": 400, "rate_bps": 9_000}}
    assert granted(by(body(), second=DESK)).role == "act"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (by(body(), second=None), "needs the signatures of two issuers"),
        (by(body(type="agent-update"), second=None), "needs the signatures of two issuers"),
        (by(body(), second=ANNE), "both signatures are of one issuer"),
        (by(body(), second=SAME), "both signatures are of one issuer"),
        (by(body(), second=Issuer("ben", "x", BEN.key, "admin")), "unknown key"),
        (by(body(), second=Issuer("ben", "b", bytes(32), "admin")), "the signature does not fit"),
        ({**by(body()), "cosig": by(body())["sig"]}, "both signatures are of one issuer"),
        ({**by(body()), "sig": by(body())["cosig"]}, "a signed command must name its issuer"),
        ({name: value for name, value in by(body()).items() if name != "sig"}, "asks for a signature"),
        (body(), "asks for a signature"),
        (with_half(body(args={**ARGS, "sha256": "1" * 64}), body()), "the signature does not fit"),
        (with_half(body(ctr=12), body()), "the signature does not fit"),
        (with_half(body(id="u2"), body()), "the signature does not fit"),
        (with_half(body(), body(aud="imei::990000862471862")), "the signature does not fit"),
        (with_half(body(), body(iss="ben")), "the signature does not fit"),
        (with_half(body(), body(type="agent.restart", args={})), "the signature does not fit"),
    ],
)
def test_half_of_it_is_nothing(sent: Mapping[str, Any], reason: str) -> None:
    for require in (True, False):
        with pytest.raises(Rejected, match=reason) as refused:
            granted(sent, require=require)
        assert refused.value.code == results.NOT_SIGNED


def test_a_signature_once_given_alone_is_no_half_of_another_command() -> None:
    """Ben gave a command of his own; nobody makes it his consent to Anne's, or turns the two about."""
    bens = sign(body(iss="ben"), BEN.key_id, BEN.key)
    with pytest.raises(Rejected, match="the signature does not fit"):
        granted({**by(body(), second=None), "cosig": bens["sig"]})
    turned = by(body(iss="ben"), first=BEN, second=ANNE)
    assert granted(turned).issuer == "ben"


def test_the_counter_is_used_up_for_both() -> None:
    with pytest.raises(Rejected) as refused:
        granted(by(body()), used=11)
    assert refused.value.code == results.REPLAYED


def test_both_must_be_allowed_the_command() -> None:
    narrow = Issuer("ben", "b", BEN.key, "admin", ("status",))
    keys = KeyAuthority({"a": ANNE, "b": narrow}, require=True, device=DEVICE, two_issuers=("agent.update",))
    envelope = parse(json.dumps(by(body())).encode(), type="agent.update", id="u1", device=DEVICE)
    with pytest.raises(Rejected, match=r"agent\.update is not for ben"):
        keys.grant(envelope, HandClock().now(), nonce="", used=CounterWindow())


def test_other_commands_need_one_and_a_second_must_fit_all_the_same() -> None:
    assert granted(by(body(type="status", args={}), second=None)).cosigner == ""
    with pytest.raises(Rejected, match="the signature does not fit"):
        granted(with_half(body(type="status", args={}), body()))


def test_a_device_that_could_not_check_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"commands\.two_issuers.*no keys_file"):
        authority_of(CommandSettings(two_issuers=("agent.update",)), DEVICE)
    with pytest.raises(ConfigError, match=r"commands\.two_issuers.*no such command.*agent\.updat"):
        authority_of(CommandSettings(two_issuers=("agent.updat",)), DEVICE)


def test_over_mqtt_it_runs_once_and_the_trail_names_both(tmp_path: Path) -> None:
    ran = list[str]()

    async def update(_: Any, args: dict[str, Any], progress: Progress) -> dict[str, Any]:
        ran.append(args["version"])
        return {"v": 1, "result": "installed"}

    row = COMMANDS["agent.update"]
    rows = {row.name: Command(row.name, row.help, update, args=row.args, role=row.role)}

    async def story(agent: StandIn, channel: Channel) -> None:
        # The table fills up an argument that is beyond Ben's limit unless it is given.
        good = by(body(args={**ARGS, "rate_bps": 8_000}))
        for sent, state in (
            (by(body(id="u0"), second=None), "rejected"),
            (by(body(id="u3"), second=DESK), "rejected"),  # one of the two is no admin
            (by(body(id="u4", args={**ARGS, "size": 450, "rate_bps": 8_000}, ctr=20)), "rejected"),
            (good, "succeeded"),
            ({**good, "id": "u2"}, "rejected"),
        ):
            await channel.raw("agent.update", sent["id"], sent)
            await channel.settle()
            assert (await channel.states(sent["id"]))[-1] == state
        await channel.raw("agent.update", "u1", good)
        await channel.settle()
        assert ran == ["0.9.0"]
        entries = await agent.store.run(lambda database: database.audit.entries())
        accepted = [entry for entry in entries if entry["id"] == "u1" and entry["what"] in ("accepted", "running")]
        assert [(entry["issuer"], entry["reason"]) for entry in accepted] == [("anne", "signed by ben too")]

    tell(tmp_path, story, commands=rows, authority=authority())


def test_the_desk_signs_by_two_keys_files(tmp_path: Path) -> None:
    files = []
    for issuer in (ANNE, BEN):
        path = tmp_path / f"{issuer.name}.toml"
        path.write_text(f'[{issuer.name}]\nkey_id = "{issuer.key_id}"\nkey = "{issuer.key.hex()}"\nrole = "admin"\n')
        path.chmod(0o600)
        files.append(str(path))
    plain: Request = {"v": 1, "id": "u1", "type": "agent.update", "args": ARGS, "aud": DEVICE}
    assert granted(signer(*files)(plain)).cosigner == "ben"
    with pytest.raises(Rejected, match="two issuers"):
        granted(signer(files[0])(plain))
    with pytest.raises(Rejected, match="one issuer"):
        granted(signer(files[0], files[0])(plain))
    with pytest.raises(ConfigError, match="without a first one"):
        signer(None, files[1])
