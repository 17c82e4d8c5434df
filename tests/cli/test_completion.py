"""Completion in the shells themselves, and the manual page as man reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent import cli as room
from tests.cli.conftest import Run


def asked(shell: str, words: str, number: str) -> list[str]:
    """What the completion script gets from the tool at a TAB."""
    env = {"PATH": os.environ["PATH"], room.COMPLETE: f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": number}
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli"], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
    return done.stdout.split()


def test_a_tab_completes_verbs_options_and_choices() -> None:
    assert "plain,status" in asked("bash", "modem-agent st", "1")
    assert "plain,--watch" in asked("bash", "modem-agent signal --w", "2")
    assert {"plain,radio", "plain,module"} <= set(asked("bash", "modem-agent reset ", "2"))
    assert "plain,check" in asked("bash", "modem-agent config c", "2")


def test_bash_takes_the_script(cli: Run, tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash: not installed")
    (tmp_path / "modem-agent").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m agent.cli "$@"\n')
    (tmp_path / "modem-agent").chmod(0o755)
    (tmp_path / "script").write_text(cli("completion", "bash").stdout)
    script = (
        f"source {tmp_path}/script; COMP_WORDS=(modem-agent sta); COMP_CWORD=1; "
        "_modem_agent_completion modem-agent; echo ${COMPREPLY[@]}"
    )
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(Path(room.__file__).parents[2])}
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["status"], done


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_have_a_script(cli: Run, shell: str) -> None:
    done = cli("completion", shell)
    assert done.returncode == 0, done.stderr
    assert room.COMPLETE in done.stdout
    if shutil.which(shell) is None:
        return  # the script stands; only the shell itself could say more
    checked = subprocess.run([shell, "-n"], input=done.stdout, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_manual_page_has_every_verb_and_reads_without_a_warning(cli: Run) -> None:
    page = cli("completion", "man").stdout
    for name in ("status", "signal", "doctor", "bundle", "reset", "completion", "config check"):
        assert f'.SS "{name.replace("-", chr(92) + "-")} ' in page
    assert "modem\\-agent signal \\-\\-watch \\-\\-beep" in page
    groff = shutil.which("groff")
    if groff is None:
        return
    done = subprocess.run([groff, "-man", "-Tutf8", "-ww"], input=page, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
