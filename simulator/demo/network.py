"""Three network namespaces: household, modem (a router with a veth named wwan0 as its LTE link) and operator.

Used by the demo alone. Everything lives in a mount namespace with a private /run/netns (see `isolate`), so that
namespaces, links and qdiscs are gone with the last process, however the demo ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HOUSEHOLD, MODEM, OPERATOR = "household", "modem", "operator"
WAN = "wwan0"
BROKER_ADDRESS = "10.64.0.1"
CLONE_NEWNET = 0x40000000
ISOLATED = "MODEM_AGENT_DEMO_ISOLATED"  # set in the environment of the re-executed demo

# Everything the three hosts are, one `ip` command a line; {down} and {up} are the LTE link's own rates.
TOPOLOGY = """
netns add household
netns add modem
netns add operator
-n household link add eth0 type veth peer name lan0 netns modem
-n operator link add isp0 type veth peer name wwan0 netns modem
-n household addr add 192.168.8.2/24 dev eth0
-n modem addr add 192.168.8.1/24 dev lan0
-n modem addr add 10.64.0.2/24 dev wwan0
-n operator addr add 10.64.0.1/24 dev isp0
-n household link set lo up
-n modem link set lo up
-n operator link set lo up
-n household link set eth0 up
-n modem link set lan0 up
-n modem link set wwan0 up
-n operator link set isp0 up
-n household route add default via 192.168.8.1
-n modem route add default via 10.64.0.1
-n operator route add 192.168.8.0/24 via 10.64.0.2
"""


class SetupError(Exception):
    """The machine cannot play the demo; str() says why and what to do."""


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """What the kernel says of one link: bytes and packets, received and sent."""

    received_bytes: int
    received_packets: int
    sent_bytes: int
    sent_packets: int

    def ip_bytes(self, header_bytes: int = 14) -> int:
        """Both directions without the Ethernet header of each packet."""
        packets = self.received_packets + self.sent_packets
        return self.received_bytes + self.sent_bytes - header_bytes * packets


def isolate() -> None:
    """Re-execute this process in namespaces of its own: as root, or by a user namespace. Returns once inside."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # tc and mosquitto; an ordinary user's path lacks them
    if os.environ.get(ISOLATED):
        subprocess.run(["mount", "-t", "tmpfs", "demo", "/run"], check=True)
        os.mkdir("/run/netns")
        return
    how = ["--net", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        how = ["--user", "--map-root-user", *how]
    test = subprocess.run(["unshare", *how, "true"], capture_output=True, text=True, check=False)
    if test.returncode != 0:
        raise SetupError(
            f"this user may not make network namespaces ({test.stderr.strip()}); run `make demo` as root, "
            "or allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1)"
        )
    environment = {**os.environ, ISOLATED: "1"}
    os.execvpe("unshare", ["unshare", *how, "--", sys.executable, *sys.orig_argv[1:]], environment)


def build(*, down_bps: int, up_bps: int) -> None:
    """Make the three hosts; the operator's side limits the LTE link to its own speed, as the real network does."""
    for line in TOPOLOGY.strip().splitlines():
        _ip(*line.split())
    with inside(MODEM):
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    # Down is limited where the operator sends. A veth has no radio that would limit up, so the household's own port
    # plays it, and the qdiscs of wwan0 stay the agent's alone.
    for host, link, rate in ((OPERATOR, "isp0", down_bps), (HOUSEHOLD, "eth0", up_bps)):
        burst = max(5_000, rate // 800)  # 10 ms
        tbf = f"rate {rate}bit burst {burst} latency 60ms"
        subprocess.run(["tc", "-n", host, *f"qdisc add dev {link} root tbf {tbf}".split()], check=True)


def _ip(*words: str) -> None:
    result = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise SetupError(f"ip {' '.join(words)}: {result.stderr.strip()}")


@contextlib.contextmanager
def inside(host: str) -> Iterator[None]:
    """Run the block in a host's network namespace; this thread alone moves, and comes back."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{host}", os.O_RDONLY)
    try:
        _setns(there)
        yield
    finally:
        _setns(home)
        os.close(home)
        os.close(there)


def _setns(fd: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def counters(link: str = WAN, host: str = MODEM) -> LinkCounters:
    """The kernel's own counters of a link in a host."""
    with inside(host):
        return read_counters()[link]


def read_counters() -> dict[str, LinkCounters]:
    """The counters of all links where this thread is, read past the agent from /proc/net/dev."""
    links = {}
    for line in Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]:
        name, _, rest = line.partition(":")
        words = [int(word) for word in rest.split()]
        links[name.strip()] = LinkCounters(words[0], words[1], words[8], words[9])
    return links


def qdiscs(link: str = WAN, host: str = MODEM) -> list[str]:
    """The qdiscs on a link as tc(8) names them; the demo's check, never the agent's way."""
    output = subprocess.run(
        ["tc", "-n", host, "qdisc", "show", "dev", link], capture_output=True, text=True, check=True
    ).stdout
    return [line.split()[1] for line in output.splitlines() if line.strip()]
