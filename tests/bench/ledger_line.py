"""A WAN line for the benches of the ledger, in a namespace of its own: frames counted as they are sent, and boots."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.ledger_links import IPV4, Link, Tap, Veth, ip

KEPT_S = 10.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def enter_namespace() -> None:
    """Run this script anew in a network and mount namespace of its own; as root, or in a user namespace.

    /sys is mounted anew: the old one goes on showing the links of the namespace that it was mounted in, and vnStat
    takes a link's speed from there.
    """
    if not os.environ.get("LEDGER_BENCH_INSIDE"):
        own = ["unshare", "-n", "-m"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "-n", "-m"]
        environment = {**os.environ, "LEDGER_BENCH_INSIDE": "1", "PYTHONPATH": os.getcwd()}
        os.execvpe(own[0], [*own, sys.executable, *sys.argv], environment)
    subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)


class Line:
    """`wan0`. `received` and `sent` are IP bytes that passed since the line was first made."""

    def __init__(self, name: str = "wan0") -> None:
        self.name = name
        self.received = self.sent = 0
        self.header_bytes = 0  # what the frames had beyond IP
        self.recently: list[tuple[float, int]] = []  # (when, received bytes), for what a deletion may cost
        Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")

    def make(self, kind: type[Veth] | type[Tap] = Veth) -> None:
        self.link: Link = kind(self.name)
        self._up()

    def _up(self) -> None:
        ip("link", "set", self.name, "up")
        self.link.open(self.name)

    def delete(self) -> None:
        self.link.close()
        self.link.delete(self.name)

    def flap(self) -> None:
        self.link.close()
        ip("link", "set", self.name, "down")
        self._up()

    def rename(self, name: str) -> None:
        self.link.close()
        ip("link", "set", self.name, "down")
        ip("link", "set", self.name, "name", name)
        self.name = name
        self._up()

    def pass_bytes(self, received: int, sent: int, frame: int = 1500) -> None:
        """At least so many IP bytes each way, in whole frames of `frame` IP bytes."""
        data = self.link.header + IPV4.ljust(frame, b"\0")
        down, up = -(-received // frame), -(-sent // frame)
        for _ in range(down):
            self.link.receive(data)
        for _ in range(up):
            self.link.send(data)
        self.received += down * frame
        self.sent += up * frame
        self.header_bytes += (down + up) * len(self.link.header)
        now = time.monotonic()
        self.recently = [row for row in self.recently if row[0] > now - KEPT_S]
        self.recently.append((now, down * frame))

    def received_within(self, seconds: float) -> int:
        return sum(amount for when, amount in self.recently if when >= time.monotonic() - seconds)


def pretend_boot(folder: Path, boot_id: str) -> None:
    """Another boot id for every process started from now on in this mount namespace."""
    (folder / "boot_id").write_text(boot_id + "\n")
    if BOOT_ID.read_text().strip() != boot_id:
        subprocess.run(["mount", "--bind", str(folder / "boot_id"), str(BOOT_ID)], check=True)
