"""Top-ups and overrides as a technician gives them, good and bad: the real daemon and its CLI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.running import Running, daemon
from tests.netns import needs_namespaces, wire

pytestmark = pytest.mark.root

GB = 10**9


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    needs_namespaces()
    with wire("wan0", "isp0") as line, daemon(line.near, tmp_path, "[plan]\nlocal_topup = true\n") as agent:
        yield agent


def limit(running: Running) -> int:
    return int(running.ask("usage")["usage"]["limit_bytes"])


def test_bad_topups_are_named_and_change_nothing(running: Running) -> None:
    for amount, status, words in (
        ("0GB", 2, "more than nothing"),
        ("-5GB", 2, "-5"),
        ("5 bananas", 2, "is no amount"),
        ("401GB", 1, "allowed are 1 to 400000000000"),
        ("999999999GB", 1, "bytes"),
    ):
        done = running.cli("topup", amount, "--yes")
        assert (done.returncode, words in done.stderr) == (status, True), (amount, done.stderr)
        assert len(done.stderr.splitlines()) <= 3
    assert limit(running) == 40 * GB


def test_the_same_topup_never_counts_twice(running: Running) -> None:
    first = running.cli("topup", "5GB", "--id", "ticket-1", "--for", "7d", "--yes")
    assert first.returncode == 0, first.stderr
    assert "Until" in first.stdout
    again = running.cli("topup", "5GB", "--id", "ticket-1", "--yes")
    assert again.returncode == 1
    assert "was granted before" in again.stderr
    assert limit(running) == 45 * GB


def test_the_plan_is_suspended_for_a_time_and_taken_up_again(running: Running) -> None:
    done = running.cli("throttle", "suspend", "--reason", "works on the mast", "--for", "1h")
    assert done.returncode == 0, done.stderr
    plan = running.ask("status")["plan"]
    assert (plan["state"], plan["reason"].startswith("works on the mast")) == ("suspended", True)
    assert running.cli("throttle", "auto").returncode == 0
    assert running.ask("status")["plan"]["state"] == "normal"
    assert running.cli("throttle", "lift", "--for", "-1h").returncode == 2
