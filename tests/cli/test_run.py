"""`run` as service managers write it goes straight to the daemon, and ends like any other verb."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli import exits
from tests.cli.conftest import Run


def test_a_wrong_configuration_ends_alike_in_both_forms(cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[plan]\nbilling_day = 32\n")
    short, whole = cli("run", "--config", str(file)), cli("run", f"--config={file}")
    assert (short.returncode, short.stderr, short.stdout) == (whole.returncode, whole.stderr, whole.stdout)
    assert short.returncode == exits.USAGE
    assert "plan.billing_day" in short.stderr


@pytest.mark.parametrize("words", [["run", "--config"], ["run", "--config", "x", "y"]])
def test_other_words_are_clicks(cli: Run, words: list[str]) -> None:
    done = cli(*words)
    assert done.returncode == exits.USAGE
    assert "see 'modem-agent" in done.stderr
