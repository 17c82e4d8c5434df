"""What a day of reporting costs on the wire, and a month without a broker.

    python -m tests.bench.operator_day

The day: default settings, a real mosquitto over TLS 1.3 with certificates on both sides, a household simulated through
24 hours of the agent's clock (usage by hour, a modem that stands still, a warning, a throttle, three reconnections,
five commands). Beats and keep-alives follow the agent's clock; the pings that paho would send in real time are sent
one for one. Bytes are the kernel's: what TCP_INFO says of every connection, headers included.

The outage: 30 days of beats and events with no broker; then it comes back.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from agent.config import OperatorSettings
from agent.events import Charged, Occurrence
from tests.bench.operator_ledger import Received
from tests.bench.rows import Bench
from tests.commands.standin import DEVICE, StandIn, config_for
from tests.mqtt.broker import Mosquitto, free_port
from tests.mqtt.desk import Desk
from tests.mqtt.events import notice
from tests.mqtt.pki import Pki

STEP_S = 60.0
DAY_S = 86_400.0


@dataclass(frozen=True)
class Reading:
    """The part of a modem's reading that reports are drawn from."""

    rsrp: int
    cell: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "identity": {"manufacturer": "Quectel", "model": "EC25", "revision": "EC25EFAR06A06M4G",
                         "imei": "990000862471854"},
            "sim": {"state": "ready", "imsi": "206010000000001", "iccid": "8932010000000000001", "msisdn": None},
            "registration": {"stat": 1, "name": "home", "roaming": False, "tac": "1A2B", "ci": self.cell},
            "operator": {"plmn": "20601", "name": "Test"},
            "signal": {"rssi_dbm": self.rsrp + 30, "rsrp_dbm": self.rsrp, "rsrq_db": -11, "sinr_db": 9, "band": "B3",
                       "earfcn": 1300, "pci": 120},
            "access_technology": "LTE",
            "temperature_c": 41,
        }  # fmt: skip


class Household(StandIn):
    """Usage and radio through a day."""

    dice = random.Random(40)
    reading = Reading(-98, "0A1B2C3")

    def snapshot(self) -> Any:
        return replace(super().snapshot(), modem_state="ready", reading=cast(Any, self.reading))

    def minute(self, number: int) -> None:
        """The signal of a modem that stands still: it wavers by some decibels; now and then another cell serves."""
        if number % 5 == 0:
            cell = self.reading.cell if self.dice.random() > 0.02 else f"0A1B2C{self.dice.randrange(10)}"
            self.reading = Reading(round(self.dice.gauss(-98, 2.5)), cell)
        hour = number // 60
        used = int(self.dice.expovariate(1 / (2_000_000 if 7 <= hour < 23 else 100_000)))
        self.ledger = replace(self.ledger, received_bytes=self.ledger.received_bytes + used)
        if number == 600:
            self.event("warning", notice("warning", 80))
        if number == 1100:
            self.event("throttle", notice("throttled", 100))


Curve = list[tuple[float, float]]


async def day(folder: Path) -> tuple[int, int, int, Curve]:
    """Bytes on the wire, messages, seconds of the longest beat; and kB by the hour of the day."""
    pki = Pki(folder / "pki")
    pki.issue("broker", "127.0.0.1", host="127.0.0.1")
    pki.issue("device", DEVICE)
    broker_folder = folder / "broker"
    broker_folder.mkdir()
    tls = f"cafile {pki.path('ca.pem')}\ncertfile {pki.path('broker.pem')}\nkeyfile {pki.path('broker.key')}\n"
    secured = f"{tls}require_certificate true\nuse_identity_as_username true\n"
    broker = Mosquitto(broker_folder, "", tls=secured)
    plain = free_port()
    broker.config.write_text(
        "per_listener_settings true\n"
        + broker.config.read_text()
        + f"listener {plain} 127.0.0.1\nallow_anonymous true\n"
    )
    files = {"ca_file": pki.path("ca.pem"), "cert_file": pki.path("device.pem"), "key_file": pki.path("device.key")}
    total, curve = 0, Curve()

    def hear(event: Occurrence) -> None:
        nonlocal total
        if not isinstance(event, Charged):
            return
        total += event.received_bytes + event.sent_bytes
        curve.append(((agent.clock.boot_s - began_s) / 3600, total / 1000))

    with broker:
        agent = Household(folder, config_for(f"mqtts://127.0.0.1:{broker.port}", **files))
        agent.session._emit, began_s = hear, agent.clock.boot_s
        # The agent's clock runs hundreds of times faster than the broker: no PUBACK is late by it.
        agent.session._timing = replace(agent.session._timing, puback_s=1e9, connack_s=1e9)
        async with Desk(plain) as desk:
            await _hours(agent, desk)
            messages = len([topic for topic, _, _ in desk.messages if "/cmd/" not in topic or topic.endswith("/res")])
            beats = [body["up"] for body in desk.bodies("/m/traffic")]
    longest = max(b - a for a, b in itertools.pairwise(beats))
    return total, messages, longest, curve


async def _hours(agent: Household, desk: Desk) -> None:
    """24 hours of the agent's clock, as fast as the session settles."""
    await agent.outbox.open()
    session = asyncio.create_task(agent.session.run())
    while not agent.session.state.connected:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    last_sent_s = agent.clock.boot_s
    for number in range(int(DAY_S / STEP_S)):
        agent.clock.boot_s += STEP_S
        agent.clock.wall += timedelta(seconds=STEP_S)
        agent.minute(number)
        before = agent.outbox._next
        await agent.reporter.report()
        if number % 288 == 100:
            desk.send(agent.topics.request("status", f"s{number}"), {"v": 1, "id": f"s{number}", "type": "status"})
            await desk.until(lambda n=number: desk.answers(f"s{n}"))  # type: ignore[misc]
        if number % 480 == 300 and agent.session._connection is not None:
            agent.session._connection.drop()
            await asyncio.sleep(0.5)
        await _settled(agent)
        if agent.outbox._next != before:
            last_sent_s = agent.clock.boot_s
        elif agent.clock.boot_s - last_sent_s >= agent.session._keepalive.seconds and agent.session._connection:
            agent.session._connection._client._send_pingreq()  # what paho does after so long in real time
            last_sent_s = agent.clock.boot_s
    await asyncio.sleep(0.2)
    await agent.session.stop()
    await session
    await agent.outbox.flush(last=True)
    agent.store.close()


async def _settled(agent: Household) -> None:
    """Until everything that was reported is acknowledged."""
    for _ in range(2_000):
        sender = agent.session._sender
        if sender is not None and not sender.flying and agent.outbox.rows == 0 and not agent.twins.due:
            return
        await asyncio.sleep(0.002)
    raise AssertionError("the session does not settle")


async def outage(folder: Path, days: int) -> dict[str, Any]:
    """Days of beats and events with no broker, then a broker that takes everything."""
    agent = Household(folder, config_for("mqtt://127.0.0.1:9"))  # nobody listens on the discard port
    settings = OperatorSettings()
    await agent.outbox.open()
    events, rss_mb, most_rows, most_bytes = 0, [], 0, 0
    for number in range(int(days * DAY_S / 300)):
        agent.clock.boot_s += 300
        agent.clock.wall += timedelta(seconds=300)
        agent.minute(number % 1440)
        if number % 12 == 0:
            agent.event("warning", {"number": number})
            events += 1
        await agent.reporter.report()
        if number % 288 == 0:
            rows, size = await agent.store.run(lambda db: db.outbox.size())
            most_rows, most_bytes = max(most_rows, rows), max(most_bytes, size)
            rss_mb.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    received = Received()
    newest, heard = 0, 0
    while (row := await agent.outbox.take()) is not None:
        received.message(row.topic, row.payload)
        body = json.loads(row.payload)
        heard += row.topic.endswith("/e/warning") and "number" in body
        newest = max(newest, body["up"]) if "/m/" in row.topic else newest
        agent.outbox.acknowledged(row)
    age_s = agent.clock.boot_s - newest
    agent.store.close()
    return {
        "rows": most_rows, "bytes": most_bytes, "events": (heard, events), "age_s": age_s,
        "growth_mb": rss_mb[-1] - rss_mb[1], "dropped": agent.outbox.dropped, "problems": received.problems(),
        "bounds": (settings.outbox_rows, settings.outbox_bytes),
    }  # fmt: skip


def main() -> int:
    bench = Bench("operator_day", 6)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        size, messages, longest, curve = asyncio.run(day(Path(folder)))
    bench.row(
        "a day of a typical household, default settings, TLS 1.3 with client certificate, 3 reconnections, 5 commands",
        "at most 100 kB on the wire",
        f"{size / 1000:.1f} kB, {messages} messages, longest beat {longest} s; {time.monotonic() - began:.0f} s",
        size <= 100_000,
    )
    bench.curve("on the wire, kB", curve)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(outage(Path(folder), 30))
    rows, size_bytes = found["bounds"]
    kept = found["rows"] <= rows and found["bytes"] <= size_bytes and found["events"][0] == found["events"][1]
    bench.row(
        "a broker that is away for 30 days",
        "outbox within its bounds, newest state and all events kept, memory flat",
        f"at most {found['rows']} of {rows} rows and {found['bytes'] / 1e6:.2f} of {size_bytes / 1e6:.0f} MB, "
        f"{found['events'][0]} of {found['events'][1]} events, newest measurement {found['age_s']:.0f} s old, "
        f"{found['dropped']} given up, gaps reported: {not found['problems']}, memory +{found['growth_mb']:.1f} MB",
        kept and found["age_s"] <= 900 and not found["problems"] and found["growth_mb"] < 2,
    )
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(outage(Path(folder), 90))
    bench.row(
        "a broker that is away for 90 days: twice what the outbox holds",
        "bounds kept, what was given up is reported, no event among it",
        f"at most {found['rows']} rows, {found['dropped']} given up, "
        f"{found['events'][0]} of {found['events'][1]} events "
        f"(45 days are kept), gaps reported: {not found['problems']}, memory +{found['growth_mb']:.1f} MB",
        found["rows"] <= rows and not found["problems"] and found["growth_mb"] < 2,
    )
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
