"""A module in ModemManager's hands, read through `mmcli -J`: where its only AT port is taken, and resets asked there.

One process a question and none between two polls; no D-Bus library. The Modem takes it when no port of the module was
free. What ModemManager does not tell (the cell, the band in use, the module's own byte counters) stays None.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from agent.at.standard.registration import ROAMING, STATES
from agent.errors import ModemError, PortAbsent
from agent.modem.reading import Identity, Operator, Reading, Registration, Signal, Sim

if TYPE_CHECKING:
    from agent.status_schema import Context

COMMAND_S = 15.0  # ModemManager answers from memory; a reset or a radio that is switched takes longer
RESET_S = 90.0
SIGNAL_EVERY_S = 60  # as often as a poll; 0 is ModemManager's default, and then it knows no signal

Tree = Mapping[str, object]
Run = Callable[[tuple[str, ...], float], Awaitable[str]]

# MMModem3gppRegistrationState has the numbers and the words of 27.007 <stat>, "unknown" included.
_STATS = {name: stat for stat, name in STATES.items() if stat <= 10}
# MMModemAccessTechnology in mmcli's words, the best first, as TR-181 names them.
_TECHNOLOGIES = (
    ("5gnr", "NR"), ("lte", "LTE"), ("hspa-plus", "UMTSHSPA"), ("hspa", "UMTSHSPA"), ("hsdpa", "UMTSHSPA"),
    ("hsupa", "UMTSHSPA"), ("umts", "UMTS"), ("edge", "EDGE"), ("gprs", "GPRS"), ("gsm", "GPRS"),
)  # fmt: skip
# Which of mmcli's figures is which of ours, by technology; dB and dBm on both sides (mmcli(1), --signal-get).
_FIGURES: Mapping[str, Mapping[str, str]] = {
    "lte": {"rsrp": "rsrp_dbm", "rsrq": "rsrq_db", "rssi": "rssi_dbm", "snr": "sinr_db"},
    "umts": {"rssi": "rssi_dbm", "rscp": "rscp_dbm", "ecio": "ecio_db"},
    "gsm": {"rssi": "rssi_dbm"},
}
_NR_FIGURES = {"rsrp": "rsrp_dbm", "rsrq": "rsrq_db", "snr": "sinr_db"}
_LOCKS = {"sim-pin": "SIM PIN", "sim-puk": "SIM PUK"}
_RETRY = re.compile(r"(sim-p[iu][nk]) \((\d+)\)")


async def run(arguments: tuple[str, ...], limit_s: float) -> str:
    """What mmcli prints. Raises ModemError with its own words, PortAbsent where there is none."""
    try:
        process = await asyncio.create_subprocess_exec(
            "mmcli", *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except OSError as error:
        raise PortAbsent(f"mmcli: {error.strerror or error}") from error
    try:
        printed, said = await asyncio.wait_for(process.communicate(), limit_s)
    except asyncio.TimeoutError as error:
        raise ModemError(f"mmcli {arguments[0]}: no answer within {limit_s:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = said.decode("utf-8", "replace").strip().splitlines() or [f"ended with status {process.returncode}"]
        raise ModemError(f"mmcli: {lines[-1].removeprefix('error: ')}")  # GLib's warnings come before
    return printed.decode("utf-8", "replace")


class ModemManager:
    """One of its modems; `path` is its D-Bus path."""

    def __init__(self, path: str, ask: Run = run) -> None:
        self.path = path
        self._ask = ask

    @staticmethod
    async def holding(device: str, ask: Run = run) -> ModemManager | None:
        """The modem that has this port, None when ModemManager has none such or does not run."""
        name = _node(device)
        try:
            for path in _list(_parsed(await ask(("-L", "-J"), COMMAND_S)), "modem-list"):
                modem = _parsed(await ask(("-m", path, "-J"), COMMAND_S))
                if name in [port.split(" ")[0] for port in _list(modem, "modem.generic.ports")]:
                    with contextlib.suppress(ModemError):  # who may not ask for it reads all but the strengths
                        await ask(("-m", path, f"--signal-setup={SIGNAL_EVERY_S}"), COMMAND_S)
                    return ModemManager(path, ask)
        except ModemError:
            return None
        return None

    async def read(self, at_boot_s: float) -> Reading:
        """Everything it knows. Raises PortAbsent when the modem has gone from it."""
        modem = await self._json("-m", self.path)
        if modem is None:
            raise PortAbsent(f"ModemManager has lost {self.path}")
        sim, bearers = _text(modem, "modem.generic.sim"), _list(modem, "modem.generic.bearers")
        return reading_of(
            modem,
            (await self._json("-i", sim) if sim else None) or {},
            await self._json("-m", self.path, "--signal-get") or {},
            [found for path in bearers if (found := await self._json("-b", path))],
            at_boot_s,
        )

    async def _json(self, *arguments: str) -> Tree | None:
        try:
            return _parsed(await self._ask((*arguments, "-J"), COMMAND_S))
        except PortAbsent:
            raise
        except ModemError:
            return None

    async def reset(self, level: str) -> str:
        """The rungs that ModemManager has: the radio off and on, the module restarted. Raises ModemError."""
        if level == "radio":
            await self._ask(("-m", self.path, "--disable"), RESET_S)
            await self._ask(("-m", self.path, "--enable"), RESET_S)
            return "ModemManager has switched the radio off and on"
        if level == "module":
            await self._ask(("-m", self.path, "--reset"), RESET_S)
            return "ModemManager has been asked to restart the module"
        raise ModemError(f"the module is in ModemManager's hands, which has no step {level}")


RUNGS = ("radio", "module")


def _node(device: str) -> str:
    """The port's name as the kernel has it, whatever link leads there."""
    return os.path.basename(os.path.realpath(device))


def _parsed(text: str) -> Tree:
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise ModemError(f"mmcli: not JSON: {text[:60]!r}") from error
    if not isinstance(tree, dict):
        raise ModemError(f"mmcli: not an object: {text[:60]!r}")
    return tree


def _at(tree: Tree, path: str) -> object:
    """A value by its dotted path; None for what is not there or is mmcli's sign for unknown."""
    value: object = tree
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return None if value in ("--", "") else value


def _list(tree: Tree, path: str) -> list[str]:
    value = _at(tree, path)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _text(tree: Tree, path: str) -> str | None:
    value = _at(tree, path)
    return str(value) if isinstance(value, (str, int)) else None


def _figure(tree: Tree, path: str) -> float | None:
    try:
        value = float(str(_at(tree, path)))
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def reading_of(modem: Tree, sim: Tree, signal: Tree, bearers: list[Tree], at_boot_s: float) -> Reading:
    """One Reading from mmcli's JSON objects. Pure."""
    stat = _STATS.get(str(_at(modem, "modem.3gpp.registration-state")))
    technologies = _list(modem, "modem.generic.access-technologies")
    packet = _at(modem, "modem.3gpp.packet-service-state")
    return Reading(
        at_boot_s=at_boot_s,
        port=f"mmcli:{_text(modem, 'modem.dbus-path') or ''}",
        profile="modemmanager",
        identity=Identity(
            manufacturer=_text(modem, "modem.generic.manufacturer"),
            model=_text(modem, "modem.generic.model"),
            revision=_text(modem, "modem.generic.revision"),
            imei=_text(modem, "modem.3gpp.imei") or _text(modem, "modem.generic.equipment-identifier"),
        ),
        sim=_sim(modem, sim),
        registration=Registration(
            stat=stat, name=STATES.get(stat) if stat is not None else None,
            roaming=stat in ROAMING if stat in (1, 5, 6, 7, 9, 10) else None,
        ),
        operator=Operator(plmn=_text(modem, "modem.3gpp.operator-code"), name=_text(modem, "modem.3gpp.operator-name")),
        signal=_signal(signal),
        access_technology=next((ours for theirs, ours in _TECHNOLOGIES if theirs in technologies), None),
        attached=None if packet is None else packet == "attached",
        contexts=tuple(_context(number, bearer) for number, bearer in enumerate(bearers, 1)),
    )  # fmt: skip


def _sim(modem: Tree, sim: Tree) -> Sim:
    wanted = _text(modem, "modem.generic.unlock-required")
    missing = _text(modem, "modem.generic.state-failed-reason") == "sim-missing"
    left = dict(_RETRY.findall(" ".join(_list(modem, "modem.generic.unlock-retries"))))
    usable = "READY" if sim else None
    return Sim(
        state="not-inserted" if missing else _LOCKS.get(wanted or "", usable),
        lock="not-inserted" if missing else wanted if wanted in _LOCKS else "none" if sim else None,
        imsi=_text(sim, "sim.properties.imsi"),
        iccid=_text(sim, "sim.properties.iccid"),
        msisdn=next(iter(_list(modem, "modem.generic.own-numbers")), None),
        pin_attempts=int(left["sim-pin"]) if "sim-pin" in left else None,
        puk_attempts=int(left["sim-puk"]) if "sim-puk" in left else None,
    )


def _signal(tree: Tree) -> Signal:
    found: dict[str, float | None] = {}
    for technology, names in _FIGURES.items():
        if not found:
            read = {ours: _figure(tree, f"modem.signal.{technology}.{theirs}") for theirs, ours in names.items()}
            found = read if any(value is not None for value in read.values()) else {}
    nr = {ours: _figure(tree, f"modem.signal.5g.{theirs}") for theirs, ours in _NR_FIGURES.items()}
    heard = any(value is not None for value in nr.values())
    return Signal(source="mmcli --signal-get" if found or heard else None, nr=nr if heard else None, **found)  # type: ignore[arg-type]  # figures alone


def _context(number: int, bearer: Tree) -> Context:
    return {
        "cid": number,
        "apn": _text(bearer, "bearer.properties.apn"),
        "pdp_type": _text(bearer, "bearer.properties.ip-type"),
        "address": _text(bearer, "bearer.ipv4-config.address") or _text(bearer, "bearer.ipv6-config.address"),
        "active": _text(bearer, "bearer.status.connected") == "yes",
    }
