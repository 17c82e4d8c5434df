"""The technician's tool: `modem-agent VERB`. One module a verb, imported only when that verb is asked for.

main() is the executable. What needs no verb (the list of verbs, the version) is said here, before click is imported:
click is most of the time that a technician would wait for it. The rest is group.py's.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

from agent import __version__
from agent.cli import exits, screen
from agent.errors import ConfigError

PROGRAM = "modem-agent"
COMPLETE = "_MODEM_AGENT_COMPLETE"  # set by the completion scripts

# verb: (heading in --help, one line). The verb `x` is `agent.cli.verbs.x.command`.
VERBS: dict[str, tuple[str, str]] = {
    "status": ("Look", "Is it on, how good, how much used, how fast and why."),
    "usage": ("Look", "What was used this period, by day or by month."),
    "signal": ("Look", "The radio signal; --watch aims an antenna."),
    "modem": ("Look", "What the module is and says: identity, SIM, cell, contexts."),
    "page": ("Look", "Print the household's page, or the sheet that leads there."),
    "log": ("Look", "What happened; --audit shows who commanded what."),
    "doctor": ("Find the fault", "Walk the chain from port to broker and name the root cause."),
    "ping": ("Find the fault", "Ask a host for echoes over the mobile line."),
    "at": ("Find the fault", "Send one AT command to the module."),
    "decode": ("Find the fault", "Tell what a modem's answer means."),
    "bundle": ("Find the fault", "Collect all that a ticket needs, redacted, in one file."),
    "reset": ("Act", "Reset the radio, the module or its power."),
    "erase": ("Act", "Take everything of the household off the device."),
    "throttle": ("Act", "Lift, force or suspend the throttle, or leave it to the plan."),
    "topup": ("Act", "Add to this period's allowance, if the plan allows it here."),
    "run": ("Set up", "Run the agent in the foreground."),
    "setup": ("Set up", "Ask for what has no default and write the configuration."),
    "pin": ("Set up", "Give the SIM's PIN to the agent."),
    "config": ("Set up", "Show or check the configuration."),
    "commands": ("Set up", "The table of commands that CLI and operator share."),
    "completion": ("Set up", "Print the completion script of a shell, or the manual page."),
}

ABOUT = """The agent on a household's 4G modem, and the technician's tool to ask it.

Every verb takes --json (one object), --help (with an example) and ends with 0 ok, 1 failed, 2 usage or
configuration, 3 agent not running, 4 not permitted, 5 modem absent, 6 timed out.
"""
OPTIONS = (("--version", "Show the version and exit."), ("-h, --help", "Show this message and exit."))


def main(arguments: Sequence[str] | None = None) -> None:
    """The executable `modem-agent`; ends the process with its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # No locale, or a seven-bit one: what cannot be shown is escaped, never a traceback.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    try:
        status = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        status = exits.PIPE_CLOSED
    except KeyboardInterrupt:  # before there was a verb to end
        status = exits.INTERRUPTED
    if status == exits.PIPE_CLOSED:
        _abandon_stdout()
    sys.exit(status)


def _run(words: list[str]) -> int:
    if COMPLETE not in os.environ and (not words or words[0] in ("-h", "--help", "--version")):
        print(f"{PROGRAM} {__version__}" if words[:1] == ["--version"] else overview(screen.width()))
        return exits.OK
    gc.disable()  # a tenth of a start's time for nothing. Those that stay (run, signal --watch) enable it.
    if words[:2] == ["run", "--config"] and len(words) == 3:  # as service managers start it
        return _serve(words[2])
    from agent.cli.group import run

    return run(words)


def _serve(file: str) -> int:
    """The daemon without click, which would cost a small board a megabyte for as long as it lives; else as run.py."""
    from agent.config_start import load  # before anything heavy is imported: a wrong configuration starts nothing

    try:
        config = load(file)
    except ConfigError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return exits.status_of(error)
    from agent.lean import without

    with without("ssl"):  # asyncio would read OpenSSL for a TLS that nobody asks it for; paho reads it later
        from agent.daemon import run

    return run(config)


def overview(columns: int) -> str:
    """What `--help` shows: every verb under its heading, in at most 80 columns."""
    columns = min(80, columns)
    lines = screen.wrap(f"Usage: {PROGRAM} [OPTIONS] VERB [ARGUMENTS]...", columns, indent=" " * 7)
    for paragraph in ABOUT.strip().split("\n\n"):
        lines += ["", *("  " + line for line in screen.wrap(paragraph, columns - 2))]
    headings: dict[str, list[tuple[str, str]]] = {"Options": list(OPTIONS)}
    for name, (heading, text) in VERBS.items():
        headings.setdefault(heading, []).append((name, text))
    for heading, rows in headings.items():
        lines += ["", f"{heading}:"]
        left = max(len(name) for name, _ in rows) + 4
        for name, text in rows:
            first, *rest = screen.wrap(text, columns - left)
            lines += [f"  {name}".ljust(left) + first, *(" " * left + more for more in rest)]
    return "\n".join(lines)


def _abandon_stdout() -> None:
    """The interpreter flushes stdout at exit and would complain about the closed pipe."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
