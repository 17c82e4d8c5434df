"""The AT command protocol, pure: engine without I/O, grammar, one row a command, parsers into plain readings."""

from agent.at.decode import decode, read
from agent.at.engine.engine import Engine, Event, Prompt, Response, Stray, Urc
from agent.at.engine.final_codes import Final
from agent.at.engine.grammar import Reading
from agent.at.engine.row import Command, Row, parse_command
from agent.at.table import COMMANDS, find
from agent.at.urc_readings import read_news

__all__ = [
    "COMMANDS",
    "Command",
    "Engine",
    "Event",
    "Final",
    "Prompt",
    "Reading",
    "Response",
    "Row",
    "Stray",
    "Urc",
    "decode",
    "find",
    "parse_command",
    "read",
    "read_news",
]
