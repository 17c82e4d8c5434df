"""The status that the daemon keeps as a file, and a refused configuration in it and at the operator's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from agent.daemon.status_file import StatusFile
from tests.daemon.running import Running, until
from tests.mqtt.broker import Mosquitto
from tests.mqtt.desk import Desk
from tests.netns import Wire


def test_it_is_replaced_whole_and_for_root_alone(tmp_path: Path) -> None:
    kept, file = StatusFile(tmp_path), tmp_path / "status.json"
    kept.write({"v": 1, "name": "é"})
    first = file.stat()
    kept.write({"v": 1, "name": "two"})
    assert json.loads(file.read_text()) == {"v": 1, "name": "two"}
    assert file.stat().st_ino != first.st_ino
    assert file.stat().st_mode & 0o777 == 0o600
    kept.remove()
    kept.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_nothing_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = StatusFile(tmp_path / "gone")
    kept.write({"v": 1})
    kept.write({"v": 1})
    assert len(caplog.records) == 1


@pytest.mark.root
def test_the_daemon_keeps_it_and_reports_a_refused_configuration_once(
    line: Wire, broker: Mosquitto, tmp_path: Path
) -> None:
    running = Running(line.near, tmp_path, f'[operator]\nurl = "{broker.url}"\n')
    running.file.write_text(running.file.read_text().replace("[device]\n", '[device]\nid = "test-device"\n'))
    refused = "/etc/config/modem-agent: uci: Parse error (invalid command) at line 3, byte 0"
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.refused").write_text(refused + "\n")

    async def story() -> None:
        async with Desk(broker.port) as desk:
            alarms = await desk.until(lambda: desk.bodies("/a/configuration"))
            told = [(body["state"], body["reason"], body["file"]) for body in alarms]
            assert told == [("raised", refused, str(running.file))]

    running.start()
    try:
        with line.near.entered():
            asyncio.run(story())
        until(lambda: "configuration" in running.ask("status")["alarms"])
        kept = json.loads((tmp_path / "run/status.json").read_text())
        assert kept["config_refused"] == refused
        assert set(kept) == set(running.ask("status"))
        assert "(invalid command)" in running.cli("status").stdout
        checked = running.cli("config", "check")
        assert refused in checked.stdout
        assert checked.returncode == 0
        assert json.loads(running.cli("config", "check", "--json").stdout)["refused"] == refused
        assert running.process is not None
        running.process.terminate()
        running.process.wait(20)
        assert not (tmp_path / "run/status.json").exists()
    finally:
        running.kill()
