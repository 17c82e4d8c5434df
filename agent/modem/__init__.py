"""The cellular module: its port, its profile as data, and the Modem that reads it."""

from agent.modem.cause import CAUSES, Evidence, cause_of, evidence_of
from agent.modem.mask import masked
from agent.modem.modem import Modem
from agent.modem.profiles import Profile, choose, profiles
from agent.modem.reading import Identity, Operator, Reading, Registration, Signal, Sim
from agent.modem.recovery import Recovery

__all__ = [
    "CAUSES",
    "Evidence",
    "Identity",
    "Modem",
    "Operator",
    "Profile",
    "Reading",
    "Recovery",
    "Registration",
    "Signal",
    "Sim",
    "cause_of",
    "choose",
    "evidence_of",
    "masked",
    "profiles",
]
