"""Sending a message through the module, in as many parts as it needs (27.005 3.5.1, PDU mode)."""

from __future__ import annotations

from agent.at import read
from agent.at.standard.error_codes import meaning
from agent.at.standard.sms_submit import submit
from agent.errors import CommandError, ModemError
from agent.modem.transport import Dialogue


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
        if not response.ok:
            code = response.code if isinstance(response.code, int) else None
            raise CommandError(
                "AT+CMGS", response.final or "no answer", code, meaning(response.final or "", response.code)
            )
        references.append((read(response) or {}).get("reference"))
    return {"parts": len(parts), "references": references}
