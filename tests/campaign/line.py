"""The agent's judgement of its line, where the world answers the probes.

Not imitated: a module (it is always ready, and never reset), addresses and routes (they stand whenever the link does),
an answer that comes late.
"""

from __future__ import annotations

from types import SimpleNamespace

from agent.daemon.live_agent import LiveAgent
from agent.daemon.tasks.recovery import Recovering, Standing
from agent.net.facts import Reach
from tests.campaign.world import World

READY = SimpleNamespace(state="ready", reading=None, module=SimpleNamespace(occupied=None, context_differs=False))


class Line(Recovering):
    """agent.daemon.tasks.recovery.Recovering in the world."""

    def __init__(self, agent: LiveAgent, world: World) -> None:
        super().__init__(agent)
        self._world = world

    def _standing(self) -> Standing:
        return Standing.WHOLE if self._world.link else Standing.NO_ADDRESS

    def _probe(self) -> tuple[tuple[Reach, ...], tuple[Reach, ...]]:
        there = self._world.answers()
        reach = Reach("outside", there, 50.0 if there else None)
        return (reach,), (reach,)
