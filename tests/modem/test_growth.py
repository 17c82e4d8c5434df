"""The measure of growth itself: a leak is seen and named, a steady process is not accused."""

from __future__ import annotations

from tests.modem.growth import DAY_S, Growth, Sample, slope


def test_the_slope_is_that_of_the_line_after_the_warm_up() -> None:
    growth = Growth()
    for hour in range(25):
        start = 30_000 if hour < 6 else 34_000  # the warm-up's own rise is not growth
        growth.samples.append(Sample(hour / 24 * DAY_S, start + 100 * hour // 24, 500))
    assert 80 < growth.slope_kb_day("rss_kb") < 120
    assert growth.slope_kb_day("traced_kb") == 0
    assert slope([(0.0, 1.0), (1.0, 9.0)]) == 0


def test_a_leak_is_found_and_its_line_named() -> None:
    kept: list[bytearray] = []
    growth = Growth(traced=True)
    for hour in range(25):
        growth.take(hour * 3600, DAY_S)
        kept += [bytearray(1000) for _ in range(50)]
        _ = [bytearray(1000) for _ in range(500)]
    growth.finish()
    assert 1_000 < growth.slope_kb_day("traced_kb") < 1_500
    assert "tests/modem/test_growth.py" in growth.holders()[0]
