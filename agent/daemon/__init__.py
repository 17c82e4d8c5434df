"""The daemon: composition root and supervised tasks. `run` is all that others need."""

from agent.daemon.main import run

__all__ = ["run"]
