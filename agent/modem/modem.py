"""The Modem: one module behind one port, read as a whole.

Called by the daemon: open(), poll() again and again, close() on a ModemError, back off, open() again. It decides
nothing about recovery (see ladder) and lets nothing a module sends raise anything but a ModemError. Every kind of
fault has a counter in `faults`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from agent.at import Response, read
from agent.at.merge import SIGNAL_SOURCES
from agent.config import ModemSettings
from agent.errors import CommandTimeout, ModemError, NotAtPort, PortAbsent, PortBusy
from agent.events import Emit, unheard
from agent.modem import context, recovery_steps, sms
from agent.modem.discovery import SYSFS, Candidate, candidates, device_at, place_of
from agent.modem.lock import LOCK_DIRECTORY, holder_of
from agent.modem.modemmanager import RUNGS, ModemManager
from agent.modem.poll import assemble
from agent.modem.profiles import Profile, choose, profiles
from agent.modem.reading import Identity, Reading, Values
from agent.modem.secret import secret
from agent.modem.transport import Dialogue

log = logging.getLogger(__name__)

UNSUPPORTED_AFTER = 3  # errors in a row before a vendor command is left out until the port is opened again
PROBING_S = 20.0  # for all ports together that nobody knows, so that doctor still answers
SELDOM = 10  # polls from one question to the next about what seldom changes
BUILT = datetime(2025, 1, 1, tzinfo=timezone.utc)  # network time before this is a counter from power-up
_HANDS_OFF = "the module is in ModemManager's hands: it is read through mmcli, and no AT gets through"
_HELLO = ("ATE0", "ATV1", "AT+CMEE=1")
_LOCKS = ("sim-pin", "sim-puk")
_ATTEMPTS_COMMANDS = ('AT+CPINR="SIM PIN"', 'AT+CSIM=10,"0020000100"')  # VERIFY without data asks for the counter
_ICCID_COMMANDS = ("AT+CCID", "AT+ICCID", "AT+CRSM=176,12258,0,0,10")  # where the profile's own gave nothing


class Modem:
    """One module. `boot_clock` gives seconds of CLOCK_BOOTTIME; `emit` hears unsolicited lines and a port's loss."""

    def __init__(
        self,
        settings: ModemSettings,
        *,
        boot_clock: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        faults: Counter[str] | None = None,
        sysfs: Path = SYSFS,
        dev: Path = Path("/dev"),
        lock_directory: Path = LOCK_DIRECTORY,
        believable_from: datetime = BUILT,
        emit: Emit = unheard,
    ) -> None:
        self._settings, self._boot_s = settings, boot_clock
        self._sysfs, self._dev = sysfs, dev
        self._believable_from = believable_from
        counters: Counter[str] = Counter() if faults is None else faults
        self.profile: Profile = profiles()["generic"]
        self.identity = Identity()
        self.place = ""  # where on the bus the module sits; survives a new ttyUSB number
        self._dialogue = Dialogue(counters, baud=settings.baud, lock_directory=lock_directory, emit=emit)
        self._card: Values = {}
        self._refusals: Counter[str] = Counter()
        self._seldom: dict[str, dict[str, object]] = {}
        self._polls = 0
        self._named: tuple[str, object] = ("", None)
        self._oddities = 0
        self._manager: ModemManager | None = None  # has the module, where no port of it was free
        self.context_differs = False  # the module would attach with another APN than the configured one
        self.tried: tuple[str, ...] = ()  # what the last opening found on each port that it asked, in order

    @property
    def faults(self) -> Counter[str]:
        """A counter for each kind of fault."""
        return self._dialogue.faults

    @property
    def is_open(self) -> bool:
        return self._dialogue.is_open

    @property
    def where(self) -> str:
        return self._dialogue.where

    @property
    def occupied(self) -> tuple[str, float] | None:
        """What the module is busy with, and for how many seconds; None while it hears us."""
        return self._dialogue.occupied

    # -- opening ------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Find the port, take it, greet the module and learn who it is.

        Raises PortAbsent, PortBusy or CommandTimeout; the port is closed again then.
        """
        self.close()
        errors: list[ModemError] = []
        taken: list[Candidate] = []
        tried: list[str] = []
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + PROBING_S
        try:
            for candidate in self._where():
                if not candidate.certain and loop.time() >= ends_s:
                    tried.append(f"{candidate.device}: not tried, {PROBING_S:g} s are over")
                    continue
                try:
                    await self._dialogue.open(candidate.device)
                    await self._greet(known=candidate.certain)
                    self.place = candidate.place or self.place
                    tried.append(f"{candidate.device}: speaks AT{candidate.origin}")
                    return
                except ModemError as error:
                    self.faults["modem.open"] += 1
                    tried.append(str(error))
                    if candidate.certain or not isinstance(error, NotAtPort):
                        errors.append(error)
                    if isinstance(error, PortBusy):
                        taken.append(candidate)
                    self.close()
                except BaseException:
                    self.close()
                    raise
            if await self._through_manager(taken, tried):
                return
        finally:
            self.tried = tuple(tried)
        raise errors[0] if errors else PortAbsent(_nothing_found(tried))

    async def _through_manager(self, taken: list[Candidate], tried: list[str]) -> bool:
        """Whether ModemManager has one of these ports; the module is then read and reset through it."""
        for candidate in taken:
            self._manager = await ModemManager.holding(candidate.device)
            if self._manager is not None:
                self.place = candidate.place or self.place
                tried.append(f"{candidate.device}: read through ModemManager ({self._manager.path})")
                log.info("%s is ModemManager's: read through mmcli", candidate.device)
                return True
        return False

    def _where(self) -> list[Candidate]:
        """Ports to try: the place the module was last seen at comes first."""
        configured = self._settings.port
        if "://" in configured:
            return [Candidate(configured, certain=True)]
        if configured != "auto":
            device = (device_at(self.place, self._sysfs, self._dev) if self.place else "") or configured
            return [Candidate(device, place_of(device, self._sysfs), certain=True)]
        return sorted(candidates(self._sysfs, self._dev), key=lambda c: bool(self.place) and c.place != self.place)

    async def _greet(self, *, known: bool) -> None:
        """Wake the module, learn its identity, choose the profile, say what it needs to hear."""
        await self._dialogue.wake(known=known)
        for command in _HELLO:
            await self._ask(command)
        found: Values = {}
        for command in profiles()["generic"].identity[:4]:
            found.update({k: v for k, v in (await self._ask(command) or {}).items() if k != "lines"})
        self.identity = Identity(**{k: found.get(k) for k in ("manufacturer", "model", "revision", "imei")})
        self.profile = choose(self.identity.manufacturer, self.identity.model, self._settings.profile)
        for command in (*self.profile.init, f"AT+COPS=3,{self.profile.operator_format}"):
            if command not in _HELLO:
                await self._ask(command)
        self._card, self._seldom, self._polls, self._named = {}, {}, 0, ("", None)
        self._refusals.clear()
        log.info("%s: %s %s (%s)", self.where, self.identity.manufacturer, self.identity.model, self.profile.name)

    def close(self) -> None:
        """Give the port back; a pending command ends with PortAbsent."""
        self._manager = None
        self._dialogue.close()

    # -- commands -----------------------------------------------------------------------------------------------

    async def execute(self, text: str, timeout_s: float | None = None) -> Response:
        """One command line, its response whatever it says. Raises CommandTimeout, ModemOccupied or PortAbsent."""
        if self._manager is not None:
            raise PortBusy(_HANDS_OFF)
        return await self._dialogue.execute(text, timeout_s)

    async def _ask(self, text: str) -> dict[str, object] | None:
        """The reading of a command, None when the module refuses or says nothing that can be read."""
        return self._taken(text, await self.execute(text))

    def rungs(self, *, answers: bool) -> tuple[str, ...]:
        """The rungs of the recovery ladder that can be taken now. Who else looks after the module resets it."""
        if self._manager is not None:
            return RUNGS
        return recovery_steps.available(self._settings, self.place, answers and self.is_open, self._sysfs)

    async def reset(self, level: str) -> dict[str, str]:
        """One rung: attach, radio, module, usb or power; `auto`: the gentlest that can be taken. Raises ModemError."""
        rungs = self.rungs(answers=True)
        if level == "auto":
            level = rungs[0] if rungs else "module"
        self.faults[f"modem.reset-{level}"] += 1
        if self._manager is not None:
            return {"level": level, "text": await self._manager.reset(level)}
        if level in ("attach", "radio", "module"):
            await self._dialogue.free()
        if level == "attach":
            text = await recovery_steps.attach(self, self.profile, await self._context())
            self.context_differs, self._polls = False, 0  # the next poll reads the context anew
        elif level in ("radio", "module"):
            act = {"radio": recovery_steps.radio, "module": recovery_steps.restart}[level]
            text = await act(self, self.profile)
        elif level == "usb":
            text = await recovery_steps.usb(self.place, self._sysfs)
        elif level == "power":
            text = await recovery_steps.power(self._settings)
        else:
            raise ModemError(f"no such level: {level} (attach, radio, module, usb, power, auto)")
        return {"level": level, "text": text}

    async def _context(self) -> tuple[str, ...]:
        """The commands that give the module the configured APN; none where it has it."""
        listed = context.contexts_of(await self._ask("AT+CGDCONT?"))
        if not context.differs(self._settings.apn, listed):
            return ()
        password = secret(self._settings.apn_password_file)
        return context.definition(self._settings, self.profile, listed, password)

    async def wake_radio(self) -> bool:
        """Switch the radio on where another tool, or a step that was cut short, left it off; whether it was off."""
        if self._manager is not None:
            return False
        found = await self._patient("AT+CFUN?") or {}
        if found.get("radio") is not False:
            return False
        self.faults["modem.radio-off"] += 1
        log.warning("%s: the radio was left off (+CFUN: %s); it is switched on", self.where, found.get("fun"))
        return (await self.execute(self.profile.radio_on)).ok

    async def enter_pin(self, pin: str) -> bool:
        """Give the SIM its PIN. Whether it may be tried is decided before (see pin)."""
        self.faults["modem.pin-tried"] += 1
        self._card = {}  # the attempts left are another number now
        return (await self.execute(f'AT+CPIN="{pin}"')).ok

    async def card(self) -> Values:
        """ICCID and attempts left of a SIM that is locked: what a PIN needs to know before it is tried."""
        found: Values = {}
        for command in (self.profile.identity[5], *_ICCID_COMMANDS):
            if "iccid" not in found:
                found.update(await self._patient(command) or {})
        for command in (self.profile.pin_attempts, *_ATTEMPTS_COMMANDS):
            if command and found.get("pin_attempts") is None:
                found.update(await self._patient(command) or {})
        return found

    async def send_sms(self, number: str, text: str) -> dict[str, object]:
        """Send a message in as many parts as it needs. Raises ModemError; a refusal is a CommandError."""
        if self._manager is not None:
            raise PortBusy(_HANDS_OFF)
        return await sms.send(self._dialogue, number, text, reference=int(self._boot_s()))

    # -- polling ------------------------------------------------------------------------------------------------

    async def poll(self) -> Reading:
        """Ask everything the profile lists. Raises PortAbsent, CommandTimeout when the module stays silent,
        ModemOccupied while it works on something long, or PortBusy when another process has opened the port too."""
        if self._manager is not None:
            return await self._manager.read(self._boot_s())
        answers: dict[str, dict[str, object]] = dict(self._seldom)
        sim_error: int | str | None = None
        time_boot_s: float | None = None
        for command in self._due():
            try:
                response = await self.execute(command)
            except CommandTimeout:
                if self._dialogue.hung:
                    raise
                continue
            name = response.command.name
            if name == "+CPIN" and not response.ok:
                sim_error = response.code
            reading = self._taken(command, response)
            if reading is not None:
                answers[name] = reading
                time_boot_s = self._boot_s() if reading.get("time") else time_boot_s
                if command in self.profile.seldom:
                    self._seldom[name] = reading
        self._polls += 1
        if "+CGDCONT" in answers:
            self.context_differs = context.differs(self._settings.apn, context.contexts_of(answers["+CGDCONT"]))
        if not any(name in answers for name in SIGNAL_SOURCES):  # a clone that refuses its vendor's commands
            answers["+CSQ"] = await self._patient("AT+CSQ") or {}
        await self._name_operator(answers)
        await self._read_card(answers.get("+CPIN") or {})
        self._look_for_rival()
        return assemble(
            answers,
            at_boot_s=self._boot_s(),
            port=self.where,
            profile=self.profile.name,
            identity=self.identity,
            card=self._card,
            sim_error=sim_error,
            time_boot_s=time_boot_s,
            believable_from=self._believable_from,
        )

    def _look_for_rival(self) -> None:
        """TIOCEXCL does not keep root out. Looked for when answers did not come or came unasked, and now and then; it
        is named and the port left to it, since two readers steal each other's bytes."""
        before, self._oddities = self._oddities, sum(self.faults[name] for name in ("modem.stray", "modem.timeout"))
        due = self._oddities > before or self._polls % SELDOM == 0
        if due and "://" not in self.where and (rival := holder_of(self.where)):
            self.faults["modem.rival"] += 1
            raise PortBusy(f"{self.where}: {rival} has opened it beside us")

    def _due(self) -> list[str]:
        turn = self._polls % SELDOM
        asked = (*self.profile.poll, *self.profile.seldom[turn : turn + 1])
        return [c for c in asked if self._refusals[c] < UNSUPPORTED_AFTER]

    def _taken(self, command: str, response: Response) -> dict[str, object] | None:
        """The reading of an answer; a refusal is remembered."""
        if not response.ok:
            self.faults["modem.command-error"] += 1
            if response.result is not None and response.result.unsupported:
                self._refusals[command] += 1
            return None
        self._refusals.pop(command, None)
        reading = read(response)
        if reading is None and response.lines and response.row.parse is not None:
            self.faults["modem.unreadable"] += 1
        return reading

    async def _read_card(self, pin: dict[str, object]) -> None:
        """What stands on the SIM, once after it became usable; of a locked one its number and the attempts left, anew
        now and then. Forgotten when the SIM is gone."""
        if pin.get("lock") in _LOCKS:
            if "imsi" in self._card or not self._card or self._polls % SELDOM == 1:
                self._card = await self.card()
            return
        if pin.get("usable") is not True:
            self._card = {}
            return
        if "imsi" in self._card:
            return
        found: Values = {}
        attempts = (self.profile.pin_attempts,) if self.profile.pin_attempts else ()
        for command in (*self.profile.identity[4:], *attempts):
            found.update(await self._patient(command) or {})
        for command in _ICCID_COMMANDS:
            if "iccid" not in found:
                found.update(await self._patient(command) or {})
        self._card = found

    async def _patient(self, command: str) -> dict[str, object] | None:
        """A reading that may fail without ending the poll."""
        try:
            return await self._ask(command)
        except CommandTimeout:
            return None

    async def _name_operator(self, answers: dict[str, dict[str, object]]) -> None:
        """Where +COPS gives the number, ask for the name once, when the network is another than before."""
        operator = answers.get("+COPS") or {}
        number = operator.get("plmn")
        if number is None or operator.get("operator") is not None:
            return
        if self._named[0] != number:
            await self._patient("AT+COPS=3,0")
            found = await self._patient("AT+COPS?") or {}
            await self._patient(f"AT+COPS=3,{self.profile.operator_format}")
            self._named = (str(number), found.get("operator"))
        answers["+COPS"] = {**operator, "operator": self._named[1]}


def _nothing_found(tried: list[str]) -> str:
    return "no port speaks AT: " + "; ".join(tried) if tried else "no cellular module found on USB"
