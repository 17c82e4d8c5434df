"""judge.sh against the real dpkg and apt: every kind of package, and power cuts."""

from __future__ import annotations

import os
import random
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.update import folders
from agent.update.verdict import RESTORED
from tests.update.root import BOOTED_S, BROKEN, GOOD, JUDGED_S, PROJECT, SILENT, DebianRoot, Package, Unavailable
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
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_verdict_is_right(device: Device, kind: Kind) -> None:
    assert device.update(kind).faults == []


@pytest.mark.parametrize("kind", [GOOD, SILENT, BROKEN])
def test_after_power_cuts_it_is_one_of_the_two_versions_with_one_answer(device: Device, kind: str) -> None:
    assert device.update(next(row for row in KINDS if row.package == kind), random.Random(1)).faults == []


@pytest.mark.skipif(shutil.which("deb-systemd-helper") is None, reason="init-system-helpers: not installed")
def test_the_real_package_is_kept_and_comes_back_as_it_was(tmp_path: Path) -> None:
    build = runpy.run_path(str(PROJECT / "firmware-config/debian/build.py"))["build"]
    with DebianRoot() as root:
        root.provide(
            "python3 (= 3.13), python3-click (= 8.1), python3-paho-mqtt (= 2), python3-pyroute2 (= 0.8), "
            "python3-serial (= 3.5), kmod, systemd, tzdata"
        )
        shutil.copy(build(tmp_path, "2.0"), root.root / "real.deb")
        root.run("dpkg", "-i", "/real.deb")
        (root.root / "usr/lib/modem-agent/version").write_text("2.0")  # of the stand-in, which the harness reads
        listed = (
            "cd /usr/lib/modem-agent && find . -name '*.py' -o -name judge.sh -o -name unshape | sort | xargs sha256sum"
        )
        before = root.run("sh", "-c", listed), root.run("dpkg-query", "-s", "modem-agent")
        now_s = BOOTED_S
        root.ask(Package("2.1", build(tmp_path, "2.1")), "real")
        root.boot()
        while not root.settled(0.05):
            if root.step.startswith("judging"):
                now_s += JUDGED_S
                root.pass_time(now_s)
        assert root.verdict["result"] == RESTORED, root.verdict["reason"]
        assert "within 600 s" in root.verdict["reason"]
        assert root.version == "2.0"
        assert (root.run("sh", "-c", listed), root.run("dpkg-query", "-s", "modem-agent")) == before
        assert root.run("dpkg", "--verify", "modem-agent") == ""
        root.power_cut()


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
