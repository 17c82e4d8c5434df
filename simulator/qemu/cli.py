"""`modem-sim qemu`: a whole device under QEMU to try things on; with --lean just a Debian kernel for one command."""

from __future__ import annotations

import shlex
import sys
import time

import click

from simulator.qemu.device import STATES, Device, Wiring
from simulator.qemu.errors import GuestError
from simulator.qemu.guest import run

_WORDS = """In the guest every line is a shell command, but for these:
  unplug, plug       pull the module's USB cable, put it back
  cut                pull the power, and power on again with the same disks
  quit               end (so does end of file)"""


@click.command()
@click.option("--suite", default="bookworm", type=click.Choice(("bookworm", "trixie")), help="The guest's Debian.")
@click.option("--state", default="ext4", type=click.Choice(STATES), help="File system of the agent's state.")
@click.option("--profile", default="quectel-ec25", help="The module (modem-sim profiles).")
@click.option("--no-clock", is_flag=True, help="A board without a clock: it begins at 1970.")
@click.option(
    "--accel", default="tcg", type=click.Choice(("tcg", "kvm")), help="kvm is faster, and hangs on some machines."
)
@click.option("--timeout", "timeout_s", default=170.0, metavar="S", help="Give up on the boot after so long.")
@click.option(
    "--run", "commands", multiple=True, metavar="COMMAND", help="Run this in the guest, and end; may be repeated."
)
@click.option("--lean", is_flag=True, help="No device: run the arguments on a Debian kernel with this machine's files.")
@click.argument("arguments", nargs=-1)
def command(
    suite: str,
    state: str,
    profile: str,
    no_clock: bool,
    accel: str,
    timeout_s: float,
    commands: tuple[str, ...],
    lean: bool,
    arguments: tuple[str, ...],
) -> None:
    """A whole device under QEMU: systemd, the agent from its package, a USB module, an operator and a household."""
    try:
        if lean:
            sys.exit(_lean(arguments, timeout_s))
        rtc = "1970-01-01T00:00:00" if no_clock else "utc"
        wiring = Wiring(suite=suite, state=state, rtc=rtc, modem=f"--profile {shlex.quote(profile)}", accel=accel)
        _device(wiring, timeout_s, commands)
    except GuestError as error:
        raise click.ClickException(str(error)) from error


def _lean(arguments: tuple[str, ...], timeout_s: float) -> int:
    if not arguments:
        raise click.UsageError("--lean needs a command: modem-sim qemu --lean -- tc -V")
    result = run(arguments, timeout_s=timeout_s)
    click.echo(result.output, nl=False)
    return result.exit_code


def _device(wiring: Wiring, timeout_s: float, commands: tuple[str, ...]) -> None:
    began = time.monotonic()
    click.echo("building the disk (a minute the first time, then cached)", err=True)
    with Device(wiring) as device:
        click.echo(f"{time.monotonic() - began:.0f} s: powering on", err=True)
        click.echo(f"up after {device.power_on(timeout_s):.0f} s", err=True)
        if commands:
            for text in commands:
                click.echo(device.shell(text, timeout_s=600, check=False), nl=False)
        else:
            _converse(device, timeout_s)


def _converse(device: Device, timeout_s: float) -> None:
    click.echo(_WORDS, err=True)
    while True:
        click.echo("modem# ", nl=False, err=True)
        line = sys.stdin.readline()
        word = line.strip()
        if not line or word == "quit":
            return
        if word == "cut":
            device.power_cut()
            click.echo(f"up again after {device.power_on(timeout_s):.0f} s", err=True)
        elif word in ("plug", "unplug"):
            click.echo(device.shell(f"{_CTL} {word}", check=False), nl=False)
        elif word:
            click.echo(device.shell(word, timeout_s=600, check=False), nl=False)


_CTL = (
    "PYTHONPATH=/usr/lib/guest:/usr/lib/modem-agent python3 -c 'from simulator.cli import main; main()' "
    "ctl --control /run/modem-sim.sock"
)
