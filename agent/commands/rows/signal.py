"""`modem.signal`: what the antenna hears. Asked once a beat by the meter, so it asks the module only what changes.

Of a poll's twelve commands these are the four or five that an antenna can move; the module's identity, SIM and contexts
come from the last whole poll.
"""

from __future__ import annotations

import time

from agent import redact
from agent.at import Reading as Answer
from agent.at import read
from agent.at.merge import SIGNAL_SOURCES
from agent.commands.agent import Agent, ModemPort
from agent.commands.command import Args, Command, Out, Progress
from agent.commands.rows.status import NO_MODEM, WHOLE, shown
from agent.errors import CommandTimeout, Rejected
from agent.modem.poll import assemble
from agent.modem.reading import Reading

PARTS = ("signal", "registration", "operator", "access_technology")
CELL = ("+CEREG", "+C5GREG", "+CGREG")
LISTEN_S = 3.0


async def listen(modem: ModemPort) -> Reading:
    """Signal and cell as they are now. Raises PortAbsent; CommandTimeout when nothing at all was answered."""
    answers: dict[str, Answer | None] = {}
    silent: CommandTimeout | None = None
    for text in modem.profile.poll:
        if not text[2:].startswith((*SIGNAL_SOURCES, *CELL)):
            continue
        try:
            response = await modem.execute(text, LISTEN_S)
        except CommandTimeout as error:
            silent = error
            continue
        answers[response.command.name] = read(response) if response.ok else None
    if silent is not None and not answers:
        raise silent
    heard = {name: answer for name, answer in answers.items() if answer is not None}
    return assemble(heard, at_boot_s=time.clock_gettime(time.CLOCK_BOOTTIME))


async def signal(agent: Agent, args: Args, progress: Progress) -> Out:
    modem = agent.modem
    status = shown(agent, args, progress)
    if modem is None:
        raise Rejected(NO_MODEM, f"modem {status['modem']['state']}: it cannot be asked")
    heard = (await listen(modem)).to_dict()
    rule = agent.config.operator.location
    if progress.id and not redact.shows_location(status, "always" if args["whole"] and rule != "never" else rule):
        heard = redact.without_places(heard)
    known = status["modem"]["reading"] or heard
    heard["operator"] = known["operator"]  # its name costs a command and changes with the registration at most
    return {"v": 1, "time": status["time"], **{name: heard.get(name) for name in PARTS}}


ROWS = (Command("modem.signal", "what the antenna hears now, and on which cell", signal, args=WHOLE),)
