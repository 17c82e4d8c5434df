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
from agent.cli import exits, language, screen
from agent.cli.language import N_, _
from agent.errors import ConfigError

PROGRAM = "modem-agent"
COMPLETE = "_MODEM_AGENT_COMPLETE"  # set by the completion scripts
DEFAULT_CONFIG = "/etc/modem-agent/config.toml"  # agent.config.DEFAULT_PATH, whose module takes too long to import

# verb: (heading in --help, one line). The verb `x` is `agent.cli.verbs.x.command`.
VERBS: dict[str, tuple[str, str]] = {
    "status": (N_("Look"), N_("Is it on, how good, how much used, how fast and why.")),
    "usage": (N_("Look"), N_("What was used this period, by day or by month.")),
    "signal": (N_("Look"), N_("The radio signal; --watch aims an antenna.")),
    "modem": (N_("Look"), N_("What the module is and says: identity, SIM, cell, contexts.")),
    "page": (N_("Look"), N_("Print the household's page, or the sheet that leads there.")),
    "log": (N_("Look"), N_("What happened; --audit shows who commanded what.")),
    "doctor": (N_("Find the fault"), N_("Walk the chain from port to broker and name the root cause.")),
    "ping": (N_("Find the fault"), N_("Ask a host for echoes over the mobile line.")),
    "speed": (N_("Find the fault"), N_("Measure the line against the operator's server.")),
    "at": (N_("Find the fault"), N_("Send one AT command to the module.")),
    "decode": (N_("Find the fault"), N_("Tell what a modem's answer means.")),
    "bundle": (N_("Find the fault"), N_("Collect all that a ticket needs, redacted, in one file.")),
    "reset": (N_("Act"), N_("Reset the radio, the module or its power.")),
    "erase": (N_("Act"), N_("Take everything of the household off the device.")),
    "throttle": (N_("Act"), N_("Lift, force or suspend the throttle, or leave it to the plan.")),
    "topup": (N_("Act"), N_("Add to this period's allowance, if the plan allows it here.")),
    "run": (N_("Set up"), N_("Run the agent in the foreground.")),
    "setup": (N_("Set up"), N_("Ask for what has no default and write the configuration.")),
    "pin": (N_("Set up"), N_("Give the SIM's PIN to the agent.")),
    "config": (N_("Set up"), N_("Show or check the configuration.")),
    "commands": (N_("Set up"), N_("The table of commands that CLI and operator share.")),
    "completion": (N_("Set up"), N_("Print the completion script of a shell, or the manual page.")),
}

ABOUT = N_("""The agent on a household's 4G modem, and the technician's tool to ask it.

Every verb takes --json (one object), --help (with an example) and ends with 0 ok, 1 failed, 2 usage or
configuration, 3 agent not running, 4 not permitted, 5 modem absent, 6 timed out.
""")
LANG_HELP = N_("Language of the text: fr, nl, de or en.")
OPTIONS = (
    ("--lang", LANG_HELP),
    ("--version", N_("Show the version and exit.")),
    ("-h, --help", N_("Show this message and exit.")),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The executable `modem-agent`; ends the process with its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # No locale, or a seven-bit one: what cannot be shown is escaped, never a traceback.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    language.choose(words, DEFAULT_CONFIG)
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
    lines = screen.wrap(_("Usage: {program} [OPTIONS] VERB [ARGUMENTS]...", program=PROGRAM), columns, indent=" " * 7)
    for paragraph in _(ABOUT).strip().split("\n\n"):
        lines += ["", *("  " + line for line in screen.wrap(paragraph, columns - 2))]
    headings: dict[str, list[tuple[str, str]]] = {N_("Options"): list(OPTIONS)}
    for name, (heading, text) in VERBS.items():
        headings.setdefault(heading, []).append((name, text))
    for heading, rows in headings.items():
        lines += ["", f"{_(heading)}:"]
        left = max(len(name) for name, text in rows) + 4
        for name, text in rows:
            first, *rest = screen.wrap(_(text), columns - left)
            lines += [f"  {name}".ljust(left) + first, *(" " * left + more for more in rest)]
    return "\n".join(lines)


def _abandon_stdout() -> None:
    """The interpreter flushes stdout at exit and would complain about the closed pipe."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
