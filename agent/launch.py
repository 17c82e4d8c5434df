"""The executable `modem-agent`: the daemon goes without the tool's parser, all other verbs through agent.cli.

`run --config FILE` is how systemd and procd start the daemon. Parsing that with click would cost the board a megabyte
for as long as the daemon lives, so these words are taken here; in any other form the tool's own `run` does the same.
"""

from __future__ import annotations

import sys

USAGE = 2  # agent.cli.exits says the same; a test holds them equal


def main() -> None:
    """Ends the process with its exit status."""
    match sys.argv[1:]:
        case ["run", "--config", file]:
            sys.exit(_serve(file))
        case _:
            from agent.cli import main as tool

            tool()


def _serve(file: str) -> int:
    from agent.config import load
    from agent.errors import ConfigError

    try:
        config = load(file)  # before anything heavy is imported: a wrong configuration starts nothing
    except ConfigError as error:
        print(f"modem-agent: {error}", file=sys.stderr)
        return USAGE
    from agent.daemon import run

    return run(config)


if __name__ == "__main__":
    main()
