"""judge.sh against the real dpkg and apt: every kind of package, and power cuts."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.update import folders
from tests.update.root import BROKEN, GOOD, SILENT, DebianRoot
from tests.update.trials import KINDS, Device, Kind

JUDGE = Path(folders.__file__).with_name("judge.sh")
NEEDED = ("dpkg", "apt-get", "gpg", "dpkg-scanpackages", "unshare", "nsenter", "tc")

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for an overlay and namespaces"),
    pytest.mark.skipif(any(shutil.which(name) is None for name in NEEDED), reason=f"needs {', '.join(NEEDED)}"),
]


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    try:
        with DebianRoot() as root:
            yield Device(root)
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_verdict_is_right(device: Device, kind: Kind) -> None:
    assert device.update(kind).faults == []


@pytest.mark.parametrize("kind", [GOOD, SILENT, BROKEN])
def test_after_power_cuts_it_is_one_of_the_two_versions_with_one_answer(device: Device, kind: str) -> None:
    assert device.update(next(row for row in KINDS if row.package == kind), random.Random(1)).faults == []


def test_the_same_request_again_changes_nothing(device: Device) -> None:
    root = device.root
    kept = root.verdict
    package = root.build("9.0", GOOD)
    root.ask(package, kept["id"])
    root.boot()
    assert root.settled()
    assert root.verdict == kept
    assert root.version != "9.0"
    root.power_cut()


@pytest.mark.parametrize("shell", ["dash", "busybox ash"])
def test_the_script_is_plain_shell(shell: str) -> None:
    words = shell.split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]}: not installed")
    subprocess.run([*words, "-n", JUDGE], check=True)
