"""The hands of the recovery ladder: each does one rung and tells what came of it. They decide nothing.

Called by the Modem for a rung that the ladder, a technician or the operator chose. A rung that goes through AT needs
the module to answer; `usb` and `power` do not.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Protocol

from agent.at import Response
from agent.config import ModemSettings
from agent.errors import CommandTimeout, ModemError, PortAbsent
from agent.modem.discovery import SYSFS, usb_device
from agent.modem.mask import masked
from agent.modem.profiles import Profile

log = logging.getLogger(__name__)
RADIO_PAUSE_S = 5.0  # between off and on: shorter, and some firmware ignores the pair
RADIO_TRIES = 3
USB_PAUSE_S = 3.0
POWER_PAUSE_S = 10.0  # until the module's capacitors are empty
POWER_COMMAND_S = 60.0


class Asked(Protocol):
    """What carries an AT command; the Modem is one."""

    async def execute(self, text: str, timeout_s: float | None = None) -> Response: ...


async def attach(modem: Asked, profile: Profile, context: tuple[str, ...] = ()) -> str:
    """`context`: commands that define the data context, while no bearer uses it."""
    *off, on = profile.reattach
    try:
        for command in (*off, *context):
            await _must(modem, command)
    finally:
        await _back_on(modem, on)
    return "detached and attached again" + (" with the configured APN" if context else "")


async def radio(modem: Asked, profile: Profile) -> str:
    try:
        await _must(modem, profile.radio_off)
        await asyncio.sleep(RADIO_PAUSE_S)
    finally:
        await _back_on(modem, profile.radio_on)
    return "radio switched off and on"


async def _back_on(modem: Asked, command: str) -> None:
    """Never leave a household detached or with its radio off, whoever gave up in between: some firmware refuses for a
    while after it was switched off."""
    for left in reversed(range(RADIO_TRIES)):
        try:
            return await _must(modem, command)
        except PortAbsent:
            raise  # it is looked at again when the port is back
        except ModemError:
            if not left:
                raise
            await asyncio.sleep(RADIO_PAUSE_S)


async def restart(modem: Asked, profile: Profile) -> str:
    """The port goes away within seconds, often before OK: both are success."""
    try:
        await _must(modem, profile.restart)
    except (PortAbsent, CommandTimeout):
        log.debug("the module left before it answered")
    return f"module restart asked for by {profile.restart}; it stays away up to {profile.restart_s:.0f} s"


async def _must(modem: Asked, command: str) -> None:
    response = await modem.execute(command)
    if not response.ok:
        raise ModemError(f"{masked(command)}: modem answered {response.final} {response.code or ''}".rstrip())


async def usb(place: str, sysfs: Path = SYSFS) -> str:
    """Take the device from the bus and give it back (Documentation/usb/authorization.rst)."""
    switch = usb_device(place, sysfs) / "authorized"
    if not place or not switch.exists():  # one stat of sysfs
        raise ModemError("the module's place on the USB is not known")
    try:
        switch.write_text("0")  # sysfs answers at once
        await asyncio.sleep(USB_PAUSE_S)
    finally:
        switch.write_text("1")
    return f"USB device {place.partition(':')[0]} taken off the bus and given back"


async def power(settings: ModemSettings) -> str:
    """By the configured command, else by the GPIO."""
    if settings.power_cycle:
        return await _power_command(settings.power_cycle)
    if settings.power_gpio:
        gpio = Path(settings.power_gpio)
        try:
            gpio.write_text("0")  # noqa: ASYNC240  # a GPIO in sysfs answers at once
            await asyncio.sleep(POWER_PAUSE_S)
        finally:
            gpio.write_text("1")  # noqa: ASYNC240
        return f"power cut and given back by {gpio}"
    raise ModemError("no way to cut the module's power is configured (modem.power_cycle or modem.power_gpio)")


async def _power_command(command: tuple[str, ...]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        status = await asyncio.wait_for(process.wait(), POWER_COMMAND_S)
    except asyncio.TimeoutError as error:
        process.kill()
        await process.wait()
        raise ModemError(f"{command[0]}: not done within {POWER_COMMAND_S:.0f} s") from error
    if status:
        raise ModemError(f"{command[0]}: ended with status {status}")
    return f"power cycled by {command[0]}"


def available(settings: ModemSettings, place: str, answers: bool, sysfs: Path = SYSFS) -> tuple[str, ...]:
    """The rungs that can be taken on this device in this state."""
    rungs = ["attach", "radio", "module"] if answers else []
    if place and (usb_device(place, sysfs) / "authorized").exists():
        rungs.append("usb")
    if settings.power_cycle or settings.power_gpio:
        rungs.append("power")
    return tuple(rungs)
