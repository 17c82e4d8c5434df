"""27.007 8.11 to 8.14: the phonebooks."""

from __future__ import annotations

from simulator.modem.charset import displayed, understood
from simulator.modem.commands.table import Call, command, dialled
from simulator.modem.phonebook import CAPACITY, NAME_LENGTH, NUMBER_LENGTH
from simulator.modem.reply import Refused, Reply, ok

_MEMORIES = ",".join(f'"{name}"' for name in CAPACITY)


@command("+CPBS")
def memory(call: Call) -> Reply:
    call.need_sim()
    chosen = call.state.reporting.phonebook
    if call.form == "test":
        return ok(f"+CPBS: ({_MEMORIES})")
    if call.form == "read":
        return ok(f'+CPBS: "{chosen}",{len(call.modem.phonebook.entries(chosen))},{CAPACITY[chosen]}')
    if call.argument(0) not in CAPACITY:
        raise Refused(3)
    call.state.reporting.phonebook = call.argument(0)
    return ok()


@command("+CPBR")
def read(call: Call) -> Reply:
    call.need_sim()
    chosen = call.state.reporting.phonebook
    if call.form == "test":
        return ok(f"+CPBR: (1-{CAPACITY[chosen]}),{NUMBER_LENGTH},{NAME_LENGTH}")
    places = range(1, CAPACITY[chosen] + 1)
    first = _index(call, 0, places)
    last = _index(call, 1, places) if call.argument(1) else first
    found = call.modem.phonebook.entries(chosen)
    return ok(*[_line(call, "+CPBR", index) for index in range(first, last + 1) if index in found])


@command("+CPBF")
def find(call: Call) -> Reply:
    call.need_sim()
    if call.form == "test":
        return ok(f"+CPBF: {NUMBER_LENGTH},{NAME_LENGTH}")
    wanted = understood(call.argument(0), call.state.reporting.charset).casefold()
    found = call.modem.phonebook.entries(call.state.reporting.phonebook)
    return ok(
        *[_line(call, "+CPBF", i) for i, (_, name) in sorted(found.items()) if name.casefold().startswith(wanted)]
    )


@command("+CPBW")
def write(call: Call) -> Reply:
    """Without a number the entry is deleted, without an index the first free place is taken."""
    call.need_sim()
    book, chosen, charset = call.modem.phonebook, call.state.reporting.phonebook, call.state.reporting.charset
    places = range(1, CAPACITY[chosen] + 1)
    if call.form == "test":
        return ok(f"+CPBW: (1-{CAPACITY[chosen]}),{NUMBER_LENGTH},(129,145,161),{NAME_LENGTH}")
    if not call.argument(0) and not call.argument(1):
        raise Refused(50)
    index = _index(call, 0, places) if call.argument(0) else book.free(chosen)
    if not index:
        raise Refused(20)
    if not call.argument(1):
        book.delete(chosen, index)
        return ok()
    number = dialled(understood(call.argument(1), charset), call.argument(2))
    name = understood(call.argument(3), charset)
    if not number.lstrip("+").strip("*#").isalnum():
        raise Refused(27)
    for text, most, error in ((number, NUMBER_LENGTH, 26), (name, NAME_LENGTH, 24)):
        if len(text) > most:
            raise Refused(error)
    book.write(chosen, index, number, name)
    return ok()


def _index(call: Call, place: int, places: range) -> int:
    index = call.number(place)
    if index not in places:
        raise Refused(21)
    return index


def _line(call: Call, command_name: str, index: int) -> str:
    charset = call.state.reporting.charset
    number, name = call.modem.phonebook.entries(call.state.reporting.phonebook)[index]
    kind = 145 if number.startswith("+") else 129
    return f'{command_name}: {index},"{displayed(number, charset)}",{kind},"{displayed(name, charset)}"'
