"""The operator's side over MQTT: topics, reports, outbox, session. README.md tells how to write a consumer."""

from agent.operator.batch import Batch
from agent.operator.client import Inbound
from agent.operator.outbox import Outbox
from agent.operator.reporter import Reporter
from agent.operator.sender import Timing
from agent.operator.session import Session
from agent.operator.state import SessionState
from agent.operator.topics import Topics
from agent.operator.twins import Twins

__all__ = ["Batch", "Inbound", "Outbox", "Reporter", "Session", "SessionState", "Timing", "Topics", "Twins"]
