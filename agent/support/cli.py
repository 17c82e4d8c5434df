"""`modem-support`: the operator's tool. Watches devices and sends them commands over MQTT, with any broker.

A program of its own: it needs no agent and no root, only the broker. Exit statuses are those of `modem-agent`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from agent import SUPPORTED_UNTIL, __version__
from agent.cli import exits, screen
from agent.errors import AgentError
from agent.support.ddi.cli import ddi
from agent.support.keys import keys
from agent.support.office.cli import office
from agent.support.rollout.cli import update
from agent.support.words import (
    BROKER_HELP,
    arguments_of,
    broker_of,
    command_name,
    device_id,
    devices_in,
    escape_what_cannot_be_shown,
    mqtt_text,
    seconds,
    summary,
)

if TYPE_CHECKING:
    from agent.mqtt.transport import Target
    from agent.support.client import Client
    from agent.support.fleet import Fleet, Member
    from agent.support.messages import Result

PROGRAM = "modem-support"
PRESENCE_S = 0.5  # after the broker's answer: what it has retained of one device has come by then
ANSWERS_S = 10.0  # for a rebirth of devices that were asked
BACK_SOON = ("online", "stopping")  # a device that restarts takes the command at once


@dataclass(frozen=True)
class Options:
    """What every verb needs: where the broker is, and who asks."""

    broker: str | None
    user: str | None
    password_file: str | None
    ca: str | None
    cert: str | None
    key: str | None
    psk: str | None
    root: str
    mqtt: str
    no_dots: bool

    def client(self) -> Client:
        """A Client to enter. Raises UsageError, ConfigError."""
        from agent.support.client import Client

        return Client(self.target(), self.root, dots=not self.no_dots)

    def target(self) -> Target:
        """Where and as whom to connect. Raises UsageError, ConfigError."""
        from agent.config import OperatorSettings
        from agent.mqtt import tls
        from agent.mqtt.transport import Target

        if not self.broker:
            raise click.UsageError(f"which broker? say --broker {BROKER_HELP}, or set MODEM_SUPPORT_BROKER")
        host, port, secure = broker_of(self.broker)
        settings = OperatorSettings(
            url=self.broker,
            ca_file=self.ca or "",
            cert_file=self.cert or "",
            key_file=self.key or "",
            psk_file=self.psk or "",
        )
        return Target(
            host=host,
            port=port,
            client_id="",
            keepalive_s=60,
            protocol=self.mqtt,
            username=self.user or "",
            password=tls.secret(self.password_file) if self.password_file else "",
            tls=tls.context(settings, clock_trusted=True) if secure else None,
        )


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    __version__, prog_name=PROGRAM, message=f"%(prog)s %(version)s\nsecurity fixes until {SUPPORTED_UNTIL}"
)
@click.option("--broker", envvar="MODEM_SUPPORT_BROKER", metavar="URL", help=f"{BROKER_HELP}.")
@click.option("--user", envvar="MODEM_SUPPORT_USER", type=mqtt_text, help="User name at the broker.")
@click.option("--password-file", envvar="MODEM_SUPPORT_PASSWORD_FILE", metavar="FILE", help="Holds the password.")
@click.option("--ca", metavar="FILE", help="Certificates to trust, PEM.")
@click.option("--cert", metavar="FILE", help="Our certificate, PEM.")
@click.option("--key", metavar="FILE", help="Its key, PEM.")
@click.option("--psk", metavar="FILE", help="A pre-shared key: identity:hexkey.")
@click.option("--root", type=device_id, default="modem-agent", show_default=True, help="First level of every topic.")
@click.option("--mqtt", type=click.Choice(("auto", "5", "3.1.1")), default="auto", show_default=True)
@click.option("--no-dots", is_flag=True, help="The broker bears no dot in a topic (RabbitMQ, NATS before 2.10).")
@click.pass_context
def group(context: click.Context, /, **options: Any) -> None:
    """The operator's tool for devices that run modem-agent."""
    context.obj = Options(**options)


@group.command()
@click.argument("devices", nargs=-1, metavar="[DEVICE]...", type=device_id)
@click.option("--for", "for_s", type=seconds, metavar="TIME", help="Stop after so long.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def watch(options: Options, devices: tuple[str, ...], for_s: float | None, as_json: bool) -> int:
    """Show what devices say, as it comes; all of them, or those named."""

    async def run() -> int:
        async with options.client() as client:
            for device in devices or ("+",):
                client.subscribe("#", device)
            async for message in client.messages(for_s):
                if as_json:
                    line = {"device": message.device, "topic": message.topic, "body": message.body}
                    screen.print_json({**line, "problem": message.problem} if message.problem else line)
                else:
                    words = f"{message.device}  {message.topic:<14} {summary(message)}"
                    print(screen.clean(words), flush=True)
        return exits.OK

    return asyncio.run(run())


@group.command()
@click.argument("device", type=device_id)
@click.argument("command", type=command_name)
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--sign", metavar="FILE", help="Keys file (TOML) with one issuer, its key or its master key.")
@click.option("--cosign", metavar="FILE", help="Keys file of a second issuer, where devices ask for two.")
@click.option("--issuer", default="support", show_default=True, type=mqtt_text, help="Who asks; a key names its own.")
@click.option("--ttl", type=click.IntRange(1, 30 * 86_400), default=600, show_default=True, metavar="SECONDS")
@click.option("--wait/--no-wait", default=True, help="Wait for the final answer (default) or only send.")
@click.option("--timeout", type=seconds, default="60", show_default=True, metavar="TIME", help="Wait at most so long.")
@click.option("--unseen", is_flag=True, help="Send also to a device of which this broker knows nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a result message.")
@click.pass_obj
def send(
    options: Options, device: str, command: str, words: tuple[str, ...], sign: str | None, cosign: str | None,
    issuer: str, ttl: int, wait: bool, timeout: float, unseen: bool, as_json: bool,
) -> int:  # fmt: skip
    """Send one command, such as: send imei::990000862471854 plan.topup bytes=5GB.

    The device's presence is read first. A command for a device that is offline waits at the broker until its --ttl has
    passed; then it vanishes there, or the device refuses it, and no answer comes.
    """
    args = arguments_of(command, words)
    order = Order(device, command, args, sign, cosign, issuer, ttl, wait, timeout, unseen, as_json)
    return asyncio.run(_send(options, order))


@group.command("ask-rebirth")
@click.argument("device", type=device_id)
@click.option("--timeout", type=seconds, default="30", show_default=True, metavar="TIME")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a result message.")
@click.pass_obj
def ask_rebirth(options: Options, device: str, timeout: float, as_json: bool) -> int:
    """Have a device publish presence, twins and measurements anew, after a gap or an empty broker."""
    # An empty broker knows nothing of the device: that is what the command is for.
    order = Order(device, "agent.rebirth", {}, timeout_s=timeout, unseen=True, as_json=as_json)
    return asyncio.run(_send(options, order))


@dataclass(frozen=True)
class Order:
    """One command as asked for on the command line."""

    device: str
    command: str
    args: dict[str, object]
    sign: str | None = None
    cosign: str | None = None
    issuer: str = "support"
    ttl_s: int = 600
    wait: bool = True
    timeout_s: float = 60.0
    unseen: bool = False
    as_json: bool = False


async def _send(options: Options, order: Order) -> int:
    from agent.support.client import new_envelope
    from agent.support.signature import signer

    sign = signer(order.sign, order.cosign)
    async with options.client() as client:
        member = await _member(client, order.device)
        if member.presence == "unknown" and not order.unseen:
            raise AgentError(
                f"{order.device} is unknown at this broker: nothing was sent (--unseen sends all the same)"
                + (f"; its {member.problem}" if member.problem else "")
            )
        envelope = new_envelope(
            order.command, order.args, device=order.device, issuer=order.issuer, ttl_s=order.ttl_s, nonce=member.nonce
        )
        body = sign(envelope)
        client.subscribe(f"cmd/{client.spelled(order.command)}/{envelope['id']}/res", order.device)
        client.request(order.device, body)
        away = member.presence not in (*BACK_SOON, "unknown")
        if away or not order.wait:
            return await _sent(client, envelope["id"], member.presence, order, away)
        return await _follow(client, envelope["id"], order)


async def _member(client: Client, device: str) -> Member:
    """What the broker has retained of one device's presence."""
    from agent.support.fleet import Fleet

    fleet = Fleet([device])
    _, answered = await client.retained([client.filter("status", device)], PRESENCE_S, fleet.take)
    if not answered:
        raise AgentError("the broker does not answer a subscription: nothing was sent")
    return fleet.members[device]


async def _sent(client: Client, id: str, presence: str, order: Order, away: bool) -> int:
    """The broker has the command: it waits there for a device that is away."""
    await client.delivered()
    if order.as_json:
        screen.print_json({"id": id, "state": "sent", "presence": presence, "waits_s": order.ttl_s if away else None})
    elif away:
        print(f"{id}: sent; {order.device} is {presence}: the command waits at the broker for {order.ttl_s} s")
    else:
        print(f"{id}: sent")
    return exits.TIMED_OUT if order.wait else exits.OK


async def _follow(client: Client, id: str, order: Order) -> int:
    state, code = "", 0
    async for result in client.results(order.device, id, order.timeout_s):
        state, code = result.state, result.code
        if order.as_json:
            screen.print_json(result.body)
        else:
            for line in screen_lines(result):
                print(screen.clean(line), flush=True)
    if state in ("", "accepted", "running"):
        raise TimeoutError(f"no final answer within {order.timeout_s:g} s; the command may still be done ({id})")
    if state == "succeeded":
        return exits.OK
    if state in ("expired", "timed-out"):
        return exits.TIMED_OUT
    return exits.NOT_PERMITTED if code in (7006, 7803, 7804) else exits.FAILED


def screen_lines(result: Result) -> list[str]:
    """One result message for eyes."""
    percent = f" {result.progress} %" if result.progress is not None else ""
    lines = [f"{result.state}{percent}{': ' + result.reason if result.reason else ''}"]
    if result.out is not None:
        import json

        lines += json.dumps(result.out, indent=2, ensure_ascii=False).splitlines()
    return lines


@group.command()
@click.option("--devices", "list_file", metavar="FILE", help="These devices, one a line, and no others.")
@click.option("--ask", "ask_file", metavar="FILE", help="Ask these devices for a rebirth, one a line.")
@click.option("--for", "for_s", type=seconds, metavar="TIME", help="Go on listening so long.")
@click.option("--timeout", type=seconds, default="60", show_default=True, metavar="TIME", help="Read at most so long.")
@click.option("--lost", is_flag=True, help="Only devices that were cut off.")
@click.option("--slow", is_flag=True, help="Only devices whose line is slowed down.")
@click.option("--alarm", is_flag=True, help="Only devices with a raised alarm.")
@click.option("--silent", type=seconds, metavar="TIME", help="Only devices that wrote nothing for so long, as 2h.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def fleet(
    options: Options, list_file: str | None, ask_file: str | None, for_s: float | None, timeout: float, lost: bool,
    slow: bool, alarm: bool, silent: float | None, as_json: bool,
) -> int:  # fmt: skip
    """Who is online, what was used, who is slowed down, which alarms are raised.

    From what the broker has retained: all devices, or status 1 and a line that says what is missing. A broker that
    keeps nothing for wildcard filters (RabbitMQ) needs --ask: each device of the file is asked for a rebirth.
    """
    from agent.support.fleet import Filter, Fleet, counts

    asked = devices_in(ask_file) if ask_file else []
    seen = Fleet(devices_in(list_file) if list_file else asked)
    listen_s = (ANSWERS_S if asked else 0.0) if for_s is None else for_s
    problem = asyncio.run(_read(options, seen, asked, listen_s, timeout))
    now = datetime.now(timezone.utc)
    wanted = Filter(lost, slow, alarm, silent)
    members = [member for member in seen.sorted() if wanted.passes(member, now)]
    totals = counts(seen.sorted())
    if as_json:
        rows = [member.to_dict(now) for member in members]
        screen.print_json({"v": 1, "complete": not problem, "problem": problem, "counts": totals, "devices": rows})
    else:
        for line in fleet_lines(members, totals, now):
            print(line)
    if problem:
        return _fail(f"incomplete: {problem}", exits.FAILED)
    return exits.OK


async def _read(options: Options, seen: Fleet, asked: Sequence[str], listen_s: float, timeout_s: float) -> str:
    """Fill the fleet; why it is incomplete, or nothing."""
    from agent.support.client import new_envelope
    from agent.support.retained import Incomplete, read_fleet

    problem = ""
    async with options.client() as client:
        try:
            await read_fleet(client, seen, timeout_s)
        except Incomplete as incomplete:
            problem = str(incomplete)
        if listen_s:
            client.subscribe("m/traffic")
        for device in asked:
            client.request(device, new_envelope("agent.rebirth", {}, device=device, issuer="support", ttl_s=60))
        async for message in client.messages(listen_s):
            seen.take(message)
    absent = sum(member.presence == "unknown" for member in map(seen.members.__getitem__, asked))
    return problem or (f"{absent} of {len(asked)} devices did not answer within {listen_s:g} s" if absent else "")


group.add_command(office)
group.add_command(keys)
group.add_command(update)
group.add_command(ddi)


def fleet_lines(members: Sequence[Member], totals: dict[str, int], now: datetime) -> list[str]:
    """The table, what was not understood, and the counts of the whole fleet."""
    head = ("Device", "Presence", "Plan", "Used", "Of", "Age", "Alarms", "Version")
    rows = [
        (m.device, m.presence, m.state or "-", screen.size(m.used_bytes) or "-", screen.size(m.limit_bytes) or "-",
         screen.age(m.age_s(now)) or "-", ", ".join(sorted(m.alarms)) or "-", m.version or "-")
        for m in members
    ]  # fmt: skip
    bad = [screen.clean(f"{m.device}: not understood: {m.problem}") for m in members if m.problem]
    return [*screen.table(head, rows), *bad, ", ".join(f"{count} {name}" for name, count in totals.items())]


def main(arguments: list[str] | None = None) -> None:
    """The executable `modem-support`."""
    # At once: nothing is held here, and a thread that still connects would be waited for up to 30 s.
    signal.signal(signal.SIGINT, lambda *_: os._exit(exits.INTERRUPTED))
    for stream in (sys.stdout, sys.stderr):
        escape_what_cannot_be_shown(stream)
    try:
        status = run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        status = exits.PIPE_CLOSED
    if status == exits.PIPE_CLOSED:  # the interpreter flushes at exit and would complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def run(words: Sequence[str]) -> int:
    """The exit status of a command line; every error ends here as one line."""
    try:
        # Not group.main(): it ends the process by itself when a pipe is closed, with a status of its own.
        with group.make_context(PROGRAM, list(words)) as context:
            status = group.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        return _fail(error.format_message(), exits.USAGE)
    except BrokenPipeError:
        return exits.PIPE_CLOSED
    except (AgentError, OSError) as error:  # a TimeoutError is an OSError
        return _fail(str(error), exits.status_of(error))
    return status if isinstance(status, int) else exits.OK


def _fail(sentence: str, status: int) -> int:
    print(f"{PROGRAM}: {screen.clean(sentence)}", file=sys.stderr)
    return status
