"""`modem-agent completion SHELL`: the completion script for bash, zsh or fish, or the manual page.

Both are made from the same help that `--help` shows, so they cannot lag behind it.
"""

from __future__ import annotations

import click

from agent.cli.verb import Call, verb


@verb(
    "modem-agent completion bash > /usr/share/bash-completion/completions/modem-agent",
    "modem-agent completion man > /usr/share/man/man1/modem-agent.1",
    socket=False,
    json=False,
)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish", "man")))
def command(call: Call, shell: str) -> None:
    """Print the completion script of a shell, or the manual page."""
    from agent.cli import COMPLETE, PROGRAM
    from agent.cli.group import group

    if shell == "man":
        from agent.cli.man_page import page

        print(page(group), end="")
        return
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this version of click has no completion for {shell}")
    print(kind(group, {}, PROGRAM, COMPLETE).source())
