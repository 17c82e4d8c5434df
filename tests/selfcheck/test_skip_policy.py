"""The rule for skips holds: in CI a skip fails unless CI's kernel cannot run the test."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).parents[1] / "conftest.py"


@pytest.mark.parametrize(("reason", "ci", "failed"), [
    ("root: needs it", "true", 1), ("cake: kernel has none", "true", 0), ("root: needs it", "", 0),
])  # fmt: skip
@pytest.mark.parametrize("processes", [(), ("-n", "2", "--dist", "loadfile")], ids=["one", "spread"])
def test_skip(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, reason: str, ci: str, failed: int,
    processes: tuple[str, ...],
) -> None:  # fmt: skip
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyfile(f"import pytest\ndef test_x():\n    pytest.skip({reason!r})\n")
    monkeypatch.setenv("CI", ci)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *processes)
    result.assert_outcomes(failed=failed, skipped=1 - failed)
