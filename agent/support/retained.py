"""Reading what a broker has retained of a whole fleet, and knowing whether that was all.

MQTT has no "end of retained messages" and no word for a message that was dropped. mosquitto 2.0.11 drops what it would
send, its answers included, once the socket is full and max_queued_messages (1000 by default) packets wait for it, which
12 000 plans of 400 bytes reach on a loopback already (measured: 7 083 came). So:

- Devices are listed by one wildcard filter of small messages, twice or more. Drops fall on other devices each time
  while the socket drains; where it does not drain, the end of the list is missing each time, and so are the messages
  of a few exact filters in the same packet behind the wildcard. A list counts when nothing known is missing from it.
- All else is read by exact filters, a page of devices at a time, which no queue is too short for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from agent.support.client import FILTERS_A_PACKET, Client
from agent.support.fleet import Fleet

PASSES = 3
DROPS = "the broker drops messages for this client"
PAGE_DEVICES = 100  # with a plan and a few alarms each: a few hundred messages, well below the queue of 1000
QUIET_S = 0.5  # for brokers that send what is retained after their answer, in batches (EMQX)


class Incomplete(Exception):
    """Not all devices were read; the text says why."""


async def read_fleet(client: Client, fleet: Fleet, limit_s: float) -> None:
    """Presence, plan and alarms of the devices that `fleet` names, or of all. Raises Incomplete, OperatorError."""
    try:
        await asyncio.wait_for(_read(client, fleet), limit_s)
    except (asyncio.TimeoutError, TimeoutError):
        raise Incomplete(f"not all was read within {limit_s:g} s") from None


async def _read(client: Client, fleet: Fleet) -> None:
    named = sorted(fleet.members)
    subjects = ("status", "twin/plan", "a/+") if named else ("twin/plan", "a/+")
    problem = "" if named else await _list_devices(client, fleet)
    await _read_pages(client, fleet, named or sorted(fleet.members), subjects)
    if problem:
        raise Incomplete(problem)


async def _list_devices(client: Client, fleet: Fleet) -> str:
    """Fill `fleet` with all that have a presence; why the list may have holes, or nothing."""
    known: set[str] = set()
    for _ in range(PASSES):
        # The first ones: they came although all others came behind them.
        probes = sorted(known)[: FILTERS_A_PACKET - 1]
        filters = [client.filter("status"), *(client.filter("status", device) for device in probes)]
        topics, answered = await client.retained(filters, QUIET_S, fleet.take)
        came = Counter(topics)
        listed = {topic.removesuffix("/status") for topic in came if topic.endswith("/status")}
        if answered and listed == known and all(came[f"{probe}/status"] > 1 for probe in probes):
            return ""
        known |= listed
    return (
        f"{DROPS}; {len(known)} devices are known; name all in a file (--devices), or raise max_queued_messages there"
    )


async def _read_pages(client: Client, fleet: Fleet, devices: Sequence[str], subjects: Sequence[str]) -> None:
    for start in range(0, len(devices), PAGE_DEVICES):
        page = devices[start : start + PAGE_DEVICES]
        last = start + PAGE_DEVICES >= len(devices)
        filters = [client.filter(subject, device) for device in page for subject in subjects]
        _, answered = await client.retained(filters, QUIET_S if last else 0.0, fleet.take)
        if not answered:
            raise Incomplete(f"{DROPS}, or did not answer; {start} of {len(devices)} devices were read")
