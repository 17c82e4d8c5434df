"""The manual page, roff made from the verbs' own help. Used by `completion man` and the packages."""

from __future__ import annotations

import click

from agent import __version__
from agent.cli import PROGRAM, VERBS, exits
from agent.cli.verb import DEFAULT_CONFIG, Verb

_EXITS = (
    (exits.OK, "All went well."),
    (exits.FAILED, "It was tried and did not succeed; for doctor: something is broken."),
    (exits.USAGE, "The command line or the configuration is wrong."),
    (exits.NOT_RUNNING, "The agent is not running."),
    (exits.NOT_PERMITTED, "This user may not do that."),
    (exits.NO_MODEM, "There is no modem."),
    (exits.TIMED_OUT, "No answer came in time."),
)


def page(group: click.Group) -> str:
    """The whole page, section 1."""
    context = click.Context(group, info_name=PROGRAM)
    lines = [
        f'.TH {PROGRAM.upper()} 1 "" "{PROGRAM} {__version__}" "User Commands"',
        ".SH NAME",
        f"{PROGRAM} \\- the agent on a household's 4G modem, and the technician's tool",
        ".SH SYNOPSIS",
        f".B {PROGRAM}\n.I VERB\n.RI [ OPTIONS ]",
        ".SH DESCRIPTION",
        *_paragraphs(group.help or ""),
    ]
    headings = dict.fromkeys(VERBS[name][0] for name in group.list_commands(context))
    for heading in headings:
        lines.append(f".SH {_roff(heading).upper()}")
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            if VERBS[name][0] == heading and found is not None:
                lines += _verb(context, name, found)
    lines.append(".SH EXIT STATUS")
    for status, meaning in _EXITS:
        lines += [".TP", f".B {status}", _roff(meaning)]
    lines += [".SH FILES", ".TP", f".I {_roff(str(DEFAULT_CONFIG))}", "The configuration, TOML."]
    return "\n".join(lines) + "\n"


def _verb(parent: click.Context, name: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f'.SS "{_roff(name)} {_roff(usage)}"', *_paragraphs(command.help or "")]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in record[0]:
            lines += [".TP", f".B {_roff(record[0])}", _roff(record[1])]
    if isinstance(command, Verb) and command.examples:
        lines += [".PP", "Example:", ".nf", *(_roff("    " + example) for example in command.examples), ".fi"]
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None:
                lines += _verb(parent, f"{name} {inner}", found)
    return lines


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for block in text.strip().split("\n\n"):
        lines += [".PP", _roff(" ".join(block.split()))]
    return lines


def _roff(text: str) -> str:
    """Text with what roff would take for its own made plain."""
    safe = text.replace("\\", "\\e").replace("-", "\\-")
    safe = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in safe)  # roff reads bytes
    return "\\&" + safe if safe.startswith((".", "'")) else safe
