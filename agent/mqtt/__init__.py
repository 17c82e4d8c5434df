"""The operator's side over MQTT: topics, reports, outbox, session. README.md tells how to write a consumer.

The names are looked up on first use: paho and ssl cost a command line on a router 15 MB and a third of a second, and
only the daemon and `modem-support` need them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.mqtt.batch import Batch
    from agent.mqtt.outbox import Outbox
    from agent.mqtt.reporter import Reporter
    from agent.mqtt.sender import Timing
    from agent.mqtt.session import Session
    from agent.mqtt.session_state import SessionState
    from agent.mqtt.topics import Topics
    from agent.mqtt.transport import Inbound
    from agent.mqtt.twins import Twins

__all__ = ["Batch", "Inbound", "Outbox", "Reporter", "Session", "SessionState", "Timing", "Topics", "Twins"]

_FILES = {"Inbound": "transport", "SessionState": "session_state", "Timing": "sender"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(name)
    return getattr(import_module(f"agent.mqtt.{_FILES.get(name, name.lower())}"), name)
