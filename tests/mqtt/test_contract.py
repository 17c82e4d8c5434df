"""The published documents agree with each other and with the code."""

from __future__ import annotations

import json

import jsonschema
import pytest

from agent.mqtt import reports
from agent.mqtt.topics import Topics
from tests.cli import sample
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
        topics.event("sim"),
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


def test_a_foreign_sims_bytes_are_told_apart_and_only_where_there_are_any() -> None:
    status = sample.status()
    numbering = {"v": 1, "boot": "9f1c2e34", "seq": 1, "up": 1, "time": "2026-11-22T08:00:00Z", "clk": "sync"}
    for foreign_bytes in (0, 80_000):
        status["usage"]["foreign_bytes"] = foreign_bytes
        told = {**numbering, **reports.traffic(status, agent_bytes=1)}
        contract.check("modem-agent/v1/d/m/traffic", json.dumps(told).encode())
        assert told.get("ForeignBytes", 0) == foreign_bytes


def test_a_swapped_sim_is_told_with_masked_numbers_alone() -> None:
    numbering = {"v": 1, "boot": "9f1c2e34", "seq": 1, "up": 1, "time": "2026-11-22T08:00:00Z", "clk": "sync"}
    swap = {"state": "swapped", "ICCID": "893201***********17", "PreviousICCID": "893301***********25", "Foreign": True}
    contract.check("modem-agent/v1/d/e/sim", json.dumps({**numbering, **swap}).encode())
    whole = {**numbering, **swap, "ICCID": "8932010000000000017"}
    with pytest.raises(jsonschema.ValidationError):
        contract.check("modem-agent/v1/d/e/sim", json.dumps(whole).encode())
