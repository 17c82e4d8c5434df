"""The init script and the rpcd bridge under busybox ash. procd's functions are recorded, the agent is the real one."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agent.daemon.status_file import StatusFile
from tests.cli import sample

from .conftest import OPENWRT
from .router import Router


@pytest.fixture
def router(tmp_path: Path, busybox: str) -> Router:
    return Router(tmp_path, busybox)


FLOCK = '#!/bin/sh\necho "flock $*" >> "{root}/calls"\nexec /usr/bin/flock "$@"\n'
GOOD = (OPENWRT / "modem-agent.config").read_text()


def test_a_good_configuration_is_rendered_checked_and_run_for_ever(router: Router) -> None:
    router.uci(GOOD)
    result = router.call("start_service")
    assert result.returncode == 0, result.stderr
    assert f"param command {router.root}/usr/bin/modem-agent run --config {router.conf}" in result.stdout
    assert "param respawn 3600 5 0" in result.stdout
    assert router.conf.stat().st_mode & 0o777 == 0o600
    assert "allowance_bytes = 40000000000" in router.conf.read_text()


def test_an_unchanged_configuration_is_neither_written_nor_checked_again(router: Router) -> None:
    router.uci(GOOD)
    router.call("start_service")
    written = router.conf.stat()
    router.call("reload_service")
    assert router.checks == 1
    assert (router.conf.stat().st_ino, router.conf.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (GOOD.replace("billing_day '1'", "billing_day '32'"), "plan.billing_day: out of range (found 32)"),
        (GOOD.replace("billing_day '1'", "billing_day '1"), "a quote is not closed"),
        ("", "no section at all"),
    ],
)
def test_a_mistake_leaves_the_last_good_configuration_in_force(router: Router, bad: str, said: str) -> None:
    router.uci(GOOD)
    router.call("start_service")
    before = router.conf.read_text()
    router.uci(bad)
    result = router.call("reload_service")
    assert said in result.stdout, result.stdout + result.stderr
    assert "etc/config/modem-agent" in result.stdout
    assert "the last good configuration stays in force" in result.stdout
    assert "instance" in result.stdout, "procd would stop the agent if no instance were declared"
    assert router.conf.read_text() == before
    assert sorted(path.name for path in router.conf.parent.iterdir()) == ["config.toml"]


def test_without_any_good_configuration_nothing_is_started(router: Router) -> None:
    steps: tuple[Callable[[], object], ...] = (
        lambda: None,
        lambda: router.uci(GOOD.replace("'40000000000'", "'much'")),
    )
    for prepare in steps:
        prepare()
        result = router.call("start_service")
        assert result.returncode == 1
        assert "instance" not in result.stdout
        assert "no configuration has ever passed" in result.stdout


def test_triggers_are_set(router: Router) -> None:
    assert "reload on modem-agent" in router.call("service_triggers").stdout


def test_a_mistake_is_kept_for_the_doctor_until_it_is_mended(router: Router) -> None:
    router.uci(GOOD)
    router.call("start_service")
    for bad, said in (
        ("billing_day '32'", "out of range (found 32)"),
        ("billing_dya '1'", "plan.billing_dya: unknown"),
    ):
        router.uci(GOOD.replace("billing_day '1'", bad))
        router.call("reload_service")
        assert said in router.refused.read_text()
        assert str(router.root / "etc/config/modem-agent") in router.refused.read_text()
    router.uci(GOOD)
    router.call("reload_service")
    assert not router.refused.exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("option billing_day '1'", "option billing_day '1", "Parse error (EOF with unterminated ') at line 29"),
        ("option billing_day", "optoin billing_day", "Parse error (invalid command) at line 29, byte 0"),
        ("option billing_day '1'", "list billing_day 1 2", "Parse error (too many arguments) at line 29"),
        ("option billing_day", "option billing-day", "Parse error (invalid character in name field) at line 29"),
    ],
)
def test_what_uci_refuses_is_said_in_its_own_words(router: Router, old: str, new: str, said: str) -> None:
    line = next(n for n, text in enumerate(GOOD.splitlines(), 1) if old in text)
    router.with_uci().uci(GOOD)
    router.call("start_service")
    router.uci(GOOD.replace(old, new))
    result = router.call("reload_service")
    assert said.replace("29", str(line)) in result.stdout, result.stdout
    assert f"{router.root}/etc/config/modem-agent: uci: " in router.refused.read_text()
    assert "instance" in result.stdout


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("config foo\n", "unknown section 'foo'"),
        ("config plan\n", "a second section 'plan'"),
        ("config log\n\tlist level 'debug'\n", "'level' is no list: use option (section 'log')"),
        ("config log a\n\toption level 1\n\toption level 2\n", "a second option 'level' (section 'log a')"),
    ],
)
def test_a_line_of_the_export_is_never_taken_for_one_of_the_file(router: Router, added: str, said: str) -> None:
    """uci leaves out comments: what is wrong is named by its section."""
    router.with_uci().uci(GOOD + added)
    result = router.call("start_service")
    assert f"/etc/config/modem-agent: {said}" in result.stdout, result.stdout
    assert "line" not in result.stdout


# -- upgrades, the first change, switched off --------------------------------------------------------------------------


def test_a_new_program_is_another_instance_and_the_same_one_is_not(router: Router) -> None:
    """apk starts the service after an upgrade without stopping it, and procd then compares."""
    router.with_uci().uci(GOOD)
    program = router.root / "usr/lib/modem-agent/agent/daemon.pyc"
    program.parent.mkdir()
    program.write_bytes(b"old")
    running = router.instance("start")
    (program.parent / "__pycache__").mkdir()
    (program.parent / "__pycache__/daemon.pyc").write_bytes(b"made by looking at it")
    assert router.instance("start") == running
    program.write_bytes(b"new")
    upgraded = router.instance("start")
    assert upgraded != running
    assert router.instance("reload_service") == upgraded


def reload_config(router: Router, busybox: str) -> list[str]:
    """As OpenWrt's reload_config: the sums of before are checked, then taken anew. Whom it tells."""
    script = """
    cd "$1/etc/config"; mkdir -p "$1/shown"; for conf in *; do "$1/bin/uci" show "$conf" >"$1/shown/$conf"; done
    cd "$1/shown"; [ ! -f "$1/var/run/config.md5" ] || md5sum -c "$1/var/run/config.md5" | sed -n 's/: FAILED$//p'
    md5sum * >"$1/var/run/config.md5"
    """
    command = [busybox, "ash", "-c", script, "reload_config", str(router.root)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_the_first_change_after_installing_counts(router: Router, busybox: str) -> None:
    router.with_uci().uci("config interface lan\n", "network")
    (router.root / "var/run").mkdir(parents=True)
    assert reload_config(router, busybox) == []  # at boot; the package comes later
    router.uci(GOOD)
    router.call("start")
    assert router.call("start").returncode == 0
    router.uci(GOOD.replace("billing_day '1'", "billing_day '15'"))
    assert reload_config(router, busybox) == ["modem-agent"]
    assert reload_config(router, busybox) == []


def test_at_boot_nothing_is_a_change(router: Router, busybox: str) -> None:
    router.with_uci().uci(GOOD)
    router.call("start")
    assert reload_config(router, busybox) == []


@pytest.mark.parametrize("word", ["0", "off", "false", "no", "disabled"])
@pytest.mark.parametrize("section", ["service 'main'", "service"])
def test_switched_off_frees_the_line_and_runs_nothing(router: Router, word: str, section: str) -> None:
    router.with_uci().uci(GOOD)
    assert "instance" in router.call("start").stdout
    router.uci(GOOD.replace("service 'main'", section).replace("enabled '1'", f"enabled '{word}'"))
    result = router.call("reload_service")
    assert "instance" not in result.stdout
    assert router.calls[-1:] == ["python3 -m agent.daemon.unshape"]


@pytest.mark.parametrize("word", ["1", "on", "true", "yes", "enabled", "perhaps"])
def test_switched_on_runs_it(router: Router, word: str) -> None:
    router.with_uci().uci(GOOD.replace("enabled '1'", f"enabled '{word}'"))
    assert "instance" in router.call("start").stdout
    assert "python3 -m agent.daemon.unshape" not in router.calls


def test_the_shaping_is_taken_off_only_when_the_agent_is_gone(router: Router) -> None:
    """An agent that is still ending would shape again what it sees go: it holds its folder's lock to the last."""
    state = router.root / "etc/modem-agent/state"
    state.mkdir(parents=True)
    router.with_uci().uci(GOOD.replace("enabled '1'", "enabled '0'"))
    router.program("bin/flock", FLOCK)
    ending = subprocess.Popen(
        ["/usr/bin/flock", state, "sh", "-c", f'echo locked; read -r _; echo "agent gone" >>"{router.root}/calls"'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert ending.stdin is not None
    assert ending.stdout is not None
    ending.stdout.readline()
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(router.call, "start")
        while not router.calls and not stopping.done():
            time.sleep(0.01)
        ending.communicate("end\n")
        stopping.result()
    tried = f"flock -n {state} true"
    assert tried in router.calls
    assert [call for call in router.calls if call != tried] == ["agent gone", "python3 -m agent.daemon.unshape"]


def bridge(busybox: str, agent: Path, *words: str, **places: str) -> subprocess.CompletedProcess[str]:
    script = str(OPENWRT / "modem-agent.rpcd")
    environment = {"PATH": os.environ["PATH"], "AGENT": str(agent), **places}
    return subprocess.run([busybox, "ash", script, *words], input="{}", env=environment, capture_output=True, text=True)


def test_ubus_lists_and_calls_the_verbs(busybox: str, tmp_path: Path) -> None:
    agent = tmp_path / "agent"
    agent.write_text('#!/bin/sh\necho "{\\"v\\":1,\\"verb\\":\\"$1\\"}"\n')
    agent.chmod(0o755)
    listed = json.loads(bridge(busybox, agent, "list").stdout)
    allowed = json.loads((OPENWRT / "modem-agent.acl.json").read_text())["modem-agent"]["read"]["ubus"]["modem-agent"]
    assert list(listed) == allowed
    for method in listed:
        assert json.loads(bridge(busybox, agent, "call", method).stdout) == {"v": 1, "verb": method}
    assert json.loads(bridge(busybox, agent, "call", "reset; reboot").stdout)["error"]["name"] == "usage"


def status_by_ubus(busybox: str, tmp_path: Path, uptime: str, status: str | None = None) -> Any:
    """What the bridge answers, with an agent's file that was written 300000 s after the boot."""
    agent = tmp_path / "agent"
    agent.write_text('#!/bin/sh\necho "{\\"v\\":1,\\"by\\":\\"the verb\\"}"\n')
    agent.chmod(0o755)
    (tmp_path / "uptime").write_text(f"{uptime} 12.5\n")
    kept = StatusFile(tmp_path)
    kept.write(sample.status())
    if status is not None:
        (tmp_path / "status.json").write_text(status)
    places = {"STATUS": str(tmp_path / "status.json"), "UPTIME": str(tmp_path / "uptime")}
    return json.loads(bridge(busybox, agent, "call", "status", **places).stdout)


@pytest.mark.parametrize(("uptime", "age_s"), [("300012.34", 12), ("300090.99", 90), ("299999.99", 0)])
def test_the_status_is_answered_from_the_agents_file_with_its_age(
    busybox: str, tmp_path: Path, uptime: str, age_s: int
) -> None:
    answer = status_by_ubus(busybox, tmp_path, uptime)
    assert answer == {"age_s": age_s, **sample.status()}


@pytest.mark.parametrize(
    ("uptime", "status"),
    [("300091.00", None), ("300012.00", "{}"), ("300012.00", '{"v":2}'), ("300012.00", "")],
    ids=["no agent keeps it", "empty", "another version", "nothing"],
)
def test_a_status_that_nobody_keeps_is_asked_of_the_verb(
    busybox: str, tmp_path: Path, uptime: str, status: str | None
) -> None:
    assert status_by_ubus(busybox, tmp_path, uptime, status) == {"v": 1, "by": "the verb"}


def test_ubus_is_answered_even_when_the_agent_is_broken(busybox: str, tmp_path: Path) -> None:
    answer = json.loads(bridge(busybox, tmp_path / "missing", "call", "status").stdout)
    assert answer["error"]["message"] == "modem-agent gave no answer"


def test_a_page_of_settings_may_read_and_write_the_configuration() -> None:
    """rpcd's uci plugin asks for the package's name in `uci`, and ubus for the plugin's own methods."""
    group = json.loads((OPENWRT / "modem-agent.acl.json").read_text())["modem-agent"]
    assert group["read"]["uci"] == group["write"]["uci"] == ["modem-agent"]
    assert group["read"]["ubus"]["uci"] == ["get"]
    assert "commit" in group["write"]["ubus"]["uci"]
    assert "modem-agent" not in group["write"]["ubus"], "acting is for signed commands"


def test_shellcheck_has_nothing_to_say(shellcheck: str) -> None:
    scripts = [OPENWRT / f"modem-agent.{name}" for name in ("init", "rpcd", "defaults", "page")]
    result = subprocess.run([shellcheck, "-s", "dash", *scripts], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
