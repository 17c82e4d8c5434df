"""2 000 devices report while office, PostgreSQL and broker are killed or restarted: nothing lost, nothing twice.

.venv/bin/python -m tests.bench.office_kills [KILLS] [RESTARTS] [DEVICES] [SEED]

KILLS of an office process (two run), KILLS of PostgreSQL, all by kill -9; RESTARTS of the broker, in order. One report
in ten is sent twice, one measurement in fifty is never sent and named by `e/lost`. Compared in the end: the keys of the
table with those that had a PUBACK, the view `lost` with what was named, the view `gaps` with what is missing.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from agent.support.office.database import Office
from tests.bench.office_replay import subscribed
from tests.bench.office_sender import Sender
from tests.bench.office_setup import DAY, Site, device_id, report, site, traffic
from tests.bench.rows import Bench

DUPLICATES, GAPS = 0.1, 0.02
SENDERS = 4
PATIENCE_S = 300.0
KEYS = "select d.name, r.seq from report r join device d on d.id = r.device where r.boot <> 'ffffffff'"
NUMBERS = (
    "select device, generate_series(lower(r), upper(r) - 1) from {view}, unnest({column}) r where boot <> 'ffffffff'"
)

Key = tuple[str, int]


@dataclass
class Truth:
    """What is sent, by number; what the devices give up."""

    sent: set[Key] = field(default_factory=set)
    lost: set[Key] = field(default_factory=set)
    twice: int = 0


def reports(devices: range, dice: random.Random, truth: Truth, over: asyncio.Event) -> Iterator[tuple[str, bytes]]:
    """Beat after beat until it is over; then every device names what is missing, and sends a last measurement."""
    seqs = dict.fromkeys(devices, 0)
    missing: dict[int, list[int]] = {device: [] for device in devices}
    beat = 0
    while not over.is_set():
        beat += 1
        at = DAY + timedelta(seconds=900 * beat)
        for device in devices:
            seqs[device] += 1
            if dice.random() < GAPS:
                missing[device].append(seqs[device])
                truth.lost.add((device_id(device), seqs[device]))
                continue
            yield from _sent(truth, dice, device, seqs[device], traffic(device, seqs[device], at))
    at = DAY + timedelta(seconds=900 * (beat + 1))
    for device in devices:
        boot = f"{device:08x}"
        if missing[device]:
            seqs[device] += 1
            ranges = {"ranges": [[boot, number, number] for number in missing[device]]}
            yield from _sent(truth, dice, device, seqs[device], report(device, seqs[device], "e/lost", at, ranges))
        for make in (traffic(device, seqs[device] + 1, at), report(device, seqs[device] + 2, "e/end", at, {})):
            seqs[device] += 1
            yield from _sent(truth, dice, device, seqs[device], make)


def _sent(
    truth: Truth, dice: random.Random, device: int, seq: int, message: tuple[str, bytes]
) -> Iterator[tuple[str, bytes]]:
    truth.sent.add((device_id(device), seq))
    yield message
    if dice.random() < DUPLICATES:
        truth.twice += 1
        yield message


class Storm:
    """See the module; `run` returns once all is sent and stored, or patience is over."""

    def __init__(self, place: Site, kills: int, restarts: int, devices: int, seed: int) -> None:
        self.place, self.kills, self.restarts, self.devices = place, kills, restarts, devices
        self.dice = random.Random(seed)
        self.truth = Truth()
        self.resent = 0
        self.done = {"office": 0, "postgres": 0, "broker": 0}
        self._offices: dict[str, subprocess.Popen[bytes]] = {}

    async def run(self) -> None:
        for name in ("1", "2"):
            self._offices[name] = self.place.office(name)
        try:
            asking = self._asking()
            await subscribed(self.place.broker.port, asking)
            asking.close()
            over = asyncio.Event()
            senders = [Sender(self.place.broker.port, f"sender-{number}") for number in range(SENDERS)]
            sending = [asyncio.create_task(self._send(sender, n, over)) for n, sender in enumerate(senders)]
            await self._break()
            over.set()
            await asyncio.gather(*sending)
            self.resent = sum(sender.resent for sender in senders)
            await asyncio.to_thread(self._drained)
        finally:
            for process in self._offices.values():
                process.terminate()
            for process in self._offices.values():
                process.wait(60)

    async def _send(self, sender: Sender, number: int, over: asyncio.Event) -> None:
        share = range(number, self.devices, SENDERS)
        # Slower than what is stored between two kills, else the run ends with hours of backlog.
        await sender.send(reports(share, random.Random(self.dice.random()), self.truth, over), pace_s=SENDERS / 400)

    def _asking(self) -> Office:
        asking = Office(self.place.postgres.dsn)
        asking.ensure()
        return asking

    async def _break(self) -> None:
        fates = ["office"] * self.kills + ["postgres"] * self.kills + ["broker"] * self.restarts
        self.dice.shuffle(fates)
        for fate in fates:
            await asyncio.sleep(self.dice.uniform(0.2, 1.5))
            await asyncio.to_thread(getattr(self, f"_{fate}"))
            self.done[fate] += 1

    def _office(self) -> None:
        name = self.dice.choice(sorted(self._offices))
        self._offices[name].kill()
        self._offices[name].wait()
        self._offices[name] = self.place.office(name)

    def _postgres(self) -> None:
        self.place.postgres.kill()
        self.place.postgres.start()

    def _broker(self) -> None:
        self.place.broker.stop()
        self.place.broker.start()

    def _drained(self) -> None:
        """Until nothing more is expected; what is missing after that is a fault."""
        asking, deadline = self._asking(), time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if asking.rows(f"select count(*) from ({KEYS}) k")[0][0] >= len(self.truth.sent):
                break
            time.sleep(0.5)
        asking.close()


def numbers(asking: Office, view: str, column: str) -> set[Key]:
    return {(device, int(seq)) for device, seq in asking.rows(NUMBERS.format(view=view, column=column))}


def main() -> int:
    given = [int(word) for word in sys.argv[1:]]
    kills, restarts, devices, seed = given + [50, 5, 2_000, 1][len(given) :]
    bench = Bench("office_kills", issue=24)
    with site() as place:
        storm = Storm(place, kills, restarts, devices, seed)
        began = time.monotonic()
        asyncio.run(storm.run())
        took_s = time.monotonic() - began
        asking = Office(place.postgres.dsn)
        asking.ensure()
        rows = [(device, int(seq)) for device, seq in asking.rows(KEYS)]
        lost, gaps = numbers(asking, "lost", "numbers"), numbers(asking, "gaps", "gap")
        unnamed = numbers(asking, "gaps", "open")
        asking.close()
    truth = storm.truth
    bench.row(
        f"{devices} devices; office and PostgreSQL killed {kills} times each, broker restarted {restarts} times",
        "the set in the table equals the set sent",
        f"{len(truth.sent)} sent, {len(truth.sent - set(rows))} missing, {len(set(rows) - truth.sent)} invented, "
        f"{len(rows) - len(set(rows))} twice, in {took_s:.0f} s",
        set(rows) == truth.sent and len(rows) == len(truth.sent),
        peer=f"{truth.twice} sent twice, {storm.resent} again after a cut; {storm.done}", exact=True,
    )  # fmt: skip
    bench.row(
        "views `lost` and `gaps` equal what e/lost named; nothing is open", "equal",
        f"{len(truth.lost)} named, {len(lost ^ truth.lost)} and {len(gaps ^ truth.lost)} differ, {len(unnamed)} open",
        lost == gaps == truth.lost and not unnamed, exact=True,
    )  # fmt: skip
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
