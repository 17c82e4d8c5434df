"""The cellular module: its port, its profile as data, and the Modem that reads it."""

from agent.modem.mask import masked
from agent.modem.modem import Modem
from agent.modem.profiles import Profile, choose, profiles
from agent.modem.reading import Identity, Operator, Reading, Registration, Signal, Sim

__all__ = [
    "Identity",
    "Modem",
    "Operator",
    "Profile",
    "Reading",
    "Registration",
    "Signal",
    "Sim",
    "choose",
    "masked",
    "profiles",
]
