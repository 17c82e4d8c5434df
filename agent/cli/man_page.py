"""The manual page, roff made from the verbs' own help. Used by `completion man` and the packages."""

from __future__ import annotations

from collections.abc import Mapping

import click

from agent import __version__
from agent.cli import DEFAULT_CONFIG, PROGRAM, VERBS, exits
from agent.cli.verb import Verb

ABOUT_AGENT = "the agent on a household's 4G modem, and the technician's tool"
_EXITS = (
    (exits.OK, "All went well."),
    (exits.FAILED, "It was tried and did not succeed; for doctor: something is broken."),
    (exits.USAGE, "The command line or the configuration is wrong."),
    (exits.NOT_RUNNING, "The agent is not running."),
    (exits.NOT_PERMITTED, "This user may not do that."),
    (exits.NO_MODEM, "There is no modem."),
    (exits.TIMED_OUT, "No answer came in time."),
)


CHAPTERS = {name: heading for name, (heading, *_) in VERBS.items()}


def page(
    group: click.Group, program: str = PROGRAM, about: str = ABOUT_AGENT, chapters: Mapping[str, str] = CHAPTERS
) -> str:
    """The whole page, section 1; `chapters` says under which heading a verb stands."""
    context = click.Context(group, info_name=program)
    names = group.list_commands(context)
    options = [line for option in group.get_params(context) for line in _option(context, option)]
    lines = [
        f'.TH {program.upper()} 1 "" "{PROGRAM} {__version__}" "User Commands"',
        ".SH NAME",
        f"{program} \\- {about}",
        ".SH SYNOPSIS",
        f".B {program}\n.RI [ OPTIONS ]\n.I VERB\n.RI [ OPTIONS ]",
        ".SH DESCRIPTION",
        *_paragraphs(group.help or ""),
        *([".SH OPTIONS", *options] if options else []),
    ]
    for heading in dict.fromkeys(chapters.get(name, "Verbs") for name in names):
        lines.append(f".SH {roff(heading).upper()}")
        for name in names:
            found = group.get_command(context, name)
            if chapters.get(name, "Verbs") == heading and found is not None:
                lines += _verb(context, name, found)
    lines.append(".SH EXIT STATUS")
    for status, meaning in _EXITS:
        lines += [".TP", f".B {status}", roff(meaning)]
    lines += [".SH FILES", ".TP", f".I {roff(str(DEFAULT_CONFIG))}", "The agent's configuration, TOML."]
    lines += [".SH SEE ALSO", ".BR modem\\-agent.toml (5)"]
    return "\n".join(lines) + "\n"


def _verb(parent: click.Context, name: str, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f'.SS "{roff(name)} {roff(usage)}"', *_paragraphs(command.help or "")]
    for parameter in command.get_params(context):
        lines += _option(context, parameter)
    if isinstance(command, Verb) and command.examples:
        lines += [".PP", "Example:", ".nf", *(roff("    " + example) for example in command.examples), ".fi"]
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None:
                lines += _verb(parent, f"{name} {inner}", found)
    return lines


def _option(context: click.Context, parameter: click.Parameter) -> list[str]:
    record = parameter.get_help_record(context)
    if record is None or "--help" in record[0]:
        return []
    return [".TP", f".B {roff(record[0])}", roff(record[1])]


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for block in text.strip().split("\n\n"):
        lines += [".PP", roff(" ".join(block.split()))]
    return lines


def roff(text: str) -> str:
    """Text with what roff would take for its own made plain."""
    safe = text.replace("\\", "\\e").replace("-", "\\-")
    safe = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in safe)  # roff reads bytes
    return "\\&" + safe if safe.startswith((".", "'")) else safe
