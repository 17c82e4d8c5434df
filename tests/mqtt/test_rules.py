"""The pure rules of the session: back-off, keep-alive, byte budget, topics, rhythm, lanes of gaps."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.mqtt.budget import DAY_S, LONGEST_S, Budget
from agent.mqtt.keepalive import KeepAlive
from agent.mqtt.reconnection import BAD_CREDENTIALS, SERVER_BUSY, SESSION_TAKEN_OVER, End, Outcome, Reconnection
from agent.mqtt.schedule import FULL_S, Rhythm
from agent.mqtt.target import split_url
from agent.mqtt.topics import Topics
from agent.store.outbox import Gap, ranges

TOPICS = Topics("modem-agent", "imei::1")
GONE = Outcome(End.UNREACHABLE)


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_back_off_is_full_jitter_under_a_doubling_ceiling(seed: int, attempts: int) -> None:
    backoff = Reconnection(base_s=1, cap_s=900, dice=Random(seed))
    for number in range(attempts):
        assert 0 <= backoff.after(GONE) <= min(900, 2**number)


def test_back_off_spreads_a_fleet() -> None:
    waits = []
    for seed in range(1_000):
        backoff = Reconnection(dice=Random(seed))
        waits.append([backoff.after(GONE) for _ in range(12)][-1])
    assert max(waits) > 850
    assert min(waits) < 50
    assert 400 < sum(waits) / len(waits) < 500


def test_back_off_obeys_the_broker_and_forgets_after_a_stable_session() -> None:
    backoff = Reconnection(dice=Random(1))
    assert 450 <= backoff.after(Outcome(End.REFUSED, SERVER_BUSY)) <= 900
    assert 1_800 <= backoff.after(Outcome(End.REFUSED, BAD_CREDENTIALS)) <= 3_600
    for _ in range(10):
        backoff.after(GONE)
    assert backoff.after(Outcome(End.LOST, lasted_s=60)) <= 1
    assert backoff.after(Outcome(End.LOST, 0x9C, server="other:1883", lasted_s=60)) <= 1


def test_two_clients_with_one_id_do_not_fight_for_ever() -> None:
    backoff = Reconnection(dice=Random(1))
    short = Outcome(End.LOST, SESSION_TAKEN_OVER, lasted_s=2)
    waits = [backoff.after(short) for _ in range(4)]
    assert max(waits[:2]) <= 2
    assert min(waits[2:]) >= 450


def test_keep_alive_halves_on_silence_and_comes_back() -> None:
    keepalive = KeepAlive(1_000)
    for wanted in (500, 250, 125, 62, 60, 60):
        keepalive.died_in_silence()
        assert keepalive.seconds == max(60, wanted)
    keepalive.lived(80_000)
    assert keepalive.seconds == 60
    keepalive.lived(10_000)
    assert keepalive.seconds == 120
    keepalive.asked(30)  # the broker's word
    assert keepalive.seconds == 30


def test_budget_leaves_the_beat_alone_until_it_must_not() -> None:
    budget = Budget(100_000, 900)
    now_s, reported = 0.0, 0
    while now_s < DAY_S:
        assert budget.beat_s(now_s) == 900
        budget.add(600, now_s)
        budget.beat_done()
        now_s, reported = now_s + 900, reported + 1
    assert reported == 96


@given(st.integers(200, 4_000), st.integers(0, 120_000))
def test_budget_holds_whatever_a_beat_costs(beat_bytes: int, unasked_bytes: int) -> None:
    budget = Budget(100_000, 60)
    budget.add(unasked_bytes, 0.0)
    now_s = 0.0
    while now_s < DAY_S - 1:
        budget.add(beat_bytes, now_s)
        budget.beat_done()
        beat_s = budget.beat_s(now_s)
        assert 60 <= beat_s <= LONGEST_S
        now_s += beat_s
    # Learning what a beat costs takes some beats, and four beats a day are always paid.
    assert budget.today_bytes <= max(100_000 + 12 * beat_bytes, unasked_bytes + 12 * beat_bytes)


def test_a_new_day_is_a_new_budget() -> None:
    budget = Budget(1_000, 900)
    budget.add(5_000, 0.0)
    assert budget.beat_s(1.0) == LONGEST_S
    assert budget.beat_s(3 * DAY_S + 1) == Budget(1_000, 900).beat_s(1.0)
    assert budget.today_bytes == 0


@pytest.mark.parametrize(
    ("topic", "type"),
    [
        ("modem-agent/v1/imei::1/cmd/plan.topup/a/req", "plan.topup"),
        ("modem-agent/v1/imei::1/cmd/plan-topup/a/req", "plan.topup"),
        ("modem-agent/v1/imei::1/cmd/plan.topup/a/res", None),
        ("modem-agent/v1/imei::2/cmd/plan.topup/a/req", None),
        ("modem-agent/v1/imei::1/cmd/plan.topup/a/b/req", None),
        ("modem-agent/v1/imei::1/cmd//a/req", None),
        ("modem-agent/v1/imei::1/cmd/../a/req", None),
        (f"modem-agent/v1/imei::1/cmd/status/{'i' * 65}/req", None),
        ("", None),
    ],
)
def test_command_topics(topic: str, type: str | None) -> None:
    request = TOPICS.parse_request(topic)
    assert (request.command if request else None) == type


@given(st.text(max_size=80))
def test_any_topic_text(topic: str) -> None:
    request = TOPICS.parse_request(topic)
    assert request is None or TOPICS.request(request.type, request.id) == topic
    assert not TOPICS.may_answer_on(topic) or topic.startswith(TOPICS.base + "/cmd/")


@pytest.mark.parametrize("level", ["", "a/b", "#", "a b", "+", "x" * 65])
def test_a_device_id_is_one_level(level: str) -> None:
    with pytest.raises(ValueError, match="not a topic level"):
        Topics("modem-agent", level)


def test_urls() -> None:
    assert split_url("mqtts://a.example") == ("a.example", 8883, True)
    assert split_url("mqtt://a.example:99") == ("a.example", 99, False)


def test_runs_of_numbers() -> None:
    assert ranges("b", [1, 2, 3, 7, 9, 10]) == [Gap("b", 1, 3), Gap("b", 7, 7), Gap("b", 9, 10)]


def state(rsrp: int | None = -100, modem: str = "ready", status: str = "Up") -> Any:
    cell = {"Status": status, "RSRP": rsrp, "CurrentAccessTechnology": "LTE", "NetworkInUse": "20601"}
    return {"cell": {**cell, "RoamingStatus": "Home", "Band": 3}, "modem": modem, "shaper": {"state": "off"}}


def test_state_is_told_on_change_and_four_times_a_day() -> None:
    rhythm = Rhythm()
    assert rhythm.state_due(state(), 0, 900)
    assert not rhythm.state_due(state(-110), 60, 900)  # within the beat
    assert rhythm.state_due(state(-110), 900, 900)
    assert not rhythm.state_due(state(-108), 2_000, 900)
    assert rhythm.state_due(state(-108, modem="hung"), 2_001, 900)  # this does not wait
    assert rhythm.state_due(state(None, modem="hung"), 3_000, 900)
    assert not rhythm.state_due(state(None, modem="hung"), 3_000 + FULL_S - 1, 900)
    assert rhythm.state_due(state(None, modem="hung"), 3_000 + FULL_S, 900)
