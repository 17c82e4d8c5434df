"""What recovery remembers, when it is saved, and how often a day it acts: on a module without a port."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from agent.config import ModemSettings
from agent.errors import ModemError
from agent.modem import Modem, Recovery
from agent.modem.cause import Evidence
from agent.modem.ladder import DAY_S, PAUSE_S, RUNGS, Decision
from agent.modem.pin import fingerprint
from agent.modem.recovery import CONTEXTS_A_DAY, SAVE_EVERY_S

if TYPE_CHECKING:
    from agent.modem.recovery import Memory

WELL = Evidence(present=True, answers=True, sim_lock="none", stat=1, hosts=(True,))
NO_ADDRESS = Evidence(present=True, answers=True, sim_lock="none", stat=1, address=False)
HUNG = Evidence(present=True, answers=False)
LOCKED = Evidence(present=True, answers=True, sim_lock="sim-pin")
HOLD_S = 180.0  # how long an address must be missing before anything is done


class Module:
    """What recovery uses of a Modem; each thing done is noted with how often memory had been saved by then."""

    def __init__(self) -> None:
        self.is_open, self.context_differs, self.accepts = True, False, True
        self.iccid, self.attempts = "8932", 3
        self.done: list[tuple[str, int]] = []
        self.asked_rungs: list[bool] = []
        self.failure: Exception | None = None
        self.saved: list[dict[str, Any]] = []

    def rungs(self, *, answers: bool) -> tuple[str, ...]:
        self.asked_rungs.append(answers)
        return RUNGS if answers else ("usb", "power")

    async def reset(self, level: str) -> dict[str, Any]:
        self.done.append((level, len(self.saved)))
        if self.failure is not None:
            raise self.failure
        return {"level": level, "text": "done"}

    async def card(self) -> dict[str, Any]:
        return {"iccid": self.iccid, "pin_attempts": self.attempts}

    async def enter_pin(self, pin: str) -> bool:
        self.done.append((pin, len(self.saved)))
        return self.accepts

    async def save(self, memory: Memory) -> None:
        self.saved.append(cast(dict[str, Any], copy.deepcopy(memory)))


class Home:
    def __init__(self, *, pin_file: str = "", memory: Any = None) -> None:  # the store may hold anything
        self.module, self.boot_s = Module(), 500.0
        self.recovery = Recovery(
            cast(Modem, self.module), ModemSettings(pin_file=pin_file), {} if memory is None else memory,
            self.module.save, boot_s=lambda: self.boot_s,
        )  # fmt: skip

    @property
    def saved(self) -> list[dict[str, Any]]:
        return self.module.saved

    async def look(self, evidence: Evidence, after_s: float = 0.0) -> str | None:
        self.boot_s += after_s
        return (await self.recovery.consider(evidence)).rung


Story = Callable[[Home], Coroutine[Any, Any, None]]


def live(story: Story, home: Home | None = None) -> None:
    asyncio.run(story(home or Home()))


def test_a_well_line_is_saved_once_an_hour_and_changes_at_once() -> None:
    async def story(home: Home) -> None:
        assert home.recovery.last == Decision("none", None, "not looked yet")
        await home.look(WELL)
        await home.look(WELL, SAVE_EVERY_S - 1)
        assert home.saved == []
        await home.look(WELL, 1)
        assert [memory["ladder"]["uptime_s"] for memory in home.saved] == [SAVE_EVERY_S]
        await home.look(WELL, SAVE_EVERY_S - 1)
        assert len(home.saved) == 1
        await home.look(NO_ADDRESS, 0.5)
        assert [memory["ladder"]["cause"] for memory in home.saved] == ["none", "apn"]
        assert home.recovery.last.cause == "apn"
        assert home.module.done == []

    live(story)


def test_a_step_is_saved_before_it_is_taken_and_its_time_is_the_agent_s_life() -> None:
    async def story(home: Home) -> None:
        await home.look(NO_ADDRESS)
        assert await home.look(NO_ADDRESS, HOLD_S - 1) is None
        assert await home.look(NO_ADDRESS, 1) == "attach"
        assert home.module.done == [("attach", 2)]
        assert home.saved[-1]["ladder"]["steps"] == [[HOLD_S, "attach", "apn"]]
        assert home.module.asked_rungs == [True] * 3

    live(story)


def test_the_life_of_the_agent_goes_on_after_a_start_and_not_with_the_boot_clock() -> None:
    async def story(home: Home) -> None:
        await home.look(NO_ADDRESS)
        await home.look(NO_ADDRESS, HOLD_S)
        kept = home.saved[-1]
        again = Home(memory=kept)
        again.boot_s = 10.0
        await again.look(NO_ADDRESS)
        assert again.saved == []
        assert await again.look(NO_ADDRESS, PAUSE_S["attach"] - 1) is None
        assert await again.look(NO_ADDRESS, 1) == "radio"
        assert again.saved[-1]["ladder"]["uptime_s"] == HOLD_S + PAUSE_S["attach"]

    live(story)


@pytest.mark.parametrize("failure", [ModemError("no answer"), OSError("no such device")])
def test_a_step_that_fails_is_remembered_and_ends_nothing(failure: Exception) -> None:
    async def story(home: Home) -> None:
        home.module.failure = failure
        await home.look(HUNG)
        assert await home.look(HUNG, 60) == "usb"
        assert home.module.asked_rungs == [False, False]
        assert home.saved[-1]["ladder"]["steps"] == [[60, "usb", "modem-hung"]]
        assert await home.look(HUNG, 30) is None

    live(story)


# -- the context ---------------------------------------------------------------------------------------------------


def test_another_apn_is_set_right_so_often_a_day_and_remembered_before(caplog: pytest.LogCaptureFixture) -> None:
    async def story(home: Home) -> None:
        assert not home.recovery.context_due
        assert not await home.recovery.define_context()
        home.module.context_differs = True
        for number in range(CONTEXTS_A_DAY):
            await home.look(WELL, 600)
            assert home.recovery.context_due
            assert await home.recovery.define_context()
            assert home.module.done[-1] == ("attach", len(home.saved))
            assert len(home.saved[-1]["contexts"]) == number + 1
        assert home.saved[-1]["contexts"] == [0, 600, 1200]  # of the agent's life: the first look begins it
        assert not home.recovery.context_due
        assert not await home.recovery.define_context()
        assert len(home.module.done) == CONTEXTS_A_DAY
        await home.look(WELL, DAY_S - 1200 - 1)
        assert not home.recovery.context_due
        await home.look(WELL, 1)
        assert home.recovery.context_due
        assert await home.recovery.define_context()
        assert home.saved[-1]["contexts"] == [600, 1200, DAY_S]

    with caplog.at_level("INFO", "agent.modem.recovery"):
        live(story)
    levels = [record.levelname for record in caplog.records if "another APN" in record.message]
    assert levels == ["INFO", "WARNING", "WARNING", "WARNING"]  # again: the module forgets it


def test_a_context_that_cannot_be_set_has_used_up_its_part_of_the_day() -> None:
    async def story(home: Home) -> None:
        home.module.context_differs, home.module.failure = True, ModemError("no answer")
        with pytest.raises(ModemError, match="no answer"):
            await home.recovery.define_context()
        assert home.saved[-1]["contexts"] == [0]

    live(story)


def test_damaged_memory_of_contexts_is_none() -> None:
    async def story(home: Home) -> None:
        home.module.context_differs = True
        assert home.recovery.context_due

    live(story, Home(memory={"contexts": "nonsense"}))


# -- the PIN -------------------------------------------------------------------------------------------------------


@pytest.fixture
def locked(tmp_path: Path) -> Home:
    file = tmp_path / "pin"
    file.write_text("1234\n")
    return Home(pin_file=str(file))


def test_the_pin_is_remembered_before_it_is_tried(locked: Home) -> None:
    async def story(home: Home) -> None:
        await home.look(LOCKED)
        assert home.module.done == [("1234", len(home.saved))]
        assert home.saved[-1]["pins"] == [fingerprint("1234", "8932")]
        assert home.recovery.pin_refusal == ""
        await home.look(LOCKED)
        assert len(home.module.done) == 1
        assert home.recovery.pin_refusal == "this PIN was tried before and is not tried again"
        await home.look(WELL)
        assert home.recovery.pin_refusal == ""

    live(story, locked)


def test_a_pin_that_the_sim_refuses_is_said_to_be_and_a_new_card_has_its_own_try(locked: Home) -> None:
    async def story(home: Home) -> None:
        home.module.accepts = False
        await home.look(LOCKED)
        assert home.recovery.pin_refusal == "the SIM refused this PIN; it is not tried again"
        home.module.iccid, home.module.accepts = "8933", True
        await home.look(LOCKED)
        assert [pin for pin, _ in home.module.done] == ["1234", "1234"]
        assert home.saved[-1]["pins"] == [fingerprint("1234", "8932"), fingerprint("1234", "8933")]

    live(story, locked)


@pytest.mark.parametrize("why", ["last-attempt", "closed", "other-lock"])
def test_where_it_may_not_be_the_pin_is_not_tried(locked: Home, why: str) -> None:
    async def story(home: Home) -> None:
        home.module.attempts = 1 if why == "last-attempt" else 3
        home.module.is_open = why != "closed"
        lock = "sim-puk" if why == "other-lock" else "sim-pin"
        await home.look(Evidence(present=True, answers=True, sim_lock=lock))
        assert home.module.done == []
        expected = {
            "last-attempt": "only 1 attempt left, which is kept for a person",
            "other-lock": "the SIM asks for sim-puk, not for its PIN",
        }
        assert home.recovery.pin_refusal == expected.get(why, "")

    live(story, locked)


def test_without_a_file_no_pin_is_tried_and_none_is_missed() -> None:
    async def story(home: Home) -> None:
        await home.look(LOCKED)
        assert (home.module.done, home.recovery.pin_refusal) == ([], "")

    live(story)
