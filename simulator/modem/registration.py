"""Where a module stands with the network: registration in every domain, attach and default bearer (24.301, 27.007).

SimModem calls refresh() after anything that could matter; what changes is reported as the host's modes ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.modem.state import Context

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem

DOMAINS = {"creg": "+CREG", "cgreg": "+CGREG", "cereg": "+CEREG", "c5greg": "+C5GREG"}
ACT = {"GSM": 0, "WCDMA": 6, "LTE": 7, "NR5G-NSA": 13, "NR5G-SA": 11}
HOME, SEARCHING, DENIED, ROAMING = 1, 2, 3, 5
REGULAR, NETWORK_FAILURE = "Regular deactivation", "Network failure"  # ESM causes 36 and 38
CONGESTION, NOT_SUBSCRIBED = 22, 33  # EMM cause, ESM cause
_BLOCKED_S = 1_800.0


class Registration:
    """The network's answer to a module. `overall` is the stat that the radio, the SIM and the operator add up to."""

    def __init__(self, modem: SimModem) -> None:
        self.modem = modem
        self.overall = 0
        self.stats: dict[str, int] = dict.fromkeys(DOMAINS, 0)
        self.reject_cause = 0
        self.session_cause = 0  # why the last context was not given
        self.release_cause = ""  # how the last dial-up connection ended: words of 24.301 9.9.4.4
        self.attached_at: list[float] = []
        self.blocked_until = 0.0
        self._pending = 0  # generation of the search that is under way
        self._reported: dict[str, tuple[int, int, int, int]] = {}

    @property
    def registered(self) -> bool:
        return self.overall in (HOME, ROAMING)

    def possible(self) -> int:
        """What the module would be if all searches were over."""
        state = self.modem.state
        if state.power.state != "on" or state.power.functionality != 1:
            return 0
        if not self.modem.sim_ready or state.reporting.cops_mode == 2:
            return 0
        if not self.modem.covered:
            return SEARCHING
        if not state.network.accepts or self.modem.now < self.blocked_until:
            return DENIED
        return ROAMING if state.network.roaming else HOME

    def refresh(self, *, at_once: bool = False) -> None:
        wanted = self.possible()
        if wanted in (HOME, ROAMING) and not self.registered and not at_once:
            self._search()
        else:
            self._become(wanted)

    def _search(self) -> None:
        if self.overall == SEARCHING and self._pending:
            return
        self._set(SEARCHING)
        self._pending += 1
        mine = self._pending
        self.modem.after(self.modem.profile.timing.search_s, lambda: self._found(mine))

    def _found(self, generation: int) -> None:
        if generation == self._pending:
            self._pending = 0
            self._become(self.possible())

    def _become(self, stat: int) -> None:
        if stat != SEARCHING:
            self._pending = 0
        fresh = stat in (HOME, ROAMING) and not self.registered
        if fresh and self._too_often():
            stat, fresh = DENIED, False
        self.reject_cause = self._cause() if stat == DENIED else 0
        self._set(stat)
        if fresh:
            self.modem.network_time_arrives()
        self._bearers()
        self.modem.messages.retry()
        self.modem.indicators.report()

    def _too_often(self) -> bool:
        """Some networks and modules refuse to attach for half an hour after too many tries in one."""
        allowed = self.modem.state.network.attaches_per_hour
        now = self.modem.now
        self.attached_at = [t for t in self.attached_at if now - t < 3_600] + [now]
        if allowed and len(self.attached_at) > allowed:
            self.blocked_until, self.attached_at = now + _BLOCKED_S, []
            self.modem.after(_BLOCKED_S + 0.01, self.refresh)
            return True
        return False

    def _cause(self) -> int:
        return CONGESTION if self.modem.now < self.blocked_until else self.modem.state.network.reject_cause

    def _set(self, stat: int) -> None:
        self.overall = stat
        rat = self.modem.state.radio.cell.rat
        four_g = rat in ("LTE", "NR5G-NSA")
        voice = self.modem.state.network.voice
        up = stat in (HOME, ROAMING)
        self.stats = {
            "creg": (stat if voice or not up else 4) if rat != "NR5G-SA" else 0,
            "cgreg": stat if rat != "NR5G-SA" else 0,
            "cereg": stat if four_g or not up else 0,  # E-UTRAN only: 27.007 7.61; 5GS has a domain of its own
            "c5greg": stat if rat == "NR5G-SA" else 0,
        }
        self.report()

    # -- reporting -------------------------------------------------------------------------------------------------

    def report(self) -> None:
        """Send each domain's URC if its mode asks for one and something in it has changed."""
        cell = self.modem.state.radio.cell
        for domain, prefix in DOMAINS.items():
            mode = int(getattr(self.modem.state.reporting, domain))
            stat = self.stats[domain]
            now = (stat, cell.tac, cell.ci, ACT[cell.rat]) if mode >= 2 and stat in (HOME, ROAMING) else (stat, 0, 0, 0)
            if self._reported.get(domain) != now:
                self._reported[domain] = now
                if mode:
                    self.modem.unsolicited(f"{prefix}: {self.fields(domain, mode)}")

    def fields(self, domain: str, mode: int) -> str:
        """`<stat>[,<tac>,<ci>,<AcT>][,0,<cause>]` as this vendor prints it."""
        stat = self.stats[domain]
        dialect = self.modem.profile.dialect
        text = str(stat)
        if mode >= 2:
            if stat in (HOME, ROAMING):
                text += "," + self.modem.render(dialect.registration)
            else:
                text += dialect.registration_absent
        if mode == 3 and stat == DENIED and self.reject_cause:
            text += f",,,,0,{self.reject_cause}" if not dialect.registration_absent else f",0,{self.reject_cause}"
        return text

    # -- contexts --------------------------------------------------------------------------------------------------

    def _bearers(self) -> None:
        state = self.modem.state
        if self.registered and state.attached:
            # LTE gives the default bearer with the attach itself; older access only on demand.
            first = state.contexts[0] if state.contexts else None
            if first is not None and not first.active and state.radio.cell.rat not in ("GSM", "WCDMA"):
                self.activate(first)
        else:
            self.drop_contexts()

    def activate(self, context: Context) -> bool:
        """Whether the network gave the context an address."""
        network = self.modem.state.network
        if not self.registered or not self.modem.state.attached:
            return False
        if network.apns and context.apn not in network.apns:
            self.session_cause = NOT_SUBSCRIBED
            return False
        self.session_cause = 0
        if not context.active:
            context.active = True
            context.address = self.modem.new_address()
            self.modem.packet_event(f"ME PDN ACT {context.cid}")
        return True

    def drop_contexts(self, who: str = "NW") -> None:
        for context in self.modem.state.contexts:
            self.deactivate(context, who)

    def deactivate(self, context: Context, who: str) -> None:
        """`who` ended it: ME or NW."""
        if context.active:
            context.active, context.address = False, ""
            self.modem.packet_event(f"{who} PDN DEACT {context.cid}")
            self.modem.context_ended(context, who)
