"""Guests under QEMU: a lean one that runs a command on a Debian kernel in seconds, and a whole device."""

from simulator.qemu.errors import GuestError, GuestUnavailable
from simulator.qemu.guest import Guest, Result, run, unavailable

__all__ = ["Guest", "GuestError", "GuestUnavailable", "Result", "run", "unavailable"]
