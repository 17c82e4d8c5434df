"""`modem-sim qemu`: a whole device under QEMU to try things on, or a given image; --lean: a kernel for a command."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click

from simulator.qemu.architecture import ARCHITECTURES
from simulator.qemu.conversation import WORDS, converse
from simulator.qemu.device import MODEM, STATES, Device, Wiring
from simulator.qemu.errors import GuestError
from simulator.qemu.firmware import Firmware
from simulator.qemu.guest import run
from simulator.qemu.image import PACKAGE, WAYS

_NO_CLOCK = "1970-01-01T00:00:00"


@click.command()
@click.option("--suite", default="bookworm", type=click.Choice(("bookworm", "trixie")), help="The guest's Debian.")
@click.option("--arch", default="x86_64", type=click.Choice(tuple(ARCHITECTURES)), help="aarch64: the Pi's stand-in.")
@click.option("--way", default=PACKAGE, type=click.Choice(tuple(WAYS)), help="How the agent comes onto the device.")
@click.option("--state", default="ext4", type=click.Choice(STATES), help="File system of the agent's state.")
@click.option("--profile", default="", metavar="NAME", help="The module (modem-sim profiles).")
@click.option("--modem", default=MODEM, hidden=True, help="All arguments of the guest's modem program.")
@click.option("--no-clock", is_flag=True, help="A board without a clock: it begins at 1970.")
@click.option("--rtc", default="utc", metavar="DATE", help="The board's clock at power-on.")
@click.option("--append", default="", metavar="WORDS", help="More words for the kernel.")
@click.option(
    "--accel", default="tcg", type=click.Choice(("tcg", "kvm")), help="kvm is faster, and hangs on some machines."
)
@click.option("--timeout", "timeout_s", default=170.0, metavar="S", help="Give up on the boot after so long.")
@click.option(
    "--run", "commands", multiple=True, metavar="COMMAND", help="Run this in the guest, and end; may be repeated."
)
@click.option("--image", type=click.Path(path_type=Path), help="Boot this OpenWrt image, install the package in it.")
@click.option(
    "--package",
    "packages",
    multiple=True,
    type=click.Path(path_type=Path),
    help="With --image: .ipk or .apk for it.",
)
@click.option("--lean", is_flag=True, help="No device: run the arguments on a Debian kernel with this machine's files.")
@click.argument("arguments", nargs=-1)
def command(
    suite: str,
    arch: str,
    way: str,
    state: str,
    profile: str,
    modem: str,
    no_clock: bool,
    rtc: str,
    append: str,
    accel: str,
    timeout_s: float,
    commands: tuple[str, ...],
    image: Path | None,
    packages: tuple[Path, ...],
    lean: bool,
    arguments: tuple[str, ...],
) -> None:
    """A whole device under QEMU: systemd, the agent from its package, a USB module, an operator and a household."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # the guest goes with its owner
    if packages and image is None:
        raise click.UsageError("--package goes with --image")
    if arguments and not lean:
        raise click.UsageError("arguments go with --lean; commands for the guest with --run")
    try:
        if lean:
            sys.exit(_lean(arguments, timeout_s))
        if image is not None:
            _image(image, arch, packages, profile or "quectel-ec25", timeout_s, commands)
        else:
            modem = f"--profile {shlex.quote(profile)}" if profile else modem
            clock = _NO_CLOCK if no_clock else rtc
            wiring = Wiring(
                suite=suite, arch=arch, way=way, state=state, rtc=clock, modem=modem, accel=accel, append=append
            )
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
        _use(device, timeout_s, commands)


def _image(
    image: Path, arch: str, packages: tuple[Path, ...], profile: str, timeout_s: float, commands: tuple[str, ...]
) -> None:
    with Firmware(image, arch=arch, packages=packages, profile=profile) as firmware:
        click.echo(f"up after {firmware.power_on(timeout_s):.0f} s; installing", err=True)
        click.echo(firmware.install(), nl=False, err=True)
        _use(firmware, timeout_s, commands)


def _use(guest: Device | Firmware, timeout_s: float, commands: tuple[str, ...]) -> None:
    if commands:
        for text in commands:
            click.echo(guest.shell(text, timeout_s=600, check=False), nl=False)
    else:
        click.echo(WORDS, err=True)
        converse(guest, _lines(), partial(click.echo, nl=False), timeout_s)


def _lines() -> Iterator[str]:
    """What is typed, with a prompt before each line."""
    while True:
        click.echo("modem# ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            return
        yield line
