"""What one poll found out about the module, as frozen values; None is unknown, never 0.

Made by the Modem, read by reports, CLI and the recovery ladder. Field names: 27.007 for what a standard names, TR-181
for the access technology.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from agent import status_schema as schema

# What AT commands said, field by field: each value is of the type that its parser in agent.at gives it.
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Identity:
    manufacturer: str | None = None
    model: str | None = None
    revision: str | None = None
    imei: str | None = None


@dataclass(frozen=True, slots=True)
class Sim:
    """`state`: READY, SIM PIN, …, or what an error said: not-inserted, busy, failure."""

    state: str | None = None
    lock: str | None = None
    imsi: str | None = None
    iccid: str | None = None
    msisdn: str | None = None
    pin_attempts: int | None = None
    puk_attempts: int | None = None

    @property
    def usable(self) -> bool | None:
        return None if self.lock is None else self.lock in ("none", "sim-pin2", "sim-puk2")


@dataclass(frozen=True, slots=True)
class Registration:
    """The domain that serves data, and every domain's own answer in `domains`."""

    stat: int | None = None
    name: str | None = None  # home, roaming, searching, denied, …
    roaming: bool | None = None
    domain: str | None = None  # cs, ps, eps, 5gs
    lac: int | None = None
    tac: int | None = None
    ci: int | None = None
    act: int | None = None
    rac: int | None = None
    cause_type: int | None = None
    reject_cause: int | None = None
    domains: dict[str, dict[str, object]] = field(default_factory=dict)

    @property
    def registered(self) -> bool | None:
        return None if self.stat is None else self.stat in (1, 5, 9, 10)


@dataclass(frozen=True, slots=True)
class Operator:
    plmn: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    """`source` is the command the strengths came from; sinr_raw and sinr_scale say how sinr_db was reached."""

    rssi_dbm: float | None = None
    rsrp_dbm: float | None = None
    rsrq_db: float | None = None
    sinr_db: float | None = None
    sinr_raw: float | None = None
    sinr_scale: str | None = None
    rscp_dbm: float | None = None
    ecio_db: float | None = None
    band: int | None = None
    earfcn: int | None = None
    pci: int | None = None
    bandwidth_mhz: float | None = None
    source: str | None = None
    nr: dict[str, object] | None = None
    carriers: tuple[dict[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """One poll. `network_time` was true when the boot clock showed `network_time_boot_s`."""

    at_boot_s: float
    port: str = ""
    profile: str = ""
    identity: Identity = field(default_factory=Identity)
    sim: Sim = field(default_factory=Sim)
    registration: Registration = field(default_factory=Registration)
    operator: Operator = field(default_factory=Operator)
    signal: Signal = field(default_factory=Signal)
    access_technology: str | None = None
    attached: bool | None = None
    contexts: tuple[schema.Context, ...] = ()
    temperature_c: float | None = None
    network_time: datetime | None = None
    network_time_boot_s: float | None = None
    utc_offset_minutes: int | None = None
    module_bytes_sent: int | None = None
    module_bytes_received: int | None = None

    @property
    def address(self) -> str | None:
        """The first address the network gave."""
        return next((c["address"] for c in self.contexts if c.get("address")), None)

    def to_dict(self) -> schema.Reading:
        """Plain values for JSON; the status schema's part about the module."""
        plain = asdict(self)
        plain["network_time"] = self.network_time.isoformat() if self.network_time else None
        plain["contexts"] = list(plain["contexts"])
        plain["signal"]["carriers"] = list(plain["signal"]["carriers"])
        return cast("schema.Reading", plain)
