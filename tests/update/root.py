"""A Debian root over this machine's own, in namespaces: the real dpkg and apt, a real tc, packages of a stand-in agent.

An overlay keeps all changes in memory. A boot is a PID namespace of its own; a power cut ends all of it at once. Not
imitated: systemd (a loop starts the agent again, as the unit would), and writes that a power cut loses.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from agent.update import folders

PROJECT = Path(__file__).parents[2]
STATE, RUN = "/var/lib/modem-agent", "/run/modem-agent"
BOOTED_S, SETTLED_S, JUDGED_S = 1_000, 130, 700  # judge.sh has 120 and 600
AGAIN_S = 5.0  # of real time
GOOD, CRASH, SILENT, UNSHAPED, EATER, BELOW, BROKEN = "good", "crash", "silent", "unshaped", "eater", "below", "broken"

# The stand-in: what a version of each kind does in its first seconds. `charged` is its ledger.
AGENT = """#!/bin/sh
cd /usr/lib/modem-agent && kind=$(cat kind) version=$(cat version) began=$(cat /uptime)
say() {
	now=$(cat /uptime)
	printf 'version=%s\\nat_s=%s\\nup_s=%s\\nplan=2026-11/40\\ncharged_bytes=%s\\nslow=%s\\nfault=%s\\n' \\
		"$version" "$now" "$((now - began))" "$1" "$2" "$3" >/run/modem-agent/well.new
	mv /run/modem-agent/well.new /run/modem-agent/well
}
began() { : >"/run/modem-agent/began-$version"; }  # it has done what its kind does
[ "$kind" != crash ] || { began; exit 1; }
tc qdisc replace dev wwan0 root tbf rate 512kbit burst 4k latency 50ms
while sleep 0.2; do
	case $kind in
	silent) say 500 yes "the broker was not reached: no answer" ;;
	unshaped) tc qdisc del dev wwan0 root 2>/dev/null; say 500 yes "" ;;
	eater) began=$(cat /uptime); say 500 yes ""; began; sleep 0.5; rm -f /run/modem-agent/well; exit 137 ;;
	below) say 499 yes "" ;;
	*) say 500 yes "" ;;
	esac
	began
done
"""
# Starts the agent anew for ever, as Restart=always does.
SERVICE = """#!/bin/sh
[ "$1" = start ] || [ ! -f /run/service ] || { kill -9 $(cat /run/service); rm -f /run/service; }
pkill -9 -f '^/bin/sh /usr/lib/modem-agent/run' 2>/dev/null
rm -f /run/modem-agent/well
[ "$1" = stop ] && exit 0
setsid sh -c 'echo $$ >/run/service; while :; do /bin/sh /usr/lib/modem-agent/run; sleep 0.3; done' >/dev/null 2>&1 &
"""
BOOT = """mount -t proc proc /proc
rm -rf /run/service /run/modem-agent; mkdir -p /run/modem-agent
/etc/init.d/modem-agent start
judge=/usr/lib/modem-agent/agent/update/judge.sh
if [ -f /etc/systemd/system/modem-agent-judge.service ]; then judge=/var/lib/modem-agent-update/judge; fi
LOOK_S=0.1 UPTIME=/uptime exec /bin/sh "$judge"
"""
POSTINST = """#!/bin/sh
set -e
[ "$1" != configure ] || [ ! -x /etc/init.d/modem-agent ] || /etc/init.d/modem-agent restart
"""


@dataclass(frozen=True)
class Package:
    """A file as an operator publishes it."""

    version: str
    path: Path

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


class Unavailable(Exception):
    """What this machine lacks for such a root."""


class DebianRoot:
    """`with DebianRoot() as root`. Needs root, overlayfs and namespaces; raises Unavailable without."""

    def __init__(self) -> None:
        self._boot: subprocess.Popen[bytes] | None = None
        self._uptime_s = BOOTED_S
        self._again_at_s = 0.0

    def __enter__(self) -> DebianRoot:
        self.side = Path(tempfile.mkdtemp(prefix="update-root-"))
        self.merged = self.side / "m"
        self.merged.mkdir()
        ready = self.side / "ready"
        setup = (
            f"mount -t tmpfs -o size=600m update {self.merged} && cd {self.merged} && mkdir u w m && "
            "mount -t overlay -o lowerdir=/,upperdir=u,workdir=w update m && "
            f"mount --rbind /dev {self.merged}/m/dev && mount -t proc proc {self.merged}/m/proc && "
            f"ip link add wwan0 type veth peer name core0 && ip link set wwan0 up && touch {ready} && exec sleep 100000"
        )
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "sh", "-c", setup], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        while not ready.exists():
            if self._holder.poll() is not None:
                raise Unavailable("overlay: this kernel mounts none, or makes no namespaces")
            time.sleep(0.02)
        self.root = Path(f"/proc/{self._holder.pid}/root{self.merged}/m")
        try:
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _prepare(self) -> None:
        self.keys = self.side / "keys"
        self.key("operator")
        for folder in ("etc/modem-agent", "var/lib/modem-agent", "usr/lib/modem-agent"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "etc/modem-agent/update.gpg").write_bytes(self._gpg("operator", "--export"))
        self._empty_dpkg(self.root / "var/lib/dpkg")
        service = self.root / "etc/init.d/modem-agent"
        service.write_text(SERVICE)
        service.chmod(0o755)
        (self.root / "power-on").write_text(BOOT)
        first = self.build("1.0", GOOD)
        shutil.copy(first.path, self.root / "first.deb")
        self.run("dpkg", "-i", "/first.deb")
        self.run("/etc/init.d/modem-agent", "stop")

    def _empty_dpkg(self, folder: Path) -> None:
        """Its database with dpkg alone: this machine's may change below the overlay."""
        said = subprocess.run(["dpkg-query", "-s", "dpkg"], check=True, capture_output=True, text=True).stdout
        shutil.rmtree(folder)
        for name in ("info", "updates", "triggers"):
            (folder / name).mkdir(parents=True)
        # Without what it depends on: apt would look for that, and find it missing.
        kept = [line for line in said.splitlines() if not line.startswith(("Depends", "Pre-Depends"))]
        (folder / "status").write_text("\n".join(kept) + "\n\n")
        (folder / "available").touch()

    def provide(self, names: str) -> None:
        """Packages that count as installed, with their versions: what the real package depends on."""
        with (self.root / "var/lib/dpkg/status").open("a") as status:
            status.write(
                "Package: provided\nStatus: install ok installed\nMaintainer: operator <a@example.org>\n"
                f"Architecture: all\nVersion: 1\nDescription: provided\nProvides: {names}\n\n"
            )

    def __exit__(self, *_: object) -> None:
        self.power_cut()
        for home in self.keys.iterdir():
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=False)
        self._holder.kill()
        self._holder.wait()
        shutil.rmtree(self.side, ignore_errors=True)

    # -- the device ---------------------------------------------------------------------------------------------------

    def _inside(self, *words: str) -> list[str]:
        pid = self._holder.pid
        return [
            # A mount namespace is entered at its own root, which is not ours where this is a chroot itself.
            "nsenter", f"--mount=/proc/{pid}/ns/mnt", f"--net=/proc/{pid}/ns/net", f"--root=/proc/{pid}/root",
            "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "chroot", f"{self.merged}/m", *words,
        ]  # fmt: skip

    def run(self, *words: str) -> str:
        done = subprocess.run(self._inside(*words), capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def boot(self) -> None:
        """The agent and whatever waits to be judged, on a clock that stands."""
        self.pass_time(BOOTED_S)
        self._again_at_s = 0.0
        log = (self.side / "boot.log").open("ab")
        self._boot = subprocess.Popen(self._inside("/bin/sh", "/power-on"), stdout=log, stderr=log)
        log.close()

    def pass_time(self, uptime_s: int) -> None:
        """The device's uptime from now on."""
        self._uptime_s = uptime_s
        side = self.root / "uptime.new"
        side.write_text(f"{uptime_s}")
        side.replace(self.root / "uptime")

    def judged(self, bad: bool, limit_s: float = 240.0) -> bool:
        """Let time pass once the new version has run: as long as it has to be well, and if it is bad, all that it has.
        Whether it came to an end."""
        deadline = time.monotonic() + limit_s
        while not self.settled(0.05):
            if time.monotonic() > deadline:
                return False
            if self.step.startswith("judging") and (self.root / f"run/modem-agent/began-{self.runs}").exists():
                # Again and again: the judgement, or the agent's own time, may begin after the first time. A good one is
                # given real time in between to say that it is well.
                if bad:
                    self.pass_time(self._uptime_s + JUDGED_S)
                elif time.monotonic() >= self._again_at_s:
                    self.pass_time(self._uptime_s + SETTLED_S)
                    self._again_at_s = time.monotonic() + AGAIN_S
        return True

    def power_cut(self) -> None:
        """Everything of this boot ends at once. The kernel's qdisc goes too, as it would."""
        if self._boot is not None:
            for child in _children(self._boot.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            self._boot.kill()
            self._boot.wait()
            self._boot = None

    def settled(self, limit_s: float = 120.0) -> bool:
        """Wait until what judges has ended."""
        assert self._boot is not None
        try:
            self._boot.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def throttled(self) -> bool:
        pid = self._holder.pid
        words = ["nsenter", f"--net=/proc/{pid}/ns/net", "tc", "qdisc", "show", "dev", "wwan0"]
        return "tbf" in subprocess.run(words, capture_output=True, text=True, check=False).stdout

    # -- what is installed and said -----------------------------------------------------------------------------------

    @property
    def version(self) -> str:
        """By dpkg; its state with it unless all is well."""
        said = self.run("dpkg-query", "-W", "-f=${Version} ${db:Status-Status} ${db:Status-Eflag}", "modem-agent")
        return said.removesuffix(" installed ok").strip()

    @property
    def runs(self) -> str:
        return (self.root / "usr/lib/modem-agent/version").read_text()

    @property
    def verdict(self) -> dict[str, str]:
        return folders.values(self.root / "var/lib/modem-agent-update/verdict")

    @property
    def step(self) -> str:
        with contextlib.suppress(OSError):
            return (self.root / "var/lib/modem-agent-update/step").read_text().strip()
        return ""

    # -- the operator -------------------------------------------------------------------------------------------------

    def key(self, name: str) -> None:
        home = self.keys / name
        home.mkdir(parents=True, mode=0o700)
        self._gpg(name, "--passphrase", "", "--quick-generate-key", f"{name} <{name}@example.org>", "ed25519", "sign")

    def _gpg(self, name: str, *words: str) -> bytes:
        command = ["gpg", "--batch", "--homedir", str(self.keys / name), "--pinentry-mode", "loopback", *words]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def build(self, version: str, kind: str) -> Package:
        """A package whose agent is of this kind."""
        with tempfile.TemporaryDirectory(dir=self.side) as side:
            files = Path(side) / "root"
            program = files / "usr/lib/modem-agent"
            shutil.copytree(PROJECT / "agent", program / "agent", ignore=_only_needed)
            for name, text in (("run", AGENT), ("version", version), ("kind", kind)):
                (program / name).write_text(text)
            if kind == BROKEN:  # it brings no judge at all
                (program / "agent/update/judge.sh").unlink()
            control = files / "DEBIAN"
            control.mkdir(mode=0o755)
            (control / "control").write_text(
                f"Package: modem-agent\nVersion: {version}\nArchitecture: all\nMaintainer: operator <a@example.org>\n"
                "Depends: dpkg\nDescription: stand-in\n of two lines\n"
            )
            (control / "postinst").write_text(POSTINST)
            (control / "postinst").chmod(0o755)
            path = self.side / f"modem-agent_{version}_all.deb"
            subprocess.run(
                ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(files), str(path)],
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        return Package(version, path)

    def feed(self, package: Package, signer: str = "operator") -> dict[str, bytes]:
        """Index and signature of a flat feed with this one package."""
        with tempfile.TemporaryDirectory(dir=self.side) as side:
            folder = Path(side)
            os.link(package.path, folder / package.path.name)
            scan = ["dpkg-scanpackages", "--multiversion", "."]
            packages = subprocess.run(scan, cwd=folder, check=True, capture_output=True).stdout
            sums = f" {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n"
            (folder / "Release").write_text(
                f"Origin: operator\nDate: {time.strftime('%a, %d %b %Y %H:%M:%S UTC', time.gmtime())}\nSHA256:\n{sums}"
            )
            self._gpg(signer, "--clearsign", "--output", str(folder / "InRelease"), str(folder / "Release"))
            return {"Packages": packages, "InRelease": (folder / "InRelease").read_bytes()}

    def ask(self, package: Package, id: str, *, signer: str = "operator", **changes: str) -> None:
        """What the agent leaves once it has fetched a package: the request comes last."""
        asked = self.root / STATE[1:] / "update"
        asked.mkdir(exist_ok=True)
        for name, content in self.feed(package, signer).items():
            (asked / name).write_bytes(content)
        shutil.copy(package.path, asked)
        request = {
            "id": id, "version": package.version, "previous": self.runs, "file": package.path.name,
            "sha256": package.sha256, "plan": "2026-11/40", "charged_bytes": "500", "slow": "yes", **changes,
        }  # fmt: skip
        (asked / "request").write_bytes(folders.lines(request))


def _only_needed(folder: str, names: list[str]) -> set[str]:
    """What database_copy.py and judge.sh need of the agent; the whole of it would take a second a package."""
    if Path(folder) == PROJECT / "agent":
        return set(names) - {"__init__.py", "errors.py", "update", "store", "plan"}
    return {"__pycache__"} & set(names)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
