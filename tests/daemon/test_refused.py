"""A configuration that is refused at a start: the device that has run goes on counting, and says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.store import Database
from tests.daemon.running import daemon, until
from tests.netns import needs_namespaces, wire

pytestmark = pytest.mark.root


def test_a_file_that_is_made_wrong_stops_no_counting(tmp_path: Path) -> None:
    needs_namespaces()
    with wire("wan0", "isp0") as line, daemon(line.near, tmp_path, used_bytes=10**9) as running:
        running.terminate()
        running.file.write_text(running.file.read_text().replace('["wan0"]', '["*"]'))
        checked = running.cli("config", "check")
        assert checked.returncode == 2
        assert "wan.interfaces: * also means lo" in checked.stderr
        running.start()
        status = running.ask("status")
        assert [link["ifname"] for link in status["links"]] == ["wan0"]
        assert status["usage"]["charged_bytes"] >= 10**9
        assert "configuration" in status["alarms"]
        assert "the last good one is used" in " ".join(running.cli("doctor").stdout.split())
        assert "wan.interfaces" in running.log()


def test_an_alarm_of_the_configuration_is_cleared_by_the_start_that_takes_up_the_right_one(tmp_path: Path) -> None:
    """The broker is away: what is on its way to it stands in the outbox."""
    needs_namespaces()
    store = tmp_path / "state" / "agent.db"

    def sent(topic: str) -> list[str]:
        with Database.open_readonly(store) as database:
            rows = database.outbox.head(0, after=0, limit=1000)
        return [json.loads(row.payload)["state"] for row in rows if row.topic.endswith(topic) and row.payload]

    extra = '[operator]\nurl = "mqtt://10.99.0.1:1"\n'
    with wire("wan0", "isp0") as line, daemon(line.near, tmp_path, extra, used_bytes=1) as running:
        running.terminate()
        with Database.open(store) as database:
            database.meta.set("device", "d")
        right = running.file.read_text()
        running.file.write_text(right.replace('["wan0"]', '["*"]'))
        running.start()
        until(lambda: sent("/a/configuration") == ["raised"])
        running.terminate()
        running.file.write_text(right)
        running.start()
        until(lambda: sent("/a/configuration") == ["raised", "cleared"])
        assert running.ask("status")["alarms"] == []
