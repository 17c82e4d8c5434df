"""A month of 40 GB with and without the signals that tell the devices of the house that the line is metered.

    python -m tests.bench.household_updates

Both months are the scenario `updates-held`, the second with `household.metered = "off"`: the agent's plan and the bytes
of its signals are real, the devices are simulated, as their systems' documents say that they read those bytes.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from simulator.scenarios import load
from simulator.scenarios.runner import Player
from tests.bench.rows import Bench

AT_LEAST_GB = 3.0


def main() -> int:
    bench = Bench("household_updates", 20)
    month = {}
    for metered in ("auto", "off"):
        player = Player(replace(load("updates-held"), metered=metered), tell=lambda line: None)
        player.play()
        month[metered] = player.household.facts()
    held, unheld = month["auto"], month["off"]
    not_fetched = unheld["updates_gb"] - held["updates_gb"]
    bench.row("updates that devices leave for later in a month of 40 GB", f"at least {AT_LEAST_GB:g} GB",
              f"{not_fetched:.1f} GB; the line slow for {held['slow_hours']:.0f} h", not_fetched >= AT_LEAST_GB,
              f"without the signals slow for {unheld['slow_hours']:.0f} h", exact=True)  # fmt: skip
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
