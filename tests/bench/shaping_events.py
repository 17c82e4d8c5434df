"""What the kernel's events of links that are none of the agent's cost: a LAN port that flaps, containers that come and
go, somebody else's traffic control.

    python -m tests.bench.shaping_events [SECONDS]

The real daemon on a line that is throttled; 30 events a second as a socket beside it counts them, against the same
daemon without any.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.rows import Bench
from tests.daemon.running import Running, daemon, until
from tests.netns import Namespace, wire

EVENTS_A_SECOND = 30
MOST_PERCENT = 2.0
RTMGRP_LINK, RTMGRP_TC = 0x1, 0x8
NLMSG_LENGTH_BYTES = 4
# Each is played again and again; what it leaves is what it began with.
STORMS = {
    "a LAN port flaps": ("link set lan0 down", "link set lan0 up"),
    "a bridge's port comes and goes": ("link set lan0 master br0", "link set lan0 nomaster"),
    "veths are made and deleted": ("link add veth8 type veth peer name veth9", "link del veth8"),
    "a stranger's qdisc changes": ("qdisc replace dev lan0 root tbf rate 9mbit burst 9k limit 9k",),
}


class Events:
    """Counts the events of a namespace, by message."""

    def __init__(self, namespace: Namespace) -> None:
        with namespace.entered():
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, RTMGRP_LINK | RTMGRP_TC))
        self.seen = 0

    def read(self) -> int:
        """All so far."""
        while select.select([self._socket], [], [], 0)[0]:
            data = self._socket.recv(1 << 17)
            while len(data) > NLMSG_LENGTH_BYTES:
                length = int.from_bytes(data[:NLMSG_LENGTH_BYTES], sys.byteorder)
                data = data[(length + 3) & ~3 :]
                self.seen += 1
        return self.seen


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def play(namespace: Namespace, lines: tuple[str, ...], seconds: float) -> tuple[float, float]:
    """Commands at the pace of so many events a second; events a second that came, and for how long."""
    program = "tc" if lines[0].startswith("qdisc") else "ip"
    events = Events(namespace)
    player = namespace.popen(program, "-batch", "-", stdin=subprocess.PIPE)
    assert player.stdin is not None
    began = time.monotonic()
    turn = 0
    while (passed_s := time.monotonic() - began) < seconds:
        if events.read() < EVENTS_A_SECOND * passed_s:
            player.stdin.write(lines[turn % len(lines)] + "\n")
            player.stdin.flush()
            turn += 1
        time.sleep(0.005)
    player.stdin.close()
    player.wait()
    return events.read() / passed_s, passed_s


def percent(running: Running, namespace: Namespace, lines: tuple[str, ...], seconds: float) -> tuple[float, float]:
    """Share of a core in percent, and the events a second."""
    assert running.process is not None
    before_s = cpu_s(running.process.pid)
    if lines:
        rate, passed_s = play(namespace, lines, seconds)
    else:
        time.sleep(seconds)
        rate, passed_s = 0.0, seconds
    return 100 * (cpu_s(running.process.pid) - before_s) / passed_s, rate


def main(seconds: float) -> int:
    bench = Bench("shaping_events", 15)
    with wire("wan0", "isp0") as line, tempfile.TemporaryDirectory() as folder:
        line.near.ip("link", "add", "lan0", "type", "veth", "peer", "name", "host0")
        line.near.ip("link", "add", "br0", "type", "bridge")
        with daemon(line.near, Path(folder), used_bytes=41 * 10**9) as running:
            until(lambda: running.ask("status")["shaper"]["state"] == "enforced")
            time.sleep(3)  # what comes with the start is not what is measured
            idle, _ = percent(running, line.near, (), seconds)
            bench.row("no events", "", f"{idle:.2f} % of a core", None)
            for what, lines in STORMS.items():
                share, rate = percent(running, line.near, lines, seconds)
                target = f"below {MOST_PERCENT:g} % of a core at {EVENTS_A_SECOND} events a second"
                bench.row(what, target, f"{share:.2f} % at {rate:.0f} events a second", share < MOST_PERCENT)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if sys.argv[1:] else 20.0))
