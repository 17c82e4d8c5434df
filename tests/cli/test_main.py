"""The executable itself: help, unknown words, exit statuses, one line an error."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from agent import cli as room
from agent import config, errors
from agent.cli import exits, verb
from tests.cli.conftest import Run


def test_help_lists_every_verb(cli: Run) -> None:
    done = cli("--help")
    assert done.returncode == 0
    for name in room.VERBS:
        assert f"  {name} " in done.stdout
    assert cli().stdout == cli("-h").stdout == done.stdout
    assert cli("signal", "-h").stdout == cli("signal", "--help").stdout


def test_the_table_of_verbs_says_what_each_verb_says() -> None:
    for name in room.VERBS:
        command = importlib.import_module(f"agent.cli.verbs.{name}").command
        said = command.get_short_help_str(200)
        assert said.startswith(room.VERBS[name][1].rstrip(".")), name


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["stauts"], "there is no verb 'stauts'; did you mean 'status'?"),
        (["xyzzy"], "there is no verb 'xyzzy'; 'modem-agent --help' lists them"),
        (["config", "show", "--frobnicate"], "no such option"),
        (["config", "show", "extra"], "unexpected extra argument"),
        (["--frobnicate"], "no such option"),
        (["config"], "missing command; see 'modem-agent config --help'"),
        (["reset", "hammer"], "invalid value for '[LEVEL]': 'hammer' is not one of 'attach', 'radio'"),
    ],
)
def test_unknown_words_are_one_line_and_usage(cli: Run, words: list[str], sentence: str) -> None:
    done = cli(*words)
    assert done.returncode == exits.USAGE
    assert done.stdout == ""
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("modem-agent: ")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[plan\n", "line 1"),
        ("[plan]\nallowance = 3\n", "plan.allowance: unknown key"),
        ("[plan]\nbilling_day = 99\n", "plan.billing_day: out of range (found 99); allowed: 1 to 31"),
        ("[plan]\nbilling_day = 'one'\n", "plan.billing_day: wrong type (found 'one'); allowed: a whole number"),
        ("[device]\nid = '\\xff", "line 2 (end of file)"),
    ],
)
def test_a_wrong_configuration_is_one_line_and_starts_nothing(
    cli: Run, tmp_path: Path, text: str, sentence: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    for words in (["config", "check"], ["run"]):
        done = cli(*words, "--config", str(file))
        assert done.returncode == exits.USAGE, done
        assert str(file) in done.stderr
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""


def test_a_configuration_that_is_not_text_is_one_line(cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"[plan]\n\xff\xfe\n")
    done = cli("config", "check", "--config", str(file))
    assert done.returncode == exits.USAGE
    assert "line 2: not UTF-8 text" in done.stderr


def test_an_error_with_json_is_an_object_too(cli: Run, tmp_path: Path) -> None:
    done = cli("config", "check", "--json", "--config", str(tmp_path / "absent"))
    assert done.returncode == exits.USAGE
    answer = json.loads(done.stdout)
    assert answer["v"] == 1
    assert answer["error"]["code"] == exits.USAGE
    assert "No such file" in answer["error"]["message"]


def test_config_show_marks_defaults_and_masks_secrets(cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[plan]\nbilling_day = 12\nsim = ["8932010000000000017"]\n[household]\nsms_to = "+32470123456"\n')
    done = cli("config", "show", "--config", str(file))
    assert done.returncode == 0
    assert "billing_day = 12\n" in done.stdout
    assert 'timezone = "Europe/Brussels"  # default' in done.stdout
    assert "32470123456" not in done.stdout
    assert "89320100" not in done.stdout
    assert 'sim = ["***"]' in done.stdout
    answer = json.loads(cli("config", "show", "--json", "--config", str(file)).stdout)
    assert "plan.billing_day" not in answer["defaults"]
    assert "plan.timezone" in answer["defaults"]
    assert answer["config"]["plan"]["billing_day"] == 12


def test_every_error_has_its_status() -> None:
    assert exits.status_of(errors.ConfigError("f", "k", "p")) == 2
    assert exits.status_of(errors.AgentNotRunning("x")) == 3
    assert exits.status_of(errors.NotPermitted("x")) == 4
    assert exits.status_of(errors.PortAbsent("x")) == 5
    assert exits.status_of(errors.PortDenied("x")) == 4
    assert exits.status_of(errors.PortBusy("x")) == 1
    assert exits.status_of(errors.CommandTimeout("AT", 3)) == 6
    assert exits.status_of(errors.StoreError("x")) == 1
    assert exits.status_of(PermissionError("x")) == 4


def test_the_short_cuts_equal_the_configuration() -> None:
    assert str(config.DEFAULT_PATH) == room.DEFAULT_CONFIG
    assert config.Device().run_dir == verb.DEFAULT_RUN_DIR
    assert config.Device().state_dir == verb.DEFAULT_STATE_DIR
    assert config.Config().plan.timezone == verb.DEFAULT_ZONE
