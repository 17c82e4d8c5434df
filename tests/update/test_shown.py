"""What is shown of an update: twin/info, status; and what the real daemon says while one is on trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent import SUPPORTED_UNTIL
from agent.cli.verbs.status import rows
from agent.mqtt import reports
from agent.update import folders
from tests.cli import sample
from tests.daemon.running import Running, until
from tests.netns import needs_namespaces, wire

INSTALLED = {"result": "installed", "version": "0.2.0", "previous": "0.1.0", "reason": "", "id": "u"}
RESTORED = {**INSTALLED, "result": "restored", "reason": "the broker was not reached"}


@pytest.mark.parametrize(
    ("update", "previous", "last"),
    [
        (None, None, None),
        (INSTALLED, "0.1.0", {"Version": "0.2.0", "Result": "Installed", "Reason": None}),
        (RESTORED, None, {"Version": "0.2.0", "Result": "Restored", "Reason": "the broker was not reached"}),
    ],
)
def test_the_twin_shows_the_last_update(update: Any, previous: str | None, last: Any) -> None:
    info = reports.info(sample.status(update=update, version="0.2.0"), commands=())
    assert (info["PreviousVersion"], info["LastUpdate"]) == (previous, last)
    assert info["SupportedUntil"] == SUPPORTED_UNTIL


def test_a_version_that_came_otherwise_has_no_previous_one() -> None:
    info = reports.info(sample.status(update=INSTALLED, version="0.3.0"), commands=())
    assert info["PreviousVersion"] is None


def test_the_status_shows_it() -> None:
    assert dict(rows(sample.status()))["Update"] is None
    assert dict(rows(sample.status(update=INSTALLED)))["Update"] == "0.1.0 to 0.2.0: installed"
    shown = dict(rows(sample.status(update=RESTORED)))["Update"]
    assert shown == "0.1.0 to 0.2.0: taken back: the broker was not reached"


@pytest.mark.root
def test_the_daemon_says_how_it_is_while_it_is_on_trial(tmp_path: Path) -> None:
    needs_namespaces()
    with wire("wan0", "isp0") as joined:
        running = Running(joined.near, tmp_path)
        kept = folders.kept(str(tmp_path / "state"))
        kept.mkdir()
        (kept / "step").write_text("judging 1\n")
        (kept / "verdict").write_bytes(folders.lines(RESTORED))
        running.start()
        try:
            well = until(lambda: folders.values(tmp_path / "run/well"))
            status = running.ask("status")
            assert well["version"] == status["version"]
            assert well["fault"] == "the broker was not reached: no session"
            assert status["update"] == RESTORED
        finally:
            running.kill()
