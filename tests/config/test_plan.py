"""Section [plan]: nonsense is refused in one line that names the key, what was found and what is allowed."""

from __future__ import annotations

import pytest

from agent.config import parse
from agent.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        ("billing_day = 0", "plan.billing_day", "1 to 31"),
        ("billing_day = 32", "plan.billing_day", "1 to 31"),
        ("billing_day = 1.5", "plan.billing_day", "a whole number"),
        ('timezone = "Mars/Olympus"', "plan.timezone", "Europe/Brussels"),
        ('timezone = ""', "plan.timezone", "Europe/Brussels"),
        ('timezone = "../../etc/passwd"', "plan.timezone", "Europe/Brussels"),
        ("allowance_bytes = 0", "plan.allowance_bytes", "1 000 000 to"),
        ("allowance_bytes = -40000000000", "plan.allowance_bytes", "1 000 000 to"),
        ('allowance_bytes = "40 GB"', "plan.allowance_bytes", "a whole number"),
        ("warn_percent = [95, 80]", "plan.warn_percent", "rising"),
        ("[[plan.steps]]\nat_percent = 0", "plan.steps.at_percent", "1 to 1 000"),
        ("[[plan.steps]]\nat_percent = 100\ndown_bps = 0", "plan.steps.down_bps", "to"),
        ("[[plan.steps]]\nat_percent = 100\n[[plan.steps]]\nat_percent = 80", "plan.steps", "rising"),
        ("contract_start = 2026-12-01\ncontract_end = 2026-11-30", "plan", "not before contract_start"),
        ('contract_end = "soon"', "plan.contract_end", "date"),
    ],
)
def test_a_plan_that_makes_no_sense(text: str, key: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"[plan]\n{text}\n", "agent.toml")
    said = str(caught.value)
    assert said.startswith(f"agent.toml: {key}: ")
    assert allowed in said
    assert "\n" not in said


def test_more_steps_than_one() -> None:
    steps = (
        "[[plan.steps]]\nat_percent = 80\ndown_bps = 2_000_000\nup_bps = 1_000_000\n[[plan.steps]]\nat_percent = 100\n"
    )
    plan = parse(steps).plan
    assert [(step.at_percent, step.down_bps, step.up_bps) for step in plan.steps] == [
        (80, 2_000_000, 1_000_000),
        (100, 512_000, 512_000),
    ]
