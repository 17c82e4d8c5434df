"""The agent's engine and parsers against every simulated module: right, or unknown, and never wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simulator
from agent.modem import Reading
from simulator.modem import SimModem, names
from simulator.scenarios.observer import Observer

WIRE_FAULTS = ["echo", "split", "urc", "crcrlf", "noise", "missing-ok", "cme-text", "unsupported", "ucs2", "late=5"]

ONE_OF_EACH = [
    "quectel-ec25",
    "quectel-rm500",
    "simcom-sim7600",
    "huawei-me909",
    "sierra-em7455",
    "telit-lm960",
    "ublox-toby",
    "fibocom-l850",
    "zte-mf286",
    "generic-27007",
]


def polled(modem: SimModem) -> Reading | None:
    observer = Observer(modem)
    observer.poll()
    return observer.reading


def wrong(modem: SimModem, reading: Reading) -> list[str]:
    """What the reading says and the module is not; the standard's indices leave 1 dB, +CSQ's 2 dB."""
    state = modem.state
    cell = state.radio.cell
    pairs = {
        "rsrp": (reading.signal.rsrp_dbm, modem.rsrp_dbm, 1.0),
        "rsrq": (reading.signal.rsrq_db, state.radio.rsrq_db, 0.5),
        "sinr": (reading.signal.sinr_db, state.radio.sinr_db, 1.0),
        "band": (reading.signal.band, cell.band, 0),
        "earfcn": (reading.signal.earfcn, cell.earfcn, 0),
        "pci": (reading.signal.pci, cell.pci, 0),
        "tac": (reading.registration.tac, cell.tac, 0),
        "ci": (reading.registration.ci, cell.ci, 0),
        "temperature": (reading.temperature_c, state.temperature_c, 1.0),
    }
    problems = [
        f"{name} {found} for {truth}"
        for name, (found, truth, slack) in pairs.items()
        if found is not None and abs(found - truth) > slack
    ]
    texts = {
        "plmn": (reading.operator.plmn, state.network.mcc + state.network.mnc),
        "operator": (reading.operator.name, "Proximus"),
        "imei": (reading.identity.imei, state.imei),
        "model": (reading.identity.model, modem.profile.model),
    }
    return problems + [
        f"{name} {found} for {truth}" for name, (found, truth) in texts.items() if found not in (None, truth)
    ]


@pytest.mark.parametrize("name", names())
def test_every_module_is_read_as_it_is(name: str) -> None:
    is_read_as_it_is(SimModem(name, seed=7))


def test_the_readmes_vendor_is_read_as_it_is(tmp_path: Path) -> None:
    """Whoever adds the file to modem/data has it tried like this."""
    readme = (Path(simulator.__file__).parent / "README.md").read_text()
    file = tmp_path / "acme-x1.toml"
    file.write_text("extends" + readme.partition("```toml\nextends")[2].partition("```")[0])
    is_read_as_it_is(SimModem(str(file), seed=7))


def is_read_as_it_is(modem: SimModem) -> None:
    reading = polled(modem)
    assert reading is not None
    assert wrong(modem, reading) == []
    assert reading.registration.name == "home"
    assert reading.signal.rsrp_dbm == pytest.approx(-95, abs=1)
    assert reading.operator.plmn == "20601"
    assert reading.sim.state == "READY"
    assert reading.address == modem.state.contexts[0].address
    assert reading.network_time is not None
    assert abs((reading.network_time - modem.utc()).total_seconds()) < 5


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(names()),
    rsrp=st.integers(-125, -60),
    rsrq=st.integers(-19, -4),
    sinr=st.integers(-15, 29),
    degrees=st.integers(-10, 90),
)
def test_whatever_the_radio_is_like(name: str, rsrp: int, rsrq: int, sinr: int, degrees: int) -> None:
    modem = SimModem(name, settings={"radio.rsrp_dbm": rsrp, "radio.rsrq_db": rsrq, "radio.sinr_db": sinr})
    modem.state.temperature_c = float(degrees)
    reading = polled(modem)
    assert reading is not None
    assert wrong(modem, reading) == []


@pytest.mark.parametrize("fault", WIRE_FAULTS)
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_spoiled_line_gives_the_truth_or_nothing(name: str, fault: str) -> None:
    modem = SimModem(name, seed=11)
    modem.fault(*fault.split("="))
    observer = Observer(modem)
    readings = 0
    for _ in range(4):
        observer.poll()
        if observer.reading is not None:
            readings += 1
            assert wrong(modem, observer.reading) == []
    assert readings >= 3, "a spoiled line must not silence a module"
