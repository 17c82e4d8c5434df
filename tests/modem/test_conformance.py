"""The Modem against every profile of the simulator, well and spoiled: what it reads is what the simulated module is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import simulator
from agent.config import ModemSettings
from agent.errors import PortAbsent, PortBusy
from agent.modem import Modem, Reading
from agent.modem.cause import cause_of, evidence_of
from simulator.modem import profile as simulated
from simulator.ports import Running

Story = Callable[[Running, Modem], Awaitable[None]]
PROFILES = [name for name in simulated.names() if not name.startswith("_")]
FIVE_G = {"quectel-rm520"}  # standalone: it is registered in 5GS, and +CSQ says nothing


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated module answers at once; a real one is given longer."""
    monkeypatch.setattr("agent.modem.transport.SETTLE_S", 0.01)
    monkeypatch.setattr("agent.modem.transport.PROBE_S", 0.3)


def run(story: Story, tmp_path: Path, profile: str = "quectel-ec25", faults: tuple[str, ...] = ()) -> None:
    with simulator.serve(profile, faults=list(faults)) as running:

        async def whole() -> None:
            modem = Modem(ModemSettings(port=running.path), lock_directory=tmp_path)
            try:
                await story(running, modem)
            finally:
                modem.close()

        asyncio.run(whole())


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_read_without_a_wrong_value(profile: str, tmp_path: Path) -> None:
    async def story(running: Running, modem: Modem) -> None:
        state = running.modem.state
        await modem.open()
        reading = await modem.poll()
        assert reading.identity.imei == state.imei
        assert (reading.sim.state, reading.sim.imsi, reading.sim.iccid) == ("READY", state.sim.imsi, state.sim.iccid)
        assert reading.registration.stat == 1
        assert reading.registration.domain == ("5gs" if profile in FIVE_G else "eps")
        assert reading.operator.plmn == "20601"
        assert reading.operator.name == "Proximus"
        assert reading.access_technology in ("LTE", "NR", "NR-NSA")
        assert reading.signal.rsrp_dbm == pytest.approx(-95, abs=1)
        assert reading.signal.rsrq_db == pytest.approx(-10, abs=0.5)
        assert reading.signal.sinr_db in (None, pytest.approx(13, abs=0.5))
        assert reading.address is not None
        assert reading.network_time is not None
        assert modem.profile.name.split("-")[0] == profile.split("-")[0]
        assert cause_of(evidence_of("ready", reading)) == "none"

    run(story, tmp_path, profile)


AGGREGATED = {  # the bands that the simulated module of each maker has put together
    "quectel-ec25": [3],
    "quectel-eg06": [3, 7],
    "quectel-em12": [3, 7, 20],
    "fibocom-l850": [3, 20],
    "fibocom-fm150": [3],
    "fibocom-fm350": [3],
    "huawei-me909": [3],
    "sierra-em7565": [3, 7],
    "foxconn-t77w968": [3, 7],
    "telit-lm960": [3, 7],
    "zte-mf286": [3, 20],
}


@pytest.mark.parametrize(("profile", "bands"), AGGREGATED.items(), ids=AGGREGATED)
def test_every_carrier_reaches_the_reading(profile: str, bands: list[int], tmp_path: Path) -> None:
    async def story(running: Running, modem: Modem) -> None:
        await modem.open()
        carriers = (await modem.poll()).to_dict()["signal"]["carriers"]
        assert [carrier["band"] for carrier in carriers] == bands
        assert [carrier["role"] for carrier in carriers] == ["PCC", *["SCC"] * (len(bands) - 1)]

    run(story, tmp_path, profile)


# The command that each maker's serving cell comes from, and what it tells besides the strength.
CELL = {
    "asr-air720": ("+EEMGINFO", {"band": 3, "earfcn": 1850, "pci": 193, "bandwidth_mhz": 20}),
    "china-mobile-ml307": ("+MUESTATS", {"band": 3, "earfcn": 1850, "pci": 193, "sinr_db": 13}),
    "cinterion-pls8": ("^SMONI", {"band": 3, "earfcn": 1850, "pci": 193, "bandwidth_mhz": 20}),
    "d-link-dwm222": ("$QCRSRP", {"band": 3, "earfcn": 1850, "pci": 193}),
    "fibocom-fm350": ("+GTCCINFO", {"band": 3, "earfcn": 1850, "pci": 193}),
    "fibocom-l610": ("+CESQ", {}),
    "foxconn-t77w968": ("^DEBUG", {"band": 3, "earfcn": 1850, "pci": 193, "bandwidth_mhz": 20, "sinr_db": 13}),
    "gosuncn-me3630": ("+CESQ", {"band": 3, "earfcn": 1850, "pci": 193}),
    "meig-slm770": ("^CELLINFO", {"band": 3, "pci": 193, "bandwidth_mhz": 20, "sinr_db": 13}),
    "neoway-n720": ("+NETDMSGEX", {"band": 3, "earfcn": 1850, "pci": 193, "sinr_db": 13}),
    "simcom-sim7600": ("+CPSI", {"band": 3, "earfcn": 1850, "pci": 193, "bandwidth_mhz": 20, "sinr_db": 13}),
    "tcl-hh41": ("$QCRSRP", {"band": 3, "earfcn": 1850, "pci": 193}),
    "ublox-lara": ("+UCGED", {"band": 3, "earfcn": 1850, "pci": 193, "sinr_db": 13}),
    "ublox-toby": ("+UCGED", {"band": 3, "earfcn": 1850, "pci": 193, "sinr_db": 13}),
    "zte-mf286": ("+ZRSSI", {"band": 3, "earfcn": 1850, "pci": 193}),
}


@pytest.mark.parametrize("profile", CELL)
def test_the_serving_cell_is_read_by_the_makers_own_command(profile: str, tmp_path: Path) -> None:
    source, cell = CELL[profile]

    async def story(running: Running, modem: Modem) -> None:
        await modem.open()
        signal = (await modem.poll()).signal
        assert signal.source == source
        assert {key: getattr(signal, key) for key in cell} == pytest.approx(cell)
        running.host.call(lambda: setattr(running.modem.state.radio, "serving", 1))
        moved = (await modem.poll()).signal
        assert {key: getattr(moved, key) for key in cell if key in ("earfcn", "pci")} == {
            key: {"earfcn": 2850, "pci": 201}[key] for key in cell if key in ("earfcn", "pci")
        }

    run(story, tmp_path, profile)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_follows_the_signal_and_the_loss_of_it(profile: str, tmp_path: Path) -> None:
    async def story(running: Running, modem: Modem) -> None:
        await modem.open()
        running.set("rsrp", -118)
        assert (await modem.poll()).signal.rsrp_dbm == pytest.approx(-118, abs=1)
        running.fault("no-coverage")
        reading = await modem.poll()
        assert reading.registration.registered is False
        assert reading.signal.rsrp_dbm is None or reading.signal.rsrp_dbm < -118
        assert cause_of(evidence_of("ready", reading)) == "no-coverage"

    run(story, tmp_path, profile)


WIRE = ("echo", "split", "split=3", "urc=1", "crcrlf", "noise", "missing-ok", "cme-text", "ucs2")


@pytest.mark.parametrize("fault", WIRE)
def test_a_spoiled_line_changes_no_reading(fault: str, tmp_path: Path) -> None:
    readings: list[Reading] = []

    async def story(running: Running, modem: Modem) -> None:
        await modem.open()
        readings.append(await modem.poll())

    run(story, tmp_path)
    run(story, tmp_path, faults=(fault,))
    well, spoiled = (reading.to_dict() for reading in readings)
    for part in ("identity", "registration", "operator", "access_technology", "contexts", "signal"):
        assert spoiled[part] == well[part], part
    assert spoiled["sim"]["iccid"] == well["sim"]["iccid"]


def test_unsupported_commands_leave_the_standards_reading(tmp_path: Path) -> None:
    async def story(running: Running, modem: Modem) -> None:
        await modem.open()
        reading = await modem.poll()
        assert reading.signal.rssi_dbm == pytest.approx(-65, abs=2)
        assert reading.registration.stat == 1

    run(story, tmp_path, faults=("unsupported",))


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("sim-absent", "sim-missing"),
        ("sim-pin", "sim-locked"),
        ("denied", "registration-denied"),
        ("no-coverage", "no-coverage"),
        ("wrong-apn", "apn"),
    ],
)
def test_the_cause_that_the_module_shows(fault: str, cause: str, tmp_path: Path) -> None:
    async def story(running: Running, modem: Modem) -> None:
        await modem.open()
        running.fault(fault)
        reading = await modem.poll()
        assert cause_of(evidence_of("ready", reading)) == cause

    run(story, tmp_path)


def test_unplugged_is_absent_and_plugged_is_found_again(tmp_path: Path) -> None:
    async def story(running: Running, modem: Modem) -> None:
        await modem.open()
        await modem.poll()
        running.unplug()
        with pytest.raises(PortAbsent):
            await modem.poll()
        with pytest.raises(PortAbsent):
            await modem.open()
        running.plug()
        for _ in range(200):  # it boots first: the port is there at once, AT a little later
            try:
                await modem.open()
                break
            except Exception:
                running.host.call(lambda: None)
                await asyncio.sleep(0.05)
        assert (await modem.poll()).identity.model == "EC25"

    run(story, tmp_path)


def test_a_stolen_port_is_told_with_the_thief(tmp_path: Path) -> None:
    async def story(running: Running, modem: Modem) -> None:
        thief = running.steal()["process"]
        with pytest.raises(PortBusy, match=str(thief)):
            await modem.open()
        running.release()
        await modem.open()

    run(story, tmp_path)


def test_a_reader_that_comes_later_is_named_and_the_port_left_to_it(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("root: only root can open a port that is taken exclusively")
    opens = "import os, sys; os.open(sys.argv[1], os.O_WRONLY | os.O_NOCTTY); print('in', flush=True); sys.stdin.read()"

    async def story(running: Running, modem: Modem) -> None:
        await modem.open()
        await modem.poll()
        command = [sys.executable, "-c", opens, running.path]
        with subprocess.Popen(  # noqa: ASYNC220  # a moment only
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as rival:
            assert rival.stdout is not None
            assert rival.stdout.readline() == "in\n"
            await modem.poll()  # nothing odd yet: nobody is looked for
            running.host.call(lambda: running.modem.unsolicited("what the other one asked for"))
            with pytest.raises(PortBusy, match=f"process {rival.pid}. has opened it beside us"):
                await modem.poll()
            rival.kill()
        assert modem.faults["modem.rival"] == 1
        running.host.call(lambda: running.modem.unsolicited("what the other one asked for"))
        await modem.poll()  # it has gone

    run(story, tmp_path)


def test_a_tcp_url_is_a_port_too(tmp_path: Path) -> None:
    with simulator.serve("quectel-ec25", listen="127.0.0.1:0") as running:

        async def whole() -> None:
            modem = Modem(ModemSettings(port=running.path), lock_directory=tmp_path)
            try:
                await modem.open()
                assert (await modem.poll()).identity.model == "EC25"
            finally:
                modem.close()

        asyncio.run(whole())


def test_the_port_is_found_in_sysfs_and_again_under_another_number(tmp_path: Path) -> None:
    root = tmp_path / "host"
    with simulator.serve("quectel-ec25", sysfs=str(root)) as running:

        async def whole() -> None:
            modem = Modem(ModemSettings(), sysfs=root / "sys", dev=root / "dev", lock_directory=tmp_path)
            try:
                await modem.open()
                first, place = modem.where, modem.place
                running.fault("renumber")
                running.unplug()
                running.plug()
                while not modem.is_open or modem.where == first:
                    modem.close()
                    try:
                        await modem.open()
                    except PortAbsent:
                        await asyncio.sleep(0.05)
                assert (modem.where != first, modem.place) == (True, place)
            finally:
                modem.close()

        asyncio.run(whole())
