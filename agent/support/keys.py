"""`modem-support keys`: what a device needs to believe this operator's signed commands."""

from __future__ import annotations

import click

from agent.cli import exits
from agent.support.words import device_id


@click.group()
def keys() -> None:
    """Keys of signed commands."""


@keys.command()
@click.argument("masters", metavar="FILE")
@click.argument("device", type=device_id)
def derive(masters: str, device: str) -> int:
    """Print the keys file of one device, made from a file of master keys.

    Put it on that device with mode 0600 and name it in commands.keys_file. It holds keys that command this device and
    no other. The file of master keys stays at the desk: send --sign FILE derives from it.
    """
    from agent.commands.keys_file import for_device

    click.echo(for_device(masters, device), nl=False)
    return exits.OK
