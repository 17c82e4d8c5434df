"""The words that reply templates and `when` conditions may use: `{rsrp}`, `{tac:X}`, `{mcc}`, `{var.usbnet}`.

One table, name -> how it is worked out from a SimModem. A data file that uses another word is refused when it is
loaded. README.md prints this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator.modem import signal
from simulator.modem.registration import ACT

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem

Fact = Callable[["SimModem"], object]


def _rssi(modem: SimModem) -> float:
    return signal.rssi_dbm(modem.rsrp_dbm, modem.state.radio.rsrq_db, modem.state.radio.cell.bandwidth_mhz)


def _mode(modem: SimModem) -> str:
    """Quectel's state of the serving cell; LIMSRV: camped but not served."""
    if modem.state.power.functionality != 1 or not modem.covered:
        return "SEARCH"
    return "NOCONN" if modem.registration.registered else "LIMSRV"


def _quarters(local: datetime) -> str:
    offset = local.utcoffset() or timedelta()
    return f"{int(offset.total_seconds() // 900):+03d}"


def _dst(local: datetime) -> int:
    return int((local.dst() or timedelta()).total_seconds() // 3_600)


def _cell(name: str) -> Fact:
    return lambda modem: getattr(modem.state.radio.cell, name)


def _first(name: str) -> Fact:
    return lambda modem: getattr(modem.state.contexts[0], name) if modem.state.contexts else ""


def _octets(modem: SimModem) -> str:
    return modem.state.contexts[0].address if modem.state.contexts else ""


def _little_endian(address: str) -> str:
    """Huawei's ^DHCP: the four octets as a little-endian word, leading zeros dropped."""
    return f"{int.from_bytes(bytes(int(part) for part in address.split('.')), 'little'):X}" if address else "0"


def gateway(address: str) -> str:
    """The other host of the /30: what a module names as its gateway."""
    head, _, last = address.rpartition(".")
    return f"{head}.{int(last) ^ 3}" if address else ""


FACTS: dict[str, Fact] = {
    # identity
    "manufacturer": lambda m: m.profile.manufacturer,
    "model": lambda m: m.profile.model,
    "revision": lambda m: m.profile.revision,
    "imei": lambda m: m.state.imei,
    # SIM
    "imsi": lambda m: m.state.sim.imsi,
    "iccid": lambda m: m.state.sim.iccid,
    "msisdn": lambda m: m.state.sim.msisdn,
    "sim": lambda m: m.sim_text,
    "sim_present": lambda m: int(m.state.sim.present),
    "pin_left": lambda m: m.state.sim.pin_left,
    "puk_left": lambda m: m.state.sim.puk_left,
    # network
    "registered": lambda m: m.registration.registered,
    "covered": lambda m: m.covered and m.state.power.functionality == 1,
    "stat": lambda m: m.registration.overall,
    "roaming": lambda m: int(m.state.network.roaming),
    "state": _mode,
    "plmn": lambda m: m.state.network.mcc + m.state.network.mnc,
    "mcc": lambda m: m.state.network.mcc,
    "mnc": lambda m: m.state.network.mnc,
    "operator": lambda m: m.state.network.long_name,
    "operator_short": lambda m: m.state.network.short_name,
    "reject_cause": lambda m: m.registration.reject_cause,
    "session_cause": lambda m: m.registration.session_cause,
    "mcc_digits": lambda m: int(m.state.network.mcc, 16),  # ASR chips: the number whose hexadecimal digits are the code
    "mnc_digits": lambda m: int(m.state.network.mnc, 16),
    # the cell
    **{name: _cell(name) for name in ("rat", "duplex", "tac", "ci", "pci", "earfcn", "band", "bandwidth_mhz")},
    "enb": lambda m: m.state.radio.cell.ci >> 8,
    "sector": lambda m: m.state.radio.cell.ci & 0xFF,
    "act": lambda m: ACT[m.state.radio.cell.rat],
    "uplink_earfcn": lambda m: m.state.radio.cell.earfcn + 18_000,
    "bw_index": lambda m: signal.LTE_BANDWIDTH_INDEX.get(m.state.radio.cell.bandwidth_mhz, 5),
    "bw_blocks": lambda m: signal.LTE_RESOURCE_BLOCKS.get(m.state.radio.cell.bandwidth_mhz, 100),
    "nr_bw_index": lambda m: signal.NR_BANDWIDTHS_MHZ.index(m.state.radio.cell.bandwidth_mhz),
    # the signal, in dBm and dB, and on the vendors' scales
    "rsrp": lambda m: round(m.rsrp_dbm),
    "rsrq": lambda m: round(m.state.radio.rsrq_db),
    "rssi": lambda m: round(_rssi(m)),
    "sinr": lambda m: round(m.state.radio.sinr_db),
    "rsrp_tenths": lambda m: round(m.rsrp_dbm * 10),
    "rsrq_tenths": lambda m: round(m.state.radio.rsrq_db * 10),
    "rssi_tenths": lambda m: round(_rssi(m) * 10),
    "sinr_tenths": lambda m: round(m.state.radio.sinr_db * 10),
    "csq": lambda m: signal.csq(_rssi(m)),
    "rsrp_index": lambda m: signal.cesq_rsrp(m.rsrp_dbm),
    "rsrq_index": lambda m: signal.cesq_rsrq(m.state.radio.rsrq_db),
    "rscp_index": lambda m: signal.cesq_rscp(m.rsrp_dbm),
    "ecno_index": lambda m: signal.cesq_ecno(m.state.radio.rsrq_db),
    "rxlev_index": lambda m: signal.cesq_rxlev(m.rsrp_dbm),
    "ss_rsrp_index": lambda m: signal.clamp(m.rsrp_dbm + 157, 0, 126),
    "ss_rsrq_index": lambda m: signal.clamp((m.state.radio.rsrq_db + 43.5) * 2, 0, 126),
    "ss_sinr_index": lambda m: signal.clamp((m.state.radio.sinr_db + 23.5) * 2, 0, 127),
    "sinr_fifths": lambda m: signal.qcsq_sinr(m.state.radio.sinr_db),
    "sinr_huawei": lambda m: signal.hcsq_sinr(m.state.radio.sinr_db),
    "rssi_huawei": lambda m: signal.clamp(_rssi(m) + 121, 0, 96),
    "sinr_halves": lambda m: signal.xcesq_snr(m.state.radio.sinr_db),
    "srxlev": lambda m: max(0, round(m.rsrp_dbm + 124)),
    "temperature": lambda m: round(m.state.temperature_c),
    "temperature_milli": lambda m: round(m.state.temperature_c * 1_000),
    # packet data
    "apn": _first("apn"),
    "pdp_type": _first("pdp_type"),
    "address": _octets,
    "gateway": lambda m: gateway(_octets(m)),
    "address_word": lambda m: _little_endian(_octets(m)),
    "gateway_word": lambda m: _little_endian(gateway(_octets(m))),
    "active": lambda m: int(any(c.active for c in m.state.contexts)),
    "attached": lambda m: int(m.registration.registered and m.state.attached),
    "sent_bytes": lambda m: m.state.counters.sent_bytes,
    "received_bytes": lambda m: m.state.counters.received_bytes,
    # power and time
    "cfun": lambda m: m.state.power.functionality,
    "time_known": lambda m: m.state.clock.synchronised,
    "time_utc": lambda m: m.utc().strftime("%y/%m/%d,%H:%M:%S"),
    "time_local": lambda m: m.local_time().strftime("%y/%m/%d,%H:%M:%S"),
    "time_local_long": lambda m: m.local_time().strftime("%Y/%m/%d,%H:%M:%S"),
    "time_utc_long": lambda m: m.utc().strftime("%Y/%m/%d,%H:%M:%S"),
    "zone_quarters": lambda m: _quarters(m.local_time()),
    "dst_hours": lambda m: _dst(m.local_time()),
}


class Variables:
    """`{var.NAME}` in a template: what a vendor's own settings are at present."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> object:
        return self._values[name]


class Facts(Mapping[str, Any]):
    """The facts of one modem, worked out as they are asked for, and the groups of the command that matched."""

    def __init__(self, modem: SimModem, groups: Mapping[str, object] | None = None) -> None:
        self._modem, self._groups = modem, groups or {}

    def __getitem__(self, name: str) -> Any:
        if name in self._groups:
            return self._groups[name]
        if name == "var":
            return Variables(self._modem.variables)
        return FACTS[name](self._modem)

    def __iter__(self) -> Iterator[str]:
        return iter([*self._groups, *FACTS, "var"])

    def __len__(self) -> int:
        return len(self._groups) + len(FACTS) + 1
