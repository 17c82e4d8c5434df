"""What the office benches share: reports of a fleet, a broker and a database of their own, office processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from simulator.fleet.broker import Mosquitto
from tests.support.postgres import Postgres

ROOT = "modem-agent/v1"
DAY = datetime(2026, 3, 2, tzinfo=timezone.utc)


def device_id(number: int) -> str:
    return f"imei::{number:015d}"


def report(device: int, seq: int, topic: str, at: datetime, body: dict[str, Any]) -> tuple[str, bytes]:
    """Topic and payload; every device is in its only boot."""
    up = 1000 + int((at - DAY).total_seconds())
    numbering = {
        "v": 1,
        "boot": f"{device:08x}",
        "seq": seq,
        "up": up,
        "time": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "clk": "sync",
    }
    payload = json.dumps({**numbering, **body}, separators=(",", ":")).encode()
    return f"{ROOT}/{device_id(device)}/{topic}", payload


def traffic(device: int, seq: int, at: datetime) -> tuple[str, bytes]:
    used = seq * 4_000_000 + device
    slow = device % 9 == 0
    plan = {
        "PeriodStart": "2026-03-01", "UsedBytes": used, "RemainingBytes": 40_000_000_000 - used,
        "State": "Throttled" if slow else "Normal", "ShapingRate": 512_000 if slow else -1,
    }  # fmt: skip
    ip = {"BytesReceived": used - used // 10, "BytesSent": used // 10}
    return report(device, seq, "m/traffic", at, {"ip": ip, "plan": plan, "AgentBytes": 150 * seq})


def day_of(devices: int, beats: int) -> Iterator[tuple[str, bytes]]:
    """Beat after beat of all of them."""
    for beat in range(beats):
        at = DAY + timedelta(days=1) * (beat / beats)
        for device in range(devices):
            yield traffic(device, beat + 1, at)


@dataclass
class Site:
    broker: Mosquitto
    postgres: Postgres

    def office(self, name: str) -> subprocess.Popen[bytes]:
        return office_process(self.broker.url, self.postgres, name)


def office_process(url: str, postgres: Postgres, name: str) -> subprocess.Popen[bytes]:
    """A process of `modem-support office`, from the broker at `url`."""
    command = [
        sys.executable, "-c", "from agent.support.cli import main; main()", "--broker", url,
        "office", "--db", postgres.dsn, "--name", name,
    ]  # fmt: skip
    with (postgres.folder.parent / f"office-{name}.log").open("ab") as log:
        return subprocess.Popen(command, stderr=log)


@contextmanager
def site(settings: Sequence[str] = ()) -> Iterator[Site]:
    """Both on loopback or a socket, ended by their process ids."""
    with TemporaryDirectory(prefix="office-", dir=os.environ.get("MODEM_AGENT_SCRATCH")) as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        broker = Mosquitto(folder)
        broker.start()
        try:
            with Postgres(folder / "postgres", settings) as postgres:
                yield Site(broker, postgres)
        finally:
            broker.stop()
