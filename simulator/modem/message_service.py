"""How an SMS gets from the network to the host: stored, indicated or handed over, as +CNMI and +CSMS ask (27.005 3.4).

What cannot be had now waits in the network: radio off, no coverage, a full store, an unacknowledged message before it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from simulator.modem import message_text, parameters, pdu
from simulator.modem.sms import REC_UNREAD, REPORT, Message

if TYPE_CHECKING:
    from simulator.modem.modem import SimModem

_REPORT_S = 2.0  # until the other side has a message
_ACKNOWLEDGE_S = 15.0  # within the 12 to 20 s of TR2M, which the network grants (24.011 10.2)
_RETRY_S = 30.0
_NEXT_S = 0.2  # the next message comes after the OK of +CNMA
_BUFFERED = 16
_SAVED = ("+CSMP", "+CSCB")


class MessageService:
    def __init__(self, modem: SimModem) -> None:
        self.modem = modem
        self.waiting: deque[Message] = deque()  # in the network
        self.unacknowledged: Message | None = None  # handed over, and +CNMA not yet had
        self._saved: tuple[str, dict[str, list[str]]] | None = None  # by +CSAS: service centre, +CSMP and +CSCB
        self._reference = 0  # of the last message that came in
        self._buffer: deque[str] = deque(maxlen=_BUFFERED)  # indications while +CNMI's mode is 0

    def comes(self, number: str, text: str) -> int:
        """Somebody sends this; in parts where it is longer than one message."""
        self._reference = (self._reference + 1) % 256
        whole = Message(number, text, self.modem.local_time())
        first, *_ = [self.arrives(part) for part in pdu.parts(whole, self._reference)]
        return first

    def arrives(self, message: Message) -> int:
        """The network has a message for the module; its index where it was stored, else 0."""
        index = None
        if self.modem.registration.registered and not self.waiting:
            index = self._delivered(message)
        if index is None:
            self.waiting.append(message)
        self.modem.indicators.report()
        return index or 0

    def retry(self) -> None:
        """Something has changed: deliver what waits, in its order."""
        while self.waiting and self.modem.registration.registered:
            if self._delivered(self.waiting[0]) is None:
                return
            self.waiting.popleft()

    def send(self, message: Message) -> int:
        """Send it; its reference number. A report comes back where the message asks for one."""
        reference = self.modem.sms.send(message)
        self.modem.note(f"sms to {message.number}")
        if message.wants_report:
            self.modem.after(_REPORT_S, lambda: self._report(message))
        return reference

    def acknowledge(self, well: bool) -> bool:
        """+CNMA; False when nothing waits for it. What the host could not take comes again later."""
        message, self.unacknowledged = self.unacknowledged, None
        if message is None:
            return False
        if not well:
            self._again(message)
        self.modem.after(_NEXT_S, self.retry)
        return True

    def save_settings(self) -> None:
        """+CSAS (27.005 3.3.5)."""
        state = self.modem.state
        kept = {name: parameters.values(state.reporting, name) for name in _SAVED}
        self._saved = (state.sim.smsc, kept)

    def restore_settings(self) -> None:
        """+CRES (27.005 3.3.6)."""
        if self._saved is not None:
            self.modem.state.sim.smsc, kept = self._saved
            self.modem.state.reporting.kept.update(kept)

    def mode_changed(self) -> None:
        """+CNMI was set: what mode 0 has kept is sent or dropped, as <bfr> says."""
        if self._mode == 0:
            return
        kept = list(self._buffer)
        self._buffer.clear()
        if parameters.value(self.modem.state.reporting, "+CNMI", 4) == 0:
            for text in kept:
                self._indicate(text)

    @property
    def _mode(self) -> int:
        return parameters.value(self.modem.state.reporting, "+CNMI", 0)

    def _report(self, message: Message) -> None:
        done = self.modem.local_time()
        self.arrives(
            replace(message, kind=REPORT, status=REC_UNREAD, first_octet=0x06, text="", octets="", done_at=done)
        )

    def _delivered(self, message: Message) -> int | None:
        """The index where it was stored, 0 where it was handed over or is not wanted, None where it was refused."""
        report = message.kind == REPORT
        route = parameters.value(self.modem.state.reporting, "+CNMI", 3 if report else 1)
        if report and not route:
            return 0
        if route == (1 if report else 2) and self._reachable:
            return self._handed_over(message)
        store = self.modem.sms
        index = store.store(store.inbox, message)
        if index and route:
            self._indicate(f'{"+CDSI" if report else "+CMTI"}: "{store.inbox}",{index}')
        return index or None

    @property
    def _reachable(self) -> bool:
        """Mode 1 drops what is said in data mode: with no other port a message would be lost, and is stored instead."""
        return self._mode != 1 or any(not port.data_mode for port in self.modem.at_ports)

    def _handed_over(self, message: Message) -> int | None:
        acknowledged = self.modem.state.reporting.sms_service == 1
        if acknowledged and self.unacknowledged is not None:
            return None
        self._indicate(self._whole(message))
        if acknowledged:
            self.unacknowledged = message
            self.modem.after(_ACKNOWLEDGE_S, lambda: self._unanswered(message))
        return 0

    def _whole(self, message: Message) -> str:
        state = self.modem.state
        name = "+CDS" if message.kind == REPORT else "+CMT"
        if state.reporting.text_mode:
            header, text = message_text.direct(state, message)
            return f"{name}: {header}" + ("" if message.kind == REPORT else f"\n{text}")
        octets, length = pdu.shown(message, state.sim.smsc)
        return f"{name}: {length}\n{octets}" if message.kind == REPORT else f"{name}: ,{length}\n{octets}"

    def _unanswered(self, message: Message) -> None:
        """27.005 3.4.4: the message is refused, and no more are handed over until the host asks for it again."""
        if self.unacknowledged is not message:
            return
        self.unacknowledged = None
        reporting = self.modem.state.reporting
        mode, _, broadcast, _, buffer = parameters.values(reporting, "+CNMI")
        reporting.kept["+CNMI"] = [mode, "0", broadcast, "0", buffer]
        self._again(message)

    def _again(self, message: Message) -> None:
        self.waiting.appendleft(message)
        self.modem.after(_RETRY_S, self.retry)

    def _indicate(self, text: str) -> None:
        if self._mode == 0:
            self._buffer.append(text)
        else:
            self.modem.unsolicited(text, keep=self._mode >= 2)
