"""Messages through the module in PDU mode (27.005 3.4 and 3.5): sent in as many parts as it needs, read, deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from agent.at import Response, read
from agent.at.standard.error_codes import meaning
from agent.at.standard.sms_submit import submit
from agent.errors import CommandError, ModemError
from agent.modem.transport import Dialogue


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message that the module keeps: its place there, who sent it, what it says."""

    index: int
    sender: str
    text: str


class Commands(Protocol):
    """The module, or the dialogue with it."""

    async def execute(self, text: str) -> Response: ...


async def unread(modem: Commands) -> list[Incoming]:
    """What was received and never listed; the module then calls it read (27.005 3.4.2, <stat> 0). Raises ModemError."""
    await modem.execute("AT+CMGF=0")
    response = await modem.execute("AT+CMGL=0")
    _check(response, "AT+CMGL")
    listed: Any = (read(response) or {}).get("messages") or ()  # as agent.at.standard.sms reads them
    return [
        Incoming(message["index"], message["from"], message["text"])
        for message in listed
        if message.get("index") is not None and message.get("from") and message.get("text")
    ]


async def delete(modem: Commands, index: int) -> None:
    """Forget one message (27.005 3.5.4). Raises ModemError."""
    _check(await modem.execute(f"AT+CMGD={index}"), "AT+CMGD")


async def send(dialogue: Dialogue, number: str, text: str, *, reference: int) -> dict[str, object]:
    """Raises ModemError; a refusal is a CommandError. `reference` joins the parts of one message."""
    try:
        parts = submit(number, text, reference=reference)
    except ValueError as error:
        raise ModemError(str(error)) from error
    await dialogue.execute("AT+CMGF=0")
    references: list[object] = []
    for part in parts:
        response = await dialogue.execute(f"AT+CMGS={part.length}", body=part.pdu)
        _check(response, "AT+CMGS")
        references.append((read(response) or {}).get("reference"))
    return {"parts": len(parts), "references": references}


def _check(response: Response, command: str) -> None:
    if not response.ok:
        code = response.code if isinstance(response.code, int) else None
        raise CommandError(command, response.final or "no answer", code, meaning(response.final or "", response.code))
