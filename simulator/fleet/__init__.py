"""Thousands of virtual agents in one process, against one broker: the real reports, outbox, commands and session."""

from simulator.fleet.fleet import Fleet, Plan
from simulator.fleet.report import Report

__all__ = ["Fleet", "Plan", "Report"]
