"""The init script and the rpcd bridge under busybox ash. procd's functions are recorded, the agent is the real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import OPENWRT, PROJECT

# What rc.common and procd.sh give to an init script; each call becomes a line.
HARNESS = r"""
logger() { while [ "${1#-}" != "$1" ]; do case $1 in -t|-p) shift;; esac; shift; done; echo "logged: $*"; }
procd_open_instance() { echo "instance"; }
procd_set_param() { echo "param $*"; }
procd_close_instance() { echo "close"; }
procd_add_reload_trigger() { echo "reload on $*"; }
procd_add_interface_trigger() { echo "trigger $*"; }
start() { start_service; }
. "$INIT"
"$@"
"""


class Router:
    """A root with the files that the package installs."""

    def __init__(self, root: Path, busybox: str) -> None:
        self.root, self._busybox = root, busybox
        for folder in ("etc/config", "usr/lib/modem-agent", "usr/bin"):
            (root / folder).mkdir(parents=True)
        (root / "usr/lib/modem-agent/render.awk").write_text((OPENWRT / "render.awk").read_text())
        agent = root / "usr/bin/modem-agent"
        agent.write_text(f'#!/bin/sh\necho "agent $*" >> "{root}/calls"\nexec "{sys.executable}" -m agent.cli "$@"\n')
        agent.chmod(0o755)
        self.conf = root / "etc/modem-agent/config.toml"

    def uci(self, text: str) -> None:
        (self.root / "etc/config/modem-agent").write_text(text)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "ROOT": str(self.root),
            "INIT": str(OPENWRT / "modem-agent.init"),
            "PYTHONPATH": str(PROJECT),
        }
        return subprocess.run(
            [self._busybox, "ash", "-c", HARNESS, "rc", *words],
            env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    @property
    def checks(self) -> int:
        calls = self.root / "calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0


@pytest.fixture
def router(tmp_path: Path, busybox: str) -> Router:
    return Router(tmp_path, busybox)


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


def test_the_devices_of_logical_networks_are_looked_up(router: Router) -> None:
    """With a uci that knows three networks: one up, one with a device in its section, one cellular and not yet up."""
    router.uci(GOOD)
    tools = {
        "uci": f"""case "$*" in
            "-q export modem-agent") cat "{router.root}/etc/config/modem-agent" ;;
            "-q get modem-agent.wan.network") echo "up fixed cell" ;;
            "-q get network.fixed.device") echo usb0 ;;
            "-q get network.cell.device") echo /dev/cdc-wdm0 ;;
            *) exit 1 ;; esac""",
        "ubus": 'case "$3" in network.interface.up) echo wwan1 ;; *) exit 4 ;; esac',
        "jsonfilter": "cat",
    }
    (router.root / "bin").mkdir()
    for name, text in tools.items():
        (router.root / "bin" / name).write_text("#!/bin/sh\n" + text + "\n")
        (router.root / "bin" / name).chmod(0o755)
    assert router.call("start_service").returncode == 0
    assert 'interfaces = ["wwan1", "usb0", "wwan0"]' in router.conf.read_text()
    triggers = router.call("service_triggers").stdout
    assert [line.split()[2] for line in triggers.splitlines() if line.startswith("trigger")] == ["up", "fixed", "cell"]


def bridge(busybox: str, agent: Path, *words: str) -> subprocess.CompletedProcess[str]:
    script = str(OPENWRT / "modem-agent.rpcd")
    environment = {"PATH": os.environ["PATH"], "AGENT": str(agent)}
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


def test_ubus_is_answered_even_when_the_agent_is_broken(busybox: str, tmp_path: Path) -> None:
    answer = json.loads(bridge(busybox, tmp_path / "missing", "call", "status").stdout)
    assert answer["error"]["message"] == "modem-agent gave no answer"


def test_shellcheck_has_nothing_to_say(shellcheck: str) -> None:
    scripts = [OPENWRT / f"modem-agent.{name}" for name in ("init", "rpcd", "defaults")]
    result = subprocess.run([shellcheck, "-s", "dash", *scripts], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
