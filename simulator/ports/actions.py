"""What can be done to a module from outside, by name: for the control socket, scenarios, traces and tests alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from simulator.causes import recipe
from simulator.errors import SimulatorError, UnknownName
from simulator.modem import SimModem
from simulator.modem import state as settings
from simulator.modem.fault import FAULTS
from simulator.modem.faults import names as fault_names

Run = Callable[[SimModem, list[str]], object]
# What only a served module can do, by the name of the action: it needs a port, a trace or a process beside the modem.
Served = Mapping[str, Callable[[list[str]], object]]


@dataclass(frozen=True)
class Action:
    """`words` are its arguments as --help shows them: [OPTIONAL], and one that ends with an ellipsis takes the rest."""

    run: Run
    words: str
    help: str
    reads: bool = False  # changes nothing

    def check(self, name: str, args: list[str]) -> None:
        """SimulatorError when there are too few words, or too many."""
        known = self.words.split()
        least = sum(not word.startswith("[") for word in known)
        most = len(args) if self.words.endswith("…") else len(known)
        if not least <= len(args) <= most:
            raise SimulatorError(f"usage: {name} {self.words}".rstrip())


def _set(modem: SimModem, args: list[str]) -> object:
    modem.set(args[0], args[1])
    return {args[0]: modem.get(args[0])}


def _get(modem: SimModem, args: list[str]) -> object:
    return {args[0]: _plain(modem.get(args[0]))}


def _plain(value: object) -> object:
    return value if isinstance(value, (str, int, float, bool)) else repr(value)


def _fault(modem: SimModem, args: list[str]) -> object:
    modem.fault(args[0], args[1] if len(args) > 1 else "")
    return {"faults": sorted(modem.faults)}


def _clear(modem: SimModem, args: list[str]) -> object:
    modem.clear(args[0] if args else "")
    return {"faults": sorted(modem.faults)}


def _clock(modem: SimModem, args: list[str]) -> object:
    modem.set_wall(parse_time(args[0]))
    return {"clock": modem.utc().isoformat()}


def parse_time(text: str) -> datetime:
    """An ISO date and time; UTC when it names no zone."""
    if text == "now":
        return datetime.now(timezone.utc)
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise SimulatorError(f"{text!r} is no date and time such as 2027-01-31T23:59:50+01:00") from None
    return when if when.tzinfo else when.replace(tzinfo=timezone.utc)


def whole_number(name: str, text: str) -> int:
    """A count. `name` says what it was given to."""
    try:
        value = int(text)
    except ValueError:
        raise SimulatorError(f"{name}: {text!r} is not a number") from None
    if value < 0:
        raise SimulatorError(f"{name}: {text!r} is below zero")
    return value


def _sms(modem: SimModem, args: list[str]) -> object:
    return {"index": modem.receive_sms(args[0], " ".join(args[1:]))}


def _urc(modem: SimModem, args: list[str]) -> object:
    modem.unsolicited(" ".join(args))
    return {}


def _carry(modem: SimModem, args: list[str]) -> object:
    modem.carry(*(whole_number("carry", word) for word in args))
    return {"received_bytes": modem.state.counters.received_bytes, "sent_bytes": modem.state.counters.sent_bytes}


def _done(act: Callable[[SimModem], None]) -> Run:
    def run(modem: SimModem, args: list[str]) -> object:
        act(modem)
        return status(modem)

    return run


def status(modem: SimModem) -> dict[str, Any]:
    """What the simulated module is doing."""
    return {
        "profile": modem.profile.name,
        "power": modem.state.power.state,
        "functionality": modem.state.power.functionality,
        "sim": modem.sim_text if modem.state.sim.present else "absent",
        "registration": modem.registration.stats,
        "rat": modem.state.radio.cell.rat,
        "rsrp_dbm": round(modem.rsrp_dbm, 1),
        "address": [c.address for c in modem.state.contexts if c.active],
        "data_flows": modem.data_flows,
        "data_bps": modem.state.network.data_bps,
        "clock": modem.utc().isoformat(),
        "restarts": modem.state.power.restarts,
        "faults": sorted(modem.faults),
        "sms_stored": len(modem.sms.messages),
        "sms_sent": [m.text for m in modem.sms.sent],
    }


def _unserved(modem: SimModem, args: list[str]) -> object:
    raise SimulatorError("this needs a served port: modem-sim serve")


ACTIONS: dict[str, Action] = {
    "status": Action(lambda modem, args: status(modem), "", "what the module is doing", reads=True),
    "log": Action(_unserved, "[COUNT]", "the last events on its ports, and what was done to it", reads=True),
    "set": Action(_set, "NAME VALUE", "change a setting (rsrp -115, operator BASE, sim.present false)"),
    "get": Action(_get, "NAME", "read a setting", reads=True),
    "settings": Action(lambda modem, args: settings.names(), "", "the names of all settings", reads=True),
    "fault": Action(_fault, "NAME [ARGUMENT]", "start a fault"),
    "clear": Action(_clear, "[NAME]", "end a fault, or all"),
    "faults": Action(
        lambda modem, args: {n: FAULTS[n].help for n in fault_names()}, "", "all faults and what they do", reads=True
    ),
    "unplug": Action(_done(SimModem.unplug), "", "pull the module out of the USB socket"),
    "plug": Action(_done(SimModem.plug), "", "push it back in"),
    "usb-reset": Action(_done(SimModem.usb_reset), "", "re-authorise the USB device"),
    "power-cycle": Action(_done(SimModem.power_cycle), "", "take the module's supply away and give it back"),
    "restart": Action(_done(lambda modem: modem.restart()), "", "the module restarts by itself"),
    "handover": Action(_done(lambda modem: modem.handover()), "", "go over to the next cell"),
    "provoke": Action(_unserved, "CAUSE", "heal everything, then make this the cause of a dead line"),
    "steal": Action(_unserved, "", "another process opens the AT port and reads from it"),
    "release": Action(lambda modem, args: {}, "", "that process goes away"),
    "clock": Action(_clock, "TIME", "what the network says the time is: 2027-01-31T23:59:50+01:00, or now"),
    "sms": Action(_sms, "NUMBER TEXT…", "an SMS comes in"),
    "urc": Action(_urc, "TEXT…", "an unsolicited line"),
    "carry": Action(_carry, "RECEIVED SENT", "bytes that the household moved"),
}


def perform(modem: SimModem, name: str, args: list[str], served: Served | None = None) -> object:
    """One action by name. `served` does in its place what needs more than the modem."""
    if name not in ACTIONS:
        raise UnknownName("action", name, list(ACTIONS))
    ACTIONS[name].check(name, args)
    if name == "provoke":
        for step, *rest in recipe(args[0]):
            perform(modem, step, rest, served)
        return status(modem)
    if served and name in served:
        return served[name](args)
    return ACTIONS[name].run(modem, args)


def help_text() -> str:
    """All actions, a line each."""
    return "\n".join(f"{f'{name} {action.words}':<24} {action.help}" for name, action in ACTIONS.items())
