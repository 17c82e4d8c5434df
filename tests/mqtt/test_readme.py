"""The README says what the code does: its example is accepted, its lists are the code's."""

from __future__ import annotations

import json
import re
from importlib import resources

from agent.commands import results
from agent.commands.authority import sign
from agent.commands.envelope import parse
from agent.commands.table import COMMANDS
from tests.mqtt import contract

TEXT = (resources.files("agent.mqtt") / "README.md").read_text(encoding="utf-8")


def test_the_example_command_is_accepted() -> None:
    example = re.search(r"```json\n(.+?)\n```", TEXT, re.DOTALL)
    assert example is not None
    body = json.loads(example[1])
    assert parse(example[1].encode(), type=body["type"], id=body["id"], device="d").args == {"bytes": 5_000_000_000}


def test_every_commands_result_is_explained() -> None:
    assert set(contract.results()) == set(COMMANDS)
    assert contract.results()["plan.topup"] == {"v", "id", "usage"}


def test_every_state_and_code_is_explained() -> None:
    for state in (results.ACCEPTED, results.RUNNING, *results.FINAL):
        assert f"| `{state}` |" in TEXT
    for code in (*results.REFUSALS, results.TIME_LIMIT, results.TOO_LATE, results.COMMAND_CANCELED):
        assert str(code) in TEXT


def test_the_canonical_form_is_the_one_written_there() -> None:
    envelope = {"v": 1, "type": "status", "id": "é", "args": {"b": [1, {"z": 1, "a": 2}], "a": None}}
    written = json.dumps(envelope, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    import hashlib
    import hmac

    value = hmac.new(b"0" * 16, written, hashlib.sha256).hexdigest()
    assert sign(envelope, "k", b"0" * 16)["sig"] == {"kid": "k", "alg": "HS256", "v": value}
