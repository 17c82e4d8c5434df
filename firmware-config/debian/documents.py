"""What the package has for readers and shells: manual pages, completion, the technician's guide. Called by build.py.

All is made from the programs' own help and from config.py, so that it cannot lag behind them.
"""

from __future__ import annotations

import gzip
import inspect
import re
import typing
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from agent import __version__, config
from agent.cli import COMPLETE, PROGRAM
from agent.cli.group import group as agent_group
from agent.cli.man_page import page, roff
from agent.config_rules import RULES
from agent.plan import model
from agent.support import cli as support

PROJECT = Path(__file__).parents[2]
DOCUMENTS = "usr/share/doc/modem-agent"
# Debian's folders for completion: bash-completion's, zsh's and fish's for files of packages.
SHELLS = {
    "bash": "usr/share/bash-completion/completions/{program}",
    "zsh": "usr/share/zsh/vendor-completions/_{program}",
    "fish": "usr/share/fish/vendor_completions.d/{program}.fish",
}
PROGRAMS = ((PROGRAM, COMPLETE, agent_group), (support.PROGRAM, "_MODEM_SUPPORT_COMPLETE", support.group))


def documents() -> dict[str, bytes]:
    """Path in the package to content."""
    guide = (PROJECT / "agent/cli/README.md").read_bytes()
    made = {
        "usr/share/man/man1/modem-agent.1.gz": packed(page(agent_group).encode()),
        "usr/share/man/man1/modem-support.1.gz": packed(support_page().encode()),
        "usr/share/man/man5/modem-agent.toml.5.gz": packed(configuration_page().encode()),
        f"{DOCUMENTS}/technician.md.gz": packed(guide),
    }
    for shell, place in SHELLS.items():
        for program, variable, group in PROGRAMS:
            made[place.format(program=program)] = completion(shell, program, variable, group).encode()
    return made


def packed(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


def completion(shell: str, program: str, variable: str, group: click.Group) -> str:
    kind = get_completion_class(shell)
    if kind is None:
        raise SystemExit(f"this version of click has no completion for {shell}")
    return kind(group, {}, program, variable).source()


def support_page() -> str:
    return page(support.group, support.PROGRAM, "the operator's desk for modem-agent, over MQTT", chapters={})


# -- modem-agent.toml(5) -----------------------------------------------------------------------------------------------


def configuration_page() -> str:
    """Every key with its meaning, what is allowed, and its default."""
    lines = [
        f'.TH MODEM\\-AGENT.TOML 5 "" "{PROGRAM} {__version__}" "File Formats"',
        ".SH NAME",
        f"modem\\-agent.toml \\- configuration of {roff(PROGRAM)}",
        ".SH SYNOPSIS",
        f".I {roff(str(config.DEFAULT_PATH))}",
        ".SH DESCRIPTION",
        "One TOML file. Each key has a default; what is not set here has it.",
        roff(f"'{PROGRAM} config check' names a mistake, '{PROGRAM} config show' shows what is in force, and"),
        roff(f"'{PROGRAM} setup' asks for what has no default."),
    ]
    for section, cls, prefix in sections():
        lines += [f'.SH "[{roff(section)}]"', roff(inspect.getdoc(cls) or "")]
        meanings = comments(cls)
        hints = typing.get_type_hints(cls)
        for f in fields(cls):
            if f"{prefix}{f.name}" == "plan.steps":
                continue
            lines += [".TP", f".B {roff(f.name)}", roff(meanings.get(f.name, "")) or "\\&", ".br"]
            lines.append(roff(f"{allowed(f'{prefix}{f.name}', hints[f.name])}; {default(cls, f.name)}"))
    return "\n".join([*lines, ".SH SEE ALSO", f".BR {roff(PROGRAM)} (1)"]) + "\n"


def sections() -> Iterator[tuple[str, type[Any], str]]:
    """Heading, dataclass, and how RULES begin its keys."""
    hints = typing.get_type_hints(config.Config)
    for f in fields(config.Config):
        if is_dataclass(hints[f.name]):
            yield f.name, hints[f.name], f"{f.name}."
    yield "[plan.steps]", model.Step, "plan.steps."


def comments(cls: type[Any]) -> dict[str, str]:
    """The comment behind each field, with the lines below it that go on."""
    found: dict[str, str] = {}
    name = ""
    for line in inspect.getsource(cls).splitlines():
        field = re.match(r"    (\w+): [^#]*(?:#\s*(.*))?$", line)
        more = re.match(r"    +#\s*(.*)$", line)
        if field:
            name = field[1]
            found[name] = field[2] or ""
        elif more and name:
            found[name] = f"{found[name]} {more[1]}".strip()
    return found


KINDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    date: "a date such as 2027-01-31",
}


def allowed(key: str, hint: Any) -> str:
    """What its rule says, or of which type it is."""
    if key in RULES:
        return RULES[key][1]
    inner = next((kind for kind in (hint, *typing.get_args(hint)) if kind in KINDS), str)
    return f"{'a list: ' if typing.get_origin(hint) is tuple else ''}{KINDS[inner]}"


def default(cls: type[Any], name: str) -> str:
    f = next(f for f in fields(cls) if f.name == name)
    return f"default {shown(f.default if f.default_factory is MISSING else f.default_factory())}"


def shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(shown(v) for v in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
