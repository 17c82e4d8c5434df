"""A small fleet against a real mosquitto: everybody connects, nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

from agent.mqtt.transport import Event, Inbound
from agent.store import numbers
from simulator.errors import SimulatorError
from simulator.fleet import Fleet, Plan, Report
from simulator.fleet.broker import Mosquitto
from simulator.fleet.cli import command as fleet_command
from simulator.fleet.desk import DROPPED_TOPIC, Desk
from simulator.fleet.device import MemoryStore
from simulator.fleet.report import percentile
from simulator.fleet.worker import Share, Worker
from tests.programs import program


def test_a_fleet_lives_through_gaps_doubled_commands_and_a_storm(tmp_path: Path) -> None:
    program("mosquitto", "mosquitto")
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        plan = Plan(
            devices=20,
            ramp_s=0.5,
            steady_s=2.0,
            beat_s=1,
            tick_s=0.2,
            gap_share=0.2,
            command_share=0.5,
            outage_s=1.0,
            processes=2,
        )
        report = asyncio.run(Fleet(plan, broker.url, broker).run())
    finally:
        broker.stop()
    assert report.connected == 20
    assert (report.missing_reports, report.tasks_ended) == (0, 0)
    assert report.gap_devices == 4
    assert (report.commands, report.commands_doubled, report.commands_answered) == (10, 5, 10)
    assert report.done_twice == 0
    assert set(report.storm_s) == {"50 %", "95 %", "100 %"}
    assert report.puback_ms["p50"] > 0
    assert 1_000 < report.birth_bytes < 20_000
    assert any("100 % back" in line for line in report.lines())


def test_a_store_in_memory_leaves_no_file_and_reads_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ":memory:.numbers").write_text('{"epoch": 3, "counters": {}, "commands": [["x", "plan.topup"]]}')
    store = MemoryStore()
    asyncio.run(store.run(lambda database: database.begin_command("y", "plan.topup", "", None)))
    assert numbers.load(store._database.path) == numbers.Numbers()
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == [":memory:.numbers"]


def test_lines_cut_at_any_moment_of_a_connection_end_no_session(tmp_path: Path) -> None:
    """Found by a fleet of 2 000: a line that went between CONNACK and SUBSCRIBE ended one device's session for good."""
    program("mosquitto", "mosquitto")
    broker = Mosquitto(tmp_path)
    broker.start()

    async def story() -> None:
        share = Share(Plan(ramp_s=0.1, tick_s=0.2, beat_s=5), broker.url, range(30))
        try:
            await share.start()
            for turn in range(15):
                await share.cut()
                await asyncio.sleep(0.05 * turn)
            assert (await share.summary()).ends == []
        finally:
            await share.stop()

    try:
        asyncio.run(story())
    finally:
        broker.stop()


def test_a_process_that_fails_or_ends_is_named() -> None:
    worker = Worker(Plan(), "mqtt://127.0.0.1:1", range(2))
    try:
        assert asyncio.run(worker.ask(Share.connected)) == 0
        with pytest.raises(SimulatorError, match=r"a process of the fleet: .*TypeError"):
            asyncio.run(worker.ask(cast("Any", Share.charged_twice), 7))
        worker._process.kill()
        with pytest.raises(SimulatorError, match="a process of the fleet ended"):
            asyncio.run(worker.ask(Share.connected))
    finally:
        worker.end()


class SlowDesk(Desk):
    """Takes one message every 50 ms."""

    def __init__(self, host: str, port: int, root: str) -> None:
        super().__init__(host, port, root)
        self._target = replace(self._target, receive_maximum=1)

    def _event(self, event: Event) -> None:
        if isinstance(event, Inbound):
            asyncio.get_running_loop().call_later(0.05, super()._event, event)
        else:
            super()._event(event)


def test_what_the_broker_throws_away_is_its_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message is kept for a slow listener: the devices' reports are acknowledged, and then dropped."""
    program("mosquitto", "mosquitto")
    broker = Mosquitto(tmp_path)
    config = tmp_path / "mosquitto.conf"
    text = config.read_text().replace("queued_messages 0", "queued_messages 1")
    config.write_text(text.replace("inflight_messages 1000", "inflight_messages 1") + "sys_interval 1\n")
    broker.start()
    monkeypatch.setattr("simulator.fleet.fleet.Desk", SlowDesk)
    try:
        plan = Plan(devices=20, ramp_s=0.1, steady_s=2.0, beat_s=1, tick_s=0.2, outage_s=0.0, patience_s=15)
        report = asyncio.run(Fleet(plan, broker.url).run())
    finally:
        broker.stop()
    assert report.missing_reports > 0
    assert report.broker_dropped is not None
    assert report.broker_dropped >= report.missing_reports
    assert (report.lost_reports, report.tasks_ended) == (0, 0)
    assert report.good
    assert any(line.startswith(f"BROKER        dropped {report.broker_dropped} ") for line in report.lines())


@pytest.mark.parametrize(
    ("missing", "dropped", "lost", "good"), [(0, None, 0, True), (5, None, 5, False), (5, 3, 2, False), (5, 9, 0, True)]
)
def test_whose_loss_it_is(missing: int, dropped: int | None, lost: int, good: bool) -> None:
    report = Report(devices=1, connected=1, missing_reports=missing, broker_dropped=dropped)
    assert (report.lost_reports, report.good) == (lost, good)
    assert any("whose loss" in line for line in report.lines()) == (missing > 0 and dropped is None)


def test_the_brokers_counter_is_counted_from_the_beginning_and_over_its_restart() -> None:
    desk = Desk("127.0.0.1", 1, "modem-agent")
    seen = []
    for counter in (7, 7, 10, 0, 2):
        desk._take(Inbound(DROPPED_TOPIC, str(counter).encode(), 1, False))
        seen.append(desk.dropped)
    assert seen == [0, 0, 3, 3, 5]
    assert desk.messages == 0


@pytest.mark.parametrize("url", ["mqtt://127.0.0.1:abc", "127.0.0.1", "mqtt://127.0.0.1:1", "mqtt://127.0.0.1:99999"])
def test_a_broker_that_will_not_do_is_named(url: str) -> None:
    done = CliRunner().invoke(fleet_command, ["--devices", "1", "--broker", url])
    assert isinstance(done.exception, SimulatorError)
    assert url in str(done.exception)


@pytest.mark.parametrize("option", [("--beat", "0"), ("--seconds", "-1"), ("--ramp", "-1"), ("--devices", "0")])
def test_a_number_out_of_range_is_named(option: tuple[str, str]) -> None:
    done = CliRunner().invoke(fleet_command, option)
    assert done.exit_code == 2
    assert option[0] in done.output + done.stderr


def test_the_two_settings_of_a_broker_are_in_the_help() -> None:
    said = CliRunner().invoke(fleet_command, ["--help"]).output
    assert "max_queued_messages" in said
    assert "max_inflight_messages" in said


def test_percentiles() -> None:
    assert percentile([], 0.5) == 0
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
