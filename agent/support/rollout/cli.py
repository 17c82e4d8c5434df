"""The verb `update` of `modem-support`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli import exits, screen
from agent.errors import AgentError
from agent.support.words import arguments_of, devices_in, mqtt_text, seconds

if TYPE_CHECKING:
    from agent.support.cli import Options
    from agent.support.client import Client
    from agent.support.rollout.plan import Rollout


def share(value: str) -> float:
    """2% as 0.02."""
    try:
        found = float(value.strip().removesuffix("%")) / 100
    except ValueError:
        found = 0.0
    if not value.strip().endswith("%") or not 0 < found <= 1:
        raise click.BadParameter(f"{value[:40]!r} is no share such as 2%")
    return found


def rising_shares(value: str) -> list[float]:
    """1%,10%,100%."""
    found = [share(word) for word in value.split(",")]
    if found != sorted(set(found)) or found[-1] != 1:
        raise click.BadParameter("rings rise and end with 100%, such as 1%,10%,100%")
    return found


@click.command()
@click.argument("version")
@click.option("--package", metavar="FILE", help="The package as it was published: its size and sum are told.")
@click.option("--url", metavar="URL", help="Where devices fetch it, https.")
@click.option("--devices", "list_file", metavar="FILE", help="These devices, one a line, instead of all.")
@click.option("--rings", type=rising_shares, default="1%,10%,100%", show_default=True, metavar="SHARES")
@click.option("--soak", type=seconds, default="24h", show_default=True, metavar="TIME", help="Between two rings.")
@click.option("--stop-at", type=share, default="2%", show_default=True, metavar="SHARE", help="Of those touched.")
@click.option("--patience", type=seconds, default="2h", show_default=True, metavar="TIME", help="No answer: failed.")
@click.option("--state", "state_name", metavar="FILE", help="The roll-out's file.  [default: update-VERSION.json]")
@click.option("--option", "words", multiple=True, metavar="KEY=VALUE", help="Of agent.update, as downgrade=true.")
@click.option("--sign", metavar="FILE", help="Keys file (TOML) with one issuer: sign each command with its key.")
@click.option("--cosign", metavar="FILE", help="Keys file of a second issuer, where devices ask for two.")
@click.option("--issuer", default="support", show_default=True, type=mqtt_text, help="Who asks.")
@click.option("--show", is_flag=True, help="Show the file, ask nobody.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def update(options: Options, /, version: str, **given: Any) -> int:
    """Bring devices to VERSION, ring by ring; it stops by itself.

    The same command again goes on where it was. A ring is through when each device that is online has answered; the
    next one begins after the soak. It stops, with status 1, as soon as the failures are --stop-at of those that were
    touched; a device that does not answer, or is lost after the soak, has failed. With a higher --stop-at it goes on.
    """
    from agent.support.rollout import state_file
    from agent.support.rollout.run import table

    path = Path(given["state_name"] or f"update-{version}.json")
    rollout = state_file.load(path)
    if given["show"] and rollout is None:
        raise click.UsageError(f"{path}: no such roll-out")
    through = rollout.finished if rollout and given["show"] else False
    if not given["show"]:
        rollout, through = asyncio.run(_go(options, rollout, path, version, given))
    assert rollout is not None
    if given["as_json"]:
        devices = {name: [turn.state, turn.reason] for name, turn in rollout.turns.items()}
        screen.print_json({"v": 1, "version": version, "through": through, "rings": table(rollout), "devices": devices})
    else:
        print("\n".join(screen.table(tuple(table(rollout)[0]), [tuple(row.values()) for row in table(rollout)])))
    return exits.OK if through or given["show"] else exits.FAILED


# What was given on the command line, by option: click has no types of its own for it.
Given = Mapping[str, Any]


async def _go(
    options: Options, rollout: Rollout | None, path: Path, version: str, given: Given
) -> tuple[Rollout, bool]:
    from agent.support.rollout.plan import Rollout
    from agent.support.rollout.run import Run
    from agent.support.signature import signer

    async with options.client() as client:
        if rollout is None:
            args = _arguments(version, given)
            devices = devices_in(given["list_file"]) if given["list_file"] else await _all(client)
            rollout = Rollout.begin(devices, version, given["rings"], args)
        if rollout.version != version:
            raise click.UsageError(f"{path}: is the roll-out of {rollout.version}")
        run = Run(
            client, rollout, path, soak_s=given["soak"], stop_at=given["stop_at"], patience_s=given["patience"],
            issuer=given["issuer"], sign=signer(given["sign"], given["cosign"]),
            tell=lambda text: click.echo(screen.clean(text), err=True),
        )  # fmt: skip
        return rollout, await run.go()


def _arguments(version: str, given: Given) -> dict[str, object]:
    """Of agent.update, checked as a device would. Raises UsageError."""
    if not given["package"] or not given["url"]:
        raise click.UsageError("a new roll-out needs --package and --url")
    try:
        content = Path(given["package"]).read_bytes()
    except OSError as error:
        raise click.UsageError(f"{given['package']}: {error.strerror}") from None
    words = [f"version={version}", f"url={given['url']}", f"sha256={hashlib.sha256(content).hexdigest()}"]
    return arguments_of("agent.update", [*words, f"size={len(content)}", *given["words"]])


async def _all(client: Client) -> list[str]:
    from agent.support.fleet import Fleet
    from agent.support.retained import Incomplete, read_fleet

    fleet = Fleet()
    try:
        await read_fleet(client, fleet, 120.0)
    except Incomplete as error:
        raise AgentError(f"the fleet was not read: {error}; name it in a file (--devices)") from error
    if not fleet.members:
        raise AgentError("this broker knows no device")
    return [member.device for member in fleet.sorted()]
