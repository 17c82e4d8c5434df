"""A module in ModemManager's hands: read and reset through the real mmcli, and through words that mmcli never says.

The real mmcli speaks to a stand-in for the daemon on a bus of its own (data/modemmanager.dbusmock says what that does
not imitate); the daemon itself is in tests/qemu, with a USB module.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import ModemSettings
from agent.errors import ModemError, PortAbsent, PortBusy
from agent.modem import Modem, cause_of, evidence_of
from agent.modem.lock import lock_name
from agent.modem.modemmanager import ModemManager, reading_of, run

TEMPLATE = Path(__file__).parent / "data" / "modemmanager.dbusmock"
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path={path}</listen><policy context="default">
<allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/><allow user="*"/></policy></busconfig>"""
PYTHON = "/usr/bin/python3"  # Debian's dbusmock is a module of Debian's own Python
PATIENCE_S = 60.0
PATH = "/org/freedesktop/ModemManager1/Modem/0"


def missing() -> str:
    """What of the real programs is not installed."""
    for program in ("mmcli", "dbus-daemon", PYTHON):
        if shutil.which(program) is None:
            return program
    found = subprocess.run([PYTHON, "-c", "import dbusmock"], capture_output=True, check=False)
    return "" if found.returncode == 0 else "python3-dbusmock"


class Bus:
    """A bus with ModemManager's objects on it; `mock` is its log of calls."""

    def __init__(self, folder: Path, parameters: dict[str, Any]) -> None:
        self.folder = folder
        self.address = f"unix:path={folder}/bus"
        (folder / "bus.conf").write_text(BUS.format(path=folder / "bus"))
        template = folder / "template.py"
        template.write_text(TEMPLATE.read_text())
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address}
        self.processes = [
            subprocess.Popen(
                ["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork", "--print-address"],
                stdout=subprocess.PIPE,
            )
        ]
        assert self.processes[0].stdout is not None
        self.processes[0].stdout.readline()  # it listens
        mock = [PYTHON, "-m", "dbusmock", "--system", "--template", str(template), "-p", json.dumps(parameters)]
        with (folder / "calls").open("w") as log:
            self.processes.append(subprocess.Popen(mock, env=environment, stdout=log, stderr=log))
        ends_s = time.monotonic() + PATIENCE_S
        while subprocess.run(["mmcli", "-m", "0"], env=environment, capture_output=True, check=False).returncode:
            assert time.monotonic() < ends_s, (folder / "calls").read_text()
            time.sleep(0.1)

    def calls(self) -> str:
        return (self.folder / "calls").read_text()

    def close(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            process.wait()
            if process.stdout:
                process.stdout.close()


@pytest.fixture
def bus(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    if lacking := missing():
        pytest.skip(f"{lacking} is not installed")
    bus = Bus(tmp_path, getattr(request, "param", {}))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    try:
        yield bus
    finally:
        bus.close()


def taken_port(bus: Bus) -> Path:
    """A port that another living process has locked, as ModemManager's are found busy."""
    port = bus.folder / "ttyUSB2"
    port.write_text("")
    (bus.folder / lock_name(str(port))).write_text(f"{bus.processes[0].pid:>10} ModemManager\n")
    return port


def test_the_module_is_read_through_mmcli_while_its_port_is_taken(bus: Bus) -> None:
    async def story() -> None:
        port = taken_port(bus)
        modem = Modem(ModemSettings(port=str(port)), sysfs=bus.folder, lock_directory=bus.folder)
        await modem.open()
        assert modem.tried[-1] == f"{port}: read through ModemManager ({PATH})"
        reading = await modem.poll()
        assert (reading.identity.model, reading.identity.imei) == ("EC25", "990000862471854")
        assert (reading.registration.stat, reading.registration.name) == (1, "home")
        assert (reading.operator.plmn, reading.operator.name) == ("20601", "Proximus")
        signal = reading.signal
        assert (signal.rsrp_dbm, signal.rsrq_db, signal.rssi_dbm, signal.sinr_db) == (-94.0, -9.0, -66.0, 12.4)
        assert (reading.access_technology, reading.attached) == ("LTE", True)
        assert (reading.sim.lock, reading.sim.pin_attempts, reading.sim.iccid) == ("none", 3, "8932010000000000000")
        assert reading.contexts[0]["apn"] == "internet.proximus.be"
        assert reading.address == "10.1.2.3"
        assert reading.port == f"mmcli:{PATH}"
        assert cause_of(evidence_of("ready", reading)) == "none"
        with pytest.raises(PortBusy, match="ModemManager's hands"):
            await modem.execute("AT+CSQ")
        assert modem.rungs(answers=True) == ("radio", "module")
        assert "ModemManager" in (await modem.reset("module"))["text"]
        with pytest.raises(ModemError, match="no step usb"):
            await modem.reset("usb")
        await modem.reset("radio")
        modem.close()

    asyncio.run(story())
    called = [line.partition(" ")[2] for line in bus.calls().splitlines()]
    assert [call for call in called if call.startswith(("Reset", "Enable", "Setup"))] == [
        "Setup 60", "Reset", "Enable False", "Enable True",
    ]  # fmt: skip


@pytest.mark.parametrize("bus", [{"locked": True}], indirect=True)
def test_a_locked_sim_is_told_with_its_attempts(bus: Bus) -> None:
    async def story() -> None:
        manager = await ModemManager.holding("/dev/ttyUSB2")
        assert manager is not None
        reading = await manager.read(5.0)
        assert (reading.sim.state, reading.sim.lock, reading.sim.pin_attempts) == ("SIM PIN", "sim-pin", 3)
        assert cause_of(evidence_of("ready", reading)) == "sim-locked"

    asyncio.run(story())


def test_a_port_that_modemmanager_does_not_have_stays_busy(bus: Bus) -> None:
    async def story() -> None:
        assert await ModemManager.holding("/dev/ttyUSB9") is None
        with pytest.raises(ModemError, match="mmcli: couldn't find modem"):
            await run(("-m", "9", "-J"), 30.0)

    asyncio.run(story())


class Mmcli:
    """mmcli's answers from a table; anything else is an error."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers

    async def __call__(self, arguments: tuple[str, ...], limit_s: float) -> str:
        found = self.answers.get(arguments[0].strip("-"))
        if found is None:
            raise ModemError("mmcli: couldn't find modem")
        return found


@pytest.mark.parametrize("said", ["", "[]", "null", "{", '{"modem": 3}', '{"modem": {"generic": null, "3gpp": []}}'])
def test_whatever_mmcli_says_is_no_exception_but_a_modem_error(said: str) -> None:
    async def story() -> None:
        manager = ModemManager(PATH, Mmcli(m=said))
        try:
            reading = await manager.read(1.0)
        except PortAbsent:
            return
        assert reading.registration.stat is None
        assert reading.sim.state is None

    asyncio.run(story())


WORDS = {"modem": {
    "3gpp": {"imei": "1", "registration-state": "home", "packet-service-state": "attached"},
    "generic": {"access-technologies": ["lte"], "own-numbers": ["1"], "unlock-required": "sim-pin",
                "unlock-retries": ["sim-pin (3)"], "state-failed-reason": "--"},
    "signal": {"lte": {"rsrp": "-94.00"}, "5g": {"rsrp": "--"}},
}}  # fmt: skip
NONSENSE: tuple[Any, ...] = (None, 3, True, -1.5, "", "--", "nan", [], {}, ["a"], [None], {"a": 1})


@given(st.data())
def test_a_value_of_another_kind_is_unknown_and_never_an_exception(data: st.DataObject) -> None:
    """Any value of mmcli's objects replaced by one of another kind."""

    def spoiled(value: Any) -> Any:
        if data.draw(st.integers(0, 5)) == 0:
            return data.draw(st.sampled_from(NONSENSE))
        if isinstance(value, dict):
            return {key: spoiled(inner) for key, inner in value.items()}
        return [spoiled(inner) for inner in value] if isinstance(value, list) else value

    tree = {"modem": spoiled(WORDS["modem"]), "bearer": spoiled({"status": {"connected": "yes"}}), "sim": spoiled({})}
    reading = reading_of(tree, tree, tree, [tree], 1.0)
    assert reading.registration.stat in (None, 1)
    assert reading.sim.pin_attempts in (None, 3)
    assert reading.signal.rsrp_dbm in (None, -94.0, 3.0, 1.0, -1.5)


def test_no_modemmanager_is_no_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert asyncio.run(ModemManager.holding("/dev/ttyUSB2")) is None


def test_a_module_without_a_sim_is_told_from_one_that_is_not_read() -> None:
    failed = {"modem": {"generic": {"state": "failed", "state-failed-reason": "sim-missing", "unlock-required": "--"}}}
    assert reading_of(failed, {}, {}, [], 1.0).sim.lock == "not-inserted"
    assert reading_of({}, {}, {}, [], 1.0).sim.lock is None
