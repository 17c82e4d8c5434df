"""`modem-agent run`: the daemon in the foreground, as systemd and procd start it."""

from __future__ import annotations

from agent.cli.verb import Call, verb


@verb("modem-agent run --config /etc/modem-agent/config.toml", socket=False, json=False)
def command(call: Call) -> int:
    """Run the agent in the foreground.

    SIGTERM or Ctrl-C ends it in order; the shaper stays in the kernel, so a restart gives no free speed.
    """
    config = call.config(start=True)  # before anything heavy is imported: a wrong configuration starts nothing
    import importlib

    return int(importlib.import_module("agent.daemon").run(config))
