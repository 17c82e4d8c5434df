"""What the agent costs a small board: memory, idle processor, start to shaping, installed size. `make bench-footprint`.

The real daemon with a simulated module, a broker over TLS and a throttled link, in namespaces of its own; on this
machine's 64 bit, and with Debian's own Python and libraries in a 32-bit root (i386 runs natively on x86-64 and is the
honest way to see 32-bit memory). A day is pressed together: as many polls, reports and reads as a day has, less the
waiting. Below each figure stands its floor: what the same parts cost without a line of the agent's own work.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from agent.control.client import ControlClient
from agent.errors import AgentError
from simulator import serve
from simulator.qemu.cache import find_tool
from simulator.qemu.errors import GuestUnavailable
from simulator.qemu.image import base_root
from tests.bench.rows import Bench
from tests.mqtt.pki import Pki

PROJECT = Path(__file__).parents[2]
WORK = Path("/run/modem-agent-footprint")  # a tmpfs of our own mount namespace
ROOT_PACKAGES = ("python3", "python3-click", "python3-paho-mqtt", "python3-pyroute2", "python3-serial", "tzdata")
DAY_S = 90  # at a poll and a report a second, with a status a second on top
SETTLED_S = 60  # after the start: by then all is read, shaped, told and given back
IDLE_S = 600
MOST_PSS_MB = {"64 bit": 30.0, "32 bit": 22.0}


def unit_environment() -> dict[str, str]:
    """As systemd/modem-agent.service sets it."""
    lines = (PROJECT / "systemd/modem-agent.service").read_text().splitlines()
    words = " ".join(line.removeprefix("Environment=") for line in lines if line.startswith("Environment="))
    return dict(word.split("=", 1) for word in words.split())


# What any agent made of these parts needs before its own first line: each step on top of those above it.
FLOOR = (
    ("the interpreter alone", ""),
    ("with asyncio, sqlite3, ssl and logging", "import asyncio, json, logging, sqlite3, ssl"),
    (
        "and pyserial, paho without its HTTP",
        "import serial\nfrom agent.lean import leaf, without\nwith without('urllib.request'): import paho.mqtt.client",
    ),
    (
        "and the leaves of pyroute2 for links and tc",
        "with without('unittest', 'unittest.mock', 'multiprocessing'):\n"
        "    leaf('pyroute2.netlink.rtnl.marshal')\n    leaf('pyroute2.iproute.linux').IPRoute().close()",
    ),
)

CONFIG = """[device]
state_dir = "{work}/state"
run_dir = "{work}"
[modem]
port = "{port}"
poll_s = {poll}
[wan]
interfaces = ["wwan0"]
[operator]
url = "mqtts://127.0.0.1:8883"
ca_file = "{work}/ca.pem"
cert_file = "{work}/device.pem"
key_file = "{work}/device.key"
beat_s = {beat}
budget_bytes_day = 1000000000
[clock]
source = "system"
"""


def write_config(port: str, *, poll: int, beat: int) -> None:
    (WORK / "config.toml").write_text(CONFIG.format(work=WORK, port=port, poll=poll, beat=beat))


def prepare() -> None:
    """Inside our own mount and network namespaces: a link, a broker, a place to write."""
    WORK.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(WORK)], check=True)
    (WORK / "state").mkdir()
    for words in (
        "link set lo up",
        "link add wwan0 type veth peer name far0",
        "address add 10.9.9.2/24 dev wwan0",
        "link set wwan0 up",
        "link set far0 up",
    ):
        subprocess.run(["ip", *words.split()], check=True)


def status() -> dict[str, object] | None:
    with suppress(AgentError), ControlClient(WORK / "control.sock", timeout_s=5) as client:
        return client.call("status", {})
    return None


def wait(what: str, timeout_s: float, ready: object) -> None:
    limit = time.monotonic() + timeout_s
    while not ready():  # type: ignore[operator]
        if time.monotonic() > limit:
            raise SystemExit(f"not within {timeout_s:g} s: {what}\n{(WORK / 'log').read_text()[-2000:]}")
        time.sleep(0.02)


class Daemon:
    """The agent, started by a command in front of `run`."""

    def __init__(self, command: list[str]) -> None:
        self._log = (WORK / "log").open("wb")
        self.started_s = time.monotonic()
        words = [*command, "-m", "agent.cli", "run", "--config", str(WORK / "config.toml")]
        environment = {**os.environ, **unit_environment()}
        self.process = subprocess.Popen(words, stdout=self._log, stderr=self._log, cwd=PROJECT, env=environment)

    def memory(self) -> tuple[float, float]:
        """PSS and RSS in MB: the second is what it would be if nobody else shared a page of Python or libc."""
        lines = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()
        sizes = {words[0]: int(words[1]) / 1000 for words in map(str.split, lines[1:])}
        return sizes["Pss:"], sizes["Rss:"]

    def cpu_s(self) -> float:
        """Of all its threads, in nanoseconds and not in ticks: Documentation/scheduler/sched-stats.rst."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def close(self) -> None:
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        self.process.kill()
        self.process.wait()
        self._log.close()


def shaped() -> bool:
    shown = subprocess.run(["tc", "qdisc", "show", "dev", "wwan0"], capture_output=True, text=True).stdout
    return " 1fa0: root" in shown


def measure(bench: Bench, width: str, command: list[str], port: str) -> None:
    write_config(port, poll=1, beat=1)
    daemon = Daemon(command)
    try:
        wait("the agent answers", 60, status)
        with ControlClient(WORK / "control.sock", timeout_s=10) as client:
            client.call("throttle.force", {"reason": "bench"})
        samples: list[tuple[float, float]] = []
        end = time.monotonic() + DAY_S
        while time.monotonic() < end:
            status()
            samples.append((time.monotonic() - daemon.started_s, daemon.memory()[0]))
            time.sleep(1)
        megabytes, alone = daemon.memory()
    finally:
        daemon.close()
    bench.curve(f"{width}, MB", samples)
    most = MOST_PSS_MB[width]
    bench.row(
        f"steady memory (PSS), {width}",
        f"at most {most:g} MB",
        f"{megabytes:.1f} MB",
        megabytes <= most,
        f"{alone:.1f} MB with all that others share",
    )
    floor(bench, width, command)
    write_config(port, poll=60, beat=900)
    # The agent leaves its qdisc in the kernel when it stops, as it must: taken away, so that the next start has work.
    subprocess.run(["tc", "qdisc", "del", "dev", "wwan0", "root"], check=True)
    daemon = Daemon(command)
    try:
        wait("the shaping", 60, shaped)
        took_s = time.monotonic() - daemon.started_s
        time.sleep(SETTLED_S)
        before_s, began_s = daemon.cpu_s(), time.monotonic()
        time.sleep(IDLE_S)
        share = 100 * (daemon.cpu_s() - before_s) / (time.monotonic() - began_s)
    finally:
        daemon.close()
    bench.row(f"start to shaping, {width}", "under 2 s", f"{took_s:.2f} s", took_s < 2)
    bench.row(f"processor of the start and its first {SETTLED_S} s, {width}", "", f"{before_s:.2f} s", None)
    bench.row(f"processor when idle, {width}", "under 0.2 % of a core", f"{share:.2f} %", share < 0.2)


def floor(bench: Bench, width: str, command: list[str]) -> None:
    """What the parts cost without a line of the agent's own work: how low the row above could get with them."""
    lines = [f"{code}\nprint(next(l for l in open('/proc/self/smaps_rollup') if 'Pss' in l))" for _, code in FLOOR]
    asked = subprocess.run(
        [*command, "-c", "\n".join(lines)], cwd=PROJECT, env={**os.environ, **unit_environment()}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    sizes = [int(line.split()[1]) / 1000 for line in asked.stdout.splitlines() if line]
    for (name, _), size in zip(FLOOR, sizes, strict=True):
        bench.row(f"floor, {width}: {name}", "", f"{size:.1f} MB", None)


def root_32() -> Path | str:
    """The i386 root, or why there is none."""
    try:
        return base_root("bookworm", "i386", ROOT_PACKAGES)
    except GuestUnavailable as reason:
        return str(reason)


def enter(root: Path) -> list[str]:
    """The command that runs a Python of another root on our files."""
    for name in ("proc", "dev", "dev/pts", "sys"):
        (root / name).mkdir(exist_ok=True)
        subprocess.run(["mount", "--bind", f"/{name}", str(root / name)], check=True)
    for path in (PROJECT, WORK):
        inner = root / str(path).lstrip("/")
        inner.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", str(path), str(inner)], check=True)
    return ["chroot", str(root), "/usr/bin/env", f"PYTHONPATH={PROJECT}", "/usr/bin/python3"]


def inside(root: str) -> int:
    bench = Bench("footprint", 9)
    prepare()
    pki = Pki(WORK)
    pki.issue("broker", "127.0.0.1", host="127.0.0.1")
    pki.issue("device", "imei::990000862471854")
    broker = WORK / "broker.conf"
    broker.write_text(
        f"user root\nlistener 8883 127.0.0.1\nallow_anonymous true\npersistence false\nrequire_certificate true\n"
        f"cafile {WORK}/ca.pem\ncertfile {WORK}/broker.pem\nkeyfile {WORK}/broker.key\n"
    )
    command = [find_tool("mosquitto", "mosquitto"), "-c", str(broker)]
    with serve("quectel-ec25", link=WORK / "modem0", seed=1) as running:
        mosquitto = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            measure(bench, "64 bit", [sys.executable], running.path)
            if root.startswith("/"):
                measure(bench, "32 bit", enter(Path(root)), running.path)
            else:
                bench.row("32 bit", "see above", f"not measured: {root}", None)
        finally:
            mosquitto.kill()
            mosquitto.wait()
    size = sum(path.stat().st_size for path in (PROJECT / "agent").rglob("*.py"))
    bench.row("installed size of the agent alone", "", f"{size / 1e6:.2f} MB of source", None)
    return bench.finish()


def main() -> int:
    if len(sys.argv) > 1:
        return inside(sys.argv[1])
    here = [sys.executable, "-m", "tests.bench.footprint", str(root_32())]
    return subprocess.run(["unshare", "--net", "--mount", *here], cwd=PROJECT).returncode


if __name__ == "__main__":
    sys.exit(main())
