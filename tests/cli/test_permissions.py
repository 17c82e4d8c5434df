"""Who may not is told so, before anything is asked of him, and never shown the defaults as the device's own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import pytest

from agent.cli import evidence as cli_evidence
from agent.cli import exits, group, pushed_keys
from agent.cli.request import check_role
from agent.cli.verb import Call
from agent.cli.verbs.at import command as at
from agent.cli.verbs.bundle import command as bundle
from agent.cli.verbs.doctor import command as doctor
from agent.doctor.diagnosis import diagnose
from agent.doctor.evidence import Evidence
from agent.errors import NotPermitted, Rejected
from tests.cli.conftest import Run
from tests.cli.terminal import Terminal
from tests.control.conftest import Table, serving

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


@pytest.mark.parametrize(
    ("words", "refusal", "status"),
    [
        (["topup", "5GB"], Rejected(7006, "this plan allows no top-ups on the device"), exits.NOT_PERMITTED),
        (["commands", "modem.scan"], Rejected(7801, "modem absent: it cannot be asked now"), exits.NO_MODEM),
        (["reset", "radio"], Rejected(7004, "level: not this"), exits.FAILED),
        (["erase"], Rejected(7006, "not on this device"), exits.NOT_PERMITTED),
    ],
)
def test_the_agents_refusal_comes_before_the_question(
    tmp_path: Path, words: list[str], refusal: Rejected, status: int
) -> None:
    def admit(name: str, args: dict[str, Any], *, role: str, source: str) -> None:
        raise refusal

    table = Table()
    with (
        serving(tmp_path / "control.sock", table, admit=admit),
        Terminal([*words, "--socket", str(tmp_path / "control.sock")]) as terminal,
    ):
        assert terminal.wait() == status
    assert "Go on" not in terminal.seen
    assert refusal.reason in terminal.seen
    assert table.asked == []


def test_an_agent_without_that_check_is_asked_all_the_same(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "control.sock", Table()),
        Terminal(["reset", "radio", "--socket", str(tmp_path / "control.sock")]) as terminal,
    ):
        terminal.expect(r"Go on\? \[y/N\] ")
        terminal.send("y\n")
        assert terminal.wait() == exits.OK


def test_without_the_configuration_nothing_is_looked_for_where_the_defaults_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.cli.verb.open", refuse, raising=False)
    monkeypatch.setattr(cli_evidence, "_look_around", refuse)
    monkeypatch.setattr(cli_evidence, "_reach_out", refuse)
    monkeypatch.setattr(cli_evidence, "ask_modem", refuse)
    call = Call(config=None, socket="/nowhere/control.sock", json=False, timeout=None)
    evidence = cli_evidence.examine(call, lambda what: None)
    levels = {name: finding.level for name, finding in diagnose(evidence).findings}
    assert {name for name, level in levels.items() if level == "fault"} == {"agent"}
    monkeypatch.setattr(cli_evidence, "examine", lambda call, tell: evidence)
    assert doctor.main([], standalone_mode=False) == exits.NOT_PERMITTED


def test_a_refusal_of_the_kernel_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(*_: Any, **__: Any) -> NoReturn:
        raise PermissionError(13, "Permission denied", "/var/lib/modem-agent/agent.db")

    monkeypatch.setattr("agent.cli.verbs.log.command.callback", denied)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert group.run(["log", "--json"]) == exits.NOT_PERMITTED
    shown = capsys.readouterr()
    assert json.loads(shown.out)["error"]["message"].endswith("agent.db: this user may not do that; use sudo")
    assert "Errno" not in shown.err


def test_who_may_not_drop_pushed_keys_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reader(Client):
        def __enter__(self) -> Reader:
            return self

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(Call, "client", lambda self: Reader("read"))
    with pytest.raises(NotPermitted, match=r"config\.drop needs the role admin, not read: use sudo"):
        pushed_keys.drop(Call(config=None, socket="/x", json=False, timeout=None), "")
    with pytest.raises(NotPermitted, match=r"modem\.at needs the role act, not read: use sudo[^;]*$"):
        at.main(["ATI"], standalone_mode=False)
