"""The guest's side of the power campaign, as a plain script: `python3 -I power.py PYTHON PROJECT USED_BYTES`.

One power-on: mounts the state, starts the real agent on a throttled line, says what its ledger holds, and then carries
traffic and writes the truth to the share until the host cuts the power. It imports next to nothing and has no module
behind the link (a veth pair), because it runs a hundred times and every import costs seconds under TCG.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

STATE, LINK, SOCKET = "/var/lib/modem-agent", "wwan0", "/run/modem-agent/control.sock"
DEVICE, OPERATOR, PORT = "10.64.0.2", "10.64.0.1", 9
_HEADER = 14
_DATAGRAM = 32_000
_RATE_BYTES_S = 25_000_000  # more than a guest can do: as fast as it goes

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


def status() -> dict[str, Any] | None:
    """What the agent says over its control socket; None while it does not."""
    try:
        with socket.socket(socket.AF_UNIX) as way:
            way.settimeout(60)
            way.connect(SOCKET)
            way.sendall(b'{"jsonrpc":"2.0","id":1,"method":"status","params":{}}\n')
            with way.makefile("rb") as lines:
                while line := lines.readline():
                    message: dict[str, Any] = json.loads(line)
                    if message.get("id") == 1:
                        result: dict[str, Any] = message["result"]
                        return result
    except OSError:
        pass
    return None


def wait_status(field: str, value: str, timeout_s: float = 300) -> dict[str, Any]:
    limit = time.monotonic() + timeout_s
    while time.monotonic() < limit:
        found = status()
        if found is not None and (not field or found[field]["state"] == value):
            return found
        time.sleep(0.05)
    raise SystemExit(f"not within {timeout_s:g} s: {field} {value}\n{Path('/run/guest/agent.log').read_text()[-2000:]}")


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


def carry(far: socket.socket) -> None:
    began, sent, datagram = time.monotonic(), 0, bytes(_DATAGRAM)
    while True:
        while sent < (time.monotonic() - began) * _RATE_BYTES_S:
            try:
                far.sendto(datagram, (DEVICE, PORT))
            except OSError:
                time.sleep(0.01)
            sent += _DATAGRAM
        time.sleep(0.002)


def main() -> None:
    python, project, used_bytes = sys.argv[1:4]
    os.makedirs(STATE, exist_ok=True)
    Path("/run/agent.toml").write_text(CONFIG)
    environment = {**os.environ, "PYTHONPATH": project}
    fresh = subprocess.run(["blkid", "/dev/vda"], stdout=subprocess.DEVNULL).returncode != 0
    if fresh:
        do("mkfs.ext4", "-q", "/dev/vda")
    do("mount", "-t", "ext4", "/dev/vda", STATE)
    if fresh:
        subprocess.run([python, "-c", SEED, used_bytes], check=True, env=environment, cwd=project)
    far = make_link()
    with open("/run/guest/agent.log", "ab") as log:
        command = [python, "-m", "agent.cli", "run", "--config", "/run/agent.toml"]
        subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=project)
    first = wait_status("", "")
    answered_s = time.monotonic()
    say("found", used_bytes=first["usage"]["charged_bytes"] - carried_bytes(), store=first["store"])
    wait_status("shaper", "enforced")
    qdisc = subprocess.run(["tc", "qdisc", "show", "dev", LINK], capture_output=True, text=True).stdout
    say("shaped", after_s=round(time.monotonic() - answered_s, 2), qdisc=qdisc)
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind((DEVICE, PORT))  # unread: nothing goes back
    threading.Thread(target=carry, args=(far,), daemon=True).start()
    truth = os.open("/run/guest/truth", os.O_WRONLY | os.O_CREAT, 0o644)
    say("running")
    while True:
        os.pwrite(truth, b"%20d\n" % carried_bytes(), 0)
        time.sleep(0.02)


if __name__ == "__main__":
    main()
