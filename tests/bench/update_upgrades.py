"""Upgrades of the Debian package on a slowed line under load, in one boot of the device guest: does the shaping stay,
and is every byte counted?

    python -m tests.bench.update_upgrades [UPGRADES]

In both directions twice the slow rate is offered. The shaping is judged twice: by the kernel's own words of every
qdisc and filter that goes away there (tc monitor), and over a whole upgrade by what came through. The count is held
against the link's counters.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from simulator.qemu import unavailable
from simulator.qemu.device import Device
from simulator.qemu.image import build_package
from simulator.qemu.inside.lab import counted_bytes
from tests.bench.rows import Bench
from tests.qemu.waiting import wait_for

UPGRADES, GAP_S = 20, 1.0
RATE_BPS = 512_000  # of the slow line, as the operator promises it
PATIENCE_S = 480.0
# TCG's clock makes measured rates read about 1.5 % high; beside that a queue that was full at the end, in bytes.
_FAST, _BURST_BYTES = 1.03, 30_000
_HEADER = 14  # of Ethernet
_LINK = "/sys/class/net/wwan0/statistics"
_CARRIED = f"cat {_LINK}/rx_bytes {_LINK}/tx_bytes {_LINK}/rx_packets {_LINK}/tx_packets"
_LOAD = "PYTHONPATH=/usr/lib/guest:/usr/lib/modem-agent setsid python3 -m simulator.qemu.inside.load /mnt/guest"
_EVENT = re.compile(r"\[(?P<time>\S+)\] (?P<gone>deleted )?(?:qdisc|filter) .*\bdev (?:wwan0|ifb4\S*) ")


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What one upgrade did to the line."""

    version: str
    took_s: float
    gap_s: float  # between a part of the shaping going and the next one coming
    passed_bps: dict[str, float]
    too_much_bytes: int  # past the slow rate, in the worse direction
    longest_pause_s: float
    uncounted_bytes: int  # negative: counted twice
    restarted: bool

    @property
    def kept(self) -> bool:
        return self.gap_s <= GAP_S and self.too_much_bytes <= 0 and self.uncounted_bytes == 0 and self.restarted


def gap_s(events: str) -> float:
    """The longest time for which a qdisc or filter of the line was away, by the words of `tc -tshort monitor`."""
    away: datetime | None = None
    longest = 0.0
    for line in events.splitlines():
        found = _EVENT.match(line)
        if found is None:
            continue
        at = datetime.fromisoformat(found["time"])
        if found["gone"]:
            away = away or at
        elif away is not None:
            longest, away = max(longest, (at - away).total_seconds()), None
    return float("inf") if away is not None else longest


class Line:
    """A device whose line is slowed for as long as the bench lasts."""

    def __init__(self, device: Device) -> None:
        self.device = device
        wait_for("the agent's usage", lambda: "usage" in self._status())
        self._shell("modem-agent throttle force --reason bench")
        wait_for("the shaping", lambda: self._status().get("shaper", {}).get("state") == "enforced")
        self._before = self._rest()  # what the link carried before the agent was there

    def upgrade(self, package: Path) -> Upgrade:
        """Another version, with traffic from before it to after it."""
        share = self.device.share
        shutil.copy(package, share / "other.deb")
        for name in ("stop", "load.json"):
            (share / name).unlink(missing_ok=True)
        before = self._pid()
        self._shell("setsid tc -tshort monitor >/run/events 2>&1 & echo $! >/run/monitor")
        self._shell(f"{_LOAD} >/mnt/guest/load.log 2>&1 &")
        began = time.monotonic()
        self._shell("dpkg -i /mnt/guest/other.deb")
        wait_for("the new agent's shaping", lambda: self._status().get("shaper", {}).get("state") == "enforced")
        took_s = time.monotonic() - began
        (share / "stop").touch()
        wait_for("the load's end", (share / "load.json").exists)
        self._shell("kill $(cat /run/monitor)")
        load = json.loads((share / "load.json").read_text())
        passed = {way: load[way]["passed_bytes"] for way in ("down", "up")}
        return Upgrade(
            version=self._shell("dpkg-query -W -f '${Version}' modem-agent"),
            took_s=took_s,
            gap_s=gap_s(self._shell("cat /run/events")),
            passed_bps={way: count * 8 / load["seconds"] for way, count in passed.items()},
            too_much_bytes=int(max(passed.values()) - _FAST * RATE_BPS / 8 * load["seconds"] - _BURST_BYTES),
            longest_pause_s=max(load[way]["longest_pause_s"] for way in passed),
            uncounted_bytes=self._rest() - self._before,
            restarted=self._pid() != before and self._status().get("shaper", {}).get("state") == "enforced",
        )

    def _rest(self) -> int:
        """Bytes that the link carried and the ledger lacks. `status` has the agent read the counters; what the link
        carries meanwhile, a report to the broker, would be on one side only: then it is looked at again."""
        limit = time.monotonic() + PATIENCE_S
        while time.monotonic() < limit:
            lines = self._shell(f"{_CARRIED}; modem-agent status --json | tail -n 1; {_CARRIED}").splitlines()
            if lines[:4] == lines[5:]:
                return _ip_bytes(lines[:4]) - counted_bytes(json.loads(lines[4]))
        raise RuntimeError(f"the line did not come to rest within {PATIENCE_S:g} s")

    def _status(self) -> dict[str, Any]:
        said = self.device.run("modem-agent", "status", "--json", timeout_s=PATIENCE_S, check=False).output.splitlines()
        found = [line for line in said if line.startswith("{")]
        return dict(json.loads(found[-1])) if found else {}

    def _pid(self) -> str:
        return self._shell("systemctl show --property=MainPID --value modem-agent")

    def _shell(self, text: str) -> str:
        return self.device.shell(text, timeout_s=PATIENCE_S).strip()


def _ip_bytes(counters: list[str]) -> int:
    received, sent, packets_in, packets_out = map(int, counters)
    return received + sent - _HEADER * (packets_in + packets_out)


def measure(upgrades: int) -> list[Upgrade]:
    """So many upgrades of one device, one after the other."""
    done = []
    with tempfile.TemporaryDirectory(prefix="modem-agent-upgrades-") as folder, Device() as device:
        device.power_on(PATIENCE_S)
        line = Line(device)
        for number in range(1, upgrades + 1):
            done.append(line.upgrade(build_package(Path(folder), f"0.1.0+{number}")))
            print(done[-1], flush=True)
    return done


def main() -> int:
    upgrades = int(sys.argv[1]) if len(sys.argv) > 1 else UPGRADES
    bench = Bench("update_upgrades", 18)
    if problem := unavailable():
        bench.row("upgrades under load", f"{upgrades} of {upgrades}", f"no guest: {problem}", None)
        return bench.finish()
    done = measure(upgrades)
    longest = max(upgrade.gap_s for upgrade in done)
    fastest = max(rate for upgrade in done for rate in upgrade.passed_bps.values())
    bench.row(
        "upgrades of the package on a slowed line under load: shaped, counted, the new one running",
        f"{upgrades} of {upgrades}",
        f"{sum(upgrade.kept for upgrade in done)} of {upgrades}",
        all(upgrade.kept for upgrade in done),
        exact=True,
    )
    bench.row(
        "longest gap in the shaping, by the kernel's events",
        f"at most {GAP_S:g} s",
        f"{longest:.2f} s",
        longest <= GAP_S,
        exact=True,
    )
    bench.row(
        "what came through meanwhile, of 1 Mbit/s offered each way",
        "512 kbit/s",
        f"{fastest / 1000:.0f} kbit/s at most",
        None,
    )
    bench.row(
        "bytes uncounted",
        "0",
        str(sum(abs(upgrade.uncounted_bytes) for upgrade in done)),
        all(upgrade.uncounted_bytes == 0 for upgrade in done),
        exact=True,
    )
    bench.row(
        "an upgrade, and the longest pause of the line in one (TCG, two cores)",
        "",
        f"{max(upgrade.took_s for upgrade in done):.0f} s, {max(upgrade.longest_pause_s for upgrade in done):.1f} s",
        None,
    )
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
