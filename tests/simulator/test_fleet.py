"""A small fleet against a real mosquitto: everybody connects, nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from simulator.fleet import Fleet, Plan
from simulator.fleet.broker import Mosquitto
from simulator.fleet.report import percentile


def test_a_fleet_lives_through_gaps_doubled_commands_and_a_storm(tmp_path: Path) -> None:
    if shutil.which("mosquitto") is None and shutil.which("/usr/sbin/mosquitto") is None:
        pytest.skip("mosquitto: not installed (apt-get install mosquitto)")
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        plan = Plan(
            devices=20, ramp_s=0.5, steady_s=2.0, beat_s=1, tick_s=0.2, gap_share=0.2, command_share=0.5, outage_s=1.0
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


def test_lines_cut_at_any_moment_of_a_connection_end_no_session(tmp_path: Path) -> None:
    """Found by a fleet of 2 000: a line that went between CONNACK and SUBSCRIBE ended one device's session for good."""
    if shutil.which("mosquitto") is None and shutil.which("/usr/sbin/mosquitto") is None:
        pytest.skip("mosquitto: not installed (apt-get install mosquitto)")
    broker = Mosquitto(tmp_path)
    broker.start()

    async def story() -> None:
        fleet = Fleet(Plan(devices=30, ramp_s=0.1, tick_s=0.2, beat_s=5), broker.url, broker)
        await fleet.desk.start()
        try:
            await fleet._connect()
            for turn in range(15):
                for device in fleet.devices:
                    device.cut()
                await asyncio.sleep(0.05 * turn)
            assert [device.ended for device in fleet.devices if device.ended] == []
        finally:
            await fleet._stop()

    try:
        asyncio.run(story())
    finally:
        broker.stop()


def test_percentiles() -> None:
    assert percentile([], 0.5) == 0
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
