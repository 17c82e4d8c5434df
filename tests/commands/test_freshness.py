"""What shows a signed command to be new: a counter within bounds, and a nonce that is renewed in time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.commands import runner
from agent.store.journal import KEPT
from tests.commands.standin import StandIn
from tests.commands.test_runner import GB5, Channel, keys, signed, tell


@pytest.mark.parametrize("counter", [2**53 - 1, 2**53, -1, 10**400, 1.5, True, "7"])
def test_a_counter_is_bounded_and_locks_nobody_out(tmp_path: Path, counter: Any) -> None:
    async def story(agent: StandIn, channel: Channel) -> None:
        body = signed("plan.topup", "far", GB5, ctr=1)
        if counter == 2**53 - 1:
            body = signed("plan.topup", "far", GB5, ctr=counter)
        await channel.raw("plan.topup", "far", {**body, "ctr": counter})
        await channel.raw("plan.topup", "next", signed("plan.topup", "next", GB5, ctr=8))
        await channel.settle()
        assert (await channel.states("far"))[-1] == ("succeeded" if counter == 2**53 - 1 else "rejected")
        assert (await channel.states("next"))[-1] == "succeeded"

    tell(tmp_path, story, authority=keys())


def test_a_nonce_is_renewed_before_the_journal_forgets_what_it_let_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runner.NONCE_COMMANDS < KEPT
    monkeypatch.setattr(runner, "NONCE_COMMANDS", 4)

    async def story(agent: StandIn, channel: Channel) -> None:
        agent.session.nonce = first = "1111111111111111"
        captured = signed("plan.topup", "captured", GB5, nonce=first)
        await channel.raw("plan.topup", "captured", captured)
        for number in range(4):
            agent.clock.boot_s += 60
            await channel.raw("status", f"s{number}", signed("status", f"s{number}", ctr=number))
        await channel.settle()
        assert agent.session.nonce != first
        await agent.store.run(lambda db: db.connection.execute("DELETE FROM journal WHERE id = 'captured'").rowcount)
        await channel.raw("plan.topup", "captured", captured)
        assert (await channel.answers("captured"))[-1]["code"] == 7804

    tell(tmp_path, story, authority=keys())
