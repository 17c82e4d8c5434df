"""SimModem: one simulated module. State, time, ports and the network's answers, without any I/O.

A shell gives it bytes (`port.receive`), the time (`advance`, or a `clock` that it reads itself) and takes bytes
away (`port.take`). Public methods may be called from any thread; `lock` holds them apart.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from simulator.errors import UnknownName
from simulator.modem import identity, parameters, rules
from simulator.modem import profile as profiles
from simulator.modem import state as settings
from simulator.modem.commands import run_standard
from simulator.modem.data_call import Network
from simulator.modem.facts import Facts
from simulator.modem.fault import Fault, make
from simulator.modem.indicators import Indicators
from simulator.modem.life import Life
from simulator.modem.message_service import MessageService
from simulator.modem.phonebook import Phonebook
from simulator.modem.port import PORT_KINDS, AtPort
from simulator.modem.profile import Profile
from simulator.modem.pulse import Pulse
from simulator.modem.registration import Registration
from simulator.modem.reply import Reply
from simulator.modem.rules import Later
from simulator.modem.serial_port import SimPort
from simulator.modem.sms import SmsStore
from simulator.modem.state import Context, State
from simulator.modem.ussd import Ussd
from simulator.modem.v250 import LineSettings

_VARIABLE = "var."  # begins the name of a data file's own setting
_NEVER_SYNCHRONISED = datetime(1980, 1, 6, tzinfo=timezone.utc)


class SimModem:
    """A module of the given profile. `seed` fixes identity and all chance; `pace` scales every delay of the module.

    warm=True starts it booted and registered, as a module is that has been on for a while.
    """

    state: State
    registration: Registration
    profile: Profile

    def __init__(
        self,
        profile: str = "quectel-ec25",
        *,
        seed: int = 0,
        pace: float = 1.0,
        warm: bool = True,
        wall: datetime | None = None,
        clock: Callable[[], float] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.profile = profiles.load(profile)
        self.seed, self.pace, self.clock = seed, pace, clock
        self.lock = threading.RLock()
        self.now = clock() if clock else 0.0
        self._wall_at = (self.now, (wall or datetime.now(timezone.utc)).astimezone(timezone.utc))
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.chance = random.Random(seed)
        self.state = State()
        identity.fill(self.state, seed)
        self.variables = dict(self.profile.variables)
        self.faults: dict[str, Fault] = {}
        self.sms: SmsStore = SmsStore()
        self.messages = MessageService(self)
        self.phonebook = Phonebook(self.state.sim)
        self.ussd = Ussd(self)
        self.saved_settings: LineSettings | None = None  # what &W has kept, over restarts too
        self.registration = Registration(self)
        self.indicators = Indicators(self)
        self.life = Life(self)
        self.pulse = Pulse(self)
        self.network: Network | None = None  # where packets of dial-up connections go; None: nowhere
        self.on_schedule: Callable[[], None] | None = None
        self.on_presence: list[Callable[[bool], None]] = []
        self.watchers: list[Callable[[str], None]] = []
        self.ports: list[SimPort] = [PORT_KINDS[p.role](self, p.interface, p.role) for p in self.profile.ports]
        for name, value in {**self.profile.settings, **(settings or {})}.items():
            self.put(name, value)
        if warm:
            self.registration.refresh(at_once=True)
        else:
            self.state.power.state = "gone"
            self.state.clock.synchronised = False
        self.pulse.start()

    # -- time ------------------------------------------------------------------------------------------------------

    def touch(self) -> None:
        """Bring the modem up to its clock, if it has one."""
        if self.clock is not None:
            self.advance(self.clock())

    def advance(self, now: float) -> None:
        """Let everything happen that is due up to `now` (seconds, never backwards)."""
        with self.lock:
            while self._due and self._due[0][0] <= now:
                due, _, action = heapq.heappop(self._due)
                self.now = max(self.now, due)
                action()
            self.now = max(self.now, now)

    def next_due(self) -> float | None:
        with self.lock:
            return self._due[0][0] if self._due else None

    def after(self, delay_s: float, action: Callable[[], None], *, pace: float | None = None) -> None:
        """Do something later, at this modem's pace, or at its own."""
        due = self.now + delay_s * (self.pace if pace is None else pace)
        heapq.heappush(self._due, (due, next(self._order), action))
        if self.on_schedule is not None:
            self.on_schedule()

    def utc(self) -> datetime:
        """The time that the module believes; 1980 until the network has told it."""
        at, wall = self._wall_at
        start = wall if self.state.clock.synchronised else _NEVER_SYNCHRONISED
        return start + timedelta(seconds=self.now - at)

    def local_time(self) -> datetime:
        if not self.state.clock.synchronised:
            return self.utc()
        return self.utc().astimezone(ZoneInfo(self.state.network.timezone))

    def set_wall(self, wall: datetime) -> None:
        """What the network says the time is, from now on."""
        with self.lock:
            self.touch()
            self._wall_at = (self.now, wall.astimezone(timezone.utc))
            if self.registration.registered:
                self.network_time_arrives()

    # -- what hosts, tests and scenarios do to it --------------------------------------------------------------------

    @property
    def at(self) -> AtPort:
        """The primary AT port."""
        return next(p for p in self.ports if isinstance(p, AtPort) and p.interface == self.profile.primary.interface)

    def set(self, name: str, value: object) -> None:
        """Change a setting, by its short or dotted name, and let everything follow from it."""
        with self.lock:
            self.touch()
            self.put(name, value)
            self.note(f"set {name} {value}")
            self.refresh()

    def get(self, name: str) -> object:
        with self.lock:
            if name.startswith(_VARIABLE):
                own = name.removeprefix(_VARIABLE)
                if own not in self.variables:
                    raise UnknownName("variable", own, sorted(self.variables))
                return self.variables[own]
            return settings.read(self.state, name)

    def put(self, name: str, value: object) -> None:
        """Change a setting without consequences."""
        if name.startswith(_VARIABLE):
            self.variables[name.removeprefix(_VARIABLE)] = value
        else:
            settings.assign(self.state, name, value)

    def refresh(self) -> None:
        self.pulse.fade()
        self.registration.refresh()

    def fault(self, name: str, argument: str = "") -> None:
        """Start a fault; a second one of the same name replaces the first."""
        with self.lock:
            self.touch()
            started = make(name, self, argument)
            self.clear(name)
            self.faults[name] = started
            self.note(f"fault {name} {argument}".rstrip())
            started.start()
            self.pulse.seconds()

    def clear(self, name: str = "") -> None:
        """End one fault, or all."""
        with self.lock:
            self.touch()
            for each in [name] if name else list(self.faults):
                ended = self.faults.pop(each, None)
                if ended is not None:
                    ended.stop()
                    self.note(f"clear {each}")

    def unplug(self) -> None:
        """Pull it out of the USB socket."""
        with self.lock:
            self.touch()
            self.life.unplugged = True
            self.life.leave()

    def plug(self) -> None:
        """Push it back in: it boots."""
        with self.lock:
            self.touch()
            self.life.unplugged = False
            if self.state.power.state == "gone":
                self.life.arrive()

    def usb_reset(self) -> None:
        """What re-authorising the USB device does: a hung module may come back from it, or not."""
        with self.lock:
            self.touch()
            self.note("usb-reset")
            power = self.state.power
            if power.state == "hung" and power.resets_to_wake > 1:
                power.resets_to_wake -= 1
            elif power.state != "hung" or power.resets_to_wake >= 0:
                self.restart()

    def power_cycle(self) -> None:
        """Take its supply away and give it back."""
        with self.lock:
            self.touch()
            self.note("power-cycle")
            for name in [name for name, fault in self.faults.items() if fault.ends_with_power]:
                self.clear(name)
            self.state.power.resets_to_wake = 0
            self.restart(gone_s=0.0)

    def handover(self, index: int | None = None) -> None:
        """Go over to another cell that is heard, by default the next."""
        with self.lock:
            self.touch()
            radio = self.state.radio
            radio.serving = (radio.serving + 1 if index is None else index) % len(radio.cells)
            self.note(f"handover to {radio.cell.ci:X}")
            self.registration.refresh(at_once=True)

    def receive_sms(self, number: str, text: str) -> int:
        """Somebody sends an SMS to it; its index in the store, 0 where it went to the host or waits in the network."""
        with self.lock:
            self.touch()
            return self.messages.comes(number, text)

    def carry(self, received_bytes: int, sent_bytes: int) -> None:
        """The household's traffic went by: the module's own counters move."""
        with self.lock:
            self.state.counters.received_bytes += received_bytes
            self.state.counters.sent_bytes += sent_bytes

    @property
    def at_ports(self) -> list[AtPort]:
        return [port for port in self.ports if isinstance(port, AtPort)]

    def unsolicited(self, text: str, *, keep: bool = False) -> None:
        """Send a URC on every AT port; `keep` it for those in data mode."""
        with self.lock:
            for port in self.at_ports:
                port.unsolicited(text, keep=keep)

    def context_ended(self, context: Context, who: str) -> None:
        """A call that stands on it has lost its carrier."""
        for port in self.at_ports:
            port.carrier_lost(context, who)

    def stored_settings(self) -> LineSettings:
        """What ATZ and power-up bring: the stored line settings, or the factory's."""
        return self.saved_settings.copy() if self.saved_settings else self.factory_settings()

    def factory_settings(self) -> LineSettings:
        return LineSettings(error_mode=self.profile.cmee_at_power_up)

    def note(self, text: str) -> None:
        """Tell whoever watches (timelines, logs) what was done."""
        for watcher in self.watchers:
            watcher(text)

    # -- derived -----------------------------------------------------------------------------------------------------

    @property
    def rsrp_dbm(self) -> float:
        return self.state.radio.rsrp_dbm + self.pulse.fade_db

    @property
    def covered(self) -> bool:
        radio = self.state.radio
        return radio.coverage and self.rsrp_dbm > radio.lost_below_dbm

    @property
    def sim_ready(self) -> bool:
        sim = self.state.sim
        return sim.present and not sim.busy and sim.locked in ("", "SIM PIN2", "SIM PUK2")

    @property
    def sim_text(self) -> str:
        return self.state.sim.locked or "READY"

    @property
    def calling(self) -> bool:
        """Whether a dial-up connection stands, in data mode or escaped from."""
        return any(port.call is not None for port in self.at_ports)

    @property
    def data_flows(self) -> bool:
        """Whether a packet of the household would get through: what a data plane beside the simulator asks."""
        up = any(c.active for c in self.state.contexts)
        return up and self.state.network.data and self.registration.registered

    def cmee(self, port: AtPort) -> int:
        modes = [m for m in (fault.cmee(port) for fault in self.faults.values()) if m is not None]
        return modes[0] if modes else port.settings.error_mode

    def render(self, template: str) -> str:
        return rules.render(template, Facts(self))

    def new_address(self) -> str:
        # 100.64.0.0/10: what an operator with carrier-grade NAT hands out (RFC 6598).
        last = 4 * self.chance.randint(1, 62) + self.chance.randint(1, 2)  # one of the two hosts of a /30
        return f"100.{self.chance.randint(64, 127)}.{self.chance.randint(0, 255)}.{last}"

    # -- commands ----------------------------------------------------------------------------------------------------

    def execute(self, port: AtPort, element: str) -> Reply:
        """One command of a line: the vendor's rules first, then 27.007."""
        found = rules.find(self.profile.rules, self, "AT" + element)
        if found is not None:
            return found
        return run_standard(self, port, element)

    def faulted(self, port: AtPort, element: str, run: Callable[[], Reply]) -> Reply:
        """Run a command past the faults: the first that answers in its place wins, all may change what comes out."""
        for fault in list(self.faults.values()):
            answer = fault.on_command(port, element)
            if answer is not None:
                return answer
        reply = run()
        for fault in list(self.faults.values()):
            reply = fault.on_reply(port, element, reply)
        return reply

    def packet_event(self, what: str) -> None:
        """27.007 10.1.19: mode 0 keeps it in the module, 1 drops it on a port in data mode, 2 sends it there later."""
        mode = parameters.value(self.state.reporting, "+CGEREP", 0)
        if mode:
            self.unsolicited(f"+CGEV: {what}", keep=mode == 2)

    def network_time_arrives(self) -> None:
        """The network tells its time (NITZ), as it does at registration."""
        if not self.state.network.nitz or not self.state.clock.update:
            return
        self.state.clock.synchronised = True
        if self.state.clock.report == 1:
            self.unsolicited(self.render('+CTZV: "{zone_quarters}"'))
        elif self.state.clock.report == 2:
            self.unsolicited(self.render('+CTZE: "{zone_quarters}",{dst_hours},"{time_utc_long}"'))

    def later(self, what: Later, facts: Facts | None = None) -> None:
        """Schedule a delayed URC or change of state of a data file."""
        seen = facts or Facts(self)

        def happen() -> None:
            if self.state.power.state != "on" or not rules.fits(what.when, seen):
                return
            for name, value in what.set.items():
                self.put(name, rules.render(value, seen) if isinstance(value, str) else value)
            if what.urc:
                self.unsolicited(rules.render(what.urc, seen))
            if what.set:
                self.refresh()

        self.after(what.delay_s, happen)

    def act(self, action: str) -> None:
        """A named action of a data file."""
        if action == "restart":
            self.restart()
        elif action == "power-off":
            self.after(self.profile.timing.gone_s, self.life.leave)
        else:
            self.registration.refresh()

    def restart(self, *, gone_s: float | None = None) -> None:
        """Off the bus and back, as after AT+CFUN=1,1."""
        self.life.restart(gone_s)
