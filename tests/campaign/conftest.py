"""A campaign provokes what the agent logs by the thousand: kept quiet here, and given back to the other tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.campaign.command import quiet


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with quiet():
        yield
