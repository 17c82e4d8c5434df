"""The verb `ddi` of `modem-support`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from agent.cli import exits, screen
from agent.support.words import arguments_of, devices_in, mqtt_text, seconds

if TYPE_CHECKING:
    from agent.support.cli import Options
    from agent.support.ddi.server import Server

# A package that any device would take: what a roll-out's own words are checked beside.
ANY = ("version=0", "url=https://updates.example/0/agent.deb", f"sha256={64 * '0'}", "size=1")


def server_url(value: str) -> str:
    """https://HOST/TENANT, or http:// where no token is sent."""
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.path.strip("/") == "" or parts.query:
        raise click.BadParameter(f"{value[:80]!r} is no address such as https://HOST/TENANT")
    return value


def attribute(value: str) -> tuple[str, str]:
    name, sign, text = value.partition("=")
    if not name or not sign:
        raise click.BadParameter(f"{value[:80]!r} is no KEY=VALUE")
    return name, text


@click.command()
@click.argument("server", type=server_url)
@click.option(
    "--feed", required=True, metavar="URL", help="Where packages are published, https; {version} is replaced."
)
@click.option("--token", metavar="FILE", help="Holds the Authorization header, such as: GatewayToken 0123456789.")
@click.option("--devices", "list_file", metavar="FILE", help="These devices, one a line, and no others.")
@click.option(
    "--attribute", "attributes", multiple=True, type=attribute, metavar="KEY=VALUE", help="Reported of each device."
)
@click.option("--patience", type=seconds, default="2h", show_default=True, metavar="TIME", help="No answer: failed.")
@click.option("--state", "state_name", default="ddi.json", show_default=True, metavar="FILE", help="The bridge's file.")
@click.option("--option", "words", multiple=True, metavar="KEY=VALUE", help="Of agent.update, as downgrade=true.")
@click.option("--sign", metavar="FILE", help="Keys file (TOML) with one issuer: sign each command with its key.")
@click.option("--cosign", metavar="FILE", help="Keys file of a second issuer, where devices ask for two.")
@click.option("--issuer", default="support", show_default=True, type=mqtt_text, help="Who asks.")
@click.pass_obj
def ddi(options: Options, /, server: str, **given: Any) -> int:
    """Put a fleet under an update SERVER that speaks hawkBit's DDI, such as hawkBit or gooseBit.

    The server is polled for each device, as often as it wants, and no device polls. What it offers is sent to a device
    that is online as the command agent.update; progress and result go back. Runs until it is ended; the same command
    goes on where it was.
    """
    return asyncio.run(_run(options, server, given))


async def _run(options: Options, address: str, given: dict[str, Any]) -> int:
    from agent.support.ddi.bridge import Bridge, Terms
    from agent.support.fleet import Fleet
    from agent.support.signature import signer

    own = {word.partition("=")[0] for word in given["words"]}
    args = {name: value for name, value in arguments_of("agent.update", [*ANY, *given["words"]]).items() if name in own}
    if not given["feed"].startswith("https://"):
        raise click.UsageError(f"--feed {given['feed'][:80]!r} is no https address")
    terms = Terms(given["feed"], args, dict(given["attributes"]), given["patience"], given["issuer"])
    devices = devices_in(given["list_file"]) if given["list_file"] else []
    with _server(address, given["token"], options.ca) as server:
        async with options.client() as client:
            bridge = Bridge(
                client, server, Path(given["state_name"]), terms, fleet=Fleet(devices),
                sign=signer(given["sign"], given["cosign"]), tell=lambda text: click.echo(screen.clean(text), err=True),
            )  # fmt: skip
            await bridge.run()
    return exits.OK


def _server(address: str, token_file: str | None, ca: str | None) -> Server:
    """Raises UsageError, ConfigError."""
    import ssl

    from agent.mqtt.tls import secret
    from agent.support.ddi.server import Server

    if not address.startswith("https://"):
        if token_file:
            raise click.UsageError("a token goes over https:// alone")
        return Server(address, "", None)
    tls = ssl.create_default_context()
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as at the broker's: agent/mqtt/tls.py
    if ca:
        try:
            tls.load_verify_locations(ca)
        except OSError as error:
            raise click.UsageError(f"{ca}: {error.strerror or error}") from None
    return Server(address, secret(token_file) if token_file else "", tls)
