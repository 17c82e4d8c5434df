"""The simulator: a modem that real clients take for a modem, a household, an operator.

with simulator.serve("quectel-ec25") as running:
    ... open running.path, running.set("rsrp", -115), running.fault("hang"), running.unplug()
"""

from simulator.errors import DataError, SimulatorError, UnknownName
from simulator.modem import SimModem
from simulator.ports import Host, Running, serve

__all__ = ["DataError", "Host", "Running", "SimModem", "SimulatorError", "UnknownName", "serve"]
