"""modem-sim profiles: which modules there are, and whether a data file is right."""

from __future__ import annotations

import click

from simulator.modem import load, names


@click.command(help="List the modules; with FILE, check a data file and show what it gives.")
@click.argument("file", required=False)
def command(file: str | None) -> None:
    for name in [file] if file else names():
        profile = load(name)
        ports = ", ".join(f"{p.interface} {p.role}{'*' if p.primary else ''}" for p in profile.ports)
        usb = f"{profile.usb.vendor}:{profile.usb.product}" if profile.usb.vendor else "no USB"
        click.echo(f"{name:<20} {profile.name:<22} {usb:<10} {len(profile.rules):>3} rules  ports {ports}")
