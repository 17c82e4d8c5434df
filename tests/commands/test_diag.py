"""Diagnostics on loopback: real echoes, real sockets, and what they cost booked as the operator's traffic."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commands.command import Quiet
from agent.commands.execute import execute, perform
from agent.commands.rows import diag
from agent.commands.rows.modem import networks
from agent.commands.table import COMMANDS
from agent.config import Config
from agent.errors import AgentError, Rejected
from agent.net import dns as dns_query
from agent.net import icmp
from tests.commands.standin import StandIn


def run(tmp_path: Path, name: str, args: dict[str, Any]) -> tuple[Any, Any]:
    async def story() -> tuple[Any, Any]:
        with StandIn(tmp_path, Config()) as agent:
            return await execute(agent, name, args, role="admin", source="test"), agent.ledger

    return asyncio.run(story())


def test_ping(tmp_path: Path) -> None:
    try:
        out, ledger = run(tmp_path, "diag.ping", {"host": "127.0.0.1", "count": 3})
    except Rejected as refusal:
        if "not permitted" in refusal.reason:
            pytest.skip("ICMP echo sockets: not permitted to this user")
        raise
    assert (out["sent"], out["received"]) == (3, 3)
    # 20 bytes of IPv4, 8 of ICMP and 56 of ping(8), there and back.
    assert (ledger.management_sent_bytes, ledger.management_received_bytes) == (3 * 84, 3 * 84)
    assert 0 < out["min_ms"] <= out["median_ms"] <= out["max_ms"] < 1_000


def test_traceroute(tmp_path: Path) -> None:
    out, ledger = run(tmp_path, "diag.traceroute", {"host": "127.0.0.1"})
    assert out["reached"]
    assert (ledger.management_sent_bytes, ledger.management_received_bytes) == (60, 88)
    assert [hop["host"] for hop in out["hops"]] == ["127.0.0.1"]


def test_a_name_that_does_not_resolve(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"nothing\.invalid"):
        run(tmp_path, "diag.ping", {"host": "nothing.invalid"})


def test_http_is_bounded_and_booked(tmp_path: Path, pages: str) -> None:
    out, ledger = run(tmp_path, "diag.http", {"url": f"{pages}/zeros/5000000", "bytes": 100_000})
    assert (out["status"], out["bytes"]) == (200, 100_000)
    booked = ledger.management_received_bytes + ledger.management_sent_bytes
    assert booked == out["wire_bytes"] >= 100_000
    out, _ = run(tmp_path / "other", "diag.http", {"url": f"{pages}/absent"})
    assert out["status"] == 404


def test_speed_both_ways(tmp_path: Path, pages: str) -> None:
    args = {"url": f"{pages}/zeros/1000000", "upload_url": f"{pages}/up", "bytes": 1_000_000}
    out, ledger = run(tmp_path, "diag.speed", args)
    assert out["down_bytes"] == 1_000_000
    assert out["down_bps"] > 1_000_000
    assert out["up_bps"] > 1_000_000
    assert ledger.management_received_bytes > 1_000_000
    assert ledger.management_sent_bytes > 1_000_000


HELD_BYTES = 60_000


@pytest.fixture
def holding() -> Iterator[tuple[str, threading.Event]]:
    """A server whose answer is a part of what it promised, and then nothing; set once that part is sent."""
    sent, over = threading.Event(), threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + bytes(HELD_BYTES))
            sent.set()
            over.wait(60)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/", sent
        over.set()
        thread.join()


class Charged(StandIn):
    """Says when something has been booked: once the work has ended, which nobody may be waiting for."""

    charged: asyncio.Event

    def charge(self, received_bytes: int, sent_bytes: int) -> None:
        super().charge(received_bytes, sent_bytes)
        self.charged.set()

    async def booked(self) -> int:
        await asyncio.wait_for(self.charged.wait(), 30)
        return self.ledger.management_received_bytes


@pytest.mark.parametrize("name", ["diag.http", "diag.speed"])
def test_what_is_cancelled_is_booked_and_ends(
    tmp_path: Path, holding: tuple[str, threading.Event], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    url, sent = holding
    for limit in ("HTTP_S", "SPEED_S"):
        monkeypatch.setattr(diag, limit, 600.0)

    async def story() -> None:
        agent = Charged(tmp_path, Config())
        agent.charged = asyncio.Event()
        with agent:
            asked = asyncio.ensure_future(execute(agent, name, {"url": url}, role="admin", source="test"))
            assert await asyncio.to_thread(sent.wait, 30)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            assert await agent.booked() > HELD_BYTES, "and its own time is not over"

    asyncio.run(story())


@pytest.mark.parametrize("limit", ["of the command", "of the request"])
def test_what_times_out_is_booked(
    tmp_path: Path, holding: tuple[str, threading.Event], monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    url, sent = holding
    command = COMMANDS["diag.http"]
    if limit == "of the command":
        command = replace(command, time_limit_s=1.0)
    else:
        monkeypatch.setattr(diag, "HTTP_S", 1.0)

    async def story() -> None:
        agent = Charged(tmp_path, Config())
        agent.charged = asyncio.Event()
        with agent:
            with pytest.raises(Rejected):
                await perform(
                    agent, command, {"url": url, "bytes": 1_000_000}, Quiet(agent, lambda percent, what: None, "admin")
                )
            assert await agent.booked() >= (HELD_BYTES if sent.is_set() else 0)

    asyncio.run(story())


def test_what_fails_is_booked(tmp_path: Path) -> None:
    """An answer that is none: http.client gives up after its longest line, the bytes have come all the same."""

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            connection.sendall(b"x" * 200_000)

    async def story() -> None:
        with StandIn(tmp_path, Config()) as agent:
            with pytest.raises(Rejected):
                await execute(agent, "diag.http", {"url": url}, role="admin", source="test")
            assert agent.ledger.management_received_bytes > 60_000

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        thread = threading.Thread(target=serve)
        thread.start()
        asyncio.run(story())
        thread.join()


def test_a_ping_without_an_answer_is_booked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diag, "PING_S", 0.0)
    try:
        out, ledger = run(tmp_path, "diag.ping", {"host": "127.0.0.1", "count": 2})
    except Rejected as refusal:
        if "not permitted" in refusal.reason:
            pytest.skip("ICMP echo sockets: not permitted to this user")
        raise
    assert out["received"] == 0
    assert (ledger.management_sent_bytes, ledger.management_received_bytes) == (2 * 84, 0)


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="Connection refused"):
        run(tmp_path, "diag.http", {"url": "http://127.0.0.1:9/"})


def reply(rcode: int, *addresses: bytes) -> bytes:
    head = struct.pack(">6H", 7, 0x8180 | rcode, 1, len(addresses), 0, 0)
    body = b"\1a\2be\0" + struct.pack(">2H", 1, 1)
    return head + body + b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + a for a in addresses)


def test_name_server_answers() -> None:
    assert dns_query.read_answer(reply(0, b"\x7f\0\0\1", b"\xc0\0\2\1"), "A") == ("NOERROR", ("127.0.0.1", "192.0.2.1"))
    assert dns_query.read_answer(reply(3), "A") == ("NXDOMAIN", ())
    assert dns_query.question("a.be", "A", 7)[12:] == b"\1a\2be\0\0\1\0\1"
    for name in ("", ".", "x" * 64 + ".be", "a..b" * 100):
        with pytest.raises(AgentError, match="no host name"):
            dns_query.question(name, "A", 1)


@given(st.binary(max_size=60))
def test_any_answer_of_a_name_server(data: bytes) -> None:
    with contextlib.suppress(AgentError):  # and nothing else
        rcode, addresses = dns_query.read_answer(reply(0)[:12] + data, "A")
        assert rcode == "NOERROR"
        assert all(address.count(".") == 3 for address in addresses)


def test_checksum_is_that_of_the_rfc() -> None:
    assert icmp._checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D  # RFC 1071, section 3: sum ddf2


def test_networks_of_a_scan() -> None:
    line = '+COPS: (2,"Proximus","PROXIMUS","20601",7),(3,"Orange B","Orange","20610"),,(0,1,3,4),(0,1,2)'
    assert networks([line]) == [
        {"plmn": "20601", "name": "Proximus", "state": "current", "act": 7},
        {"plmn": "20610", "name": "Orange B", "state": "forbidden", "act": None},
    ]
