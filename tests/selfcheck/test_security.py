"""firmware-config/SECURITY.md: each provision of EN 303 645 has a test that exists, or a reason for having none."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from agent import SUPPORTED_UNTIL
from agent.support import cli
from tests.selfcheck.test_requirements import proof_exists

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "firmware-config" / "SECURITY.md").read_text()
PROVISIONS = [f"5.{number}" for number in range(1, 14)]  # EN 303 645 V3.1.3, clauses 5.1 to 5.13
ROW = re.compile(
    r"^\| (?P<id>5\.\d+) (?P<title>[^|]+) \| (?P<holds>[^|]+) \| (?P<proof>[^|]*?) ?\| (?P<missing>[^|]+) \|$"
)
NO_TEST = "no test: "  # and then the reason
ATTACKERS = 8


def problems(text: str) -> list[str]:
    """What is wrong with the table, one sentence each."""
    found = []
    ids = []
    for line in text.splitlines():
        if not line.startswith("| 5."):
            continue
        row = ROW.match(line)
        if row is None:
            found.append(f"not a row: {line[:60]}")
            continue
        ids.append(row["id"])
        found += [f"{row['id']}: {wrong}" for wrong in _proof_problems(row["proof"])]
    if ids != PROVISIONS:
        found.append(f"provisions are {', '.join(ids)}")
    return found


def _proof_problems(proof: str) -> list[str]:
    if proof.startswith(NO_TEST) and len(proof) > len(NO_TEST) + 10:
        return []
    names = [name.strip() for name in proof.split(",") if name.strip()]
    wrong = [f"{name} does not exist" for name in names if not proof_exists(name, TESTS)]
    return wrong if names else ["neither a test nor a reason"]


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}", 1)[1].split("\n## ", 1)[0]


def test_each_provision_has_a_test_or_a_reason() -> None:
    assert problems(PAGE) == []


@pytest.mark.parametrize(("proof", "wrong"), [
    ("", "neither a test nor a reason"), ("no test: ", "does not exist"), ("mqtt/test_tls.py::test", "does not exist"),
])  # fmt: skip
def test_a_row_without_either_fails(proof: str, wrong: str) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| 5.4 "))
    cells = row.split(" | ")
    changed = PAGE.replace(row, " | ".join([*cells[:2], proof, *cells[3:]]))
    assert any(problem.startswith("5.4: ") and wrong in problem for problem in problems(changed))
    assert any("provisions are" in problem for problem in problems(PAGE.replace(row, "")))
    assert problems(PAGE.replace(row, " | ".join([*cells[:2], "no test: the board decides", *cells[3:]]))) == []


def test_days_clocks_and_support_period_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert f"**{SUPPORTED_UNTIL}**" in section("Support period")
    assert date.fromisoformat(SUPPORTED_UNTIL) >= date(2031, 11, 29)  # five years after the first release
    assert re.findall(r"^\| .+ \| (\d+) (?:working )?days \|$", section("How to report"), re.MULTILINE)
    clocks = re.findall(r"^\| (\d+ h|\d+ days|one month)", section("What the operator must do"), re.MULTILINE)
    assert clocks == ["24 h", "72 h", "14 days", "one month"]
    assert cli.run(["--version"]) == 0
    assert SUPPORTED_UNTIL in capsys.readouterr().out


def test_the_threat_model_is_one_page_with_its_attackers() -> None:
    model = section("Threat model")
    rows = [line for line in model.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == ATTACKERS
    assert all(len(row.split(" | ")) == 4 for row in rows)
    assert len(model.split()) < 500
