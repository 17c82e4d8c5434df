"""Who may not is told so, before anything is asked of him, and never shown the defaults as the device's own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import pytest

from agent.cli import evidence as cli_evidence
from agent.cli import exits
from agent.cli.request import check_role
from agent.cli.verb import Call
from agent.cli.verbs.bundle import command as bundle
from agent.cli.verbs.doctor import command as doctor
from agent.doctor.diagnosis import diagnose
from agent.doctor.evidence import Evidence
from agent.errors import NotPermitted
from tests.cli.conftest import Run

REFUSED = Evidence(agent_problem="this user may not use the control socket /run/x; use sudo", agent_refused=True)


def refuse(*_: Any, **__: Any) -> NoReturn:
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("given", [None, "/etc/modem-agent/config.toml"])
def test_a_configuration_that_may_not_be_read_is_not_the_defaults(
    monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    monkeypatch.setattr("agent.cli.verb.open", refuse, raising=False)
    call = Call(config=given, socket=None, json=False, timeout=None)
    with pytest.raises(NotPermitted, match="may not read it; use sudo"):
        call.config()


def test_the_doctor_says_that_it_was_not_shown_the_configuration() -> None:
    denied = "/etc/modem-agent/config.toml: this user may not read it; use sudo"
    found = dict(diagnose(Evidence(config_denied=denied, agent_refused=True)).findings)
    assert (found["configuration"].level, found["configuration"].text) == ("unknown", denied)
    assert found["counters"].text == "not asked: this user may not ask"


def test_the_doctor_and_the_bundle_end_with_not_permitted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli_evidence, "examine", lambda call, tell: REFUSED)
    file = tmp_path / "config.toml"
    file.write_text("")
    assert doctor.main(["--config", str(file)], standalone_mode=False) == exits.NOT_PERMITTED
    assert "use sudo" in capsys.readouterr().err
    with pytest.raises(NotPermitted, match="use sudo"):
        bundle.main(["--config", str(file), "--out", str(tmp_path / "b.tar.gz")], standalone_mode=False)
    assert not (tmp_path / "b.tar.gz").exists()


class Client:
    def __init__(self, role: str) -> None:
        self.role = role


@pytest.mark.parametrize(
    ("role", "method", "may"),
    [
        ("read", "status", True), ("read", "modem.reset", False), ("act", "modem.reset", True),
        ("read", "plan.topup", False), ("admin", "plan.topup", True), ("read", "of.another.version", True),
    ],
)  # fmt: skip
def test_a_role_is_judged_before_the_question(role: str, method: str, may: bool) -> None:
    client: Any = Client(role)
    if may:
        check_role(client, method)
    else:
        with pytest.raises(NotPermitted, match=f"{method} needs the role act, not read: use sudo"):
            check_role(client, method)


@pytest.mark.parametrize("words", [["topup", "5GB"], ["reset", "radio"], ["commands", "modem.scan"]])
def test_json_without_anybody_to_ask_is_an_object(cli: Run, words: list[str]) -> None:
    done = cli(*words, "--json", stdin=subprocess.DEVNULL)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (exits.USAGE, exits.USAGE)
    assert "nobody is there to confirm; say --yes" in error["message"]


def test_an_argument_that_is_missing_is_named_before_the_question(cli: Run) -> None:
    done = cli("commands", "diag.speed")
    assert done.returncode == exits.USAGE
    assert "diag.speed wants url=..." in done.stderr
