"""A line to an internet of its own for a real daemon, and a broker on the daemon's side of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mqtt.broker import Mosquitto
from tests.netns import Wire, needs_namespaces, wire


@pytest.fixture
def line() -> Iterator[Wire]:
    needs_namespaces()
    with wire("wan0", "isp0") as joined:
        yield joined


@pytest.fixture
def broker(line: Wire, tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    mosquitto = Mosquitto(folder)
    with line.near.entered(), mosquitto:
        yield mosquitto
