"""A whole device without systemd in a lean guest: module, operator, and the real agent on a disk that outlives power.

Called by the story and by the campaigns, which run as the guest's command. Up some seconds after the kernel. Root, in a
guest only.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from agent import config as configuration
from agent.clock import Clock
from agent.control.client import ControlClient
from agent.errors import AgentError
from agent.plan import Ledger
from agent.store import Database
from simulator.demo.network import OPERATOR as NAMESPACE
from simulator.demo.network import inside
from simulator.qemu.inside import network
from simulator.qemu.inside.modem import GuestModem

STATE = Path("/var/lib/modem-agent")
LINK = "usb0"
BROKER_PORT = 1883
_SINK_PORT = 9
_ETHERNET_HEADER = 14

CONFIG = """[modem]
port = "auto"
poll_s = 5
[wan]
interfaces = ["usb*"]
[operator]
url = "{broker}"
beat_s = 30
[clock]
source = "{clock}"
{more}
"""


def say(event: str, **details: Any) -> None:
    """One line of JSON for the host."""
    print(json.dumps({"event": event, "up_s": round(uptime_s(), 2), **details}), flush=True)


def uptime_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wait_until(happened: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """The first true value; TimeoutError that names what was waited for."""
    limit = time.monotonic() + timeout_s
    while True:
        value = happened()
        if value:
            return value
        if time.monotonic() > limit:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.1)


class Lab:
    """mount() the state, plug() the module in, start() the agent; stop everything by power or by close()."""

    def __init__(
        self, *, wall: datetime | None = None, clock: str = "auto", broker: bool = True, more: str = ""
    ) -> None:
        self.wall = wall
        self.config_file = Path("/run/lab.toml")
        url = f"mqtt://{network.OPERATOR}:{BROKER_PORT}" if broker else ""
        self.config_file.write_text(CONFIG.format(broker=url, clock=clock, more=more))
        self.module: GuestModem | None = None
        self._agent: subprocess.Popen[bytes] | None = None
        self._broker: subprocess.Popen[bytes] | None = None
        self._gone_bytes = 0  # what links carried that are no more
        self.log = Path("/run/guest/agent.log")

    # -- parts

    def mount(self, device: str = "/dev/vda") -> None:
        """The state directory on a disk of the host: made at the first power-on, checked at the next."""
        STATE.mkdir(parents=True, exist_ok=True)
        if subprocess.run(["blkid", device], capture_output=True).returncode != 0:
            subprocess.run(["mkfs.ext4", "-q", device], check=True)
        subprocess.run(["mount", "-t", "ext4", device, str(STATE)], check=True)

    def seed(self, used_bytes: int) -> None:
        """A month in which so much was used already; three quarters of it down."""
        config = configuration.load(self.config_file)
        ledger = Ledger.new(config.plan, Clock(config.clock, floor=None).now())
        down = used_bytes * 3 // 4
        ledger = replace(ledger, fresh=False, received_bytes=down, sent_bytes=used_bytes - down)
        database = Database.open(STATE / "agent.db")
        with database.transaction():
            database.keep(ledger)
        database.close()

    def plug(self) -> GuestModem:
        """The module, its link up and addressed, and the operator behind it."""
        self.module = GuestModem("quectel-ec25", wall=self.wall)
        self.module.start()
        self.connect()
        return self.module

    def connect(self) -> None:
        """What the router's network service does when the link appears."""
        wait_until(lambda: Path("/sys/class/net", LINK).exists(), 20, "the link")
        network.ip("address", "replace", f"{network.DEVICE}/{network.PREFIX}", "dev", LINK)
        network.ip("link", "set", LINK, "up")

    def start_broker(self) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
        if program is None:
            raise FileNotFoundError("mosquitto: sudo apt-get install -y mosquitto")
        Path("/run/broker.conf").write_text(f"listener {BROKER_PORT}\nallow_anonymous true\npersistence false\n")
        command = ["ip", "netns", "exec", NAMESPACE, program, "-c", "/run/broker.conf"]
        self._broker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self) -> None:
        """The real agent, as `modem-agent run` starts it."""
        command = [sys.executable, "-m", "agent.cli", "run", "--config", str(self.config_file)]
        with self.log.open("ab") as log:
            self._agent = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self) -> None:
        """As a service manager stops it."""
        assert self._agent is not None
        self._agent.terminate()
        self._agent.wait(20)

    def close(self) -> None:
        for process in (self._agent, self._broker):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    # -- looking

    def status(self) -> dict[str, Any] | None:
        """What the agent says; None while it does not answer."""
        try:
            with ControlClient(Path("/run/modem-agent/control.sock"), timeout_s=10) as client:
                return client.call("status", {})
        except AgentError:
            return None

    def wait_for(self, wanted: Callable[[dict[str, Any]], Any], timeout_s: float, what: str) -> dict[str, Any]:
        """The first status that is as wanted."""

        def look() -> dict[str, Any] | None:
            status = self.status()
            return status if status is not None and wanted(status) else None

        found: dict[str, Any] = wait_until(look, timeout_s, what)
        return found

    def carried_bytes(self) -> int:
        """IP bytes that the link has carried since power-on, by the kernel's own counters: the truth."""
        return self._gone_bytes + link_bytes()

    def unplug(self) -> None:
        """Pull the cable; what the link had carried is remembered here."""
        assert self.module is not None
        self._gone_bytes += link_bytes()
        self.module.modem.unplug()
        wait_until(lambda: not Path("/sys/class/net", LINK).exists(), 20, "the link to go")

    def replug(self) -> None:
        assert self.module is not None
        self.module.modem.plug()
        self.connect()

    def qdisc(self) -> str:
        """The kernel's own word, not the agent's."""
        return subprocess.run(["tc", "qdisc", "show", "dev", LINK], capture_output=True, text=True).stdout.strip()


def counted_bytes(status: dict[str, Any]) -> int:
    """All that the ledger counted, the agent's own traffic too: what the kernel's counters are held against."""
    return int(status["usage"]["received_bytes"]) + int(status["usage"]["sent_bytes"])


def link_bytes() -> int:
    """IP bytes of the link as it is now; 0 while there is none."""
    folder = Path("/sys/class/net", LINK, "statistics")
    try:
        received, sent, packets_in, packets_out = (
            int((folder / name).read_text()) for name in ("rx_bytes", "tx_bytes", "rx_packets", "tx_packets")
        )
    except OSError:
        return 0
    return received + sent - _ETHERNET_HEADER * (packets_in + packets_out)


class Traffic:
    """Datagrams from the operator's side to the device, at a rate, until stopped. Nobody answers them."""

    def __init__(self, rate_bps: int, size: int = 1400) -> None:
        self._rate_bps, self._size = rate_bps, size
        self._going = threading.Event()
        self._sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sink.bind((network.DEVICE, _SINK_PORT))  # unread, so that no ICMP goes back
        with inside(NAMESPACE):
            self._source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._source.setblocking(False)  # a link that takes nothing more would hold the sender for ever
        self._thread = threading.Thread(target=self._send, daemon=True)

    def start(self) -> Traffic:
        self._going.set()
        self._thread.start()
        return self

    def stop(self) -> None:
        self._going.clear()
        self._thread.join(10)
        if self._thread.is_alive():
            raise RuntimeError("the traffic did not stop within 10 s")
        self._source.close()
        self._sink.close()

    def _send(self) -> None:
        began, sent, datagram = time.monotonic(), 0, os.urandom(self._size)
        while self._going.is_set():
            due = (time.monotonic() - began) * self._rate_bps / 8
            while sent < due and self._going.is_set():
                try:
                    self._source.sendto(datagram, (network.DEVICE, _SINK_PORT))
                except OSError:  # the link is away or its queue is full
                    time.sleep(0.01)
                sent += self._size
            time.sleep(0.005)
