"""What `make bench-office` measures with 2 000 devices, with a few: a node of the cluster dies, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.postgres import binaries

# The whole file: what it imports below needs the driver, and each of its tests the server.
pytest.importorskip("psycopg")
if binaries() is None:
    pytest.skip("PostgreSQL: not installed (apt-get install postgresql)", allow_module_level=True)

from tests.bench import office_cluster

pytestmark = [pytest.mark.brokers, pytest.mark.timeout(240)]
DEVICES = 25


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    # Not pytest's: the database runs as another user.
    with TemporaryDirectory(prefix="office-cluster-", dir=os.environ.get("MODEM_AGENT_SCRATCH")) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def site(scratch: Path) -> Iterator[office_cluster.Site]:
    with office_cluster.site(scratch, print) as made:
        yield made


def test_a_node_dies_under_devices_that_come_to_the_cluster(site: office_cluster.Site, scratch: Path) -> None:
    result = asyncio.run(office_cluster.direct(site, scratch, DEVICES, kills=1))
    assert result.sent > DEVICES
    assert result.missing == 0
    assert result.answered == min(DEVICES, office_cluster.COMMANDS)


def test_a_node_dies_behind_a_mosquitto_that_bridges_to_it(site: office_cluster.Site, scratch: Path) -> None:
    edge = scratch / "edge"
    edge.mkdir()
    result = asyncio.run(office_cluster.bridged(site, edge, DEVICES, kills=1))
    assert result.sent > DEVICES
    assert result.missing == 0
    assert result.answered == min(DEVICES, office_cluster.COMMANDS)
    # mosquitto acknowledges before it saves: what it alone has is lost with it, and the database says which it was.
    assert result.stranded is not None
    said, lost, named = result.stranded
    assert said >= DEVICES
    assert 0 < lost <= said
    assert named == lost


def test_a_number_that_did_not_come_is_missing(site: office_cluster.Site) -> None:
    ((device, boot, newest),) = site.asking.rows(
        "select d.name, boot, upper(arrived) from boot b join device d on d.id = b.device"
        " where arrived = int8multirange(int8range(1, upper(arrived))) limit 1"
    )
    assert office_cluster.missing(site.asking, {(device, boot): newest - 1}) == 0
    assert office_cluster.missing(site.asking, {(device, boot): newest}) == 1
    assert office_cluster.missing(site.asking, {("imei::990000862471854", "none"): 3}) == 3
