"""The scales of signal figures: each has a source, and the simulator takes its own from another one."""

from __future__ import annotations

import pytest

from agent.at.engine.charset import name
from agent.at.standard.scale import PLAIN, SCALES, Scale
from simulator.modem import signal

# The simulator's way from a figure to an index, beside the parser's way back.
BOTH_WAYS = [
    ("+CSQ", "rssi_dbm", signal.csq, -77.0, 2.0),
    ("+CESQ", "rsrp_dbm", signal.cesq_rsrp, -95.0, 1.0),
    ("+CESQ", "rsrq_db", signal.cesq_rsrq, -10.5, 0.5),
    ("+CESQ", "rscp_dbm", signal.cesq_rscp, -81.0, 1.0),
    ("+CESQ", "ecio_db", signal.cesq_ecno, -6.5, 0.5),
    ("+CESQ", "rssi_dbm", signal.cesq_rxlev, -74.0, 1.0),
    ("+QCSQ", "sinr_db", signal.qcsq_sinr, 8.4, 0.2),
    ("^HCSQ", "sinr_db", signal.hcsq_sinr, 12.8, 0.2),
    ("+XCESQ", "sinr_db", signal.xcesq_snr, -3.5, 0.5),
]


def scale(command: str, field: str) -> Scale:
    return next(s for s in SCALES if (s.command, s.field) == (command, field))


@pytest.mark.parametrize(("command", "field", "index_of", "figure", "step"), BOTH_WAYS)
def test_what_the_simulator_prints_reads_as_what_it_meant(
    command: str, field: str, index_of: object, figure: float, step: float
) -> None:
    assert callable(index_of)
    found = scale(command, field).read(str(index_of(figure)))
    assert found is not None
    assert abs(found - figure) < step


@pytest.mark.parametrize("entry", SCALES, ids=lambda s: f"{s.command} {s.field}")
def test_an_index_beyond_its_range_is_unknown(entry: Scale) -> None:
    assert entry.read(str(entry.low)) is not None
    assert entry.read(str(entry.high)) is not None
    assert entry.read(str(entry.low - 1)) is None
    assert entry.read(str(entry.high + 1)) is None
    assert entry.read("-") is None


def test_every_scale_names_its_source() -> None:
    assert all(entry.source.strip() for entry in SCALES)
    assert all(source.strip() for source in PLAIN.values())


@pytest.mark.parametrize("key", signal.SOURCES, ids=" ".join)
def test_the_simulator_takes_its_scale_from_another_source(key: tuple[str, str]) -> None:
    theirs, ours = signal.SOURCES[key], scale(*key).source
    assert theirs.split(":")[0].split()[0] != ours.split(":")[0].split()[0]


@pytest.mark.parametrize("raw", ["Proxim\x00\xff\x00us", "\xffOrange B", "BASE\xff"])
def test_a_name_with_noise_of_the_line_in_it_is_none(raw: str) -> None:
    assert name(f'"{raw}"') is None
