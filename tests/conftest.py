"""What every test may lean on: the rule for skips, and how many processes share the work.

A test that needs something a machine may lack skips with "<feature>: why". In CI (CI=true) such a skip is a failure,
unless the feature is one that CI is known to be without: what its kernel lacks runs under QEMU (`make e2e`), what its
Python lacks or has (psk: 3.13) under the newer ones of `make test-matrix`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.mqtt.broker import Mosquitto

# A busy machine must not fail a property: what a case costs is measured in tests/bench.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")

CI_CANNOT = frozenset(
    {"bond", "cake", "fq_codel", "flowtable", "matchall", "netem", "sfq", "vlan", "dm-log-writes", "kvm"}
    | {"psk", "no-psk"}
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: one more than there are processors, as most tests wait for a process or a timer most of their time."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True)
def _level_of_the_log() -> Iterator[None]:
    """A command that quietens the agent's log for its own process must not do so for the tests after it."""
    log = logging.getLogger("agent")
    level = log.level
    yield
    log.setLevel(level)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A real broker on loopback that lets everybody in."""
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        feature = reason.removeprefix("Skipped: ").partition(":")[0].strip()
        if feature not in CI_CANNOT:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: skipped where CI can run it: {reason}"
    return report
