"""All that a simulated module is and remembers, as plain mutable dataclasses.

SimModem owns one State; vendor rules, `modem-sim ctl set`, scenarios and tests change it by dotted names
(`radio.rsrp_dbm`, or the short `rsrp`). Nothing here decides or does I/O.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from typing import Any

from simulator.errors import SimulatorError, UnknownName


@dataclass
class Power:
    """`on`, `hung` (takes bytes, answers nothing) or `gone` (off the bus)."""

    state: str = "on"
    functionality: int = 1  # +CFUN: 0 minimum, 1 full, 4 radio off
    resets_to_wake: int = 0  # while hung: module restarts still needed; -1: only a power cycle helps
    restarts: int = 0  # how often it restarted; what an over-eager recovery is judged by


@dataclass
class Sim:
    present: bool = True
    locked: str = ""  # "" or what +CPIN? answers: SIM PIN, SIM PUK, PH-NET PIN …
    pin: str = "1234"
    puk: str = "12345678"
    pin_enabled: bool = False
    pin_left: int = 3
    puk_left: int = 10
    pin2: str = "5678"
    pin2_left: int = 3
    fixed_dialling: bool = False
    busy: int = 0  # 0, or the CME error that stands for "not ready yet": 14 or 515
    imsi: str = ""
    iccid: str = ""
    msisdn: str = ""
    number_name: str = ""  # the name beside it in EF_MSISDN; operators mostly leave it out
    smsc: str = "+32475161616"


@dataclass
class Cell:
    """One cell that can be heard. Numbers as on the wire: bandwidth in MHz, tac and ci as integers."""

    rat: str = "LTE"  # GSM, WCDMA, LTE, NR5G-NSA, NR5G-SA
    duplex: str = "FDD"
    tac: int = 0x1A2B
    ci: int = 0x01F0C15
    pci: int = 193
    earfcn: int = 1850
    band: int = 3
    bandwidth_mhz: int = 20


@dataclass
class Radio:
    rsrp_dbm: float = -95.0
    rsrq_db: float = -10.0
    sinr_db: float = 13.0
    coverage: bool = True  # whether any cell can be heard at all
    lost_below_dbm: float = -128.0  # weaker than this is no coverage either
    fade_db: float = 0.0  # half the width of the slow random walk around rsrp_dbm
    cells: list[Cell] = field(default_factory=lambda: [Cell(), Cell(ci=0x01F0C16, pci=201, earfcn=2850, band=7)])
    serving: int = 0

    @property
    def cell(self) -> Cell:
        return self.cells[self.serving % len(self.cells)]


_USSD = {
    "*101#": "Your credit is 12.50 EUR",
    "*100#": "1: credit, 2: data left",
    "*100#/1": "Your credit is 12.50 EUR",
    "*100#/2": "40 GB until the end of the month",
}


@dataclass
class Network:
    """The operator's side as far as a module can notice it."""

    mcc: str = "206"
    mnc: str = "01"
    long_name: str = "Proximus"
    short_name: str = "PROXIMUS"
    roaming: bool = False
    accepts: bool = True
    reject_cause: int = 11  # EMM cause given when it does not accept: 11 PLMN not allowed
    voice: bool = True  # combined attach; False: LTE-only, +CREG says 4 while +CEREG says 1
    apns: list[str] = field(default_factory=list)  # accepted access points; empty: any
    data: bool = True  # False: registered and attached, but nothing gets through (operator outage)
    data_bps: int = 0  # what the operator lets through; 0: no limit of its own
    nitz: bool = True  # tells its time at registration
    timezone: str = "Europe/Brussels"
    name_servers: list[str] = field(default_factory=lambda: ["195.238.2.21", "195.238.2.22"])
    ussd: dict[str, str] = field(default_factory=lambda: dict(_USSD))  # code -> text; see ussd.py for sessions
    call_waiting: bool = True
    forwarding: dict[str, str] = field(default_factory=dict)  # +CCFC: reason -> number
    attaches_per_hour: int = 0  # more than this many and attaching is refused for 30 minutes; 0: no such rule


@dataclass
class Context:
    cid: int
    pdp_type: str = "IPV4V6"
    apn: str = ""
    active: bool = False
    address: str = ""


@dataclass
class Clock:
    synchronised: bool = True  # False: 80/01/06 until the network has told the time
    report: int = 0  # +CTZR
    update: int = 1  # +CTZU


@dataclass
class Reporting:
    """The modes that the host sets: what is reported unasked, and how."""

    creg: int = 0
    cgreg: int = 0
    cereg: int = 0
    c5greg: int = 0
    cops_format: int = 0
    cops_mode: int = 0
    ussd: int = 0  # +CUSD
    call_waiting: int = 0  # +CCWA: whether it is shown
    sms_service: int = 0  # +CSMS: 1 asks the host to acknowledge what comes in (+CNMA)
    kept: dict[str, list[str]] = field(default_factory=dict)  # parameters.py: what the host has set
    by_context: dict[str, dict[int, list[str]]] = field(default_factory=dict)  # +CGQREQ and its like: cid -> values
    sim_insert: int = 0
    text_mode: int = 0
    charset: str = "GSM"
    phonebook: str = "SM"


@dataclass
class Counters:
    sent_bytes: int = 0
    received_bytes: int = 0


@dataclass
class State:
    power: Power = field(default_factory=Power)
    sim: Sim = field(default_factory=Sim)
    radio: Radio = field(default_factory=Radio)
    network: Network = field(default_factory=Network)
    clock: Clock = field(default_factory=Clock)
    reporting: Reporting = field(default_factory=Reporting)
    counters: Counters = field(default_factory=Counters)
    contexts: list[Context] = field(default_factory=lambda: [Context(1)])
    attached: bool = True  # wanted by the host (+CGATT); what is, the modem works out
    temperature_c: float = 34.0
    imei: str = ""


SHORT_NAMES = {
    "rsrp": "radio.rsrp_dbm",
    "rsrq": "radio.rsrq_db",
    "sinr": "radio.sinr_db",
    "coverage": "radio.coverage",
    "fade": "radio.fade_db",
    "rat": "radio.cell.rat",
    "band": "radio.cell.band",
    "temperature": "temperature_c",
    "operator": "network.long_name",
    "roaming": "network.roaming",
    "accepts": "network.accepts",
    "data": "network.data",
    "apn": "contexts.0.apn",
    "sim": "sim.present",
}


def assign(state: State, name: str, value: object) -> None:
    """Give the setting called `name` a value; text is turned into the setting's own type."""
    target, leaf = _find(state, SHORT_NAMES.get(name, name))
    hint = typing.get_type_hints(type(target))[leaf]
    if hint == dict[str, str]:
        getattr(target, leaf).update(_entries(value, name))
    else:
        setattr(target, leaf, coerce(hint, value, name))


def read(state: State, name: str) -> object:
    """The present value of a setting."""
    target, leaf = _find(state, SHORT_NAMES.get(name, name))
    return typing.cast(object, getattr(target, leaf))


def _find(state: State, path: str) -> tuple[Any, str]:
    target: Any = state
    *way, leaf = path.split(".")
    for part in way:
        if isinstance(target, list) and part.isdigit() and int(part) < len(target):
            target = target[int(part)]
        elif dataclasses.is_dataclass(target) and hasattr(target, part):
            target = getattr(target, part)
        else:
            raise UnknownName("setting", path, names())
    if not dataclasses.is_dataclass(target) or leaf not in {f.name for f in dataclasses.fields(target)}:
        raise UnknownName("setting", path, names())
    return target, leaf


def names() -> list[str]:
    """Every setting, short names first."""
    found = list(SHORT_NAMES)
    for top in dataclasses.fields(State):
        inner = getattr(State(), top.name)
        if dataclasses.is_dataclass(inner):
            found += [f"{top.name}.{f.name}" for f in dataclasses.fields(inner)]
        else:
            found.append(top.name)
    return found


def _entries(value: object, name: str) -> dict[str, str]:
    """A table, or KEY=VALUE for one of its rows."""
    if isinstance(value, dict):
        return {str(key): str(text) for key, text in value.items()}
    key, equals, text = str(value).partition("=")
    if not key or not equals:
        raise SimulatorError(f"{name}: {value!r} is not KEY=VALUE")
    return {key: text}


def coerce(hint: Any, value: object, name: str) -> object:
    """`value`, as typed in a shell or a file, as the type that the setting has."""
    try:
        if hint is bool:
            return _truth(value)
        if hint in (int, float):
            return hint(value)
        if hint is str:
            return str(value)
    except (TypeError, ValueError):
        raise SimulatorError(f"{name}: {value!r} is not {_TYPE_NAMES[hint]}") from None
    if isinstance(hint, types.GenericAlias) and typing.get_origin(hint) is list:
        parts = value if isinstance(value, list) else [p for p in str(value).split(",") if p]
        (item,) = typing.get_args(hint)
        if not dataclasses.is_dataclass(item):
            return [coerce(item, part, name) for part in parts]
    raise SimulatorError(f"{name}: cannot be set as a whole; set its parts")


_TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number"}


def _truth(value: object) -> bool:
    if isinstance(value, (bool, int)):
        return bool(value)
    text = str(value).strip().lower()
    if text in {"true", "yes", "on", "1"}:
        return True
    if text in {"false", "no", "off", "0"}:
        return False
    raise ValueError(value)
