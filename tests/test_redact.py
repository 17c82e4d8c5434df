"""What leaves the device: identifiers for an admin who asks, the cell while the line has a fault, or as configured."""

from __future__ import annotations

import io
import json
import tarfile
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import agent.mqtt
from agent.at.cells import PLACES, tells_cell
from agent.config import Config
from agent.modem.cause import CAUSES
from agent.modem.reading import Identity, Reading, Registration, Signal, Sim
from agent.mqtt import reports
from agent.redact import anonymous, located, shows_location
from agent.status import Snapshot
from tests.commands.standin import StandIn
from tests.commands.test_authority import ask, keys
from tests.commands.test_runner import Channel, tell

CELL = {"tac": 40_961, "ci": 87_654_321, "lac": 7_777, "rac": 9}
WHOLE = ("990000862471854", "206011234567890", "8932010000000000017", "+32470123456")
READING = Reading(
    at_boot_s=1.0,
    identity=Identity("Quectel", "EC25", "EC25EFAR06A03M4G", WHOLE[0]),
    sim=Sim("READY", "none", WHOLE[1], WHOLE[2], WHOLE[3]),
    registration=Registration(1, "home", lac=7_777, tac=40_961, ci=87_654_321, rac=9, domains={"eps": dict(CELL)}),
    signal=Signal(
        rsrp_dbm=-99.0, band=20, earfcn=6_300, pci=421, nr={"pci": 422, "arfcn": 634_080},
        carriers=({"earfcn": 6_301, "pci": 423, "band": 3},),
    ),
)  # fmt: skip
PLACE_NUMBERS = ("40961", "87654321", "7777", "6300", "421", "422", "634080", "6301", "423")


class Device(StandIn):
    """With a module, a card and a cell."""

    cause = "none"

    def snapshot(self) -> Snapshot:
        return replace(super().snapshot(), reading=READING, modem_state="ready", cause=self.cause)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> type[Device]:
    monkeypatch.setattr("tests.commands.test_runner.StandIn", Device)
    monkeypatch.setattr(Device, "cause", "none")
    return Device


def status(cause: str = "none") -> Any:
    return {"device": f"imei::{WHOLE[0]}", "modem": {"cause": cause, "state": "ready", "reading": READING.to_dict()}}


def places_in(found: object) -> list[str]:
    text = json.dumps(found)
    return [number for number in PLACE_NUMBERS if number in text]


def test_no_place_is_left_in_any_corner() -> None:
    assert len(places_in(status())) == len(PLACE_NUMBERS)
    assert places_in(located(status(), "never")) == []
    left: Any = located(status(), "never")
    assert left["modem"]["reading"]["signal"]["band"] == 20


@pytest.mark.parametrize("cause", CAUSES)
def test_faults_alone_show_the_cell(cause: str) -> None:
    assert shows_location(status(cause), "faults") is (cause not in ("none", "throttled"))
    assert shows_location(status(cause), "always")
    assert not shows_location(status(cause), "never")


def test_enough_of_an_identifier_is_left_to_tell_two_apart() -> None:
    shown: Any = anonymous(status())
    assert not [number for number in WHOLE if number in json.dumps(shown["modem"])]
    sim = shown["modem"]["reading"]["sim"]
    assert (sim["iccid"], sim["msisdn"]) == ("893201***********17", "+32*******56")
    assert shown["device"] == f"imei::{WHOLE[0]}"  # the topic's own name
    unread: Any = {"modem": {"reading": None}}
    assert anonymous(unread) == unread


@pytest.mark.parametrize("name", ["status", "modem.info"])
@pytest.mark.parametrize(("who", "whole", "cause", "rule", "identified", "placed", "code"), [
    ("desk", False, "none", "faults", False, False, 0),
    ("desk", False, "no-coverage", "faults", False, True, 0),
    ("desk", True, "none", "faults", False, False, 7006),
    ("alice", True, "none", "always", False, False, 7006),
    ("chief", False, "none", "faults", False, False, 0),
    ("chief", True, "none", "faults", True, True, 0),
    ("chief", True, "no-coverage", "never", True, False, 0),
    ("alice", False, "none", "always", False, True, 0),
])  # fmt: skip
def test_who_sees_what(
    tmp_path: Path, device: type[Device], name: str, who: str, whole: bool, cause: str, rule: str,
    identified: bool, placed: bool, code: int,
) -> None:  # fmt: skip
    device.cause = cause

    async def story(agent: StandIn, channel: Channel) -> None:
        await ask(channel, who, name, "s", 1, {"whole": True} if whole else {})
        await channel.settle()
        answer = (await channel.answers("s"))[-1]
        assert answer["code"] == code
        out = {key: value for key, value in answer.get("out", {}).items() if key != "device"}
        assert any(number in json.dumps(out) for number in WHOLE) is identified
        assert bool(places_in(out)) is placed

    config = Config()
    config = replace(config, operator=replace(config.operator, location=rule))
    tell(tmp_path, story, authority=keys(), config=config)


@pytest.mark.parametrize("name", ["status", "modem.info"])
def test_a_brokers_acl_shows_nobody_the_card_in_an_answer(tmp_path: Path, device: type[Device], name: str) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send(name, "s", {"whole": True}, iss="chief")
        await channel.settle()
        assert (await channel.answers("s"))[-1]["code"] == 7006

    tell(tmp_path, story)


@pytest.mark.parametrize(("cause", "placed"), [("none", False), ("no-coverage", True)])
def test_reports_and_bundles(tmp_path: Path, device: type[Device], cause: str, placed: bool) -> None:
    device.cause = cause
    config = Config()
    run_dir, state_dir = tmp_path / "run", tmp_path
    run_dir.mkdir()
    (run_dir / "readings.jsonl").write_text(json.dumps({"registration": CELL}) + '\n{"cut')
    config = replace(config, device=replace(config.device, run_dir=str(run_dir), state_dir=str(state_dir)))

    async def story(agent: StandIn, channel: Channel) -> None:
        body = reports.state(agent.reporter._look())
        assert bool(places_in(body)) is placed
        cell = body["cell"]
        assert isinstance(cell, dict)
        assert cell["Band"] == 20
        await channel.send("bundle.get", "b")
        await channel.settle()
        out = (await channel.answers("b"))[-1]["out"]
        with tarfile.open(fileobj=io.BytesIO(b64decode(out["data"]))) as archive:
            texts = {
                member.name: archive.extractfile(member).read().decode()  # type: ignore[union-attr]
                for member in archive
                if member.name.rpartition("/")[2] in ("status.json", "readings.jsonl")
            }
        assert len(texts) == 2
        for text in texts.values():
            assert ("40961" in text) is placed

    tell(tmp_path, story, config=config)


@pytest.mark.parametrize("text", ["AT+CEREG?", 'at+qeng="servingcell"', "AT+CPSI?", "AT^MONSC", "AT!GSTATUS?"])
def test_what_the_module_says_of_its_cell_is_for_faults_too(tmp_path: Path, device: type[Device], text: str) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        await channel.send("modem.at", "a", {"command": text})
        await channel.settle()
        device.cause = "no-coverage"
        await channel.send("modem.at", "b", {"command": text})
        await channel.send("modem.at", "c", {"command": "AT+CSQ"})
        await channel.settle()
        # 7801: there is no module here to ask
        assert [(await channel.answers(id))[-1]["code"] for id in "abc"] == [7006, 7801, 7801]

    tell(tmp_path, story)


def test_no_event_has_a_field_of_the_cell() -> None:
    events = (Path(agent.mqtt.__file__).parent / "schema" / "events.json").read_text()
    names = {word.lower() for word in events.replace('"', " ").split()}
    assert not names & (PLACES | {"cellid"})
    assert not tells_cell("AT+CSQ")
