"""A cellular module as a state machine: bytes and time in, bytes out. No I/O; simulator/ports connects it."""

from simulator.modem.modem import SimModem
from simulator.modem.profile import Profile, load, names
from simulator.modem.state import Cell, State

__all__ = ["Cell", "Profile", "SimModem", "State", "load", "names"]
