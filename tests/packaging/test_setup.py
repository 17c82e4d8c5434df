"""`.ci/setup` beside another apt-get: it waits for a lock, and gives up on anything else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[2] / ".ci" / "setup"
LISTS = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 77 (apt-get)"
ARCHIVES = "E: Unable to lock directory /var/cache/apt/archives/"
UNKNOWN = "E: Unable to locate package mmdebstrap"


def set_up(folder: Path, refusals: list[str]) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """With an apt-get that refuses so often and then does as it is told; what it was told."""
    tools, calls, said = folder / "bin", folder / "calls", folder / "said"
    tools.mkdir()
    for name in ("sh", "dirname", "grep", "tail", "mktemp", "rm", "printf", "chmod", "sed", "wc"):
        (tools / name).symlink_to(str(shutil.which(name)))
    said.write_text("".join(f"{line}\n" for line in refusals))
    for name, script in {
        "id": "echo 0",
        "sleep": ":",
        "apt-get": f'echo "$*" >>{calls}; line=$(sed -n "$(wc -l <{calls})p" {said}); '
        '[ -z "$line" ] || { echo "$line" >&2; exit 100; }',
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    environment = {"PATH": str(tools), "TMPDIR": str(folder)}
    done = subprocess.run([SETUP, "bare"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done, [line.split()[3] for line in calls.read_text().splitlines()]


@pytest.fixture(autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("root: .ci/setup keeps daemons from being started by /usr/sbin/policy-rc.d")


@pytest.mark.root
def test_it_waits_while_another_apt_get_has_a_lock(tmp_path: Path) -> None:
    done, calls = set_up(tmp_path, [LISTS, LISTS, "", ARCHIVES])
    assert (done.returncode, done.stderr) == (0, "")
    assert calls == ["update", "update", "update", "install", "install"]
    assert not list(tmp_path.glob("modem-agent-setup.*"))


@pytest.mark.root
def test_any_other_refusal_ends_it_with_the_reason_and_a_log_of_its_own(tmp_path: Path) -> None:
    done, calls = set_up(tmp_path, ["", UNKNOWN])
    assert done.returncode == 1
    assert calls == ["update", "install"]
    log = next(tmp_path.glob("modem-agent-setup.*"))
    assert done.stderr.splitlines() == [UNKNOWN, f"setup: apt-get install mmdebstrap git failed; see {log}"]
