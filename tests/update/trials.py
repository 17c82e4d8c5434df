"""What can become of an update, as a table: one kind of package or request a row, with the verdict that is right."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

from agent.update.verdict import INSTALLED, REFUSED, RESTORED
from tests.update import root as debian
from tests.update.root import DebianRoot


@dataclass(frozen=True)
class Kind:
    name: str
    package: str  # what its agent does
    verdict: str
    reason: str = ""  # in the verdict
    signer: str = "operator"
    request: dict[str, str] = field(default_factory=dict)


KINDS = (
    Kind("good", debian.GOOD, INSTALLED),
    Kind("crash at import", debian.CRASH, RESTORED, "does not run"),
    Kind("broker never reached", debian.SILENT, RESTORED, "broker was not reached"),
    Kind("shaping broken", debian.UNSHAPED, RESTORED, "the kernel does not"),
    Kind("memory eaten", debian.EATER, RESTORED, "run"),
    Kind("counts less", debian.BELOW, RESTORED, "less than the old one"),
    Kind("brings no judge", debian.BROKEN, RESTORED, "replace it in turn"),
    Kind("wrong hash", debian.GOOD, REFUSED, "another sum", request={"sha256": "0" * 64}),
    Kind("foreign signature", debian.GOOD, REFUSED, "dpkg does not accept it", signer="stranger"),
    Kind("another version than asked for", debian.GOOD, REFUSED, "dpkg does not accept it", request={"version": "77"}),
    Kind("a request with options in it", debian.GOOD, REFUSED, "not understood", request={"version": "1 -o x=y"}),
)


@dataclass
class Outcome:
    """What one trial came to."""

    faults: list[str]
    took_s: float
    installed: bool


class Device:
    """Updates one after the other on one root; versions rise."""

    def __init__(self, root: DebianRoot) -> None:
        self.root, self._number = root, 0
        root.key("stranger")

    def update(self, kind: Kind, cut: random.Random | None = None) -> Outcome:
        """One update, with power cuts at random instants if there are dice."""
        root, before = self.root, self.root.version
        self._number += 1
        id, package = f"update-{self._number}", root.build(f"1.{self._number}", kind.package)
        root.ask(package, id, signer=kind.signer, **kind.request)
        package.path.unlink()
        began = time.monotonic()
        throttled = self._through(cut, bad=kind.verdict != INSTALLED)
        took_s = time.monotonic() - began
        after = package.version if kind.verdict == INSTALLED else before
        faults = [] if cut is not None else self._judged(kind, id, after)
        faults += self._sound(id, (before, package.version))
        if not throttled and kind.package != debian.UNSHAPED:
            faults.append("the throttle was gone")
        return Outcome(faults, took_s, root.runs == package.version)

    def _through(self, cut: random.Random | None, *, bad: bool) -> bool:
        """Whether the kernel was slow at each look, once the agent had shaped after the boot."""
        root, throttled = self.root, True
        root.boot()
        for _ in range(cut.randint(1, 2) if cut else 0):
            time.sleep(cut.uniform(0.0, 2.5) if cut else 0)
            root.power_cut()
            root.boot()
        while not root.throttled() and not root.settled(0.05):
            pass
        while not root.judged(bad, limit_s=0.5):
            throttled = throttled and root.throttled()
        return throttled

    def _judged(self, kind: Kind, id: str, after: str) -> list[str]:
        verdict = self.root.verdict
        faults = []
        if (verdict.get("result"), self.root.version) != (kind.verdict, after):
            faults.append(f"{kind.name}: {verdict}, {self.root.version} is installed")
        if kind.reason not in verdict.get("reason", ""):
            faults.append(f"{kind.name}: reason {verdict.get('reason')!r}")
        return faults

    def _sound(self, id: str, versions: tuple[str, str]) -> list[str]:
        """One of the two, whole, with one final answer that fits it, and nothing left behind."""
        root, faults = self.root, []
        installed, verdict = root.version, root.verdict
        if installed not in versions or root.runs != installed:
            faults.append(f"stranded: dpkg says {installed}, the files are {root.runs}")
        if verdict.get("id") != id:
            faults.append(f"no final answer: {verdict}")
        elif (verdict["result"] == INSTALLED) != (installed == versions[1]):
            faults.append(f"the answer is {verdict['result']}, and {installed} is installed")
        left = {path.name for path in (root.root / "var/lib/modem-agent-update").iterdir()}
        if left - {"verdict", "lock", "log"} or (root.root / "var/lib/modem-agent/update").exists():
            faults.append(f"left behind: {sorted(left)}")
        self.root.power_cut()
        return faults
