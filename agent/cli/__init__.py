"""The technician's tool: `modem-agent VERB`. One module a verb, imported only when that verb is asked for.

main() is the executable. Every error that is meant ends here as one line and an exit status (exits.py); `--help`
imports no verb at all, so a verb's short help stands in the table below and a test holds the two equal.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from agent import __version__
from agent.cli import exits, screen
from agent.errors import AgentError

PROGRAM = "modem-agent"
COMPLETE = "_MODEM_AGENT_COMPLETE"  # set by the completion scripts

# verb: (heading in --help, one line). The verb `x` is `agent.cli.x.command`.
VERBS: dict[str, tuple[str, str]] = {
    "status": ("Look", "Is it on, how good, how much used, how fast and why."),
    "usage": ("Look", "What was used this period, by day or by month."),
    "signal": ("Look", "The radio signal; --watch aims an antenna."),
    "modem": ("Look", "What the module is and says: identity, SIM, cell, contexts."),
    "log": ("Look", "What happened; --audit shows who commanded what."),
    "doctor": ("Find the fault", "Walk the chain from port to broker and name the root cause."),
    "ping": ("Find the fault", "Ask a host for echoes over the mobile line."),
    "at": ("Find the fault", "Send one AT command to the module."),
    "decode": ("Find the fault", "Tell what a modem's answer means."),
    "bundle": ("Find the fault", "Collect all that a ticket needs, redacted, in one file."),
    "reset": ("Act", "Reset the radio, the module or its power."),
    "throttle": ("Act", "Lift or force the throttle, or leave it to the plan."),
    "topup": ("Act", "Add to this period's allowance, if the plan allows it here."),
    "run": ("Set up", "Run the agent in the foreground."),
    "setup": ("Set up", "Ask for what has no default and write the configuration."),
    "config": ("Set up", "Show or check the configuration."),
    "commands": ("Set up", "The table of commands that CLI and operator share."),
    "completion": ("Set up", "Print the completion script of a shell, or the manual page."),
}


class Verbs(click.Group):
    """Finds a verb's module by its name, and knows the short help of all without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in VERBS if _exists(name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS or not _exists(cmd_name):
            return None
        module = importlib.import_module(f"agent.cli.{cmd_name}")
        command = module.command
        command.name = cmd_name
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(f"there is no verb '{args[0]}'{_nearest(args[0])}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        headings: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            headings.setdefault(VERBS[name][0], []).append((name, VERBS[name][1]))
        for heading, rows in headings.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


def _exists(name: str) -> bool:
    return os.path.exists(os.path.join(os.path.dirname(__file__), f"{name}.py")) or os.path.exists(
        os.path.join(os.path.dirname(__file__), f"{name}.pyc")  # OpenWrt ships bytecode only
    )


def _nearest(word: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, VERBS, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; '{PROGRAM} --help' lists them"


@click.group(cls=Verbs, no_args_is_help=False, invoke_without_command=True)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.pass_context
def group(ctx: click.Context) -> None:
    """The agent on a household's 4G modem, and the technician's tool to ask it.

    Every verb takes --json (one object), --help (with an example) and ends with 0 ok, 1 failed, 2 usage or
    configuration, 3 agent not running, 4 not permitted, 5 modem absent, 6 timed out.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """The executable `modem-agent`; ends the process with its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # No locale, or a seven-bit one: what cannot be shown is escaped, never a traceback.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    status = _run(words)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = exits.PIPE_CLOSED
    if status == exits.PIPE_CLOSED:
        _abandon_stdout()
    sys.exit(status)


def _run(words: list[str]) -> int:
    as_json = "--json" in words
    try:
        if COMPLETE in os.environ:
            return _complete(os.environ[COMPLETE])
        # Not group.main(): it ends the process by itself when a pipe is closed, with a status of its own.
        # And click's own help is never narrower than 50 columns, which some consoles are.
        with group.make_context(PROGRAM, words, terminal_width=min(80, screen.width())) as context:
            status = group.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        return _fail(_usage_sentence(error), exits.USAGE, as_json)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", exits.INTERRUPTED, as_json)
    except click.ClickException as error:
        return _fail(error.format_message(), exits.FAILED, as_json)
    except BrokenPipeError:
        return exits.PIPE_CLOSED
    except (AgentError, OSError) as error:
        return _fail(str(error), exits.status_of(error), as_json)
    return status if isinstance(status, int) else exits.OK


def _complete(instruction: str) -> int:
    """What the completion script of a shell asks at each TAB."""
    from click.shell_completion import shell_complete

    return shell_complete(group, {}, PROGRAM, COMPLETE, instruction)


def _usage_sentence(error: click.UsageError) -> str:
    text = error.format_message().replace("\n", " ").strip()
    text = text if text.endswith("...") else text.rstrip(".")
    text = text[:1].lower() + text[1:]
    where = error.ctx.command_path if error.ctx is not None else PROGRAM
    return text if "--help" in text or text.endswith("?") else f"{text}; see '{where} --help'"


def _fail(sentence: str, status: int, as_json: bool) -> int:
    line = " ".join(sentence.split())
    print(f"{PROGRAM}: {line}", file=sys.stderr)
    if as_json:
        try:
            screen.print_json(
                {"v": 1, "error": {"code": status, "name": exits.NAMES.get(status, "failed"), "message": line}}
            )
        except BrokenPipeError:
            return exits.PIPE_CLOSED
    return status


def _abandon_stdout() -> None:
    """The interpreter flushes stdout at exit and would complain about the closed pipe."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
