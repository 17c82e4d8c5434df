"""The SMS store of a module (27.005) and what it sent; indices as on the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

CAPACITY = 50
STATUSES = ("REC UNREAD", "REC READ", "STO UNSENT", "STO SENT")
REC_UNREAD, REC_READ, STO_UNSENT, STO_SENT = range(4)
DELIVER, SUBMIT, REPORT = "deliver", "submit", "report"  # the kinds of 23.040 9.2.2 that a module keeps


@dataclass
class Message:
    number: str
    text: str
    at: datetime  # when the service centre had it
    status: int = REC_UNREAD  # index into STATUSES, which is also the PDU mode's <stat>
    kind: str = DELIVER
    first_octet: int = 0x04
    protocol: int = 0
    scheme: int = 0
    validity: str = "167"  # <vp> as +CSMP has it: a number, or a time in quotes
    header: bytes = b""  # the user data header of a part of a longer message
    reference: int = 0
    done_at: datetime | None = None  # of a report: when the message was delivered
    octets: str = ""  # the PDU as the host handed it over

    @property
    def wants_report(self) -> bool:
        return self.kind == SUBMIT and bool(self.first_octet & 0x20)  # TP-SRR, 23.040 9.2.3.5


@dataclass
class SmsStore:
    """Two memories, as a module has: its own and the SIM's; +CPMS chooses one for each of three purposes."""

    memories: dict[str, dict[int, Message]] = field(default_factory=lambda: {"ME": {}, "SM": {}})
    chosen: list[str] = field(default_factory=lambda: ["ME", "ME", "ME"])  # mem1, mem2, mem3 of 27.005 3.2.2
    sent: list[Message] = field(default_factory=list)
    reference: int = 0

    @property
    def messages(self) -> dict[int, Message]:
        """mem1: read and deleted."""
        return self.memories[self.chosen[0]]

    @property
    def drafts(self) -> dict[int, Message]:
        """mem2: written and sent from."""
        return self.memories[self.chosen[1]]

    @property
    def inbox(self) -> str:
        """mem3: where what comes in is stored."""
        return self.chosen[2]

    @property
    def full(self) -> bool:
        return len(self.memories[self.inbox]) >= CAPACITY

    def store(self, memory: str, message: Message) -> int:
        """Store a message at the first free index; 0 when the memory is full and it is refused."""
        messages = self.memories[memory]
        index = next((i for i in range(1, CAPACITY + 1) if i not in messages), 0)
        if index:
            messages[index] = message
        return index

    def send(self, message: Message) -> int:
        """Take a message for sending; its reference number."""
        self.reference = (self.reference + 1) % 256
        message.reference, message.status = self.reference, STO_SENT
        self.sent.append(message)
        return self.reference
