"""`config pushed` on a device whose agent does not run: shown, dropped, and noted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli import main
from agent.commands import pushed_config
from agent.store import Database


def run(words: list[str]) -> object:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    file = tmp_path / "config.toml"
    file.write_text(f'[device]\nstate_dir = "{tmp_path}"\nrun_dir = "{tmp_path}"\n')
    with Database.open(tmp_path / "agent.db") as database:
        pushed = {"operator.url": "mqtt://nowhere.invalid", "household.sms_to": "+32470000000"}
        for name in (pushed_config.GOOD, pushed_config.BEFORE):
            database.meta.set(name, json.dumps(pushed))
    return ["--config", str(file)]


def test_shown_masked_then_dropped_one_by_one_or_all(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "pushed", *options]) == 0
    told = capsys.readouterr().out
    assert 'operator.url = "mqtt://nowhere.invalid"' in told
    assert "32470" not in told
    assert run(["config", "pushed", "--drop", "operator.url", *options]) == 0
    assert run(["config", "pushed", "--drop", "operator.url", *options]) == 1
    assert "operator.url is not pushed" in capsys.readouterr().err
    assert run(["config", "pushed", "--drop", "all", *options]) == 0
    with Database.open(tmp_path / "agent.db") as database:
        assert pushed_config.overlay(database) == {}
        assert database.meta.get(pushed_config.BEFORE) == "{}"
        assert [entry["type"] for entry in database.audit.entries()] == ["config.drop"] * 2
