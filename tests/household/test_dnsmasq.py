"""The DHCP options in dnsmasq's configuration: what is found, what is changed, and what is undone.

Debian's dnsmasq itself judges each configuration (--test). Not imitated: systemd, a program in its place notes calls.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.daemon.unshape import withdraw
from agent.errors import AgentError
from agent.household import dnsmasq
from agent.household import dnsmasq_conf as conf
from agent.household.metered import DhcpOption, dhcp_options
from tests.household.test_hostapd import running

URL = "https://operator.example/captive.json"
BOTH = dhcp_options("auto", URL)
HINT, PORTAL = BOTH
SERVING = "interface=eth0\ndhcp-range=192.168.8.100,192.168.8.250,12h\n"


class Debian:
    """A root with dnsmasq's files, and a systemctl that notes its calls and refuses as often as it is told to."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if shutil.which("dnsmasq") is None:
            pytest.skip("dnsmasq: not installed")
        self.root, self._calls, self._refusals = root, root / "calls", root / "refusals"
        self.write("etc/dnsmasq.conf", "# all is in dnsmasq.d\n")
        self.write("etc/dnsmasq.d/lan.conf", SERVING)
        program = self.write(
            "systemctl",
            f'#!/bin/sh\necho "$*" >>{self._calls}\n'
            f"[ ! -s {self._refusals} ] || {{ sed -i 1d {self._refusals}; echo no >&2; exit 1; }}\n",
        )
        program.chmod(0o755)
        monkeypatch.setattr(dnsmasq, "RESTART_DEBIAN", (str(program), *dnsmasq.RESTART_DEBIAN[1:]))

    def write(self, path: str, text: str) -> Path:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)
        return self.root / path

    def refuse(self, times: int) -> None:
        self._refusals.write_text("x\n" * times)

    @property
    def restarts(self) -> int:
        return self._calls.read_text().count("try-restart dnsmasq.service\n") if self._calls.exists() else 0

    @property
    def snippet(self) -> str:
        path = self.root / conf.SNIPPET
        return path.read_text() if path.exists() else ""

    def settle(self, wanted: tuple[DhcpOption, ...] = BOTH) -> None:
        dnsmasq.settle_as_root(wanted, self.root)

    def state(self, wanted: tuple[DhcpOption, ...] = BOTH) -> tuple[str, str]:
        found = conf.signal(conf.look(self.root), wanted, "")
        return found.state, found.reason


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Debian:
    return Debian(tmp_path, monkeypatch)


def test_the_options_are_written_once_and_taken_away(debian: Debian) -> None:
    assert debian.state() == ("no", "not yet in dnsmasq's configuration")
    debian.settle()
    debian.settle()
    assert debian.snippet.splitlines()[1:] == [f"dhcp-option-force={HINT}", f"dhcp-option-force={PORTAL}"]
    assert debian.state() == ("yes", "")
    assert debian.restarts == 1
    debian.settle((HINT,))
    assert debian.snippet.splitlines()[1:] == ["dhcp-option-force=43,ANDROID_METERED"]
    debian.settle(())
    debian.settle(())
    assert not (debian.root / conf.SNIPPET).exists()
    assert debian.restarts == 3
    assert sorted(path.name for path in (debian.root / "etc/dnsmasq.d").iterdir()) == ["lan.conf"]


@pytest.mark.parametrize(
    "line",
    [
        "dhcp-option=43,01:04:00:00:00:ff",
        "dhcp-option-force=tag:acs,43,http://acs.example",
        "dhcp-option=encap:43,1,x",
        "dhcp-option=vendor:PXEClient,6,2b",
        'pxe-service=x86PC, "Install Linux", pxelinux',
        "dhcp-option = lan, 43, x  # the telephone's",
    ],
)
def test_an_option_43_of_somebody_else_is_left_alone_and_named(debian: Debian, line: str) -> None:
    file = debian.write("etc/dnsmasq.d/telephone.conf", f"{line}\n")
    debian.settle()
    assert file.read_text() == f"{line}\n"
    assert "43" not in debian.snippet
    assert str(PORTAL) in debian.snippet
    state, reason = debian.state()
    assert state == "no"
    assert reason.startswith(f"DHCP option 43 is taken and left alone ({file}: ")


@pytest.mark.parametrize(
    "line", ["dhcp-option-force=43,ANDROID_METERED", "dhcp-option-force=encap:43,1,ANDROID_METERED"]
)
def test_the_hint_that_stands_there_already_is_enough(debian: Debian, line: str) -> None:
    debian.write("etc/dnsmasq.d/hand.conf", f"{line}\n")
    debian.settle((HINT,))
    assert (debian.snippet, debian.restarts) == ("", 0)
    assert debian.state((HINT,)) == ("yes", "")


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("#dhcp-option=43,x", "yes"),
        ("dhcp-option=6,192.168.8.43", "yes"),
        ("dhcp-option=option6:43,[::1]", "yes"),
        ("dhcp-option=43,ANDROID_METERED", "no"),  # not forced: no client asks for it
    ],
)
def test_what_is_and_is_not_option_43(debian: Debian, line: str, state: str) -> None:
    debian.write("etc/dnsmasq.d/other.conf", f"{line}\n")
    debian.settle((HINT,))
    assert debian.state((HINT,))[0] == state


def test_a_portal_of_somebody_else_stays(debian: Debian) -> None:
    debian.write("etc/dnsmasq.d/hotspot.conf", "dhcp-option-force=114,https://hotspot.example/api\n")
    debian.settle()
    assert debian.snippet.splitlines()[1:] == [f"dhcp-option-force={HINT}"]
    state, reason = debian.state()
    assert state == "yes"
    assert "DHCP option 114 is taken and left alone" in reason


def test_files_that_other_files_name_are_read(debian: Debian) -> None:
    debian.write("etc/dnsmasq.conf", "conf-file=/etc/more.conf\nconf-file=/etc/dnsmasq.conf\n")
    debian.write("etc/more.conf", "conf-dir=/etc/more.d,*.conf\n")
    debian.write("etc/more.d/x.conf", "dhcp-option=43,x\n")
    debian.write("etc/dnsmasq.d/old.conf.dpkg-old", "dhcp-option=114,x\n")
    found = conf.look(debian.root)
    assert {setting.option.number for setting in found.settings} == {43}


def test_a_router_that_gives_no_addresses_is_left_alone(debian: Debian) -> None:
    debian.write("etc/dnsmasq.d/lan.conf", "interface=eth0\ndhcp-range=::,constructor:eth0,ra-only\n")
    debian.settle()
    assert (debian.snippet, debian.restarts) == ("", 0)
    assert debian.state() == ("none", "no dnsmasq here gives addresses to devices")


def test_no_dnsmasq_at_all(tmp_path: Path) -> None:
    assert conf.signal(conf.look(tmp_path), BOTH, "").state == "none"
    assert conf.settled(conf.look(tmp_path), BOTH)


def test_a_configuration_that_was_wrong_before_is_not_restarted(debian: Debian) -> None:
    """It may still run on what it read before: a restart would leave the household without addresses."""
    debian.write("etc/dnsmasq.d/lan.conf", SERVING + "no-such-option=1\n")
    with pytest.raises(AgentError, match=r"refuses its configuration as it is, which is left alone: .*bad option"):
        debian.settle()
    assert (debian.snippet, debian.restarts) == ("", 0)


def test_options_that_dnsmasq_refuses_are_undone(debian: Debian) -> None:
    debian.settle((HINT,))
    before = debian.snippet
    with pytest.raises(AgentError, match="dnsmasq refuses the options"):
        debian.settle((HINT, DhcpOption(114, "x" * 300)))
    assert debian.snippet == before
    assert conf.look(debian.root).ours == (HINT,)


def test_a_dnsmasq_that_does_not_start_has_its_old_configuration_again(debian: Debian) -> None:
    debian.refuse(1)
    with pytest.raises(AgentError, match="dnsmasq does not start with the options: no"):
        debian.settle()
    assert (debian.snippet, debian.restarts) == ("", 2)


def test_a_folder_that_takes_nothing_is_named(debian: Debian, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a read-only root, where root itself is refused."""

    def refused(path: Path, mode: str = "r", **options: Any) -> Any:
        if mode == "w":
            raise OSError(30, "Read-only file system", str(path))
        return open(path, mode, **options)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(AgentError, match=r"modem-agent-metered\.conf\.new: Read-only file system"):
        debian.settle()
    assert (debian.snippet, debian.restarts) == ("", 0)


# -- systemd is asked --------------------------------------------------------------------------------------------------


def test_a_request_carries_the_options_to_root_and_is_gone_then(tmp_path: Path) -> None:
    watcher, request = tmp_path / "watcher", tmp_path / "dnsmasq"
    with pytest.raises(AgentError, match=r"modem-agent-dnsmasq\.path is not enabled"):
        dnsmasq.ask(BOTH, str(watcher), str(request))
    watcher.touch()
    for wanted in (BOTH, (HINT,), ()):
        assert dnsmasq.ask(wanted, str(watcher), str(request)) == dnsmasq.ASKED
        assert dnsmasq.requested(request) == wanted
        assert not request.exists()


@pytest.mark.parametrize(
    "text",
    [
        "43,x\n",
        "6,10.0.0.1\n",
        "114,https://a.example/\ndhcp-script=/tmp/x\n",
        "114,https://a.example/,43,x\n",
        "114,http://a.example/\n",
        "114,\n",
        "\n",
    ],
)
def test_root_writes_nothing_that_the_agent_would_not_ask_for(tmp_path: Path, text: str) -> None:
    request = tmp_path / "dnsmasq"
    request.write_text(text)
    with pytest.raises(AgentError, match=r"not the options of \[household\]"):
        dnsmasq.requested(request)
    assert not request.exists()


def test_root_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "other").write_text(f"{HINT}\n")
    (tmp_path / "dnsmasq").symlink_to(tmp_path / "other")
    with pytest.raises(AgentError, match="symbolic link"):
        dnsmasq.requested(tmp_path / "dnsmasq")
    assert (tmp_path / "other").exists()
    assert not (tmp_path / "dnsmasq").is_symlink()


def test_what_the_agent_announced_goes_with_the_package(
    debian: Debian, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    debian.settle()
    with running(debian.root) as program:
        withdraw(debian.root)
        assert program.given == [""]
    assert (debian.snippet, debian.restarts) == ("", 2)
    assert capsys.readouterr().err == ""
