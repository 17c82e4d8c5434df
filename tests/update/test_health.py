"""What a new agent says of itself, and when it says that something is wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agent.mqtt import SessionState
from agent.plan import Decision, Rates
from agent.status import Snapshot
from agent.traffic import ShaperState
from agent.update import folders, health, verdict
from tests.commands.standin import StandIn, config_for

SLOW = Rates(512_000, 512_000)


@pytest.fixture
def well(tmp_path: Path) -> Snapshot:
    async def look() -> Snapshot:
        with StandIn(tmp_path, config_for("mqtt://127.0.0.1:1")) as agent:
            return agent.snapshot()

    return replace(
        asyncio.run(look()), decision=Decision("throttled", SLOW, None, ""), session=SessionState(proved=True),
        shaper=ShaperState("enforced", "tbf", SLOW),
    )  # fmt: skip


def test_an_agent_that_is_well_says_so(well: Snapshot) -> None:
    words = health.words(well)
    assert words["fault"] == ""
    assert (words["slow"], words["charged_bytes"], words["version"]) == ("yes", "0", well.version)
    assert words["plan"].startswith(str(well.period.label))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"store_state": "read-only"}, "disk is read-only"),
        ({"usage": None}, "nothing is counted"),
        ({"faults": {"task.counting": 1}}, "counting has failed"),
        ({"shaper": ShaperState("unenforced")}, "the shaper is unenforced"),
        ({"shaper": None}, "the shaper is not there"),
        ({"session": SessionState(last_error="no\nroute")}, "not reached: no route"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(well: Snapshot, changes: dict[str, object], said: str) -> None:
    assert said in health.words(replace(well, **changes))["fault"]  # type: ignore[arg-type]


def test_a_line_that_is_not_slow_needs_no_shaper(well: Snapshot) -> None:
    free = replace(well, decision=Decision("normal", Rates(), None, ""), shaper=ShaperState("off"))
    assert health.words(free)["fault"] == ""
    assert health.words(free)["slow"] == "no"


def test_it_is_said_until_the_verdict_is_there(tmp_path: Path, well: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    state = str(tmp_path / "state")
    folders.kept(state).mkdir()
    step, said = folders.kept(state) / "step", tmp_path / folders.WELL
    step.write_text("judging 1\n")
    seen: list[dict[str, str]] = []

    async def pause(seconds: float) -> None:
        seen.append(folders.values(said))
        step.unlink()

    monkeypatch.setattr("agent.update.health.asyncio.sleep", pause)
    asyncio.run(health.tell(lambda: well, state_dir=state, run_dir=str(tmp_path)))
    assert [each["version"] for each in seen] == [well.version]
    assert not said.exists()


def test_a_verdict_that_is_not_understood_is_none(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    assert verdict.read(state) is None
    folders.kept(state).mkdir()
    (folders.kept(state) / "verdict").write_bytes(b"result=perhaps\n\xff")
    assert verdict.read(state) is None
    (folders.kept(state) / "verdict").write_bytes(b"id=u\nresult=restored\nversion=2\nprevious=1\nreason=a=b\n")
    assert verdict.read(state) == verdict.Verdict("restored", "2", "1", "a=b", "u")
