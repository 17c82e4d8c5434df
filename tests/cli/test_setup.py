"""setup: the file that it writes is the one that the agent reads, and what it must not lose stays."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent import config
from agent.cli import config_file, uci
from agent.cli.verbs.setup import command, links
from agent.doctor.evidence import Evidence
from agent.errors import AgentError, ConfigError, NotPermitted
from agent.system import DEBIAN
from tests.cli.conftest import Run
from tests.cli.terminal import Terminal


def test_flags_become_a_configuration_that_passes(cli: Run, tmp_path: Path) -> None:
    file, ca = tmp_path / "config.toml", tmp_path / "ca.pem"
    ca.write_text("certificate")
    done = cli(
        "setup", "--yes", "--no-doctor", "--config", str(file), "--broker", "mqtts://broker.example:8883",
        "--ca", str(ca), "--apn", "internet", "--wan", "wwan0", "--wan", "usb*", "--billing-day", "15",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = config.load(file)
    assert found.operator.url == "mqtts://broker.example:8883"
    assert found.operator.ca_file == str(ca)
    assert (found.modem.apn, found.wan.interfaces, found.plan.billing_day) == ("internet", ("wwan0", "usb*"), 15)
    assert file.stat().st_mode & 0o007 == 0


def test_what_the_file_said_before_stays_and_the_old_file_is_kept(cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    before = (
        '# mine\n[plan]\nallowance_bytes = 20_000_000_000\n\n[[plan.steps]]\nat_percent = 90\n[log]\nlevel = "debug"\n'
    )
    file.write_text(before)
    file.chmod(0o600)
    assert cli("setup", "--yes", "--no-doctor", "--config", str(file), "--apn", "x").returncode == 0
    found = config.load(file)
    assert found.plan.allowance_bytes == 20_000_000_000
    assert [step.at_percent for step in found.plan.steps] == [90]
    assert (found.log.level, found.modem.apn) == ("debug", "x")
    assert (tmp_path / "config.toml.before-setup").read_text() == before
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--broker", "broker.example"], "operator.url: not allowed (found 'broker.example'); allowed: mqtts://HOST"),
        (["--billing-day", "32"], "plan.billing_day: out of range (found 32); allowed: 1 to 31"),
        (["--ca", "/nowhere/ca.pem"], "/nowhere/ca.pem cannot be read"),
        (["--wan", "a-name-far-too-long"], "wan.interfaces: not allowed"),
    ],
)
def test_a_wrong_answer_writes_nothing(cli: Run, tmp_path: Path, flags: list[str], said: str) -> None:
    file = tmp_path / "config.toml"
    done = cli("setup", "--yes", "--no-doctor", "--config", str(file), *flags)
    assert done.returncode == 2
    assert said in done.stderr
    assert not file.exists()


def test_it_ends_as_doctor_does(cli: Run, tmp_path: Path) -> None:
    """No agent, no modem and no link on this machine: doctor finds a fault and says so."""
    file = tmp_path / "config.toml"
    file.write_text(
        f'[device]\nrun_dir = "{tmp_path}/run"\nstate_dir = "{tmp_path}/state"\n[wan]\ninterfaces=["none9"]\n'
        '[probe]\nhosts = ["127.0.0.1:9"]\nname_servers = ["127.0.0.1"]\n'
    )
    done = cli("setup", "--yes", "--config", str(file))
    assert "written and checked" in done.stdout
    assert "Root cause" in done.stdout
    assert done.returncode == 1


def test_mobile_links_are_told_from_others(tmp_path: Path) -> None:
    for name, uevent, device in (
        ("eth0", "INTERFACE=eth0\n", True),
        ("lo", "", False),
        ("wwan0", "DEVTYPE=wwan\n", True),
        ("usb0", "", True),
        ("mobile", "DEVTYPE=wwan\nINTERFACE=mobile\n", True),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "uevent").write_text(uevent)
        if device:
            (tmp_path / name / "device").mkdir()
    assert links(tmp_path) == ["mobile", "usb0", "wwan0"]


# -- OpenWrt: the file is made from UCI --------------------------------------------------------------------------------

# uci as far as setup uses it: sections of the file by name or type, changes that wait, commit and revert. Each call is
# logged. Not imitated: the file's own form.
UCI = """#!/bin/sh
echo "$*" >> "{root}/calls"
[ "$1" = -q ] && shift
case "$1 $2" in
  "get modem-agent.wan"|"get modem-agent.@plan[0]") echo found ;;
  "changes modem-agent") cat "{root}/waiting" 2>/dev/null ;;
  *refused*) echo "uci: Invalid argument" >&2; exit 1 ;;
  get*) exit 1 ;;
esac
"""
RENDERED = (
    '# Made from /etc/config/modem-agent at each start.\n[wan]\ninterfaces = ["wwan0"]\n[plan]\nbilling_day = 1\n'
)


@pytest.fixture
def router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with uci and the init script; the configuration is its `config.toml`."""
    for name, text in (("sbin/uci", UCI), ("etc/init.d/modem-agent", '#!/bin/sh\necho "init $*" >> "{root}/calls"\n')):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text.format(root=tmp_path))
        (tmp_path / name).chmod(0o755)
    (tmp_path / "config.toml").write_text(RENDERED)
    monkeypatch.setattr(uci, "ROOT", tmp_path)
    return tmp_path


def setup(router: Path, *words: str) -> list[str]:
    """What uci and the init script were called with, looks left out."""
    arguments = ["--yes", "--no-doctor", "--config", str(router / "config.toml"), *words]
    command.main(arguments, standalone_mode=False)
    calls = router / "calls"
    done = calls.read_text().splitlines() if calls.exists() else []
    return [call for call in done if not call.startswith(("-q get", "-q changes"))]


def test_on_openwrt_the_answers_go_to_uci(router: Path) -> None:
    calls = setup(router, "--apn", "internet", "--billing-day", "15", "--wan", "usb0", "--wan", "wwan*")
    assert calls == [
        "set modem-agent.modem=modem",
        "set modem-agent.modem.apn=internet",
        "-q delete modem-agent.wan.network",
        "-q delete modem-agent.wan.interfaces",
        "add_list modem-agent.wan.interfaces=usb0",
        "add_list modem-agent.wan.interfaces=wwan*",
        "set modem-agent.@plan[0].billing_day=15",
        "commit modem-agent",
        "init reload",
    ]
    assert (router / "config.toml").read_text() == RENDERED


def test_what_is_so_already_is_not_set(router: Path) -> None:
    assert setup(router) == ["init reload"]


def test_a_value_that_uci_refuses_leaves_it_as_it_was(router: Path) -> None:
    with pytest.raises(AgentError, match="uci: Invalid argument"):
        setup(router, "--apn", "refused")
    assert (router / "calls").read_text().splitlines()[-1] == "revert modem-agent"


def test_a_wrong_answer_never_reaches_uci(router: Path) -> None:
    with pytest.raises(ConfigError, match=r"plan\.billing_day: out of range"):
        setup(router, "--billing-day", "32")
    assert not (router / "calls").exists()


def test_somebodys_waiting_changes_are_not_committed_for_them(router: Path) -> None:
    (router / "waiting").write_text("modem-agent.plan.billing_day='9'\n")
    with pytest.raises(AgentError, match="commit or revert them first"):
        setup(router, "--apn", "internet")
    assert "commit" not in (router / "calls").read_text().replace("changes", "")


def test_without_uci_the_lines_are_said(router: Path) -> None:
    (router / "sbin/uci").unlink()
    with pytest.raises(AgentError, match=r"uci set modem-agent\.modem\.apn=internet; uci commit"):
        setup(router, "--apn", "internet")


def test_a_file_that_is_made_from_uci_is_known_before_it_is_made(router: Path) -> None:
    assert not uci.is_source_of(Path("/etc/modem-agent/config.toml"))
    (router / "etc/config").mkdir()
    (router / "etc/config/modem-agent").write_text("")
    assert uci.is_source_of(Path("/etc/modem-agent/config.toml"))
    assert not uci.is_source_of(router / "another.toml")


# -- who confirms, and what becomes of the agent -----------------------------------------------------------------------


def test_flags_want_the_key_too(cli: Run, tmp_path: Path) -> None:
    done = cli("setup", "--yes", "--no-doctor", "--config", str(tmp_path / "c"), "--cert", str(Path(__file__)))
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "no use without its key" in done.stderr


@pytest.mark.parametrize("words", [["--json"], []])
def test_nothing_is_changed_where_nobody_confirms(cli: Run, tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "config.toml"
    file.write_text("# mine\n")
    done = cli("setup", *words, "--config", str(file), "--apn", "x", stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "say --yes" in (json.loads(done.stdout)["error"]["message"] if words else done.stderr)
    assert (file.read_text(), [entry.name for entry in tmp_path.iterdir()]) == ("# mine\n", ["config.toml"])


def test_json_asks_nothing_on_a_terminal_either(tmp_path: Path) -> None:
    with Terminal(["setup", "--json", "--config", str(tmp_path / "config.toml")]) as terminal:
        assert terminal.wait() == 2
    assert "Mobile link" not in terminal.seen
    assert list(tmp_path.iterdir()) == []


def test_json_with_yes_is_one_object(cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    done = cli("setup", "--json", "--yes", "--no-doctor", "--config", str(file), "--apn", "x", "--language", "nl")
    told = json.loads(done.stdout)
    assert (done.returncode, told["v"], told["setup"]["file"]) == (0, 1, str(file))
    assert {"modem.apn", "household.sms_language"} <= set(told["setup"]["changed"])


def test_json_with_the_doctor_is_still_one_object(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("agent.cli.evidence.examine", lambda call, tell: Evidence())
    command.main(["--json", "--yes", "--config", str(tmp_path / "config.toml")], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert told["setup"]["file"] == str(tmp_path / "config.toml")
    assert told["links"][0]["link"] == "configuration"


def test_who_may_not_write_is_told_before_the_first_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(NotPermitted, match="may not write it; use sudo"):
        command.main(["--yes", "--config", str(tmp_path / "config.toml")], standalone_mode=False)


def test_a_read_only_root_is_not_the_users_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = os.statvfs_result((4096, 4096, 1, 1, 1, 1, 1, 1, os.ST_RDONLY, 255))
    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setattr("os.statvfs", lambda path: mounted)
    with pytest.raises(NotPermitted, match="file system is read-only; 'mount -o remount,rw' first"):
        config_file.check_permission(tmp_path / "config.toml")


@pytest.mark.parametrize(
    ("ups", "words", "said", "restarts"),
    [
        ([500.0, None, 0.0], ["--yes"], "the agent runs with it", 1),
        ([500.0, 500.2, 0.0], ["--yes"], "the agent runs with it", 1),  # the old one answers a moment longer
        ([None], ["--yes"], "restart the agent", 0),  # none runs
        ([500.0], ["--yes", "--no-doctor"], "restart the agent", 0),
    ],
)
def test_an_agent_that_runs_is_restarted_before_the_doctor_judges_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    ups: list[float | None], words: list[str], said: str, restarts: int,
) -> None:  # fmt: skip
    done = tmp_path / "restarts"
    done.touch()
    here = replace(DEBIAN, restart=f"sh -c 'echo restarted >>{done}'")
    monkeypatch.setattr("agent.system.find", lambda: here)
    monkeypatch.setattr("agent.cli.verbs.setup._agent_up_s", lambda call: ups.pop(0))
    monkeypatch.setattr("agent.cli.verbs.setup.time.sleep", lambda pause_s: None)
    monkeypatch.setattr("agent.cli.verbs.setup._examine", lambda call, done: 0)
    file = str(tmp_path / "config.toml")
    monkeypatch.setattr("agent.cli.verbs.setup.DEFAULT_CONFIG", file)
    command.main(["--config", file, *words], standalone_mode=False)
    assert capsys.readouterr().out.strip().endswith(said)
    assert len(done.read_text().split()) == restarts


@pytest.mark.parametrize(("ups", "looks"), [([500.0, 500.2, 0.1], 3), ([None], 1)])
def test_on_openwrt_the_new_agent_is_waited_for_too(
    router: Path, monkeypatch: pytest.MonkeyPatch, ups: list[float | None], looks: int
) -> None:
    asked: list[float | None] = []

    def up_s(call: object) -> float | None:
        asked.append(ups[len(asked)])
        return asked[-1]

    monkeypatch.setattr("agent.cli.verbs.setup._agent_up_s", up_s)
    monkeypatch.setattr("agent.cli.verbs.setup.time.sleep", lambda pause_s: None)
    monkeypatch.setattr("agent.cli.verbs.setup._examine", lambda call, done: 0)
    command.main(["--yes", "--config", str(router / "config.toml"), "--apn", "internet"], standalone_mode=False)
    assert len(asked) == looks


@pytest.mark.parametrize("restart", ["/nowhere/systemctl restart", "sh -c 'exit 1'"])
def test_a_restart_that_fails_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], restart: str
) -> None:
    clock = [0.0]

    def sleep(pause_s: float) -> None:
        clock[0] += pause_s

    monkeypatch.setattr("agent.system.find", lambda: replace(DEBIAN, restart=restart))
    monkeypatch.setattr("agent.cli.verbs.setup._agent_up_s", lambda call: 500.0 + clock[0])
    monkeypatch.setattr("agent.cli.verbs.setup.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("agent.cli.verbs.setup.time.sleep", sleep)
    monkeypatch.setattr("agent.cli.verbs.setup._examine", lambda call, done: 0)
    file = str(tmp_path / "config.toml")
    monkeypatch.setattr("agent.cli.verbs.setup.DEFAULT_CONFIG", file)
    command.main(["--config", file, "--yes"], standalone_mode=False)
    assert "does not answer; 'journalctl -u modem-agent' says why" in capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("default_file", "answer", "judged"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_the_doctor_does_not_judge_by_an_agent_that_has_the_old_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, default_file: bool, answer: bool, judged: bool
) -> None:
    asked: list[object] = []

    def examine(call: object, done: object) -> int:
        asked.append(done)
        return 0

    file = str(tmp_path / "config.toml")
    ups = [500.0, 0.0]
    monkeypatch.setattr("agent.system.find", lambda: replace(DEBIAN, restart="true"))
    monkeypatch.setattr("agent.cli.verbs.setup._agent_up_s", lambda call: ups.pop(0))
    monkeypatch.setattr("agent.cli.verbs.setup.agreed", lambda question, default: answer)
    monkeypatch.setattr("agent.cli.verbs.setup._examine", examine)
    monkeypatch.setattr("agent.cli.verbs.setup.questions.ask_all", lambda found, table: found)
    monkeypatch.setattr("agent.cli.verbs.setup.sys.stdin", SimpleNamespace(isatty=lambda: True))
    if default_file:
        monkeypatch.setattr("agent.cli.verbs.setup.DEFAULT_CONFIG", file)
    command.main(["--config", file], standalone_mode=False)
    assert bool(asked) is judged
