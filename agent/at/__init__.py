"""The AT command protocol, pure: engine without I/O, grammar, one row a command, parsers into plain readings."""

from agent.at.decode import decode, read
from agent.at.engine import Engine, Event, Prompt, Response, Stray, Urc
from agent.at.finals import Final
from agent.at.grammar import Reading
from agent.at.news import read_news
from agent.at.row import Command, Row, parse_command
from agent.at.table import COMMANDS, find

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
