"""Verbs that only read, with the agent down: from the store, and saying how old that is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from agent.cli import exits
from agent.commands import audit
from agent.plan import Ledger, Moment, Plan, Trust
from agent.store import Database
from tests.cli.conftest import Run


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A device whose agent has counted 20 GB and is not running."""
    moment = Moment(datetime.now(timezone.utc), 100.0, "boot", Trust.SYNC)
    ledger = replace(Ledger.new(Plan(), moment), received_bytes=18_000_000_000, sent_bytes=2_000_000_000)
    with Database.open(tmp_path / "agent.db") as database, database.transaction():
        database.keep(ledger)
        database.events.add("boot", {"reason": "power"}, moment)
        who = "local:root (uid 0)"
        database.audit.add(audit.entry(moment, "succeeded", type="plan.topup", id="local-1", issuer=who, role="admin"))
    file = tmp_path / "config.toml"
    file.write_text(f'[device]\nrun_dir = "{tmp_path}/run"\nstate_dir = "{tmp_path}"\nid = "kitchen-7"\n')
    return str(file)


def test_status_shows_the_store_and_ends_with_3(cli: Run, config: str) -> None:
    done = cli("status", "--config", config)
    assert done.returncode == exits.NOT_RUNNING
    assert "NOT RUNNING; what follows is from the store, " in done.stdout
    assert "kitchen-7" in done.stdout
    assert "50.0 %, 20.00 GB of 40.00 GB" in done.stdout
    assert "the agent is not running" in done.stderr
    answer = json.loads(cli("status", "--json", "--config", config).stdout)
    assert answer["v"] == 1
    assert answer["usage"]["charged_bytes"] == 20_000_000_000
    assert answer["stored"]["age_s"] < 60
    assert answer["modem"] == {"state": "unknown", "reading": None} | answer["modem"]


def test_log_shows_the_store(cli: Run, config: str) -> None:
    done = cli("log", "--config", config)
    assert done.returncode == 0, done.stderr
    assert "boot: reason=power" in done.stdout


def test_the_audit_trail_is_read_and_checked_without_an_agent(cli: Run, config: str, tmp_path: Path) -> None:
    done = cli("log", "--audit", "--config", config)
    assert done.returncode == 0, done.stderr
    assert "#1 plan.topup succeeded, by local:root (uid 0) (admin), id local-1" in done.stdout.replace("\n  ", " ")
    assert "The trail is whole." in done.stdout
    with Database.open(tmp_path / "agent.db") as db, db.transaction():
        db.connection.execute("UPDATE audit SET entry = replace(entry, 'local:root', 'local:alice')")
    done = cli("log", "--audit", "--config", config)
    assert done.returncode == exits.FAILED
    assert "ENTRY 1 DOES NOT FIT" in done.stdout
    assert json.loads(cli("log", "--audit", "--json", "--config", config).stdout)["broken"] == 1


def test_without_a_store_the_agent_is_what_is_missing(cli: Run, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[device]\nrun_dir = "{tmp_path}/run"\nstate_dir = "{tmp_path}/none"\n')
    for words in (["status"], ["usage"], ["log"], ["log", "--audit"]):
        done = cli(*words, "--config", str(file))
        assert done.returncode == exits.NOT_RUNNING, words
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert "the agent is not running" in done.stderr
