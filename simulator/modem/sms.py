"""The SMS store of a module (27.005) and what it sent; indices as on the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

CAPACITY = 50
STATUSES = ("REC UNREAD", "REC READ", "STO UNSENT", "STO SENT")


@dataclass
class Message:
    number: str
    text: str
    at: datetime
    status: int = 0  # index into STATUSES, which is also the PDU mode's <stat>


@dataclass
class SmsStore:
    """Two memories, as a module has: the module's own and the SIM's; what comes in goes to the module's."""

    memories: dict[str, dict[int, Message]] = field(default_factory=lambda: {"ME": {}, "SM": {}})
    memory: str = "ME"  # the one that +CPMS has chosen for reading and deleting
    sent: list[Message] = field(default_factory=list)
    reference: int = 0

    @property
    def messages(self) -> dict[int, Message]:
        return self.memories[self.memory]

    def deliver(self, number: str, text: str, at: datetime) -> int:
        """Store an incoming message at the first free index; 0 when the store is full and it is refused."""
        inbox = self.memories["ME"]
        index = next((i for i in range(1, CAPACITY + 1) if i not in inbox), 0)
        if index:
            inbox[index] = Message(number, text, at)
        return index

    def send(self, number: str, text: str, at: datetime) -> int:
        """Take a message for sending; its reference number."""
        self.reference = (self.reference + 1) % 256
        self.sent.append(Message(number, text, at, status=3))
        return self.reference
