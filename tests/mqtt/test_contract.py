"""The published documents agree with each other and with the code."""

from __future__ import annotations

import json

import jsonschema
import pytest

from agent.mqtt.topics import Topics
from tests.mqtt import contract

FILES = sorted(entry.name for entry in contract.SCHEMAS.iterdir() if entry.name.endswith(".schema.json"))


@pytest.mark.parametrize("name", FILES)
def test_schema_is_valid_and_used(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(contract.schema(name))
    used = {m["payload"]["$ref"] for m in contract.asyncapi()["components"]["messages"].values()}
    assert name in used
    assert used <= set(FILES)


def test_channels_are_the_topics_of_the_code() -> None:
    topics = Topics("modem-agent", "{device}".strip("{}"))
    written = {channel["address"].replace("{device}", "device") for channel in contract.asyncapi()["channels"].values()}
    made = {
        topics.status,
        *(topics.twin(part) for part in ("info", "sim", "plan", "config")),
        *(topics.measurement(name) for name in ("traffic", "state")),
        topics.event("lost"),
        topics.event("{name}"),
        topics.alarm("{name}"),
        topics.request("{type}", "{id}"),
        topics.response("{type}", "{id}"),
    }
    assert written == made


def test_every_reference_leads_somewhere() -> None:
    document = contract.asyncapi()

    def follow(part: object) -> None:
        if isinstance(part, dict):
            reference = part.get("$ref", "#/")
            if str(reference).startswith("#/") and reference != "#/":
                target: object = document
                for key in str(reference)[2:].split("/"):
                    assert isinstance(target, dict)
                    target = target[key]
            for inner in part.values():
                follow(inner)
        elif isinstance(part, list):
            for inner in part:
                follow(inner)

    follow(document)
    assert {o["action"] for o in document["operations"].values()} == {"send", "receive"}


def test_an_undocumented_field_is_found() -> None:
    status = {"v": 1, "state": "online", "session": 1, "boot": "9f1c2e34", "version": "0", "nonce": "0" * 16}
    contract.check("modem-agent/v1/d/status", json.dumps(status).encode())
    with pytest.raises(jsonschema.ValidationError):
        contract.check("modem-agent/v1/d/status", json.dumps({**status, "extra": 1}).encode())
    with pytest.raises(AssertionError):
        contract.check("modem-agent/v1/d/other", b"{}")
