"""The guest's side of the power campaign, as a plain script: `python3 -I power.py PYTHON PROJECT USED_BYTES`.

One power-on: mounts the state, starts the real agent on a throttled line, says what its ledger holds, and then carries
traffic until the host cuts the power. What the link has carried, and what it can have carried at most before the next
word, is written to the share ahead of the bytes themselves, so that the host knows the truth at any moment of the cut.
It imports next to nothing and has no module behind the link (a veth pair), because it runs a hundred times and every
import costs seconds under TCG.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

STATE, LINK, SOCKET = "/var/lib/modem-agent", "wwan0", "/run/modem-agent/control.sock"
LOG = "/run/guest/agent.log"
DEVICE, OPERATOR, PORT = "10.64.0.2", "10.64.0.1", 9
_HEADER = 14  # of Ethernet, which the operator does not count
_PATIENCE_S = 300
_TURN_S = 0.02  # 25 MB/s: 200 Mbit/s, if the guest can do it
_DATAGRAMS, _DATAGRAM = 16, 32_000
_FRAGMENTS = -(-(_DATAGRAM + 8) // 1480)  # of an MTU of 1500, each with an IP header of 20 bytes
_TURN_BYTES = _DATAGRAMS * (_DATAGRAM + 8 + 20 * _FRAGMENTS)
_STRAY_BYTES = 16_000  # neighbour discovery and the like, between two words

CONFIG = f"""[wan]
interfaces = ["{LINK}"]
[modem]
port = "/dev/null"
[clock]
source = "system"
"""
# What the first power-on finds: a month already beyond the allowance, so that shaping must be right after every start.
SEED = """
import sys
from dataclasses import replace
from agent import config
from agent.clock import Clock
from agent.plan import Ledger
from agent.store import Database
settings = config.load("/run/agent.toml")
ledger = Ledger.new(settings.plan, Clock(settings.clock, floor=None).now())
database = Database.open("/var/lib/modem-agent/agent.db")
with database.transaction():
    database.keep(replace(ledger, fresh=False, received_bytes=int(sys.argv[1])))
database.close()
"""


def do(*words: str) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def say(event: str, **details: Any) -> None:
    up_s = round(time.clock_gettime(time.CLOCK_BOOTTIME), 2)
    print(json.dumps({"event": event, "up_s": up_s, **details}), flush=True)


def fail(what: str) -> SystemExit:
    return SystemExit(f"not within {_PATIENCE_S} s: {what}\n{Path(LOG).read_text()[-2000:]}")


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
    raise fail("the agent's status")


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
    do("ip", "netns", "add", "operator")
    do("ip", "link", "add", LINK, "type", "veth", "peer", "name", "far0", "netns", "operator")
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
    return far


def mount_state(python: str, project: str, used_bytes: str) -> None:
    os.makedirs(STATE, exist_ok=True)
    fresh = subprocess.run(["blkid", "/dev/vda"], stdout=subprocess.DEVNULL).returncode != 0
    if fresh:
        do("mkfs.ext4", "-q", "/dev/vda")
    do("mount", "-t", "ext4", "/dev/vda", STATE)
    if fresh:
        environment = {**os.environ, "PYTHONPATH": project}
        subprocess.run([python, "-c", SEED, used_bytes], check=True, env=environment, cwd=project)


def start_agent(python: str, project: str) -> None:
    command = [python, "-m", "agent.cli", "run", "--config", "/run/agent.toml"]
    with open(LOG, "ab") as log:
        subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": project}, cwd=project)


def shaped(changes: subprocess.Popen[bytes]) -> str:
    """Waits for the kernel's own word that the line is slowed."""
    assert changes.stdout is not None
    for line in changes.stdout:
        if b"1fa0:" in line and b"512Kbit" in line:
            return line.decode().strip()
    raise fail("the shaping")


def found_bytes() -> tuple[int, dict[str, Any]]:
    """What the ledger held at power-on: what it holds now less what has passed since, on a link that is silent."""
    while True:
        before = carried_bytes()
        answer = status()
        if before == carried_bytes():
            used = answer["usage"]
            return used["received_bytes"] + used["sent_bytes"] - before, answer


def carry(far: socket.socket) -> None:
    """As much as goes, for ever. First the word on how much it can come to, then the bytes."""
    datagram = bytes(_DATAGRAM)
    truth = os.open("/run/guest/truth", os.O_WRONLY | os.O_CREAT, 0o644)
    turn = time.monotonic()
    while True:
        carried = carried_bytes()
        os.pwrite(truth, b"%20d %20d\n" % (carried, carried + _TURN_BYTES + _STRAY_BYTES), 0)
        for _ in range(_DATAGRAMS):
            far.sendto(datagram, (DEVICE, PORT))
        turn = max(turn + _TURN_S, time.monotonic())
        time.sleep(max(0.0, turn - time.monotonic()))


def main() -> None:
    python, project, used_bytes = sys.argv[1:4]
    Path("/run/agent.toml").write_text(CONFIG)
    mount_state(python, project, used_bytes)
    far = make_link()
    with subprocess.Popen(["tc", "monitor"], stdout=subprocess.PIPE) as changes:
        started_s = time.monotonic()
        start_agent(python, project)
        qdisc = shaped(changes)
        say("shaped", after_s=round(time.monotonic() - started_s, 2), qdisc=qdisc)
        changes.kill()
    used, answer = found_bytes()
    say("found", used_bytes=used, store=answer["store"], shaper=answer["shaper"]["state"])
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind((DEVICE, PORT))  # unread: nothing goes back
    say("running")
    carry(far)


if __name__ == "__main__":
    main()
