"""Commands that only set, show and range-check their parameters, as rows: what `=?` prints is what is accepted.

Ranges and defaults: 27.007 and 27.005, the clause beside each row; where they leave the default to the maker it is that
of the Quectel EC25 AT commands manual.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from simulator.modem.state import Reporting

# What +IPR takes: the rates of V.250 6.2.10, and those above them that USB modules list.
_RATES = "0,300,600,1200,2400,4800,9600,19200,38400,57600,115200,230400,460800,921600"
_TIME = r"\d\d/\d\d/\d\d,\d\d:\d\d:\d\d[+-]\d\d"


@dataclass(frozen=True)
class Parameters:
    ranges: str  # as the test form prints them
    start: str  # as the read form prints them at power-up
    tail: str = ""  # what the read form adds that cannot be set
    free: int = 0  # texts that may follow, kept as they are
    texts: tuple[int, str] = (-1, "")  # a place, and a pattern of what else it may hold, in quotes
    listed: bool = True  # False: the test form answers OK alone
    service: str = "CME"  # whose error codes
    error: int | None = 50

    @cached_property
    def _groups(self) -> list[str]:
        return re.findall(r"\(([^)]*)\)", self.ranges)

    def accepted(self, given: list[str], before: list[str]) -> list[str] | None:
        """The values after a command: what is left out stays, or becomes as at power-up where all is (V.250 5.4.4.2);
        None when one is out of range."""
        if not given:
            return self.start.split(",")
        if len(given) > len(self._groups) + self.free:
            return None
        after = list(before)
        for place, text in enumerate(given):
            if text:
                value = self._value(place, text)
                if value is None:
                    return None
                after[place] = value
        return after

    def _value(self, place: int, text: str) -> str | None:
        free = place >= len(self._groups) or (place == self.texts[0] and re.fullmatch(self.texts[1], text))
        return f'"{text}"' if free else _within(text, self._groups[place])


def _within(text: str, group: str) -> str | None:
    """`text` as the read form prints it, if the range has it."""
    for item in group.split(","):
        low, dash, high = item.partition("-")
        if item == f'"{text}"':
            return item
        if text.isdecimal() and (
            int(low) <= int(text) <= int(high) if dash else item.isdigit() and int(item) == int(text)
        ):
            return str(int(text))
    return None


def _sms(
    ranges: str, start: str, *, free: int = 0, texts: tuple[int, str] = (-1, ""), listed: bool = True
) -> Parameters:
    # 303 of 27.005 3.2.5: not supported
    return Parameters(ranges, start, free=free, texts=texts, listed=listed, service="CMS", error=303)


PARAMETERS: dict[str, Parameters] = {
    "+CNMI": _sms("(0-3),(0-3),(0-3),(0-2),(0,1)", "2,0,0,0,0"),  # 27.005 3.4.1
    # 27.005 3.3.3; <vp> is a number, a time, or the octets of the enhanced format (27.005 3.1)
    "+CSMP": _sms("(0-255),(0-255),(0-255),(0-255)", "17,167,0,0", texts=(1, f"{_TIME}|[0-9A-F]{{14}}"), listed=False),
    "+CSDH": _sms("(0,1)", "0"),  # 27.005 3.3.4
    "+CSCB": _sms("(0,1)", '0,"",""', free=2),  # 27.005 3.3.2
    "+CMMS": _sms("(0-2)", "0"),  # 27.005 3.5.6
    "+CGEREP": Parameters("(0-2),(0,1)", "0,0"),  # 27.007 10.1.19
    "+CMER": Parameters("(0-3),(0),(0),(0-2),(0,1)", "0,0,0,0,0"),  # 27.007 8.10
    "+CGSMS": Parameters("(0-3)", "1"),  # 27.007 10.1.21
    "+CGCLASS": Parameters('("A")', '"A"'),  # 27.007 10.1.11
    "+CSCON": Parameters("(0,1)", "0", tail=",1"),  # 27.007 10.1.30
    "+CEMODE": Parameters("(0-3)", "2"),  # 27.007 10.1.28
    "+CPSMS": Parameters("(0,1)", "0"),  # 27.007 7.38
    "+CPLS": Parameters("(0-2)", "0"),  # 27.007 7.20
    "+WS46": Parameters("(12,22,25,28,29,31)", "25"),  # 27.007 5.9
    "+CLIP": Parameters("(0,1)", "0", tail=",1"),  # 27.007 7.6; 1: the network has it
    "+CLIR": Parameters("(0-2)", "0", tail=",4"),  # 27.007 7.7; 4: shown unless asked otherwise
    "+COLP": Parameters("(0,1)", "0", tail=",0"),  # 27.007 7.8
    "+COLR": Parameters("(0,1)", "0", tail=",0"),  # 27.007 7.31
    "+CSSN": Parameters("(0,1),(0,1)", "0,0"),  # 27.007 7.17
    "+CRC": Parameters("(0,1)", "0"),  # 27.007 6.11
    "+CR": Parameters("(0,1)", "0"),  # 27.007 6.9
    "+CSTA": Parameters("(129,145,161)", "129"),  # 27.007 6.1
    "+CNAP": Parameters("(0,1)", "0", tail=",0"),  # 27.007 7.30; 0: the network has it not
    "+CALM": Parameters("(0,1)", "0"),  # 27.007 8.20
    "+CRSL": Parameters("(0-4)", "2"),  # 27.007 8.21
    "+CLVL": Parameters("(0-5)", "3"),  # 27.007 8.23
    "+CMUT": Parameters("(0,1)", "0"),  # 27.007 8.24
    "+CGPIAF": Parameters("(0,1),(0,1),(0,1),(0,1)", "0,0,0,0"),  # 27.007 10.1.40
    "+CMOD": Parameters("(0)", "0"),  # 27.007 6.4
    "+CVHU": Parameters("(0-2)", "0"),  # 27.007 6.20
    "+CBST": Parameters("(0,7,71),(0),(1)", "0,0,1"),  # 27.007 6.7
    "+CRLP": Parameters("(0-61),(0-61),(39-255),(1-255)", "61,61,48,6"),  # 27.007 6.8
    "+IPR": Parameters(f"({_RATES})", "115200", error=None),  # V.250 6.2.10
    "+ICF": Parameters("(0-6),(0-3)", "3,3", error=None),  # V.250 6.2.11
    "+IFC": Parameters("(0-2),(0-2)", "2,2", error=None),  # V.250 6.2.12
    "+ILRR": Parameters("(0,1)", "0", error=None),  # V.250 6.2.13
    "+DR": Parameters("(0,1)", "0", error=None),  # V.250 6.6.2
}


def values(reporting: Reporting, name: str) -> list[str]:
    """The parameters of a command at present, as its read form prints them."""
    return reporting.kept.get(name) or PARAMETERS[name].start.split(",")


def value(reporting: Reporting, name: str, place: int) -> int:
    return int(values(reporting, name)[place])
