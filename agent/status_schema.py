"""The status as JSON, field by field, for the type checker: nothing imports this at run time.

`Snapshot.to_dict()` makes it; the CLI, the doctor, the bundle, the page and the reports read it. An agent of another
version, or the store without an agent, may leave fields out: whoever reads what came over the socket says `.get()`.
What a module alone says is in `reading`, whose fields are those of agent/modem/reading.py.
"""

from __future__ import annotations

from typing import TypedDict

Fields = dict[str, object]  # of a cell or a carrier, as the module's own parser names them


class SimHistory(TypedDict, total=False):
    foreign: bool
    now: str
    before: str
    since: str | None


class Identity(TypedDict, total=False):
    manufacturer: str | None
    model: str | None
    revision: str | None
    imei: str | None


class Sim(TypedDict, total=False):
    state: str | None
    lock: str | None
    imsi: str | None
    iccid: str | None
    msisdn: str | None
    pin_attempts: int | None
    puk_attempts: int | None


class Registration(TypedDict, total=False):
    stat: int | None
    name: str | None
    roaming: bool | None
    domain: str | None
    lac: int | None
    tac: int | None
    ci: int | None
    act: int | None
    rac: int | None
    cause_type: int | None
    reject_cause: int | None
    domains: dict[str, Fields]


class Operator(TypedDict, total=False):
    plmn: str | None
    name: str | None


class Signal(TypedDict, total=False):
    rssi_dbm: float | None
    rsrp_dbm: float | None
    rsrq_db: float | None
    sinr_db: float | None
    sinr_raw: float | None
    sinr_scale: str | None
    rscp_dbm: float | None
    ecio_db: float | None
    band: int | None
    earfcn: int | None
    pci: int | None
    bandwidth_mhz: float | None
    source: str | None
    nr: Fields | None
    carriers: list[Fields]


class Context(TypedDict, total=False):
    """A packet data context, and whatever else a module says of it."""

    cid: int
    apn: str | None
    pdp_type: str | None
    address: str | None
    active: bool


class Heard(TypedDict, total=False):
    """What an antenna can move: part of a reading, and the answer of `modem.signal`."""

    signal: Signal
    registration: Registration
    operator: Operator
    access_technology: str | None


class Reading(Heard, total=False):
    at_boot_s: float
    port: str
    profile: str
    identity: Identity
    sim: Sim
    attached: bool | None
    contexts: list[Context]
    temperature_c: float | None
    network_time: str | None
    network_time_boot_s: float | None
    utc_offset_minutes: int | None
    module_bytes_sent: int | None
    module_bytes_received: int | None


class Modem(TypedDict, total=False):
    state: str
    reason: str
    cause: str
    tried: list[str]
    pin: str
    sim: SimHistory
    reading: Reading | None


class Link(TypedDict):
    ifname: str
    ifindex: int
    kind: str
    up: bool
    mtu: int


class Usage(TypedDict):
    received_bytes: int
    sent_bytes: int
    charged_bytes: int
    management_bytes: int
    foreign_bytes: int
    allowance_bytes: int
    topup_bytes: int
    limit_bytes: int
    remaining_bytes: int
    correction_bytes: int
    percent: float


class Period(TypedDict):
    label: str
    start: str | None
    end: str | None


class Rates(TypedDict):
    down_bps: int | None
    up_bps: int | None


class Decision(TypedDict):
    state: str
    reason: str
    since: str | None
    rates: Rates


class OperatorCount(TypedDict):
    source: str
    as_of: str | None
    mode: str
    used_bytes: int
    own_bytes: int | None
    difference_bytes: int | None


class Shaper(TypedDict):
    state: str
    qdisc: str
    rates: Rates
    reason: str
    advice: str


class Session(TypedDict, total=False):
    """The fields of agent/mqtt/session_state.py."""

    connected: bool
    since_boot_s: float | None
    proved: bool
    session: int
    broker: str
    peer: tuple[str, int] | None
    protocol: str
    heard_boot_s: float | None
    last_error: str
    attempts: int
    agent_bytes: int
    budget_bytes: int
    beat_s: float
    keepalive_s: int
    certificate_ends: str | None


class Outbox(TypedDict):
    rows: int
    dropped: int


class Mismatch(TypedDict, total=False):
    """Of agent/traffic/uplink.py."""

    reason: str
    links: list[str]
    interfaces: list[str]
    text: str
    advice: str


class Announcement(TypedDict):
    state: str
    reason: str


class Stored(TypedDict):
    age_s: int


class _FromStore(TypedDict, total=False):
    stored: Stored  # no agent runs: how old what the store holds is


class Plan(_FromStore):
    """What the line carried and may do: the part of a status that `usage` answers."""

    v: int
    time: str | None
    clk: str
    usage: Usage
    period: Period
    plan: Decision
    operator_count: OperatorCount | None


class Amount(TypedDict):
    received_bytes: int
    sent_bytes: int


class Hour(Amount):
    hour: str


class Day(Amount):
    day: str


class Month(Amount):
    period: str


class UsageAnswer(Plan, total=False):
    """Of `usage`."""

    days: list[Day]
    months: list[Month]


class Status(Plan):
    up: int
    boot: str
    device: str
    version: str | None
    agent_up_s: int | None
    modem: Modem
    links: list[Link]
    shaper: Shaper | None
    session: Session
    outbox: Outbox
    faults: dict[str, int]
    alarms: list[str]
    store: str
    uplink: Mismatch | None
    announced: dict[str, Announcement]
    config_refused: str | None
    update: dict[str, str] | None  # of agent/update/verdict.py


class Event(TypedDict):
    """One of the local log, as `log` shows it."""

    time: str
    clk: str
    boot_s: float
    name: str
    data: dict[str, object]
