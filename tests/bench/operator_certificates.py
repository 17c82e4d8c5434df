"""Two days of certificates that last an hour each, by a clock 360 times as fast: 0 outages.

    python -m tests.bench.operator_certificates [HOURS] [SECONDS]

Real mosquitto, real certificates that last SECONDS each (a broker judges them by the machine's own clock), one device.
It is renewed by command at half of each hour: a key made on the device, its request signed, the chain tried. An outage
is an attempt to connect that fails, or a certificate that ends before the next is in use.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from agent.mqtt import tls
from tests.bench.rows import Bench
from tests.commands.standin import DEVICE, StandIn
from tests.commands.test_runner import Channel
from tests.mqtt.pki import Pki
from tests.mqtt.test_certificate import broker, config, connected, final

CONFIGURATION = """[ca]
default_ca = fleet
[fleet]
database = index.txt
rand_serial = yes
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""


class ShortLived(Pki):
    """Signs for so many seconds: x509(1) knows whole days only."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "index.txt").touch()
        (folder / "ca.cnf").write_text(CONFIGURATION)

    def sign(self, request: str, seconds: float) -> str:
        (self.folder / "asked.csr").write_text(request)
        now = datetime.now(timezone.utc)
        begins, ends = (
            f"{when:%Y%m%d%H%M%SZ}" for when in (now - timedelta(seconds=1), now + timedelta(seconds=seconds))
        )
        words = ["ca", "-batch", "-config", "ca.cnf", "-in", "asked.csr", "-out", "signed.pem", "-notext"]
        self._run(*words, "-startdate", begins, "-enddate", ends)
        return (self.folder / "signed.pem").read_text()


async def renewed(folder: Path, hours: int, hour_s: float) -> tuple[int, float, list[str]]:
    """Renewals, the least time that was left of a certificate, and what went wrong."""
    pki = ShortLived(folder / "pki")
    pki.issue("broker", "127.0.0.1", host="127.0.0.1")
    pki.issue("device", DEVICE)
    problems: list[str] = []
    least_s, done = hour_s, 0
    (folder / "broker").mkdir()
    with broker(folder / "broker", pki) as server:
        async with StandIn(folder, config(folder, pki, server.url)) as agent:
            await connected(agent)
            channel, due_s = Channel(agent), time.monotonic()
            for hour in range(hours):
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                due_s = time.monotonic() + hour_s / 2
                agent.clock.wall = datetime.now(timezone.utc)
                await channel.send("device.certificate", f"r{hour}", {"csr": True})
                await channel.settle()
                signed = pki.sign(str((await final(channel, f"r{hour}"))["out"]["csr"]), hour_s)
                await channel.send("device.certificate", f"c{hour}", {"chain": signed})
                await channel.settle()
                answer = await final(channel, f"c{hour}")
                if answer["state"] != "succeeded":
                    problems.append(f"hour {hour}: {answer['state']} {answer.get('reason', '')}")
                ends = tls.ends(str(folder / "state" / "certificate" / "device.pem"))
                left_s = (ends - datetime.now(timezone.utc)).total_seconds() if ends else 0.0
                least_s, done = min(least_s, left_s), done + 1
                await connected(agent)
            failed = {name: n for name, n in agent.session.faults.items() if "refused" in name or "unreach" in name}
            problems += [f"{name}: {n}" for name, n in failed.items()]
    return done, least_s, problems


def main() -> int:
    hours, hour_s = (float(sys.argv[n]) if len(sys.argv) > n else default for n, default in ((1, 48.0), (2, 10.0)))
    bench = Bench("operator_certificates", 6)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        done, least_s, problems = asyncio.run(renewed(Path(folder), int(hours), hour_s))
    print(problems[:5])
    bench.row(
        f"{done} certificates of one hour each ({hour_s:g} s here), renewed on the device, mosquitto",
        "0 outages",
        f"{len(problems)} outages; at least {100 * least_s / hour_s:.0f} % of a certificate was left",
        not problems and least_s > 0 and done == int(hours),
        exact=True,
    )
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
