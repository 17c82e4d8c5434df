"""The control socket of a running simulator: one line of JSON in, one out. `modem-sim ctl` is its client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from simulator.causes import RECIPES, recipe
from simulator.errors import SimulatorError, UnknownName
from simulator.modem import SimModem
from simulator.modem import state as settings
from simulator.modem.fault import FAULTS
from simulator.modem.faults import names as fault_names

Action = Callable[[SimModem, list[str]], object]


def _need(args: list[str], count: int, usage: str) -> None:
    if len(args) < count:
        raise SimulatorError(f"usage: {usage}")


def _set(modem: SimModem, args: list[str]) -> object:
    _need(args, 2, "set NAME VALUE")
    modem.set(args[0], args[1])
    return {args[0]: modem.get(args[0])}


def _get(modem: SimModem, args: list[str]) -> object:
    _need(args, 1, "get NAME")
    return {args[0]: _plain(modem.get(args[0]))}


def _plain(value: object) -> object:
    return value if isinstance(value, (str, int, float, bool)) else repr(value)


def _fault(modem: SimModem, args: list[str]) -> object:
    _need(args, 1, "fault NAME [ARGUMENT]")
    modem.fault(args[0], args[1] if len(args) > 1 else "")
    return {"faults": sorted(modem.faults)}


def _clear(modem: SimModem, args: list[str]) -> object:
    modem.clear(args[0] if args else "")
    return {"faults": sorted(modem.faults)}


def _clock(modem: SimModem, args: list[str]) -> object:
    _need(args, 1, "clock 2027-01-31T23:59:50+01:00 | now")
    when = parse_time(args[0])
    modem.set_wall(when)
    return {"clock": modem.utc().isoformat()}


def parse_time(text: str) -> datetime:
    """An ISO date and time; UTC when it names no zone."""
    if text == "now":
        return datetime.now(timezone.utc)
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise SimulatorError(f"{text!r} is no date and time such as 2027-01-31T23:59:50+01:00") from None
    return when if when.tzinfo else when.replace(tzinfo=timezone.utc)


def _sms(modem: SimModem, args: list[str]) -> object:
    _need(args, 2, "sms NUMBER TEXT")
    return {"index": modem.receive_sms(args[0], " ".join(args[1:]))}


def _urc(modem: SimModem, args: list[str]) -> object:
    _need(args, 1, "urc TEXT")
    modem.unsolicited(" ".join(args))
    return {}


def _carry(modem: SimModem, args: list[str]) -> object:
    _need(args, 2, "carry RECEIVED_BYTES SENT_BYTES")
    modem.carry(int(args[0]), int(args[1]))
    return {"received_bytes": modem.state.counters.received_bytes, "sent_bytes": modem.state.counters.sent_bytes}


def _provoke(modem: SimModem, args: list[str]) -> object:
    _need(args, 1, f"provoke {' | '.join(RECIPES)}")
    for action, *rest in recipe(args[0]):
        if action in ACTIONS:
            perform(modem, action, rest)
        elif action not in ("release",):
            raise SimulatorError(
                f"{args[0]} needs a served port: modem-sim serve, then modem-sim ctl provoke {args[0]}"
            )
    return status(modem)


def _done(act: Callable[[SimModem], None]) -> Action:
    def run(modem: SimModem, args: list[str]) -> object:
        act(modem)
        return status(modem)

    return run


def status(modem: SimModem) -> dict[str, Any]:
    """What the simulated module is doing."""
    return {
        "profile": modem.profile.name,
        "power": modem.state.power.state,
        "functionality": modem.state.power.functionality,
        "sim": modem.sim_text if modem.state.sim.present else "absent",
        "registration": modem.registration.stats,
        "rat": modem.state.radio.cell.rat,
        "rsrp_dbm": round(modem.rsrp_dbm, 1),
        "address": [c.address for c in modem.state.contexts if c.active],
        "data_flows": modem.data_flows,
        "data_bps": modem.state.network.data_bps,
        "clock": modem.utc().isoformat(),
        "restarts": modem.state.power.restarts,
        "faults": sorted(modem.faults),
        "sms_stored": len(modem.sms.messages),
        "sms_sent": [m.text for m in modem.sms.sent],
    }


ACTIONS: dict[str, tuple[Action, str]] = {
    "status": (lambda modem, args: status(modem), "what the module is doing"),
    "set": (_set, "NAME VALUE: change a setting (rsrp -115, operator BASE, sim.present false)"),
    "get": (_get, "NAME: read a setting"),
    "settings": (lambda modem, args: settings.names(), "the names of all settings"),
    "fault": (_fault, "NAME [ARGUMENT]: start a fault"),
    "clear": (_clear, "[NAME]: end a fault, or all"),
    "faults": (lambda modem, args: {n: FAULTS[n].help for n in fault_names()}, "all faults and what they do"),
    "unplug": (_done(lambda modem: modem.unplug()), "pull the module out of the USB socket"),
    "plug": (_done(lambda modem: modem.plug()), "push it back in"),
    "usb-reset": (_done(lambda modem: modem.usb_reset()), "re-authorise the USB device"),
    "power-cycle": (_done(lambda modem: modem.power_cycle()), "take the module's supply away and give it back"),
    "restart": (_done(lambda modem: modem.restart()), "the module restarts by itself"),
    "handover": (_done(lambda modem: modem.handover()), "go over to the next cell"),
    "provoke": (_provoke, "CAUSE: heal everything, then make this the cause of a dead line"),
    "clock": (_clock, "TIME: what the network says the time is"),
    "sms": (_sms, "NUMBER TEXT: an SMS comes in"),
    "urc": (_urc, "TEXT: an unsolicited line"),
    "carry": (_carry, "RECEIVED SENT: bytes that the household moved"),
}


def perform(modem: SimModem, action: str, args: list[str]) -> object:
    """One action by name, for the socket, scenarios and tests alike."""
    if action not in ACTIONS:
        raise UnknownName("action", action, list(ACTIONS))
    return ACTIONS[action][0](modem, args)


class ControlServer:
    """Listens on a unix socket that only its owner may use. `more` are actions that need more than the modem."""

    def __init__(self, modem: SimModem, path: str, more: dict[str, Callable[[], object]] | None = None) -> None:
        self.modem, self.path, self.more = modem, path, more or {}
        self._server: asyncio.AbstractServer | None = None

    async def open(self) -> None:
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        before = os.umask(0o177)  # nobody else from the first moment on
        try:
            self._server = await asyncio.start_unix_server(self._serve, self.path)
        finally:
            os.umask(before)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while line := await reader.readline():
                writer.write(json.dumps(self._answer(line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if not isinstance(request, list) or not request or not all(isinstance(word, str) for word in request):
                raise SimulatorError("a request is a list of words: action and arguments")
            return {"ok": self._perform(request[0], request[1:])}
        except (SimulatorError, ValueError) as error:
            return {"error": str(error)}

    def _perform(self, action: str, args: list[str]) -> object:
        if action in self.more:
            return self.more[action]()
        if action == "provoke" and args:
            for step, *rest in recipe(args[0]):
                self._perform(step, rest)
            return status(self.modem)
        return perform(self.modem, action, args)


def ask(path: str, words: list[str], timeout_s: float = 10.0) -> Any:
    """Ask a running simulator, without asyncio. Raises SimulatorError with its answer, or when nobody listens."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(path)
            connection.sendall(json.dumps(words).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer = json.loads(answers.readline() or b"{}")
        except OSError as error:
            raise SimulatorError(f"{path}: no simulator answers there ({error})") from error
    if "ok" not in answer:
        raise SimulatorError(answer.get("error", "the simulator hung up"))
    return answer["ok"]
