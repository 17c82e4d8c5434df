"""judge.sh with opkg's and apk's words, and the init script that starts it. The managers are played, not run.

They keep to what was recorded of the real ones: opkg looks at no signature, and stops and starts the package's
services around it with PKG_UPGRADE=1; apk refuses a file that no key of its own has signed (apk-verify(8)), stops
nothing before an upgrade, and starts afterwards. Not imitated: procd itself, feeds, uci-defaults.
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
from tests.update.root import CRASH, GOOD, DebianRoot, Unavailable
from tests.update.test_judge import NEEDED

__all__ = ["busybox"]

played = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for an overlay and namespaces"),
    pytest.mark.skipif(any(shutil.which(name) is None for name in NEEDED), reason=f"needs {', '.join(NEEDED)}"),
]
# procd: `start` of a running service starts it anew only if what it runs has changed. Each call is noted.
SERVICE = """#!/bin/sh
echo "modem-agent $1" >>/calls
now=$(cat /usr/lib/modem-agent/run /usr/lib/modem-agent/version | md5sum)
if [ "$1" = start ] && [ -f /run/service ]; then
	[ "$now" != "$(cat /run/started)" ] || exit 0
	/etc/init.d/service stop
fi
[ "$1" = stop ] || echo "$now" >/run/started
exec /etc/init.d/service "$@"
"""
# Without the option a lower version is left alone, and so is the same one: both are a success.
OPKG = """
status=usr/lib/opkg/status
version() { sed -n 's/^Version: //p' $status; }
case $1 in
install)
	for file; do :; done
	new=$(dpkg-deb -f "$file" Version)
	case " $* " in *" --force-downgrade "*) ;; *) ! dpkg --compare-versions "$new" lt "$(version)" || exit 0 ;; esac
	case " $* " in *" --force-reinstall "*) ;; *) [ "$new" != "$(version)" ] || exit 0 ;; esac
	/etc/init.d/modem-agent stop
	echo unpacked >>/calls
	dpkg-deb -x "$file" /
	printf 'Package: modem-agent\\nVersion: %s\\n' "$new" >$status
	PKG_UPGRADE=1 /etc/init.d/modem-agent start
	;;
files) echo "Package modem-agent ($(version)) is installed on root and has the following files:"
	find /usr/lib/modem-agent -type f ;;
esac
"""
# The package that is named in the list is not installed again, whatever has become of its files.
APK = """
list=lib/apk/db/installed
case $1 in
add)
	for file; do :; done
	[ ! -e /foreign ] || exit 99
	sum=$(sha1sum <"$file")
	! grep -qxF "C:$sum" $list || exit 0
	echo unpacked >>/calls
	dpkg-deb -x "$file" /
	printf 'C:%s\\nP:modem-agent\\nV:%s\\n' "$sum" "$(dpkg-deb -f "$file" Version)" >$list
	PKG_UPGRADE=1 /etc/init.d/modem-agent start
	;;
verify) [ ! -e /foreign ] ;;
info) find usr/lib/modem-agent -type f ;;
esac
"""
UPGRADE = {"opkg": ["modem-agent stop", "unpacked", "modem-agent start"], "apk": ["unpacked", "modem-agent start"]}
LISTS = {"opkg": ("usr/lib/opkg/status", "Version: "), "apk": ("lib/apk/db/installed", "V:")}


@pytest.fixture(params=LISTS)
def manager(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(manager: str) -> Iterator[DebianRoot]:
    try:
        with DebianRoot() as root:
            _openwrt(root, manager)
            yield root
    except Unavailable as error:
        pytest.skip(str(error))


def _openwrt(root: DebianRoot, manager: str) -> None:
    (root.root / "usr/lib/opkg/info").mkdir(parents=True)
    if manager == "apk":
        (root.root / "lib/apk/db").mkdir(parents=True)
    (root.root / "usr/lib/opkg/info/modem-agent.control").write_text("Package: modem-agent\n")
    place, name = LISTS[manager]
    (root.root / place).write_text(f"{name}1.0\n")
    service = root.root / "etc/init.d/modem-agent"
    service.rename(service.with_name("service"))
    for path, text in {
        f"usr/bin/{manager}": f"#!/bin/sh\ncd /\n{ {'opkg': OPKG, 'apk': APK}[manager] }",
        "usr/bin/usign": "#!/bin/sh\n[ ! -e /foreign ]\n",
        "etc/init.d/modem-agent": SERVICE,
    }.items():
        (root.root / path).write_text(text)
        (root.root / path).chmod(0o755)
    waits(root)


def waits(root: DebianRoot) -> None:
    """As modem-agent-update makes it when the agent asks."""
    judge = root.root / "etc/init.d/modem-agent-judge"
    judge.write_text("#!/bin/sh\n")
    judge.chmod(0o755)


def listed(root: DebianRoot, manager: str) -> str:
    """The version that the manager takes for installed."""
    place, name = LISTS[manager]
    return next(line for line in (root.root / place).read_text().splitlines() if line.startswith(name))[len(name) :]


def calls(root: DebianRoot) -> list[str]:
    return (root.root / "calls").read_text().splitlines()


class TestPlayed:
    pytestmark = played

    @pytest.mark.parametrize(("kind", "result", "runs"), [(GOOD, INSTALLED, "1.1"), (CRASH, RESTORED, "1.0")])
    def test_the_new_version_or_the_files_of_the_old_one(
        self, root: DebianRoot, manager: str, kind: str, result: str, runs: str
    ) -> None:
        root.ask(root.build("1.1", kind), "u1")
        root.boot()
        assert root.judged(bad=result == RESTORED)
        assert (root.verdict["result"], root.runs, listed(root, manager)) == (result, runs, runs)
        assert calls(root)[1 : 1 + len(UPGRADE[manager])] == UPGRADE[manager]  # after the start at boot
        assert root.throttled()
        assert not (root.root / "etc/init.d/modem-agent-judge").exists()

    def test_a_release_that_was_put_back_can_be_installed_again(self, root: DebianRoot, manager: str) -> None:
        """It was the broker's fault, say: the very same file comes again."""
        package = root.build("1.1", CRASH)
        for id in ("u1", "u2"):
            waits(root)
            root.ask(package, id)
            root.power_cut()
            root.boot()
            assert root.judged(bad=True)
            assert (root.verdict["id"], root.verdict["result"]) == (id, RESTORED)
        assert calls(root).count("unpacked") == 2
        assert (root.runs, listed(root, manager)) == ("1.0", "1.0")

    def test_a_lower_version_is_installed_when_it_is_asked_for(self, root: DebianRoot, manager: str) -> None:
        root.ask(root.build("0.9", GOOD), "u1")
        root.boot()
        assert root.judged(bad=False)
        assert (root.verdict["result"], root.runs, listed(root, manager)) == (INSTALLED, "0.9", "0.9")

    def test_a_foreign_signature_is_refused(self, root: DebianRoot) -> None:
        (root.root / "foreign").touch()
        root.ask(root.build("1.1", GOOD), "u1")
        root.boot()
        assert root.settled()
        assert (root.verdict["result"], root.runs) == (REFUSED, "1.0")
        assert "does not accept it" in root.verdict["reason"]
        assert "unpacked" not in calls(root)


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
