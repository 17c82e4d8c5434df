"""The guest's side of the power campaign: the first program of a machine with the device's own disk (/dev/vda, read
only) and an empty one for the agent's state (/dev/vdb). Talks to the host over a virtio port, in lines of JSON.

It gets ready as far as can be without the state: the agent's modules read, the link made (a veth pair; no module behind
it). There the host freezes the machine, once. Each power-on thaws that machine, which has never seen the state disk,
beside the disk as the last cut left it: the disk is found anew, its journal replayed, the agent started, and traffic
carried until the host cuts the power. What the link has carried, and what it can have carried at most before the next
word, is told ahead of the bytes themselves, so that the host knows the truth at any moment of the cut.
"""

from __future__ import annotations

import fcntl
import glob
import importlib
import json
import os
import socket
import struct
import subprocess
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

AGENT, UNIT = "/usr/lib/modem-agent", "/lib/systemd/system/modem-agent.service"
STATE, LINK, SOCKET = "/var/lib/modem-agent", "wwan0", "/run/modem-agent/control.sock"
DISK, LOG, CONFIG_FILE = "/dev/vdb", "/run/agent.log", "/run/agent.toml"
DEVICE, OPERATOR, PORT = "10.64.0.2", "10.64.0.1", 9
_HEADER = 14  # of Ethernet, which the operator does not count
_PATIENCE_S = 300
_TURN_S = 0.02  # 25 MB/s: 200 Mbit/s, if the guest can do it
_DATAGRAMS, _DATAGRAM = 16, 32_000
_MTU = 65_000  # one packet a datagram: it is bytes that are wanted, and a packet costs TCG 100 µs
_TURN_BYTES = _DATAGRAMS * (_DATAGRAM + 28)  # with the headers of UDP and IP
_SO_SNDBUFFORCE = 32  # asm-generic/socket.h; the socket module lacks it
_STRAY_BYTES = 16_000  # neighbour discovery and the like, between two words
_ADD_ENTROPY, _RESEED = 0x40085203, 0x5207  # random(4): RNDADDENTROPY, RNDRESEEDCRNG

CONFIG = f"""[wan]
interfaces = ["{LINK}"]
[plan]
max_bps = 200_000_000
[modem]
port = "/dev/null"
[clock]
source = "system"
"""


class Host:
    """The host's end of the virtio port."""

    def __init__(self) -> None:
        limit = time.monotonic() + _PATIENCE_S
        while not (found := glob.glob("/dev/vport*p1")):
            if time.monotonic() > limit:
                raise SystemExit("no virtio port")
            time.sleep(0.05)
        self._port = os.open(found[0], os.O_RDWR)

    def tell(self, **words: Any) -> None:
        data = json.dumps(words).encode() + b"\n"
        while data:
            data = data[os.write(self._port, data) :]

    def hear(self) -> dict[str, Any]:
        """The next line. An empty read is a host that has not taken hold yet."""
        heard = b""
        while not heard.endswith(b"\n"):
            piece = os.read(self._port, 4096)
            heard += piece
            if not piece:
                time.sleep(0.02)
        message: dict[str, Any] = json.loads(heard)
        return message


def do(*words: str) -> None:
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")


def status() -> dict[str, Any]:
    """What the agent says over its control socket, once it does."""
    limit = time.monotonic() + _PATIENCE_S
    while time.monotonic() < limit:
        try:
            with socket.socket(socket.AF_UNIX) as way:
                way.settimeout(60)
                way.connect(SOCKET)
                way.sendall(b'{"jsonrpc":"2.0","id":1,"method":"status","params":{}}\n')
                with way.makefile("rb") as lines:
                    for line in lines:
                        message: dict[str, Any] = json.loads(line)
                        if message.get("id") == 1:
                            result: dict[str, Any] = message["result"]
                            return result
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError("the agent gave no status")


def carried_bytes() -> int:
    """IP bytes of the link since power-on, by the kernel: the truth."""
    counts = [
        int(Path(f"/sys/class/net/{LINK}/statistics/{n}_{u}").read_text())
        for u in ("bytes", "packets")
        for n in ("rx", "tx")
    ]
    return counts[0] + counts[1] - _HEADER * (counts[2] + counts[3])


def make_link() -> socket.socket:
    """The mobile link and a socket at its far end, in a namespace of its own."""
    do("ip", "link", "set", "lo", "up")
    do("ip", "netns", "add", "operator")
    far_end = ("name", "far0", "mtu", str(_MTU), "netns", "operator")
    do("ip", "link", "add", LINK, "mtu", str(_MTU), "type", "veth", "peer", *far_end)
    do("ip", "address", "add", f"{DEVICE}/24", "dev", LINK)
    do("ip", "link", "set", LINK, "up")
    do("ip", "-n", "operator", "address", "add", f"{OPERATOR}/24", "dev", "far0")
    do("ip", "-n", "operator", "link", "set", "far0", "up")
    import ctypes

    home, there = os.open("/proc/self/ns/net", os.O_RDONLY), os.open("/run/netns/operator", os.O_RDONLY)
    libc = ctypes.CDLL(None)
    libc.setns(there, 0)
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    libc.setns(home, 0)
    # What waits in the shaper is the sender's until it is sent or dropped: with less it went no faster than the line.
    far.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 16 << 20)
    return far


def power_on(wall_s: float, seed: str) -> None:
    """What differs between two boots: the clock, chance (and the boot id that comes of it), the disk."""
    entropy = bytes.fromhex(seed)
    with open("/dev/urandom", "wb", buffering=0) as random:
        fcntl.ioctl(random, _ADD_ENTROPY, struct.pack("ii", 8 * len(entropy), len(entropy)) + entropy)
        fcntl.ioctl(random, _RESEED)
    time.clock_settime(time.CLOCK_REALTIME, wall_s)
    device = Path("/sys/block", Path(DISK).name, "device").resolve().name
    for turn in ("unbind", "bind"):
        Path("/sys/bus/virtio/drivers/virtio_blk", turn).write_text(device)


def mount_state(used_bytes: int) -> None:
    """The disk as it is; a new one is given a month beyond the allowance, so that every start has to shape."""
    fresh = subprocess.run(["blkid", DISK], stdout=subprocess.DEVNULL).returncode != 0
    if fresh:
        do("mkfs.ext4", "-q", DISK)
    os.makedirs(STATE, exist_ok=True)
    do("mount", "-t", "ext4", DISK, STATE)
    if fresh:
        from agent import config
        from agent.clock import Clock
        from agent.plan import Ledger
        from agent.store import Database

        settings = config.load(Path(CONFIG_FILE))
        ledger = Ledger.new(settings.plan, Clock(settings.clock, floor=None).now())
        database = Database.open(Path(STATE, "agent.db"))
        with database.transaction():
            database.keep(replace(ledger, fresh=False, received_bytes=used_bytes))
        database.close()


def unit_environment() -> dict[str, str]:
    """The variables that the agent's unit sets for it."""
    lines = Path(UNIT).read_text().splitlines()
    words = [word for line in lines if line.startswith("Environment=") for word in line.partition("=")[2].split()]
    return dict(word.split("=", 1) for word in words)


def start_agent(cold: bool) -> None:
    """As the unit does it, interpreter and all; or in a process forked from this one, which has read its modules."""
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    if cold:
        environment = {**os.environ, **unit_environment()}
        subprocess.Popen(["modem-agent", "run", "--config", CONFIG_FILE], stdout=log, stderr=log, env=environment)
    elif os.fork() == 0:
        os.dup2(log, 1)
        os.dup2(log, 2)
        from agent import config, daemon

        os._exit(daemon.run(config.load(Path(CONFIG_FILE))))
    os.close(log)


def shaped(changes: subprocess.Popen[bytes]) -> str:
    """Waits for the kernel's own word that the line is slowed."""
    assert changes.stdout is not None
    for line in changes.stdout:
        if b"1fa0:" in line and b"512Kbit" in line:
            return line.decode().strip()
    raise TimeoutError("the kernel told of no shaping")


def found_bytes() -> tuple[int, dict[str, Any]]:
    """What the ledger held at power-on: what it holds now less what has passed since, on a link that is silent."""
    while True:
        before = carried_bytes()
        answer = status()
        if before == carried_bytes():
            used = answer["usage"]
            return used["received_bytes"] + used["sent_bytes"] - before, answer


def carry(host: Host, far: socket.socket) -> None:
    """As much as goes, for ever. First the word on how much it can come to, then the bytes."""
    datagram = bytes(_DATAGRAM)
    turn = time.monotonic()
    while True:
        carried = carried_bytes()
        host.tell(least=carried, most=carried + _TURN_BYTES + _STRAY_BYTES)
        for _ in range(_DATAGRAMS):
            far.sendto(datagram, (DEVICE, PORT))
        turn = max(turn + _TURN_S, time.monotonic())
        time.sleep(max(0.0, turn - time.monotonic()))


def get_ready() -> tuple[socket.socket, socket.socket]:
    """All that needs no state; nothing here reads the boot id. The far end's socket, and this end's, never read."""
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    sys.path.insert(0, AGENT)
    Path(CONFIG_FILE).write_text(CONFIG)
    wanted = Path("/usr/lib/modules-load.d/modem-agent.conf").read_text().splitlines()
    do("modprobe", "-a", "veth", *(line for line in wanted if line and not line.startswith("#")))
    for name in ("agent.config", "agent.daemon", "agent.clock", "agent.plan", "agent.store"):
        importlib.import_module(name)
    far = make_link()
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind((DEVICE, PORT))  # so that nothing goes back
    return far, sink


def live(host: Host) -> None:
    far, sink = get_ready()
    host.tell(event="ready")
    order = host.hear()
    power_on(order["wall_s"], order["seed"])
    mount_state(order["used_bytes"])
    with subprocess.Popen(["tc", "monitor"], stdout=subprocess.PIPE) as changes:
        started_s = time.monotonic()
        start_agent(order["cold"])
        qdisc = shaped(changes)
        after_s = time.monotonic() - started_s
        changes.kill()
    used, answer = found_bytes()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    host.tell(event="found", used_bytes=used, store=answer["store"], boot=boot, qdisc=qdisc, shaped_s=after_s)
    with sink:
        carry(host, far)


def main() -> None:
    host = Host()
    try:
        live(host)
    except BaseException:
        log = Path(LOG)
        told = log.read_text()[-2000:] if log.exists() else "the agent said nothing"
        host.tell(event="failed", why=f"{traceback.format_exc()}\n{told}")
        time.sleep(1e9)  # the first program must not end; the host ends the machine


if __name__ == "__main__":
    main()
