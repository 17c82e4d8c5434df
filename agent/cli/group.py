"""click's side of the executable: which word is which verb, and which error ends in which sentence and status.

Used by main() once a verb is asked for, and by the completion scripts and the manual page.
"""

from __future__ import annotations

import importlib
import os
import sys
from copy import copy
from inspect import cleandoc

import click

from agent import __version__
from agent.cli import ABOUT, COMPLETE, LANG_HELP, PROGRAM, VERBS, exits, overview, screen
from agent.cli.language import LANGUAGES, N_, _, spoken
from agent.errors import AgentError

# click's own sentences, of its versions from 8.0 on. It asks gettext for them itself (language.py), so they are of
# seven bits in every language.
CLICK = (
    N_("Usage:"),
    N_("Missing argument"),
    N_("Missing option"),
    N_("Missing command."),
    N_("Invalid value: {message}"),
    N_("Invalid value for {param_hint}: {message}"),
    N_("No such option {name!r}."),
    N_("No such option: {name}"),
    N_("{value!r} is not a valid {number_type}."),
    N_("{value} is not in the range {range}."),
)
TRACEBACK = "MODEM_AGENT_TRACEBACK"  # in the environment of a developer


class Verbs(click.Group):
    """Finds a verb's module by its name, and knows the short help of all without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"agent.cli.verbs.{cmd_name}")
        command = module.command
        command.name = cmd_name
        return translated(command) if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(_no_verb(args[0]), ctx)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(overview(ctx.terminal_width or screen.width()))


def _no_verb(word: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, VERBS, n=1)
    if near:
        return _("there is no verb '{word}'; did you mean '{near}'?", word=word, near=near[0])
    return _("there is no verb '{word}'; '{program} --help' lists them", word=word, program=PROGRAM)


def translated(command: click.Command) -> click.Command:
    """The same with its help and its options' in the chosen language; in the source they are English."""
    made = copy(command)
    made.help = _(cleandoc(command.help)) if command.help else None
    made.params = [_translated_option(parameter) for parameter in command.params]
    if isinstance(made, click.Group):
        made.commands = {name: translated(inner) for name, inner in made.commands.items()}
    return made


def _translated_option(parameter: click.Parameter) -> click.Parameter:
    if not isinstance(parameter, click.Option) or not parameter.help:
        return parameter
    made = copy(parameter)
    made.help = _(parameter.help)
    return made


@click.group(cls=Verbs, help=ABOUT, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--lang", type=click.Choice(LANGUAGES), expose_value=False, help=LANG_HELP)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def group() -> None:
    """All verbs; one of them does the work."""


def run(words: list[str]) -> int:
    """The exit status of a command line; every error that is meant ends here as one line."""
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
        return _fail(_("interrupted"), exits.INTERRUPTED, as_json)
    except click.ClickException as error:
        return _fail(error.format_message(), exits.FAILED, as_json)
    except BrokenPipeError:
        return exits.PIPE_CLOSED
    except PermissionError as error:
        return _fail(_denied_sentence(error), exits.NOT_PERMITTED, as_json)
    except (AgentError, OSError) as error:
        return _fail(spoken(str(error)), exits.status_of(error), as_json)
    except Exception as error:
        if words[:1] == ["run"] or TRACEBACK in os.environ:
            raise  # the daemon's log must have all of it
        return _fail(_fault_sentence(error), exits.FAILED, as_json)
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
    if "--help" in text or text.endswith("?"):
        return text
    return _("{problem}; see '{program} --help'", problem=text, program=where)


def _denied_sentence(error: PermissionError) -> str:
    """The kernel's refusal as the verbs say theirs; root has no use for the advice."""
    words = (
        _("this user may not do that; use sudo") if os.geteuid() else _("not permitted ({error})", error=error.strerror)
    )
    return f"{screen.clean(error.filename)}: {words}" if error.filename else words


def _fault_sentence(error: Exception) -> str:
    """A fault of the tool itself, or an answer that it cannot read: what, where, and how to learn more."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    file = os.path.basename(place.tb_frame.f_code.co_filename) if place is not None else "?"
    line = place.tb_lineno if place is not None else 0
    what = f"{type(error).__name__}: {error}"
    return _(
        "an answer that this tool cannot read, or a fault of its own ({what}); {variable}=1 shows more",
        what=f"{what}; {file}:{line}",
        variable=TRACEBACK,
    )


def _fail(sentence: str, status: int, as_json: bool) -> int:
    line = " ".join(sentence.split())
    print(screen.clean(f"{PROGRAM}: {line}"), file=sys.stderr)
    if as_json:
        try:
            screen.print_json(
                {"v": 1, "error": {"code": status, "name": exits.NAMES.get(status, "failed"), "message": line}}
            )
        except BrokenPipeError:
            return exits.PIPE_CLOSED
    return status
