"""`modem-support fleet` with a real mosquitto: all devices, or a word that it is incomplete."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.support.fleet import Filter, Fleet, Member, counts
from tests.mqtt.broker import Mosquitto
from tests.support.now import NOW
from tests.support.publisher import fleet_of, plan, retain, status, support

DEVICES = 2_500  # two and a half times what mosquitto queues for a client by default
QUIET = "allow_anonymous true\nlog_type warning\n"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path, extra=QUIET) as running:
        yield running


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_fleet_beyond_the_brokers_queue_is_listed_whole(broker: Mosquitto, protocol: str) -> None:
    async def story() -> None:
        alarm = json.dumps({"v": 1, "state": "raised"}).encode()
        await retain(broker.port, [*fleet_of(DEVICES), (f"imei::{7:015d}/a/shaper", alarm)])
        ended = await support("--broker", broker.url, "--mqtt", protocol, "fleet", "--json")
        assert (ended.status, ended.problem) == (0, "")
        assert ended.json["complete"] is True
        assert ended.json["counts"]["devices"] == ended.json["counts"]["online"] == DEVICES
        assert {row["limit_bytes"] for row in ended.json["devices"]} == {40_000_000_000}
        assert [row["alarms"] for row in ended.json["devices"] if row["alarms"]] == [["shaper"]]

    asyncio.run(story())


class SlowLine:
    """A TCP relay that reads what the broker sends only after a pause, through a small window."""

    def __init__(self, port: int) -> None:
        self._port, self._listener = port, socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.paused = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            broker = socket.socket()
            broker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            broker.connect(("127.0.0.1", self._port))
            threading.Thread(target=self._up, args=(client, broker), daemon=True).start()
            threading.Thread(target=self._down, args=(broker, client), daemon=True).start()

    def _up(self, client: socket.socket, broker: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            while data := client.recv(65_536):
                broker.sendall(data)
                if data[0] & 0xF0 == 0x80:  # SUBSCRIBE
                    self.paused.set()
            broker.shutdown(socket.SHUT_RDWR)

    def _down(self, broker: socket.socket, client: socket.socket) -> None:
        with broker, contextlib.suppress(OSError):
            while data := broker.recv(65_536):
                client.sendall(data)
                if self.paused.is_set():
                    self.paused.clear()
                    threading.Event().wait(0.5)  # the broker has sent, and dropped, all of its burst by then
            client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


def test_a_list_that_the_broker_cut_is_called_incomplete_and_a_named_one_is_whole(tmp_path: Path) -> None:
    """The socket stays full to the end of the burst: each pass lacks the same devices, as if there were no others."""

    async def story() -> None:
        with Mosquitto(tmp_path, extra=QUIET + "max_queued_messages 100\n") as broker:
            heavy = json.dumps(status(version="x" * 2_000)).encode()
            names = [f"imei::{number:015d}" for number in range(3_000)]
            await retain(broker.port, ((f"{name}/status", heavy) for name in names))
            line = SlowLine(broker.port)
            url = f"mqtt://127.0.0.1:{line.port}"
            ended = await support("--broker", url, "fleet", "--json")
            assert ended.json["counts"]["devices"] < len(names)
            assert (ended.status, ended.json["complete"]) == (1, False)
            assert "incomplete: the broker drops messages" in ended.problem

            named = tmp_path / "devices"
            named.write_text("\n".join([*names[:400], "imei::never-seen"]))
            ended = await support("--broker", url, "fleet", "--devices", str(named), "--json")
            line.close()
            assert (ended.status, ended.problem) == (0, "")
            assert ended.json["counts"]["online"] == 400
            assert ended.json["counts"]["unknown"] == 1

    asyncio.run(story())


HOSTILE = [
    ("c/twin/plan", b'{"LimitBytes": 1' + b"0" * 400 + b"}"),
    ("c/a/deep", b"[" * 60_000),
    ("c/m/traffic", b'{"plan": "abc"}'),
    ("c/m/state", b'{"cell": "abc"}'),
    ("c/status", b'{"state": "online", "session": 1e999}'),
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=[topic for topic, _ in HOSTILE])
def test_one_devices_bad_message_is_one_line(broker: Mosquitto, hostile: tuple[str, bytes]) -> None:
    async def story() -> None:
        good = json.dumps(status()).encode()
        await retain(broker.port, [("b/status", good), ("c/status", good), ("d/status", good), hostile])
        ended = await support("--broker", broker.url, "fleet")
        assert (ended.status, ended.problem) == (0, "")
        assert "b  " in ended.out
        assert "d  " in ended.out
        below = hostile[0].removeprefix("c/")
        if not below.startswith("m/"):  # what is not part of a listing cannot hurt it
            assert ended.out.count(f"c: not understood: {below}: ") == 1
        ended = await support("--broker", broker.url, "watch", "--for", "1")
        assert (ended.status, ended.problem) == (0, "")
        assert ended.out.count("not understood: ") == 1
        assert ended.out.count("online session 1") == (2 if below == "status" else 3)

    asyncio.run(story())


ROWS = [
    Member("fine", presence="online", state="Normal", seen=NOW),
    Member("gone", presence="lost", state="Normal", seen=NOW - timedelta(hours=3)),
    Member("slow", presence="online", state="Throttled", seen=NOW - timedelta(minutes=119)),
    Member("held", presence="online", state="Forced", alarms={"shaper"}),
    Member("dark", presence="unknown"),
]


@pytest.mark.parametrize(("wanted", "names"), [
    (Filter(), "fine gone slow held dark"), (Filter(lost=True), "gone"), (Filter(slow=True), "slow held"),
    (Filter(alarm=True), "held"), (Filter(silent_s=7_200), "gone dark"), (Filter(lost=True, slow=True), ""),
])  # fmt: skip
def test_filters(wanted: Filter, names: str) -> None:
    assert [member.device for member in ROWS if wanted.passes(member, NOW)] == names.split()


def test_counts_are_of_the_whole_fleet() -> None:
    assert counts(ROWS) == {
        "devices": 5, "lost": 1, "online": 3, "unknown": 1, "slow": 2, "with alarms": 1, "not understood": 0,
    }  # fmt: skip
    assert Fleet().sorted() == []


def test_filters_and_counts_on_the_command_line(broker: Mosquitto) -> None:
    async def story() -> None:
        rows = [
            ("a/status", status()), ("a/twin/plan", plan("Throttled")),
            ("b/status", status("lost")),
            ("b/a/shaper", {"state": "raised", "time": "2026-11-01T00:00:00Z", "clk": "sync"}),
        ]  # fmt: skip
        await retain(broker.port, [(topic, json.dumps(body).encode()) for topic, body in rows])
        for option, device in (("--slow", "a"), ("--lost", "b"), ("--alarm", "b"), ("--silent=2h", "b")):
            ended = await support("--broker", broker.url, "fleet", option)
            assert (ended.status, ended.problem) == (0, "")
            head, row, totals = ended.out.splitlines()
            assert head.split()[5] == "Age"
            assert row.split()[0] == device
            assert totals.startswith("2 devices, 1 lost, 1 online, 1 slow, 1 with alarms")

    asyncio.run(story())
