"""`modem-support`: the operator's desk. Watches devices and sends them commands over MQTT, with any broker.

A program of its own: it needs no agent and no root, only the broker. Exit statuses are those of `modem-agent`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click

from agent import __version__
from agent.cli import exits, screen
from agent.errors import AgentError, ConfigError, OperatorError
from agent.support.office.cli import office
from agent.support.words import arguments_of, escape_what_cannot_be_shown, summary

PROGRAM = "modem-support"
BROKER_HELP = "mqtts://HOST[:PORT] or mqtt://HOST[:PORT]"


class Desktop:
    """What every verb needs: where the broker is, and who asks."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def __getattr__(self, name: str) -> Any:
        return self.options[name]

    def desk(self) -> Any:
        """A Desk to enter. Raises ConfigError."""
        from agent.support.client import Desk

        return Desk(self.target(), self.root, dots=not self.no_dots)

    def target(self) -> Any:
        """Where and as whom to connect. Raises ConfigError."""
        from agent.config import OperatorSettings
        from agent.mqtt import tls
        from agent.mqtt.session import split_url
        from agent.mqtt.transport import Target

        if not self.broker:
            raise click.UsageError(f"which broker? say --broker {BROKER_HELP}, or set MODEM_SUPPORT_BROKER")
        host, port, secure = split_url(self.broker)
        files: dict[str, Any] = {f"{name}_file": getattr(self, name) or "" for name in ("ca", "cert", "key", "psk")}
        settings = OperatorSettings(url=self.broker, **files)
        password = tls.secret(self.password_file) if self.password_file else ""
        return Target(
            host=host,
            port=port,
            client_id="",
            keepalive_s=60,
            protocol=self.mqtt,
            username=self.user or "",
            password=password,
            tls=tls.context(settings, clock_trusted=True) if secure else None,
        )


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.option("--broker", envvar="MODEM_SUPPORT_BROKER", metavar="URL", help=f"{BROKER_HELP}.")
@click.option("--user", envvar="MODEM_SUPPORT_USER", help="User name at the broker.")
@click.option("--password-file", envvar="MODEM_SUPPORT_PASSWORD_FILE", metavar="FILE", help="Holds the password.")
@click.option("--ca", metavar="FILE", help="Certificates to trust, PEM.")
@click.option("--cert", metavar="FILE", help="Our certificate, PEM.")
@click.option("--key", metavar="FILE", help="Its key, PEM.")
@click.option("--psk", metavar="FILE", help="A pre-shared key: identity:hexkey.")
@click.option("--root", default="modem-agent", show_default=True, help="First level of every topic.")
@click.option("--mqtt", type=click.Choice(("auto", "5", "3.1.1")), default="auto", show_default=True)
@click.option("--no-dots", is_flag=True, help="The broker bears no dot in a topic (RabbitMQ, NATS before 2.10).")
@click.pass_context
def group(context: click.Context, /, **options: Any) -> None:
    """The operator's desk for devices that run modem-agent."""
    context.obj = Desktop(**options)


@group.command()
@click.argument("devices", nargs=-1, metavar="[DEVICE]...")
@click.option("--for", "seconds", type=float, metavar="SECONDS", help="Stop after so long.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def watch(desktop: Desktop, devices: tuple[str, ...], seconds: float | None, as_json: bool) -> int:
    """Show what devices say, as it comes; all of them, or those named."""

    async def run() -> int:
        async with desktop.desk() as desk:
            for device in devices or ("+",):
                desk.subscribe("#", device)
            async for heard in desk.messages(seconds):
                if as_json:
                    print_line({"device": heard.device, "topic": heard.topic, "body": heard.body})
                else:
                    print(screen.clean(f"{heard.device}  {heard.topic:<14} {summary(heard)}"), flush=True)
        return exits.OK

    return _finish(run)


@group.command()
@click.argument("device")
@click.argument("command")
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--sign", metavar="FILE", help="Keys file (TOML) with one issuer: sign the command with its key.")
@click.option("--issuer", default="support", show_default=True, help="Who asks; a signed command names its key's.")
@click.option("--ttl", type=click.IntRange(1, 30 * 86_400), default=600, show_default=True, metavar="SECONDS")
@click.option("--wait/--no-wait", default=True, help="Wait for the final answer (default) or only send.")
@click.option("--timeout", type=float, default=60.0, show_default=True, metavar="SECONDS", help="Wait at most so long.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a result message.")
@click.pass_obj
def send(desktop: Desktop, /, device: str, command: str, words: tuple[str, ...], **options: Any) -> int:
    """Send one command, such as: send imei::990000862471854 plan.topup bytes=5GB."""
    from agent.support.client import new_envelope

    args = arguments_of(command, words)
    envelope = new_envelope(command, args, device=device, issuer=options["issuer"], ttl_s=options["ttl"])
    if options["sign"]:
        envelope = _signed(envelope, options["sign"])

    async def run() -> int:
        async with desktop.desk() as desk:
            desk.subscribe(f"cmd/{desk.spelled(command)}/{envelope['id']}/res", device)
            desk.ask(device, envelope)
            if not options["wait"]:
                return await _sent(desk, envelope["id"], options["as_json"])
            return await _follow(desk, envelope["id"], options["timeout"], options["as_json"])

    return _finish(run)


async def _sent(desk: Any, id: str, as_json: bool) -> int:
    """The broker has the command: it waits there for a device that is away."""
    await desk.delivered()
    if as_json:
        print_line({"id": id, "state": "sent"})
    else:
        print(f"{id}: sent")
    return exits.OK


async def _follow(desk: Any, id: str, timeout_s: float, as_json: bool) -> int:
    state, code = "", 0
    async for body in desk.results(id, timeout_s):
        state, code = str(body.get("state")), int(body.get("code") or 0)
        if as_json:
            print_line(body)
        else:
            for line in screen_lines(body):
                print(screen.clean(line), flush=True)
    if state in ("", "accepted", "running"):
        raise TimeoutError(f"no final answer within {timeout_s:g} s; the command may still be done ({id})")
    if state == "succeeded":
        return exits.OK
    if state in ("expired", "timed-out"):
        return exits.TIMED_OUT
    return exits.NOT_PERMITTED if code in (7006, 7803, 7804) else exits.FAILED


def screen_lines(body: dict[str, Any]) -> list[str]:
    """One result message for eyes."""
    percent = f" {body['progress']} %" if "progress" in body else ""
    reason = f": {body['reason']}" if body.get("reason") else ""
    lines = [f"{body.get('state')}{percent}{reason}"]
    out = body.get("out")
    if isinstance(out, dict):
        import json

        lines += json.dumps(out, indent=2, ensure_ascii=False).splitlines()
    return lines


def _signed(envelope: dict[str, Any], path: str) -> dict[str, Any]:
    import time

    from agent.commands.authority import load, sign

    issuers = list(load(path).values())
    if len(issuers) != 1:
        raise ConfigError(path, "", f"{len(issuers)} issuers; a desk signs with one")
    # Milliseconds rise from command to command and from desk to desk; the device remembers the last one.
    body = {**envelope, "iss": issuers[0].name, "ctr": time.time_ns() // 1_000_000}
    return sign(body, issuers[0].key_id, issuers[0].key)


@group.command()
@click.option("--for", "seconds", type=float, default=5.0, show_default=True, metavar="SECONDS", help="Listen so long.")
@click.option(
    "--ask", type=click.Path(exists=True, dir_okay=False), metavar="FILE", help="Ask these devices, one a line."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def fleet(desktop: Desktop, seconds: float, ask: str | None, as_json: bool) -> int:
    """Who is online, what was used, who is throttled, which alarms are raised.

    Live from what the broker has retained. A broker that keeps nothing for wildcard filters (RabbitMQ) needs --ask: a
    file of device ids, each of which is asked for a rebirth.
    """
    from agent.support.client import Fleet, new_envelope

    devices = Path(ask).read_text(encoding="utf-8").split() if ask else []
    seen = Fleet()

    async def run() -> int:
        async with desktop.desk() as desk:
            for below in ("status", "twin/plan", "m/traffic", "a/+"):
                desk.subscribe(below)
            for device in devices:
                desk.ask(device, new_envelope("agent.rebirth", {}, device=device, issuer="support", ttl_s=60))
            async for heard in desk.messages(seconds):
                seen.hear(heard)
        return exits.OK

    _finish(run)
    members = [seen.members[name] for name in sorted(seen.members)]
    if as_json:
        screen.print_json({"v": 1, "devices": [member.to_dict() for member in members]})
        return exits.OK
    head = ("Device", "Presence", "Plan", "Used", "Of", "Alarms", "Version")
    rows = [
        (m.device, m.presence, m.state or "-", screen.size(m.used_bytes) or "-", screen.size(m.limit_bytes) or "-",
         ", ".join(sorted(m.alarms)) or "-", m.version or "-")
        for m in members
    ]  # fmt: skip
    for line in screen.table(head, rows):
        print(line)
    return exits.OK


@group.command("ask-rebirth")
@click.argument("device")
@click.option("--timeout", type=float, default=30.0, show_default=True, metavar="SECONDS")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a result message.")
@click.pass_obj
def ask_rebirth(desktop: Desktop, device: str, timeout: float, as_json: bool) -> int:
    """Have a device publish presence, twins and measurements anew, after a gap or an empty broker."""
    from agent.support.client import new_envelope

    envelope = new_envelope("agent.rebirth", {}, device=device, issuer="support", ttl_s=600)

    async def run() -> int:
        async with desktop.desk() as desk:
            desk.subscribe(f"cmd/{desk.spelled('agent.rebirth')}/{envelope['id']}/res", device)
            desk.ask(device, envelope)
            return await _follow(desk, envelope["id"], timeout, as_json)

    return _finish(run)


group.add_command(office)


def print_line(body: Any) -> None:
    """One JSON object on one line, at once: a pipe reads along."""
    import json

    print(json.dumps(body, ensure_ascii=False), flush=True)


def _finish(run: Callable[[], Coroutine[Any, Any, int]]) -> int:
    return asyncio.run(run())


def main(arguments: list[str] | None = None) -> None:
    """The executable `modem-support`."""
    escape_what_cannot_be_shown(sys.stdout)
    try:
        status = group.main(args=arguments, prog_name=PROGRAM, standalone_mode=False)
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except click.UsageError as error:
        status = _fail(error.format_message(), exits.USAGE)
    except (click.Abort, KeyboardInterrupt):
        status = exits.INTERRUPTED
    except BrokenPipeError:
        status = exits.PIPE_CLOSED
    except OperatorError as error:
        status = _fail(str(error), exits.FAILED)
    except (AgentError, TimeoutError, OSError) as error:
        status = _fail(str(error), exits.status_of(error))
    sys.exit(status if isinstance(status, int) else exits.OK)


def _fail(sentence: str, status: int) -> int:
    print(f"{PROGRAM}: {screen.clean(sentence)}", file=sys.stderr)
    return status
