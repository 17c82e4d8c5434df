"""Recovery with hands: what is remembered before it is done, the PIN, and each rung on a module or a made-up device."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import simulator
from agent.config import ModemSettings
from agent.errors import CommandError, ModemError
from agent.modem import Modem, Recovery, evidence_of, recovery_steps
from agent.modem.cause import Evidence
from agent.modem.profiles import profiles
from simulator.ports import Running
from tests.modem.test_discovery import plug

Story = Callable[[Running, Modem, Recovery, list[dict[str, Any]]], Awaitable[None]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.modem.transport.SETTLE_S", 0.01)
    monkeypatch.setattr(recovery_steps, "RADIO_PAUSE_S", 0.0)
    monkeypatch.setattr(recovery_steps, "USB_PAUSE_S", 0.0)
    monkeypatch.setattr(recovery_steps, "POWER_PAUSE_S", 0.0)


class Boot:
    """A boot clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def run(
    story: Story,
    tmp_path: Path,
    *faults: str,
    pin: str = "",
    boot: Boot | None = None,
) -> None:
    clock = boot or Boot()
    file = tmp_path / "pin"
    file.write_text(pin + "\n")
    with simulator.serve("quectel-ec25", faults=list(faults)) as running:

        async def whole() -> None:
            settings = ModemSettings(port=running.path, pin_file=str(file) if pin else "")
            modem = Modem(settings, boot_clock=clock, lock_directory=tmp_path)
            saved: list[dict[str, Any]] = []

            async def save(what: Any) -> None:
                saved.append({**what, "pin-tried": modem.faults["modem.pin-tried"]})

            recovery = Recovery(modem, settings, {}, save, boot_s=clock)
            try:
                await modem.open()
                await story(running, modem, recovery, saved)
            finally:
                modem.close()

        asyncio.run(whole())


def test_a_locked_sim_gets_its_pin_once_and_it_is_remembered_first(tmp_path: Path) -> None:
    async def story(running: Running, modem: Modem, recovery: Recovery, saved: list[dict[str, Any]]) -> None:
        running.modem.state.sim.pin = "2468"
        reading = await modem.poll()
        await recovery.consider(evidence_of("ready", reading))
        assert saved[-1]["pins"]
        assert saved[-1]["pin-tried"] == 0  # it stood on disk before it was tried
        assert (await modem.poll()).sim.state == "READY"

    run(story, tmp_path, "sim-pin", pin="2468")


def test_a_wrong_pin_is_tried_once_only_and_never_the_last_attempt(tmp_path: Path) -> None:
    async def story(running: Running, modem: Modem, recovery: Recovery, saved: list[dict[str, Any]]) -> None:
        running.modem.state.sim.pin = "2468"
        left = running.modem.state.sim.pin_left
        for _ in range(4):
            await recovery.consider(evidence_of("ready", await modem.poll()))
        assert running.modem.state.sim.pin_left == left - 1
        assert modem.faults["modem.pin-tried"] == 1

    run(story, tmp_path, "sim-pin", pin="1357")


def test_a_lost_bearer_is_attached_anew_and_the_step_stands_on_disk_before(tmp_path: Path) -> None:
    boot = Boot()

    async def story(running: Running, modem: Modem, recovery: Recovery, saved: list[dict[str, Any]]) -> None:
        no_address = Evidence(present=True, answers=True, sim_lock="none", stat=1, address=False)
        first = await recovery.consider(no_address)
        assert first.rung is None
        boot.now_s += 200
        step = await recovery.consider(no_address)
        assert (step.cause, step.rung) == ("apn", "attach")
        assert saved[-1]["ladder"]["steps"][-1][1:] == ["attach", "apn"]
        assert modem.faults["modem.reset-attach"] == 1
        boot.now_s += 30
        assert (await recovery.consider(no_address)).rung is None

    run(story, tmp_path, boot=boot)


def test_after_a_reboot_neither_step_nor_pin_is_repeated(tmp_path: Path) -> None:
    boot = Boot()

    async def story(running: Running, modem: Modem, recovery: Recovery, saved: list[dict[str, Any]]) -> None:
        async def save(what: Any) -> None:
            saved.append(what)

        running.modem.state.sim.pin = "2468"
        await recovery.consider(evidence_of("ready", await modem.poll()))
        no_address = Evidence(present=True, answers=True, sim_lock="none", stat=1, address=False)
        await recovery.consider(no_address)
        boot.now_s += 200
        assert (await recovery.consider(no_address)).rung == "attach"
        boot.now_s = 20.0  # the device was rebooted
        settings = ModemSettings(port=running.path, pin_file=str(tmp_path / "pin"))
        kept = json.loads(json.dumps(saved[-1]))
        again = Recovery(modem, settings, kept, save, boot_s=boot)
        assert (await again.consider(no_address)).rung is None
        boot.now_s += 60
        assert "attach was done" in (await again.consider(no_address)).reason
        left = running.modem.state.sim.pin_left
        await again.consider(evidence_of("ready", await modem.poll()))
        assert running.modem.state.sim.pin_left == left
        assert modem.faults["modem.pin-tried"] == 1

    run(story, tmp_path, "sim-pin", pin="1357", boot=boot)


def test_a_step_that_fails_is_a_step_all_the_same(tmp_path: Path) -> None:
    boot = Boot()

    async def story(running: Running, modem: Modem, recovery: Recovery, saved: list[dict[str, Any]]) -> None:
        modem.close()
        missing = Evidence(present=True, answers=True, sim_lock="none", stat=1, address=False)
        await recovery.consider(missing)
        boot.now_s += 200
        assert (await recovery.consider(missing)).rung is None  # no way is open while the port is closed

    run(story, tmp_path, boot=boot)


@pytest.mark.parametrize("level", ["attach", "radio", "auto"])
def test_a_rung_by_hand_leaves_the_radio_on(level: str, tmp_path: Path) -> None:
    async def story(running: Running, modem: Modem, recovery: Recovery, saved: list[dict[str, Any]]) -> None:
        told = await modem.reset(level)
        assert told["level"] in ("attach", "radio")
        assert (await modem.execute("AT+CFUN?")).lines == ("+CFUN: 1",)

    run(story, tmp_path)


def test_a_radio_that_was_left_off_is_switched_on(tmp_path: Path) -> None:
    async def story(running: Running, modem: Modem, recovery: Recovery, saved: list[dict[str, Any]]) -> None:
        assert not await modem.wake_radio()
        await modem.execute("AT+CFUN=4")
        assert await modem.wake_radio()
        assert (await modem.execute("AT+CFUN?")).lines == ("+CFUN: 1",)
        assert modem.faults["modem.radio-off"] == 1

    run(story, tmp_path)


class Stubborn:
    """Refuses what it is asked `refusals` times."""

    def __init__(self, refusals: int) -> None:
        self.refusals, self.asked = refusals, list[str]()

    async def execute(self, text: str, timeout_s: float | None = None) -> Any:
        self.asked.append(text)
        ok = text.endswith("=4") or self.asked.count(text) > self.refusals
        return SimpleNamespace(ok=ok, final="OK" if ok else "CME", code=None if ok else 14)


def test_a_radio_that_will_not_come_on_is_asked_again() -> None:
    module = Stubborn(2)
    asyncio.run(recovery_steps.radio(module, profiles()["generic"]))
    assert module.asked == ["AT+CFUN=4", *["AT+CFUN=1"] * 3]
    with pytest.raises(ModemError, match="CME 14"):
        asyncio.run(recovery_steps.radio(Stubborn(9), profiles()["generic"]))


def test_a_radio_reset_that_is_cancelled_leaves_the_radio_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery_steps, "RADIO_PAUSE_S", 60.0)

    async def story(running: Running, modem: Modem, recovery: Recovery, saved: list[dict[str, Any]]) -> None:
        task = asyncio.create_task(modem.reset("radio"))
        while running.modem.state.power.functionality == 1:  # noqa: ASYNC110  # the simulator lives on its own thread
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await modem.execute("AT+CFUN?")).lines == ("+CFUN: 1",)

    run(story, tmp_path)


class GivenUp:
    """A module whose user goes away while it detaches."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.asked_to_detach = asyncio.Event()

    async def execute(self, text: str, timeout_s: float | None = None) -> Any:
        self.asked.append(text)
        if text == "AT+CGATT=0":
            self.asked_to_detach.set()
            await asyncio.Event().wait()
        return SimpleNamespace(ok=True)


def test_a_detach_that_is_cancelled_is_followed_by_an_attach() -> None:
    async def whole() -> list[str]:
        module = GivenUp()
        task = asyncio.create_task(recovery_steps.attach(module, profiles()["generic"]))
        await module.asked_to_detach.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return module.asked

    assert asyncio.run(whole()) == ["AT+CGATT=0", "AT+CGATT=1"]


def test_a_restart_is_asked_for_and_the_module_leaves(tmp_path: Path) -> None:
    async def story(running: Running, modem: Modem, recovery: Recovery, saved: list[dict[str, Any]]) -> None:
        told = await modem.reset("module")
        assert "AT+CFUN=1,1" in told["text"]

    run(story, tmp_path)


def test_an_unknown_rung_is_refused(tmp_path: Path) -> None:
    async def story(running: Running, modem: Modem, recovery: Recovery, saved: list[dict[str, Any]]) -> None:
        with pytest.raises(ModemError, match="no such level"):
            await modem.reset("hammer")

    run(story, tmp_path)


def test_a_usb_device_is_taken_off_the_bus_and_given_back(tmp_path: Path) -> None:
    plug(tmp_path, "1-1.2", "2c7c", "0125", {2: "ttyUSB2"})
    told = asyncio.run(recovery_steps.usb("1-1.2:2", tmp_path / "sys"))
    assert "1-1.2" in told
    assert (tmp_path / "sys/bus/usb/devices/1-1.2/authorized").read_text() == "1"
    with pytest.raises(ModemError, match="not known"):
        asyncio.run(recovery_steps.usb("", tmp_path / "sys"))
    with pytest.raises(ModemError, match="not known"):
        asyncio.run(recovery_steps.usb("9-9:2", tmp_path / "sys"))


def test_power_goes_by_the_configured_way(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    asyncio.run(recovery_steps.power(ModemSettings(power_cycle=("touch", str(mark)))))
    assert mark.exists()
    gpio = tmp_path / "value"
    gpio.write_text("1")
    asyncio.run(recovery_steps.power(ModemSettings(power_gpio=str(gpio))))
    assert gpio.read_text() == "1"
    with pytest.raises(ModemError, match="no way"):
        asyncio.run(recovery_steps.power(ModemSettings()))
    with pytest.raises(ModemError, match="status 1"):
        asyncio.run(recovery_steps.power(ModemSettings(power_cycle=("false",))))


def test_the_rungs_are_those_that_this_device_has(tmp_path: Path) -> None:
    plug(tmp_path, "1-1.2", "2c7c", "0125", {2: "ttyUSB2"})
    settings = ModemSettings(power_cycle=("true",))
    assert recovery_steps.available(settings, "1-1.2:2", True, tmp_path / "sys") == (
        "attach",
        "radio",
        "module",
        "usb",
        "power",
    )
    assert recovery_steps.available(ModemSettings(), "", False, tmp_path / "sys") == ()


def test_a_message_goes_out_and_a_refusal_is_told(tmp_path: Path) -> None:
    async def story(running: Running, modem: Modem, recovery: Recovery, saved: list[dict[str, Any]]) -> None:
        await modem.poll()
        told = await modem.send_sms("+32470123456", "Votre ligne est ralentie jusqu'au 1er décembre.")
        assert told["parts"] == 1
        assert (await modem.send_sms("0470123456", "ê" * 80))["parts"] == 2
        with pytest.raises(ModemError, match="not a phone number"):
            await modem.send_sms("x", "y")
        running.fault("no-coverage")
        with pytest.raises(CommandError, match="network"):
            await modem.send_sms("+32470123456", "hello")

    run(story, tmp_path)
