"""The verb `office` before a database is asked: the file of groups, and what is missing."""

from __future__ import annotations

import sys

import pytest

from agent.errors import ConfigError
from agent.support.cli import main
from agent.support.office.labels import labels_of


def test_lines_of_device_and_label() -> None:
    text = "# homes\n\nimei::1,Andenne\nimei::2;Ath, centre\nimei::1,Andenne\nimei::3\tL\u00e8zes\n"
    assert labels_of("f", text) == {"imei::1": "Andenne", "imei::2": "Ath, centre", "imei::3": "L\u00e8zes"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("imei::1,A\nimei::1,B", "line 2: imei::1 has another label before, 'A'"),
        ("imei::1", "line 1: not DEVICE,LABEL"),
        ("a b,C", "line 1: not DEVICE,LABEL"),
        ("imei::1,A\x1b[2J", "line 1: a label is at most 100 printable characters"),
        ("imei::1," + "A" * 101, "line 1: a label is at most 100 printable characters"),
    ],
)
def test_a_line_that_is_wrong_is_named(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem.replace("[", r"\[")):
        labels_of("f", text)


def test_without_psycopg_the_verb_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "agent.support.office.database", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["office", "--page", "nowhere"])
    assert ended.value.code == 1
    assert "install modem-agent[office]" in capsys.readouterr().err
