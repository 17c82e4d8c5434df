"""Who dials, and with which APN: read off nmcli and uci, changed there, both shown when they differ.

nmcli and uci are stand-ins here: they print what nmcli(1) and uci print for these connections, and keep what they are
given; they check no name, no permission, and connect nothing.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agent.cli import access_point
from agent.doctor.access_point import Dialler, diallers, run
from agent.doctor.diagnosis import diagnose
from agent.errors import AgentError
from tests.doctor.test_diagnosis import healthy, modem

NMCLI = """#!/bin/sh
state=$(dirname "$0")
case "$*" in
  "-t -f TYPE,NAME connection show") printf 'gsm:mobile\\n802-3-ethernet:lan\\ngsm:second\\\\:one\\n' ;;
  "-g gsm.apn connection show mobile") cat "$state/apn" ;;
  "-g gsm.apn connection show second:one") echo other.be ;;
  "connection modify mobile gsm.apn "*) echo "$5" > "$state/apn" ;;
  *) echo "Error: unknown: $*" >&2; exit 10 ;;
esac
"""
UCI = """#!/bin/sh
state=$(dirname "$0")
case "$*" in
  "-q show network") printf "network.lan=interface\\nnetwork.lan.proto='static'\\nnetwork.wwan=interface\\n"
    printf "network.wwan.proto='qmi'\\nnetwork.wwan.apn='%s'\\n" "$(cat "$state/apn")" ;;
  "set network.wwan.apn="*) echo "${2#network.wwan.apn=}" > "$state/new" ;;
  "commit network") mv "$state/new" "$state/apn" ;;
  *) exit 1 ;;
esac
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "apn").write_text("internet.proximus.be\n")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_networkmanagers_connections_are_found_and_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, nmcli=NMCLI)
    assert diallers() == (
        Dialler("NetworkManager", "mobile", "internet.proximus.be"),
        Dialler("NetworkManager", "second:one", "other.be"),
    )
    for command in diallers()[0].commands("orange.be"):
        run(command)
    assert diallers()[0].apn == "orange.be"


def test_netifds_section_is_found_and_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, uci=UCI)
    assert diallers() == (Dialler("netifd", "wwan", "internet.proximus.be"),)
    assert access_point.suggested() == "internet.proximus.be"
    assert access_point.change("orange.be", yes=True)
    assert diallers()[0].apn == "orange.be"


def test_setup_shows_both_and_changes_nothing_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path, monkeypatch, uci=UCI)
    monkeypatch.setattr("sys.stdin", io.StringIO())  # no terminal
    assert access_point.change("orange.be", yes=False)
    assert "netifd's connection wwan dials with APN internet.proximus.be, not orange.be" in capsys.readouterr().err
    assert diallers()[0].apn == "internet.proximus.be"


def test_a_place_that_refuses_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path, monkeypatch, nmcli=NMCLI)
    assert not access_point.change("orange.be", yes=True)  # the second connection cannot be modified
    assert "NetworkManager's connection second:one not changed: nmcli connection modify" in capsys.readouterr().err


def test_no_manager_and_no_program_is_nobody() -> None:
    def absent(words: Sequence[str]) -> str:
        raise AgentError(f"{words[0]}: not found")

    assert diallers(absent) == ()
    with pytest.raises(AgentError, match="no-such-program"):
        run(("no-such-program",))


DIALLER = Dialler("NetworkManager", "mobile", "internet.proximus.be")


def test_doctor_names_both_where_they_differ_and_says_what_to_type() -> None:
    finding = dict(diagnose(replace(healthy(), apn="orange.be", diallers=(DIALLER,))).findings)["attach"]
    assert finding.level == "warning"
    assert "modem.apn is orange.be" in finding.text
    assert "NetworkManager dials (mobile) with APN internet.proximus.be, which counts" in finding.text
    assert "nmcli connection modify mobile gsm.apn orange.be" in finding.advice


@pytest.mark.parametrize("apn", ["", "internet.proximus.be"])
def test_doctor_is_content_where_they_agree_or_none_is_configured(apn: str) -> None:
    finding = dict(diagnose(replace(healthy(), apn=apn, diallers=(DIALLER,))).findings)["attach"]
    assert finding.level == "ok"


def test_the_advice_for_a_dead_context_names_the_place_that_counts() -> None:
    dead = modem(contexts=[{"cid": 1, "apn": "x", "active": False}])
    finding = dict(diagnose(healthy(modem=dead, diallers=(DIALLER,))).findings)["attach"]
    assert "NetworkManager's APN (mobile: internet.proximus.be)" in finding.advice
    assert "modem.apn" in dict(diagnose(healthy(modem=dead)).findings)["attach"].advice
