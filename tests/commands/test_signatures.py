"""The published vectors of signed commands, by two implementations that share nothing with the agent's."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import agent.mqtt
from agent.commands.authority import sign
from agent.commands.envelope import canonical, parse
from agent.commands.keys_file import derived
from agent.errors import Rejected

FILE = Path(agent.mqtt.__file__).parent / "schema" / "signatures.json"
VECTORS: dict[str, Any] = json.loads(FILE.read_text("ascii"))
SIGNED = [pytest.param(vector, id=vector["what"]) for vector in VECTORS["signed"]]

NODE = r"""
const { createHmac } = require("crypto");
const vectors = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
const hmac = (key, text) => createHmac("sha256", Buffer.from(key, "hex")).update(text, "utf8").digest("hex");
const form = x => x === null || typeof x !== "object" ? JSON.stringify(x)
  : Array.isArray(x) ? "[" + x.map(form).join(",") + "]"
  : "{" + Object.keys(x).sort().map(k => JSON.stringify(k) + ":" + form(x[k])).join(",") + "}";
console.log(JSON.stringify({
  keys: vectors.keys.map(k => hmac(k.master, vectors.purpose + "\n" + k.device)),
  signed: vectors.signed.map(s => [form(s.envelope), hmac(vectors.key, form(s.envelope))]),
}));
"""

ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def text(value: str) -> str:
    return '"' + "".join(ESCAPES.get(c, f"\\u{ord(c):04x}" if c < " " else c) for c in value) + '"'


def units(value: str) -> list[int]:
    found: list[int] = []
    for point in map(ord, value):
        more = point - 0x10000
        found += [point] if more < 0 else [0xD800 + (more >> 10), 0xDC00 + (more & 0x3FF)]
    return found


def form(value: Any) -> str:
    """RFC 8785, 3.2, from its text."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{text(key)}:{form(value[key])}" for key in sorted(value, key=units)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(form, value)) + "]"
    words = {None: "null", True: "true", False: "false"}
    return text(value) if isinstance(value, str) else words[value] if type(value) is not int else str(value)


@pytest.mark.parametrize("vector", SIGNED)
def test_the_form_and_the_signature_as_they_are_published(vector: dict[str, Any]) -> None:
    assert canonical(vector["envelope"]).decode() == vector["canonical"] == form(vector["envelope"])
    value = hmac.new(bytes.fromhex(VECTORS["key"]), vector["canonical"].encode(), hashlib.sha256).hexdigest()
    signature = {"kid": "k", "alg": "HS256", "v": value}
    assert vector["v"] == value
    assert sign(vector["envelope"], "k", bytes.fromhex(VECTORS["key"]))["sig"] == signature


@pytest.mark.parametrize("vector", VECTORS["keys"])
def test_the_key_of_one_device(vector: dict[str, str]) -> None:
    master, message = bytes.fromhex(vector["master"]), f"{VECTORS['purpose']}\n{vector['device']}"
    assert derived(master, vector["device"]).hex() == vector["key"]
    assert hmac.new(master, message.encode(), hashlib.sha256).hexdigest() == vector["key"]


@pytest.mark.skipif(shutil.which("node") is None, reason="node: not installed")
def test_javascript_comes_to_the_same() -> None:
    done = subprocess.run(["node", "-e", NODE, str(FILE)], capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(done.stdout)
    assert found["keys"] == [vector["key"] for vector in VECTORS["keys"]]
    assert found["signed"] == [[vector["canonical"], vector["v"]] for vector in VECTORS["signed"]]


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["what"])
def test_what_two_readers_may_read_differently_is_refused(vector: dict[str, str]) -> None:
    signature = ',"sig":{"kid":"k","alg":"HS256","v":"' + "0" * 64 + '"}}'
    with pytest.raises(Rejected):
        parse((vector["payload"][:-1] + signature).encode(), type="status", id="i", device="d")
