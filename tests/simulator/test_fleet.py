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
    assert report.missing_reports == 0
    assert report.gap_devices == 4
    assert (report.commands, report.commands_doubled, report.commands_answered) == (10, 5, 10)
    assert report.done_twice == 0
    assert set(report.storm_s) == {"50 %", "95 %", "100 %"}
    assert report.puback_ms["p50"] > 0
    assert 1_000 < report.birth_bytes < 20_000
    assert any("100 % back" in line for line in report.lines())


def test_percentiles() -> None:
    assert percentile([], 0.5) == 0
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
