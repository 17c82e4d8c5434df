"""What the bench of upgrades takes for a gap in the shaping: lines as iproute2 6.1 writes them."""

from __future__ import annotations

import pytest

from tests.bench.update_upgrades import gap_s

ADDED = "[2026-11-30T08:55:{}] qdisc cake 1fa0: dev {} root refcnt 3 bandwidth 512Kbit besteffort"
GONE = "[2026-11-30T08:55:{}] deleted qdisc cake 1fa0: dev {} root bandwidth 512Kbit besteffort"
FILTER = "[2026-11-30T08:55:{}] deleted filter dev {} ingress protocol all pref 1 matchall chain 0 "
OTHER = "[2026-11-30T08:55:{}] deleted chain dev {} parent ffff: chain 0 "


@pytest.mark.parametrize(("lines", "seconds"), [
    ((), 0.0),
    ((ADDED.format("46.42", "wwan0"),), 0.0),  # changed in its place
    ((GONE.format("46.25", "wwan0"), ADDED.format("47.75", "wwan0")), 1.5),
    ((FILTER.format("46.25", "wwan0"), GONE.format("47.25", "ifb4wwan0"), ADDED.format("48.25", "wwan0")), 2.0),
    ((GONE.format("46.25", "lan0"), OTHER.format("46.25", "wwan0")), 0.0),
    ((GONE.format("46.25", "ifb4wwan0"),), float("inf")),
], ids=["nothing", "changed", "made anew", "two parts", "of others", "gone for good"])  # fmt: skip
def test_a_gap_is_from_the_first_part_that_goes_to_the_next_that_comes(lines: tuple[str, ...], seconds: float) -> None:
    assert gap_s("\n".join(lines)) == seconds
