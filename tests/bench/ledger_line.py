"""A WAN line for the ledger's benches: a veth pair in a namespace of its own, frames counted as they are sent, and the
agent's own daemon on it.

Frames are sent on packet sockets at both ends, so what passed is known to the byte without asking the kernel.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from agent.plan import Ledger
from agent.store import Database

EXECUTABLE = Path(sys.executable).with_name("modem-agent")
HEADER_BYTES = 14
ETHERTYPE = b"\x88\xb5"  # IEEE 802 local experimental: no protocol answers it
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def enter_namespace() -> None:
    """Run this script anew in a network and mount namespace of its own; as root, or in a user namespace."""
    if os.environ.get("LEDGER_BENCH_INSIDE"):
        return
    own = ["unshare", "-n", "-m"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "-n", "-m"]
    environment = {**os.environ, "LEDGER_BENCH_INSIDE": "1", "PYTHONPATH": os.getcwd()}
    os.execvpe(own[0], [*own, sys.executable, *sys.argv], environment)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


class Line:
    """`wan0` and its far end. `received` and `sent` are IP bytes that passed since the line was first made."""

    def __init__(self, name: str = "wan0") -> None:
        self.name = name
        self.received = self.sent = 0
        self.frames = 0
        self.recently: list[tuple[float, int]] = []  # (when, received bytes), for what a deletion may cost
        Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")

    def make(self) -> None:
        ip("link", "add", self.name, "mtu", "65500", "type", "veth", "peer", "name", "far0", "mtu", "65500")
        self._up()

    def _up(self) -> None:
        ip("link", "set", "far0", "up")
        ip("link", "set", self.name, "up")
        self._far, self._near = self._socket("far0"), self._socket(self.name)

    def _socket(self, name: str) -> socket.socket:
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        raw.bind((name, 0))
        return raw

    def _close(self) -> None:
        self._far.close()
        self._near.close()

    def delete(self) -> None:
        self._close()
        ip("link", "del", self.name)

    def flap(self) -> None:
        self._close()
        ip("link", "set", self.name, "down")
        self._up()

    def rename(self, name: str) -> None:
        self._close()
        ip("link", "set", self.name, "down")
        ip("link", "set", self.name, "name", name)
        self.name = name
        self._up()

    def pass_bytes(self, received: int, sent: int, frame: int = 1500) -> None:
        """At least so many IP bytes each way, in whole frames of `frame` IP bytes."""
        self.received += self._send(self._far, received, frame)
        self.sent += self._send(self._near, sent, frame)
        self.recently = [(when, n) for when, n in self.recently if when > time.monotonic() - 5]

    def _send(self, out: socket.socket, amount: int, frame: int) -> int:
        data = b"\x02\0\0\0\0\x01" + b"\x02\0\0\0\0\x02" + ETHERTYPE + bytes(frame)
        number = -(-amount // frame)
        for _ in range(number):
            out.send(data)
        self.frames += number
        if out is self._far:
            self.recently.append((time.monotonic(), number * frame))
        return number * frame

    def received_within(self, seconds: float) -> int:
        return sum(n for when, n in self.recently if when >= time.monotonic() - seconds)


class Daemon:
    """`modem-agent run` on the line, without modem and broker."""

    def __init__(self, folder: Path, *, plan: str = "", state: Path | None = None) -> None:
        self.folder = folder
        self.state = state or folder / "state"
        self.file = folder / "config.toml"
        shutil.rmtree(folder / "run", ignore_errors=True)
        (folder / "run").mkdir(parents=True)
        self.state.mkdir(exist_ok=True)
        self.file.write_text(
            f'[device]\nid = "bench"\nstate_dir = "{self.state}"\nrun_dir = "{folder}/run"\n'
            f'[modem]\nport = "{folder}/no-modem"\n[wan]\ninterfaces = ["wan*"]\n[clock]\nsource = "system"\n'
            f'[log]\nlevel = "error"\n[plan]\n{plan}\n'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.folder / "run" / "control.sock").unlink(missing_ok=True)
        log = (self.folder / "daemon.log").open("ab")
        self.process = subprocess.Popen(
            [str(EXECUTABLE), "run", "--config", str(self.file)], stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        limit = time.monotonic() + 20
        while not (self.folder / "run" / "control.sock").exists():
            if time.monotonic() > limit or self.process.poll() is not None:
                raise RuntimeError(f"the daemon does not start: {(self.folder / 'daemon.log').read_text()[-500:]}")
            time.sleep(0.01)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(15)

    def ledger(self) -> Ledger:
        """What the disk holds."""
        with Database.open_readonly(self.state / "agent.db") as database:
            found = database.load_ledger()
        assert found is not None
        return found


def pretend_boot(folder: Path, boot_id: str) -> None:
    """Another boot id for every process started from now on in this mount namespace."""
    (folder / "boot_id").write_text(boot_id + "\n")
    if BOOT_ID.read_text().strip() != boot_id:
        subprocess.run(["mount", "--bind", str(folder / "boot_id"), str(BOOT_ID)], check=True)
