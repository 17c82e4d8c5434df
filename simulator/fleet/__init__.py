"""Thousands of virtual agents against one broker: the real reports, outbox, commands and session."""

from simulator.fleet.fleet import Fleet
from simulator.fleet.plan import Plan
from simulator.fleet.report import Report

__all__ = ["Fleet", "Plan", "Report"]
