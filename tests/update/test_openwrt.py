"""judge.sh with opkg's and apk's words, and the init script that starts it. The managers are played, not run.

They keep to what is documented: opkg installs a file without looking at a signature and stops the package's services
around it; apk refuses a file that no key of its own has signed (apk-verify(8)). Not imitated: procd itself, feeds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.update.verdict import INSTALLED, REFUSED, RESTORED
from tests.packaging.conftest import OPENWRT, busybox
from tests.update.root import CRASH, GOOD, DebianRoot
from tests.update.test_judge import NEEDED

__all__ = ["busybox"]

played = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for an overlay and namespaces"),
    pytest.mark.skipif(any(shutil.which(name) is None for name in NEEDED), reason=f"needs {', '.join(NEEDED)}"),
]
MANAGERS = {
    "opkg": (
        "usr/lib/opkg/info",
        'case $1 in install) for f; do :; done; dpkg-deb -x "$f" / && /etc/init.d/modem-agent restart ;;'
        " files) find /usr/lib/modem-agent -type f ;; esac",
    ),
    "apk": (
        "lib/apk/db",
        'case $1 in add) dpkg-deb -x "$3" / && /etc/init.d/modem-agent restart ;; verify) [ ! -e /foreign ] ;;'
        " info) find usr/lib/modem-agent -type f ;; esac",
    ),
}


@pytest.fixture(params=MANAGERS)
def root(request: pytest.FixtureRequest) -> Iterator[DebianRoot]:
    try:
        with DebianRoot() as root:
            mark, words = MANAGERS[request.param]
            (root.root / mark).mkdir(parents=True)
            if request.param == "opkg":
                (root.root / mark / "modem-agent.control").write_text("Package: modem-agent\n")
            for name, text in ((request.param, words), ("usign", "[ ! -e /foreign ]")):
                (root.root / "usr/bin" / name).write_text(f"#!/bin/sh\ncd /\n{text}\n")
                (root.root / "usr/bin" / name).chmod(0o755)
            judge = root.root / "etc/init.d/modem-agent-judge"  # made by modem-agent-update
            judge.write_text("#!/bin/sh\n")
            judge.chmod(0o755)
            yield root
    except RuntimeError as error:
        pytest.skip(str(error))


class TestPlayed:
    pytestmark = played

    @pytest.mark.parametrize(("kind", "result", "runs"), [(GOOD, INSTALLED, "1.1"), (CRASH, RESTORED, "1.0")])
    def test_the_new_version_or_the_files_of_the_old_one(
        self, root: DebianRoot, kind: str, result: str, runs: str
    ) -> None:
        root.ask(root.build("1.1", kind), "u1")
        root.boot()
        assert root.judged(bad=result == RESTORED)
        assert (root.verdict["result"], root.runs) == (result, runs)
        assert root.throttled()
        assert not (root.root / "etc/init.d/modem-agent-judge").exists()

    def test_a_foreign_signature_is_refused(self, root: DebianRoot) -> None:
        (root.root / "foreign").touch()
        root.ask(root.build("1.1", GOOD), "u1")
        root.boot()
        assert root.settled()
        assert (root.verdict["result"], root.runs) == (REFUSED, "1.0")
        assert "does not accept it" in root.verdict["reason"]


HARNESS = """
procd_open_instance() { echo instance; }
procd_set_param() { echo "param $*"; }
procd_close_instance() { :; }
initscript=$1
. "$1"
start_service
"""


def test_the_init_script_runs_a_copy_that_no_package_owns(tmp_path: Path, busybox: str) -> None:
    root = tmp_path
    for folder in ("etc/modem-agent/state/update", "etc/init.d", "usr/lib/modem-agent/agent/update"):
        (root / folder).mkdir(parents=True)
    own, judge = root / "etc/init.d/modem-agent-update", root / "etc/init.d/modem-agent-judge"
    shutil.copy(OPENWRT / "modem-agent-update.init", own)
    own.write_text(own.read_text().replace("#!/bin/sh /etc/rc.common", f"#!{busybox} ash"))
    (root / "usr/lib/modem-agent/agent/update/judge.sh").write_text("the judge\n")

    def start(script: Path) -> str:
        done = subprocess.run(
            [busybox, "ash", "-c", HARNESS, "rc", str(script)],
            env={**os.environ, "ROOT": str(root)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    assert start(own) == ""
    assert not judge.exists()
    (root / "etc/modem-agent/state/update/request").touch()
    start(own)
    kept = root / "etc/modem-agent/state-update/judge"
    assert kept.read_text() == "the judge\n"
    assert start(judge) == f"instance\nparam command /bin/sh {kept}\nparam stderr 1\n"
    assert start(own) == ""  # one that runs already is left alone
