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


def in_shell(cli: Run, folder: Path, shell: str, script: str) -> list[str]:
    """What a shell says that has sourced its completion script, with the tool on its path."""
    (folder / "modem-agent").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m agent.cli "$@"\n')
    (folder / "modem-agent").chmod(0o755)
    (folder / "script").write_text(cli("completion", shell).stdout)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(Path(room.__file__).parents[2])}
    done = subprocess.run(
        [shell, "-c", f"source {folder}/script; {script}"],
        env={**env, "HOME": str(folder)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done
    return done.stdout.splitlines()


def test_bash_takes_the_script(cli: Run, tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash: not installed")
    script = "COMP_WORDS=(modem-agent sta); COMP_CWORD=1; _modem_agent_completion modem-agent; echo ${COMPREPLY[@]}"
    assert in_shell(cli, tmp_path, "bash", script) == ["status"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_have_a_script(cli: Run, tmp_path: Path, shell: str) -> None:
    done = cli("completion", shell)
    assert done.returncode == 0, done.stderr
    assert room.COMPLETE in done.stdout
    if shutil.which(shell) is None:
        return  # the script stands; only the shell itself could say more
    checked = subprocess.run([shell, "-n"], input=done.stdout, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    if shell == "fish":
        told = in_shell(cli, tmp_path, shell, 'complete -C "modem-agent sta"; complete -C "modem-agent signal --be"')
        assert [line.partition("\t")[0] for line in told if line] == ["status", "--beats", "--beep"]


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
