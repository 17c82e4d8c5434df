"""`diag.*`: is the line there, how far does it reach, how fast is it. All bounded in packets, bytes and time.

What they move is booked as the operator's own traffic (`spending`), so that it does not use up the household's
allowance. From afar it is limited by the day, and reaches the internet alone (`targets`): names are resolved once, and
the address that was judged is the one that is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from agent.commands import limits, reach, results
from agent.commands.agent import Agent
from agent.commands.command import Args, Command, Out, Progress
from agent.errors import AgentError, Rejected, StoreError
from agent.net import dns as dns_query
from agent.net import icmp, resolv
from agent.net.spending import Payer, spend

if TYPE_CHECKING:
    from agent.command_schema import Rule
    from agent.net.http import Fetched

# At most, there and back, headers included: what is taken from the day's bytes before it is known what was moved.
ECHO_BYTES, HOP_BYTES, QUESTION_BYTES, OVERHEAD_BYTES = 208, 184, 9_000, 65_536
PING_S, HOP_S, DNS_S, HTTP_S, SPEED_S = 3.0, 2.0, 5.0, 20.0, 30.0


def _permit(agent: Agent, progress: Progress) -> Callable[[str], None]:
    """Raises Rejected for an address that support may not reach. A technician on the device is in the LAN himself."""

    def permit(address: str) -> None:
        if found := reach.refused(agent, address):
            raise Rejected(results.PERMISSION_DENIED, found)

    return permit if progress.id else lambda address: None


@contextlib.asynccontextmanager
async def _account(agent: Agent, progress: Progress, most_bytes: int) -> AsyncIterator[Payer]:
    """Of the day's bytes so many are taken at first, and what was moved in the end. Raises Rejected."""
    limit, moved = limits.diagnosis(agent), Moved(agent)
    await limits.take(agent, progress, limit, most_bytes)
    try:
        yield moved
    finally:
        with contextlib.suppress(StoreError):  # the day then has a little less
            await limits.settle(agent, progress, limit, moved.total_bytes - most_bytes)


class Moved:
    """Whose ledger it is, and how much was booked there."""

    def __init__(self, agent: Agent) -> None:
        self._agent, self.total_bytes = agent, 0

    def charge(self, received_bytes: int, sent_bytes: int) -> None:
        self.total_bytes += received_bytes + sent_bytes
        self._agent.charge(received_bytes, sent_bytes)


async def ping(agent: Agent, args: Args, progress: Progress) -> Out:
    address = await asyncio.to_thread(icmp.resolve, args["host"])
    _permit(agent, progress)(address.host)
    async with _account(agent, progress, args["count"] * ECHO_BYTES) as payer:
        return await _ping(payer, address, args, progress)


async def _ping(payer: Payer, address: icmp.Address, args: Args, progress: Progress) -> Out:
    times: list[float | None] = []
    for number in range(args["count"]):
        progress(100 * number // args["count"], f"asking {address.host}")
        try:
            took = await spend(payer, partial(icmp.echo, address, number=number, timeout_s=PING_S))
        except OSError as error:
            raise AgentError(f"{args['host']}: {error.strerror or error}") from error
        times.append(took)
        if took is not None and number + 1 < args["count"]:
            await asyncio.sleep(max(0.0, 0.2 - took / 1000))
    heard = sorted(took for took in times if took is not None)
    return {
        "v": 1,
        "host": args["host"],
        "address": address.host,
        "sent": len(times),
        "received": len(heard),
        "min_ms": _ms(min(heard, default=None)),
        "median_ms": _ms((heard[(len(heard) - 1) // 2] + heard[len(heard) // 2]) / 2 if heard else None),
        "max_ms": _ms(max(heard, default=None)),
        "times_ms": [_ms(took) for took in times],
    }


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


async def traceroute(agent: Agent, args: Args, progress: Progress) -> Out:
    address = await asyncio.to_thread(icmp.resolve, args["host"], ipv4_only=True)
    _permit(agent, progress)(address.host)
    async with _account(agent, progress, args["hops"] * HOP_BYTES) as payer:
        return await _traceroute(payer, address, args, progress)


async def _traceroute(payer: Payer, address: icmp.Address, args: Args, progress: Progress) -> Out:
    hops: list[Out] = []
    reached = False
    for ttl in range(1, args["hops"] + 1):
        progress(100 * ttl // args["hops"], f"hop {ttl}")
        try:
            found = await spend(payer, partial(icmp.hop, address.host, ttl=ttl, timeout_s=HOP_S))
        except OSError as error:
            raise AgentError(f"{args['host']}: {error.strerror or error}") from error
        hops.append({"ttl": ttl, "host": found.host or None, "ms": _ms(found.ms)})
        reached = found.reached or found.host == address.host
        if reached:
            break
    return {"v": 1, "host": args["host"], "address": address.host, "hops": hops, "reached": reached}


async def dns(agent: Agent, args: Args, progress: Progress) -> Out:
    permit = _permit(agent, progress)
    if args.get("server"):
        permit(args["server"])
    servers = [args["server"]] if args.get("server") else list(resolv.name_servers() or ())
    if not servers:
        raise AgentError("the device has no name server (resolv.conf is empty)")
    await limits.take(agent, progress, limits.diagnosis(agent), len(servers) * QUESTION_BYTES)
    out: list[Out] = []
    for server in servers:
        try:
            found = await asyncio.to_thread(dns_query.ask, server, args["name"], args["type"], timeout_s=DNS_S)
        except AgentError as error:
            out.append({"server": server, "error": str(error)})
        else:
            addresses = [_shown(address, permit) for address in found.addresses]
            out.append({**asdict(found), "addresses": addresses, "ms": _ms(found.ms)})
    return {"v": 1, "name": args["name"], "answers": out}


def _shown(address: str, permit: Callable[[str], None]) -> str:
    """The household's name server knows its devices by name: that there is one is all that support learns."""
    try:
        permit(address)
    except Rejected:
        return "local"
    return address


async def http(agent: Agent, args: Args, progress: Progress) -> Out:
    from agent.net import http as http_fetch  # http.client and ssl, which the command line has no use for

    fetch = partial(http_fetch.fetch, args["url"], permit=_permit(agent, progress))
    async with _account(agent, progress, args["bytes"] + OVERHEAD_BYTES) as payer:
        found = await spend(payer, partial(fetch, most_bytes=args["bytes"], limit_s=HTTP_S))
    return {
        "v": 1,
        "url": args["url"],
        "status": found.status,
        "bytes": found.body_bytes,
        "connect_ms": _ms(found.connect_ms),
        "first_byte_ms": _ms(found.first_byte_ms),
        "wire_bytes": found.cost.total_bytes,
    }


async def speed(agent: Agent, args: Args, progress: Progress) -> Out:
    """Download, and upload where a second address is given; the answer's rates are of the body alone."""
    from agent.net import http as http_fetch

    ways = 2 if args.get("upload_url") else 1
    permit = _permit(agent, progress)
    async with _account(agent, progress, ways * (args["bytes"] + args["bytes"] // 10 + OVERHEAD_BYTES)) as payer:
        return await _speed(payer, partial(http_fetch.fetch, permit=permit), args, progress)


async def _speed(payer: Payer, fetch: Callable[..., Fetched], args: Args, progress: Progress) -> Out:
    progress(5, "download")
    down = await spend(payer, partial(fetch, args["url"], most_bytes=args["bytes"], limit_s=SPEED_S))
    out: dict[str, object] = {
        "v": 1,
        # What was buffered before the first look came in no time: then the wait for it counts too.
        "down_bps": _rate(
            down.body_bytes, down.body_s if down.body_s > 0.05 else down.body_s + down.first_byte_ms / 1000
        ),
        "down_bytes": down.body_bytes,
        "first_byte_ms": _ms(down.first_byte_ms),
        "wire_bytes": (wire_bytes := down.cost.total_bytes),
    }
    if args.get("upload_url"):
        progress(50, "upload")
        sent = partial(fetch, args["upload_url"], most_bytes=65_536, upload_bytes=args["bytes"])
        up = await spend(payer, partial(sent, limit_s=SPEED_S))
        out["up_bps"] = _rate(args["bytes"], (up.first_byte_ms - up.connect_ms) / 1000)
        out["wire_bytes"] = wire_bytes + up.cost.total_bytes
    return out


def _rate(size_bytes: int, seconds: float) -> int | None:
    return round(size_bytes * 8 / seconds) if seconds > 0.001 else None


HOST: Rule = {"type": "string", "minLength": 1, "maxLength": 253, "pattern": r"^[A-Za-z0-9._:%-]+$", "required": True}
URL: Rule = {"type": "string", "maxLength": 500, "pattern": r"^https?://"}

ROWS = (
    Command(
        "diag.ping",
        "round trips to a host, by ICMP echo",
        ping,
        args={"host": HOST, "count": {"type": "integer", "minimum": 1, "maximum": 20, "default": 4}},
        time_limit_s=120.0,
        resource="line",
    ),
    Command(
        "diag.traceroute",
        "the way to a host (IPv4)",
        traceroute,
        args={"host": HOST, "hops": {"type": "integer", "minimum": 1, "maximum": 30, "default": 20}},
        time_limit_s=120.0,
        resource="line",
    ),
    Command(
        "diag.dns",
        "ask the device's name servers, or a given one, for a name",
        dns,
        args={
            "name": HOST,
            "type": {"type": "string", "enum": ["A", "AAAA"], "default": "A"},
            "server": {"type": "string", "maxLength": 64, "pattern": r"^[0-9A-Fa-f.:]+$"},
        },
        time_limit_s=40.0,
        resource="line",
    ),
    Command(
        "diag.http",
        "fetch a web address: status, times and bytes",
        http,
        args={
            "url": {**URL, "required": True},
            "bytes": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 65_536},
        },
        role="act",
        reads=lambda args: True,
        time_limit_s=40.0,
        resource="line",
    ),
    Command(
        "diag.speed",
        "rate of a bounded download and upload, booked as the operator's own traffic",
        speed,
        args={
            "url": {**URL, "required": True},
            "upload_url": URL,
            "bytes": {"type": "integer", "minimum": 10_000, "maximum": 50_000_000, "default": 5_000_000},
        },
        role="act",
        reads=lambda args: True,
        time_limit_s=90.0,
        repeatable=False,
        resource="line",
    ),
)
