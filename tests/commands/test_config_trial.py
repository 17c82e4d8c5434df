"""What the store holds of a pushed configuration and its trial, and what is said of its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.commands import pushed_config
from agent.commands.pushed_config import STARTS, Trial
from agent.config import Config
from agent.errors import Rejected
from agent.mqtt.session_state import SessionState
from agent.store import Database

CHANGES = {"operator.beat_s": 1800}
TRIAL = Trial("c1", CHANGES, "boot-1", 100.0, 60.0)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "agent.db") as database, database.transaction():
        yield database


def last(database: Database) -> dict[str, object]:
    return pushed_config._load(database, pushed_config.LAST)


def good(database: Database) -> dict[str, object]:
    return pushed_config._load(database, pushed_config.GOOD)


@pytest.mark.parametrize(
    ("boot", "boot_s", "kept"),
    [
        ("boot-1", 159.0, replace(TRIAL, starts=1)),
        ("boot-1", 160.0, None),
        ("boot-2", 59.0, replace(TRIAL, boot="boot-2", began_s=0.0, starts=1)),  # its time begins anew with the boot
        ("boot-2", 60.0, None),
    ],
)
def test_a_trial_has_its_time_from_its_beginning_or_from_a_later_boot(
    database: Database, boot: str, boot_s: float, kept: Trial | None
) -> None:
    pushed_config.begin(database, TRIAL)
    assert pushed_config.start(database, boot, boot_s) == (CHANGES if kept else {})
    assert pushed_config.trial(database) == kept
    if kept is None:
        reason = "the broker was not reached within 60 s"
        assert last(database) == {"id": "c1", "result": "rolled back", "reason": reason}


@pytest.mark.parametrize(
    ("session", "reached"),
    [
        (SessionState(proved=True, since_boot_s=100.5), True),
        (SessionState(proved=True, since_boot_s=100.0), False),  # it may have stood when the trial began
        (SessionState(proved=True, since_boot_s=None), False),
        (SessionState(connected=True, since_boot_s=100.5), False),
    ],
)
def test_the_device_is_reached_in_a_session_younger_than_the_trial(session: SessionState, reached: bool) -> None:
    assert TRIAL.reached(session) is reached
    assert replace(TRIAL, began_s=0.0).reached(replace(session, since_boot_s=None)) is False


def test_a_trial_has_so_many_starts(database: Database) -> None:
    pushed_config.begin(database, TRIAL)
    for _ in range(STARTS):
        assert pushed_config.start(database, "boot-1", 101.0) == CHANGES
    assert pushed_config.start(database, "boot-1", 101.0) == {}
    reason = f"the agent started {STARTS} times without reaching the broker"
    assert last(database) == {"id": "c1", "result": "rolled back", "reason": reason}


def test_one_trial_at_a_time_and_only_its_own_word_ends_it(database: Database) -> None:
    pushed_config.begin(database, TRIAL)
    with pytest.raises(Rejected, match="another configuration is on trial"):
        pushed_config.begin(database, replace(TRIAL, id="c2"))
    pushed_config.confirm(database, "c2")
    assert not pushed_config.give_up(database, "not mine", "c2")
    assert pushed_config.trial(database) == TRIAL
    pushed_config.confirm(database, "c1")
    assert good(database) == CHANGES
    assert last(database) == {"id": "c1", "result": "confirmed", "reason": ""}
    assert not pushed_config.give_up(database, "over")


def test_what_is_dropped_ends_the_trial_and_says_so(database: Database) -> None:
    pushed_config.begin(database, TRIAL)
    with pytest.raises(Rejected, match=r"wan\.interfaces is not pushed; pushed: operator\.beat_s"):
        pushed_config.drop(database, ["wan.interfaces"])
    assert pushed_config.drop(database, []) == ["operator.beat_s"]
    assert pushed_config.overlay(database) == {}
    assert last(database) == {"id": "c1", "result": "rolled back", "reason": "dropped on the device"}


def test_an_overlay_that_no_longer_fits_is_given_up_with_its_fault(database: Database) -> None:
    pushed_config.begin(database, replace(TRIAL, changes={"operator.nonsense": 1}))
    found = pushed_config.effective(Config(), database, "boot-1", 101.0)
    assert found.operator == Config().operator
    assert "operator.nonsense" in str(last(database)["reason"])


def test_no_changes_are_the_file_s_own_configuration() -> None:
    config = Config()
    assert pushed_config.merged(config, {}) is config


def test_secrets_alone_are_masked() -> None:
    shown = pushed_config.shown({"modem.apn_user": "hidden", "operator.beat_s": 1800})
    assert shown == {"modem.apn_user": "***", "operator.beat_s": 1800}
