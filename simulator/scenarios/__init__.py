"""Scenarios: a readable file of times, actions and expectations, played in the module's own time.

The simulated module is watched by the agent's real AT engine and counted by its real data plan.
"""

from simulator.scenarios.model import Scenario, Step, load, names
from simulator.scenarios.runner import Line, Run, play

__all__ = ["Line", "Run", "Scenario", "Step", "load", "names", "play"]
