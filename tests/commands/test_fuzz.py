"""A hundred thousand envelopes that nobody should send: an envelope or a refusal, never another exception."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commands.envelope import Envelope, parse
from agent.commands.table import COMMANDS
from agent.config import Config
from agent.errors import Rejected
from tests.commands.standin import DEVICE, StandIn
from tests.commands.test_runner import Channel, signed
from tests.mqtt import contract

ENVELOPES = 100_000
STRANGE: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2**63, 10**400, 1e308, -0.0, "", "x" * 300, "\ud800", "\0", [], {}, [[]], {"a": {}},
    "imei::1", [1] * 50, "plan.topup", "../..", "#", "+",
)  # fmt: skip


def valid(dice: random.Random) -> dict[str, Any]:
    args = {"bytes": dice.randrange(1, 10**9)}
    body: dict[str, Any] = {"v": 1, "id": "f", "type": "plan.topup", "args": args}
    for key, value in (("ttl", 600), ("iss", "support"), ("aud", DEVICE), ("ctr", 5), ("iat", 1), ("exp", 2**33)):
        if dice.random() < 0.5:
            body[key] = value
    return body if dice.random() < 0.6 else signed("plan.topup", "f", args, ctr=dice.randrange(9))


def damaged(dice: random.Random) -> bytes:
    """A valid envelope, then hurt: a field, the JSON text, or the bytes."""
    body = valid(dice)
    for _ in range(dice.randrange(0, 3)):
        key = dice.choice((*body, "new", "sig", "v", "args"))
        if dice.random() < 0.3:
            body.pop(key, None)
        else:
            body[key] = dice.choice(STRANGE)
    try:
        payload = bytearray(json.dumps(body, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass"))
    except ValueError:  # Python prints no integer of so many digits
        payload = bytearray(b'{"v":1,"id":"f","ctr":' + b"9" * 5000 + b"}")
    for _ in range(dice.choice((0, 0, 0, 1, 3))):
        place = dice.randrange(len(payload) + 1)
        match dice.randrange(4):
            case 0:
                payload[place:place] = bytes([dice.randrange(256)])
            case 1:
                del payload[place : place + dice.randrange(1, 9)]
            case 2:
                payload[place:place] = dice.choice(
                    (b"[" * 3000, b'{"a":' * 400, b"NaN", b"1e999", b"\\u0000", b'"v":1,')
                )
            case 3:
                payload *= dice.choice((1, 2))
    return bytes(payload)


def outcome(payload: bytes) -> Envelope | Rejected:
    try:
        return parse(payload, type="plan.topup", id="f", device=DEVICE)
    except Rejected as refusal:
        return refusal


@pytest.mark.timeout(300)
def test_a_hundred_thousand_envelopes() -> None:
    dice = random.Random(6)
    published = jsonschema.Draft202012Validator(contract.schema("request.schema.json"))
    accepted = 0
    for number in range(ENVELOPES):
        payload = damaged(dice)
        found = outcome(payload)
        if isinstance(found, Envelope):
            accepted += 1
            if number % 50 == 0:  # what is let in is what was published
                published.validate({k: v for k, v in json.loads(payload).items() if v is not None})
        else:
            assert 7000 <= found.code <= 7999
            assert 0 < len(found.reason) <= 400
    assert ENVELOPES / 5 < accepted < ENVELOPES  # the run tries both ways in


@given(st.binary(max_size=300))
def test_any_bytes(payload: bytes) -> None:
    assert isinstance(outcome(payload), (Envelope, Rejected))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.text(), s),
    )
)
def test_any_json_arguments(value: object) -> None:
    payload = json.dumps({"v": 1, "id": "f", "type": "plan.topup", "args": value}).encode("utf-8", "surrogatepass")
    assert isinstance(outcome(payload), (Envelope, Rejected))


def test_nonsense_for_every_command_is_refused_by_the_whole_path(tmp_path: Path) -> None:
    """Every one answered once, none executed."""
    dice = random.Random(7)

    async def story() -> None:
        with StandIn(tmp_path, Config()) as agent:
            await agent.outbox.open()
            channel = Channel(agent)
            before = agent.ledger
            sent = 0
            for name in COMMANDS:
                for value in (*STRANGE[:18], {"no": "such"}):
                    sent += 1
                    agent.clock.boot_s += 60
                    body: Any = {"v": 1, "id": f"n{sent}", "type": name, "args": {"strange": value}}
                    if dice.random() < 0.3:
                        body = {"v": 1, "id": f"n{sent}", "type": "no.such", "args": {}}
                    try:
                        payload = json.dumps(body).encode("utf-8", "surrogatepass")
                    except ValueError:
                        payload = b"9" * 5000
                    await channel.raw(name, f"n{sent}", payload)
            assert not agent.runner._tasks
            assert agent.ledger == before
            assert agent.asked == []
            assert agent.runner.faults["commands.command-rejected"] == sent
            rows = await agent.store.run(lambda db: db.outbox.head(0, after=0, limit=2 * sent))
            answers = [json.loads(row.payload) for row in rows if row.topic.endswith("/res")]
            assert sorted(a["id"] for a in answers) == sorted(f"n{number + 1}" for number in range(sent))
            assert {a["state"] for a in answers} == {"rejected"}
            assert await agent.store.run(lambda db: db.audit.broken()) is None

    asyncio.run(story())
