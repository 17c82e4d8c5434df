"""modem-sim learn: a real module's answers as a data file."""

from __future__ import annotations

from pathlib import Path

import click

from simulator.capture import SerialLine, capture, data_file
from simulator.errors import SimulatorError
from simulator.modem import load


@click.command(
    help="Read the module on DEVICE (/dev/ttyUSB2, or a pyserial URL) by commands that change nothing, and write a "
    "data file for `modem-sim serve --profile FILE`. IMEI, IMSI, ICCID, numbers and addresses are replaced."
)
@click.argument("device")
@click.option("--output", default="", metavar="FILE", help="where to (default: standard output)")
@click.option("--baudrate", default=115_200, show_default=True)
@click.option("--timeout", "timeout_s", default=5.0, show_default=True, metavar="S", help="for one answer")
def command(device: str, output: str, baudrate: int, timeout_s: float) -> None:
    with SerialLine(device, baudrate, timeout_s) as line:
        text = data_file(capture(line))
    if not output:
        click.echo(text, nl=False)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SimulatorError(f"{output}: {error.strerror}") from error
    click.echo(f"{load(output).name} is in {output}: modem-sim serve --profile {output}")
