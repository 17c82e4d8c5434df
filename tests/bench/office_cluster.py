"""A broker of three NATS nodes, one of them killed in the middle of a storm: what had a PUBACK is in the database.

.venv/bin/python -m tests.bench.office_cluster [DEVICES] [KILLS] [WAY]...

In two ways: devices come to the cluster itself, and to a mosquitto that bridges to it. In a storm every device has an
event, all are cut off in the same second, and once a third has delivered it a node is killed (kill -9), each in turn.
The cluster, HAProxy and the bridge have the settings that firmware-config/broker/ ships.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.config import Config
from agent.mqtt import Timing
from agent.support.office.database import Office
from simulator.fleet.broker import Mosquitto, raise_file_limit
from simulator.fleet.device import Device
from tests.bench.office_replay import subscribed
from tests.bench.office_sender import Sender
from tests.bench.office_setup import ROOT, day_of, office_process
from tests.bench.rows import Bench
from tests.brokers.cluster import Cluster, bridge
from tests.mqtt.events import notice
from tests.support.postgres import Postgres

DEVICES, KILLS = 2_000, 3
BEAT_S = 60  # the agent's is 900: 2 000 devices send here what 30 000 do
COMMANDS = 20
PATIENCE_S = 300.0
MEASURED = 20_000  # reports, for the rate

Last = dict[tuple[str, str], int]  # (device, boot) -> the number of its last report


class Storm:
    """The devices at one address, and what befalls them. Raises TimeoutError that names what did not come."""

    def __init__(self, url: str, protocol: str, devices: int, first: int = 0) -> None:
        base = Config()
        operator = replace(base.operator, url=url, protocol=protocol, beat_s=BEAT_S, budget_bytes_day=10**9)
        config, timing = replace(base, operator=operator), Timing(tick_s=10.0)
        self.devices = [
            Device(n, config, random.Random(n), timing, BEAT_S / 2) for n in range(first, first + devices)
        ]  # fmt: skip

    async def start(self) -> None:
        for device in self.devices:
            await device.start()
            await asyncio.sleep(1 / 40)  # as a fleet that is brought up, not as a storm
        await self.delivered()

    async def burst(self, trouble: Callable[[], None]) -> float:
        """Seconds from the cut until all are back and have delivered."""
        before = [device.outbox.numbered for device in self.devices]
        self.speak()

        def a_third() -> bool:
            pairs = zip(self.devices, before, strict=True)
            done = sum(device.outbox.numbered > number and device.outbox.rows == 0 for device, number in pairs)
            return 3 * done > len(self.devices)

        began = time.monotonic()
        for device in self.devices:
            device.cut()
        await until("the event of a third delivered", a_third)
        await asyncio.to_thread(trouble)
        await self.delivered()
        return time.monotonic() - began

    def speak(self) -> None:
        """Every device has an event."""
        for number, device in enumerate(self.devices):
            device.household(60.0)
            device.event("warning", notice("warning", number))

    async def delivered(self) -> Last:
        """Once every device is connected and nothing waits for a PUBACK: all numbers up to these had one."""
        last: Last = {}

        def all_of_them() -> bool:
            for device in self.devices:
                if device.outbox.rows == 0:
                    last[device.device, device.outbox.boot] = device.outbox.numbered
            return len(last) == len(self.devices) and all(device.connected for device in self.devices)

        await until("all devices back, with nothing undelivered", all_of_them)
        return last

    async def stop(self) -> None:
        for start in range(0, len(self.devices), 100):
            await asyncio.gather(*(device.stop() for device in self.devices[start : start + 100]))


async def until(what: str, done: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {patience_s:.0f} s")
        await asyncio.sleep(0.1)


def missing(asking: Office, last: Last) -> int:
    """Of the numbers up to these, how many the office has neither stored nor been told of as lost."""
    known = {
        (name, boot): ranges
        for name, boot, ranges in asking.rows(
            "select d.name, boot, arrived + lost from boot b join device d on d.id = b.device"
        )
    }
    count = 0
    for key, number in last.items():
        had = sum(min(one.upper, number + 1) - one.lower for one in known.get(key, ()) if one.lower <= number)
        count += number - had
    return count


@dataclass
class Result:
    """What came of one way. `after_kill`: sent and missing once the devices' mosquitto itself was killed too.

    `stranded`: how many the devices said while that mosquitto could not reach the cluster, how many of these were lost
    when it was killed then, and how many numbers the view `gaps` named more than before.
    """

    sent: int = 0
    missing: int = 0
    back_s: list[float] = field(default_factory=list)
    answered: int = 0
    node_mb: float = 0.0
    edge_mb: float = 0.0
    after_kill: tuple[int, int] | None = None
    stranded: tuple[int, int, int] | None = None


@dataclass
class Site:
    cluster: Cluster
    asking: Office
    tell: Callable[[str], None]

    async def settled(self, last: Last) -> int:
        """What is missing once nothing more comes."""
        left = missing(self.asking, last)
        deadline = time.monotonic() + PATIENCE_S
        while left and time.monotonic() < deadline:
            await asyncio.sleep(1.0)
            left = missing(self.asking, last)
        return left

    async def storms(self, storm: Storm, kills: int) -> Result:
        result = Result()
        await storm.start()
        self.tell(f"{len(storm.devices)} devices are connected")
        for number in range(kills):
            node = self.cluster.nodes[number % len(self.cluster.nodes)]
            result.back_s.append(await storm.burst(node.kill))
            self.tell(f"{node.folder.name} killed; all back and delivered after {result.back_s[-1]:.0f} s")
            await asyncio.to_thread(node.start)
            await asyncio.to_thread(self.cluster.whole)
        result.node_mb = max(node.memory_mb for node in self.cluster.nodes)
        last = await storm.delivered()
        result.sent, result.missing = sum(last.values()), await self.settled(last)
        result.answered = await self._commands(storm)
        return result

    async def stranded(self, storm: Storm, edge: Mosquitto) -> tuple[int, int, int]:
        """The mosquitto has acknowledged what the cluster cannot take, and is killed."""
        before, named = await storm.delivered(), self._named()
        lost = missing(self.asking, before)
        await asyncio.to_thread(self.cluster.balancer.stop)
        storm.speak()
        await until(
            "numbers for the events",
            lambda: all(device.outbox.numbered > before[device.device, device.outbox.boot] for device in storm.devices),
        )
        waiting = await storm.delivered()
        edge.stop(kill=True)
        await asyncio.to_thread(self.cluster.balancer.start)
        edge.start()
        storm.speak()
        last = await storm.delivered()
        # In order: what has not come once the last of a device has come does not come any more.
        await until("the last report of every device", lambda: not self._behind(last))
        said = sum(waiting.values()) - sum(before.values())
        return said, missing(self.asking, waiting) - lost, self._named() - named

    def _behind(self, last: Last) -> int:
        """How many devices have said more than has arrived."""
        rows = self.asking.rows("select d.name, boot, upper(arrived) from boot b join device d on d.id = b.device")
        arrived = {(name, boot): upper for name, boot, upper in rows}
        return sum(arrived.get(key, 0) <= number for key, number in last.items())

    def _named(self) -> int:
        """Numbers that the view `gaps` has, without those that devices gave up themselves."""
        ((count,),) = self.asking.rows("select coalesce(sum(upper(r) - lower(r)), 0) from gaps, unnest(gap - named) r")
        return int(count)

    async def _commands(self, storm: Storm) -> int:
        """How many devices answer a command that is given to the cluster."""
        asked = storm.devices[:COMMANDS]
        requests = [
            (
                f"{ROOT}/{device.device}/cmd/status/c{device.number}/req",
                {"v": 1, "id": f"c{device.number}", "type": "status"},
            )
            for device in asked
        ]
        await Sender(self.cluster.port, "desk").send([(topic, json.dumps(body).encode()) for topic, body in requests])
        names = {device.device for device in asked}

        def answers() -> int:
            rows = self.asking.rows("select distinct device from reports where topic like 'cmd/status/%'")
            return len(names & {name for (name,) in rows})

        deadline = time.monotonic() + PATIENCE_S
        while answers() < len(asked) and time.monotonic() < deadline:  # noqa: ASYNC110  # other processes answer
            await asyncio.sleep(0.5)
        return answers()


async def direct(site: Site, folder: Path, devices: int, kills: int) -> Result:
    storm = Storm(site.cluster.url, "3.1.1", devices)
    try:
        return await site.storms(storm, kills)
    finally:
        await storm.stop()


async def bridged(site: Site, folder: Path, devices: int, kills: int) -> Result:
    """The devices' numbers follow those of `direct`: nothing of theirs is in the database yet."""
    edge = Mosquitto(folder, bridge(site.cluster.port))
    edge.start()
    storm = Storm(edge.url, "5", devices, first=devices)
    try:
        result = await site.storms(storm, kills)
        result.edge_mb = edge.memory_mb()

        def killed() -> None:
            edge.stop(kill=True)
            edge.start()

        await storm.burst(killed)
        last = await storm.delivered()
        result.after_kill = sum(last.values()), await site.settled(last)
        result.stranded = await site.stranded(storm, edge)
        return result
    finally:
        await storm.stop()
        edge.stop()


async def rate(port: int) -> float:
    """Reports a second that the cluster acknowledges to one connection, while the office stores them."""
    began = time.monotonic()
    await Sender(port, "rate").send(day_of(1_000, MEASURED // 1_000))
    return MEASURED / (time.monotonic() - began)


@contextmanager
def site(folder: Path, tell: Callable[[str], None]) -> Iterator[Site]:
    folder.chmod(0o755)
    with Postgres(folder / "postgres") as postgres, Cluster(folder) as cluster:
        office = office_process(cluster.url, postgres, "1")
        asking = Office(postgres.dsn)
        try:
            asking.ensure()
            asyncio.run(subscribed(cluster.port, asking))
            yield Site(cluster, asking, tell)
        finally:
            asking.close()
            office.terminate()
            office.wait(60)


WAYS = {
    "direct": (direct, "at three NATS nodes"),
    "bridged": (bridged, "at a mosquitto that bridges to three NATS nodes"),
}


def rows(bench: Bench, where: str, devices: int, result: Result) -> None:
    bench.row(
        f"{devices} devices {where}, a node killed in each of {len(result.back_s)} storms: PUBACKed reports not stored",
        "0", f"{result.missing} of {result.sent}", result.missing == 0,
        peer=f"all back and delivered after {', '.join(f'{s:.0f}' for s in result.back_s)} s", exact=True,
    )  # fmt: skip
    commands = min(devices, COMMANDS)
    bench.row(
        f"commands given to the cluster and answered by devices {where}", str(commands),
        str(result.answered), result.answered == commands, exact=True,
    )  # fmt: skip
    bench.row(f"memory of a node, {devices} devices {where}", "printed", f"{result.node_mb:.0f} MB", None)
    if result.after_kill is not None:
        sent, lost = result.after_kill
        bench.row(
            f"memory of the mosquitto, {devices} devices without TLS", "printed", f"{result.edge_mb:.0f} MB", None
        )
        bench.row(
            "the mosquitto itself killed in a storm, its state saved every 60 s: PUBACKed reports not stored",
            "printed", f"{lost} of {sent}", None,
        )  # fmt: skip
    if result.stranded is not None:
        said, lost, named = result.stranded
        bench.row(
            "killed while the cluster is out of its reach: reports lost that it had acknowledged, and named in `gaps`",
            "every one that is lost is named", f"{lost} of {said} lost, {named} named", lost == named, exact=True,
        )  # fmt: skip


def main() -> int:
    given = [int(word) for word in sys.argv[1:3]]
    devices, kills = given + [DEVICES, KILLS][len(given) :]
    ways = sys.argv[3:] or list(WAYS)
    logging.getLogger("agent").setLevel(logging.CRITICAL)
    raise_file_limit(devices * 6 + 200)
    bench = Bench("office_cluster", issue=24)

    def tell(text: str) -> None:
        print(text, flush=True)

    with TemporaryDirectory(prefix="office-cluster-", dir=os.environ.get("MODEM_AGENT_SCRATCH")) as scratch:
        folder = Path(scratch)
        with site(folder, tell) as place:
            for way in ways:
                run, where = WAYS[way]
                edge = folder / way
                edge.mkdir()
                rows(bench, where, devices, asyncio.run(run(place, edge, devices, kills)))
            a_second = asyncio.run(rate(place.cluster.port))
    bench.row("reports a second that three nodes take from one connection", "printed", f"{a_second:.0f}", None)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
