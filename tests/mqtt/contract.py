"""Every message that a test sees, checked against the published schemas: valid, and nothing in it undocumented."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from typing import Any

import jsonschema
import yaml

from tests.mqtt import events

SCHEMAS = resources.files("agent.mqtt") / "schema"


@cache
def asyncapi() -> dict[str, Any]:
    return dict(yaml.safe_load((SCHEMAS / "asyncapi.yaml").read_text(encoding="utf-8")))


def schema(name: str) -> dict[str, Any]:
    return dict(json.loads((SCHEMAS / name).read_text(encoding="utf-8")))


def closed(part: Any) -> Any:
    """The schema with every object closed that does not say otherwise: what is not documented must not be sent."""
    if isinstance(part, list):
        return [closed(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    made = {key: closed(inner) for key, inner in part.items()}
    if "properties" in made and isinstance(made["properties"], dict) and made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


@cache
def channels() -> list[tuple[re.Pattern[str], jsonschema.Draft202012Validator]]:
    """Topic patterns with their validators, in the order of the document (e/lost stands before e/{name})."""
    document, out = asyncapi(), []
    for channel in document["channels"].values():
        pattern = re.sub(r"\\{[a-z]+\\}", "[^/]+", re.escape(channel["address"]))
        (message,) = channel["messages"].values()
        payload = document["components"]["messages"][message["$ref"].rpartition("/")[2]]["payload"]["$ref"]
        out.append((re.compile(pattern), jsonschema.Draft202012Validator(closed(schema(payload)))))
    return out


@cache
def results() -> dict[str, frozenset[str]]:
    """Command -> the keys of its `out` that README.md names."""
    text = (resources.files("agent.mqtt") / "README.md").read_text(encoding="utf-8")
    section = text.partition("## What comes back\n")[2].partition("\n## ")[0]
    out: dict[str, frozenset[str]] = {}
    for names, told in re.findall(r"^\| (`.+?) \| (.+?) \|$", section, re.MULTILINE):
        keys = frozenset(re.findall(r"`([a-z0-9_]+)`", told)) | {"v"}
        out |= dict.fromkeys(re.findall(r"`([a-z.]+)`", names), keys)
    return out


NUMBERING = frozenset({"v", "boot", "seq", "up", "time", "clk"})


def _check_name(topic: str, body: dict[str, Any]) -> None:
    """Events and alarms are those of events.json, with its fields."""
    level, name = topic.split("/")[3:5] if topic.count("/") == 4 else ("", "")  # after root, version and device
    own = {key: value for key, value in body.items() if key not in NUMBERING}
    if level == "e":
        events.check("events", name, own)
    elif level == "a" and own.pop("state") == "raised":
        events.check("alarms", name, own)
    elif level == "a":
        assert name in events.known()["alarms"]
        assert not own, f"a cleared alarm says {own}"


def check(topic: str, payload: bytes) -> None:
    """Raises AssertionError or ValidationError when a message is not as published."""
    for pattern, validator in channels():
        if pattern.fullmatch(topic):
            if payload or "/a/" not in topic:  # an empty alarm takes the retained one away
                body = json.loads(payload)
                validator.validate(body)
                _check_name(topic, body)
                if "out" in body and body["type"] in results():
                    unknown = set(body["out"]) - results()[body["type"]]
                    assert not unknown, f"README.md does not name {unknown} of {body['type']}"
            return
    raise AssertionError(f"topic {topic} is not in asyncapi.yaml")
