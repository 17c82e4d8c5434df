"""What a program in a guest says: one JSON object a line, read by the host while it runs and afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from simulator.qemu.errors import GuestError, GuestHung
from simulator.qemu.guest import Guest

# What a lab needs besides what the kernel loads by itself when it is asked for a qdisc or a link.
LAB_MODULES = ("virtio_blk", "ext4", "option", "cdc_ether")


def events(output: str) -> list[dict[str, Any]]:
    """The events in a guest's output; other lines are left out."""
    found = []
    for line in output.splitlines():
        if line.startswith('{"event"'):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue  # half a line: the power went
    return found


def follow(guest: Guest, step_s: float) -> Iterator[dict[str, Any]]:
    """Each event as it comes, until the guest ends. GuestHung with the guest's own words if none came for `step_s`."""
    told, limit = 0, time.monotonic() + step_s
    while True:
        alive = guest.machine.running
        found = events(guest.output)
        for event in found[told:]:
            yield event
            limit = time.monotonic() + step_s
        told = len(found)
        if not alive:
            return
        if time.monotonic() > limit:
            raise GuestHung(f"no event for {step_s:g} s\n{guest.output[-3000:]}\n{guest.machine.last_lines()}")
        time.sleep(0.05)


def wait_event(guest: Guest, name: str, step_s: float) -> dict[str, Any]:
    """The first event of this name. GuestHung if none of any name came for `step_s`, GuestError if the guest ended."""
    for event in follow(guest, step_s):
        if event["event"] == name:
            return event
    raise GuestError(f"the guest ended before '{name}'\n{guest.output[-3000:]}\n{guest.machine.last_lines()}")
