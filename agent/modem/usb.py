"""What is known about USB products: which interface speaks AT and which is something else, as a table beside this file.

Read by discovery. Where a product is not listed the maker's usual layout counts, and where that says nothing the
descriptors of the interface do: `described` reads them by the makers' conventions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("usb-ports.tsv")
ANY = "*"  # in place of products: the maker's usual layout


@dataclass(frozen=True, slots=True)
class UsbIds:
    """Interfaces of USB products: `at` in order of preference, `never` what the others are."""

    vendor: str
    products: tuple[str, ...] = ()  # empty: the maker's usual layout
    at: tuple[int, ...] = ()
    never: Mapping[int, str] = field(default_factory=dict)


@cache
def usb_table() -> tuple[UsbIds, ...]:
    """All rows of the table."""
    lines = TABLE.read_text("ascii").splitlines()
    return tuple(_row(line) for line in lines if line and not line.startswith("#"))


def _row(line: str) -> UsbIds:
    vendor, products, at, never, _source = line.split("\t")
    listed = () if products == ANY else tuple(products.split(","))
    others = (item.split(":") for item in never.split(",") if item != "-")
    numbers = tuple(int(number) for number in at.split(",") if number != "-")
    return UsbIds(vendor, listed, numbers, {int(number): what for number, what in others})


def layout(vendor: str, product: str, table: Sequence[UsbIds]) -> UsbIds | None:
    """The product's row, else its maker's; None for a maker who builds other things too, or none that we know."""
    own = [row for row in table if row.vendor == vendor]
    listed = next((row for row in own if product in row.products), None)
    usual = next((row for row in own if not row.products), None)
    return listed or usual


# -- what the descriptors of an interface say ----------------------------------------------------------------------

AT, UNKNOWN = "at", "unknown"
NAMED, GUESSED = 2, 7  # ranks: up to NAMED the descriptors say that it is AT, from GUESSED on the endpoints let it be

# Class, subclass and protocol of an interface, from the usb-devices listings in the commits that added the modules to
# the kernel's option driver. ff/ff/10, 30, 40, 60, 70 and 80 are Qualcomm's download mode, DIAG, AT, NMEA, and data and
# trace logs (MeiG SRM825, Telit FN990B, SIMCom 8230C, Quectel EM060K); ff/00/40 is NMEA or GNSS on Quectel RM500Q and
# EM060K, NetPrisma LCUK54 and Fibocom FM101, a pipe on Rolling RW101, and nowhere AT; ff/fe/ff is the second AT port of
# MDM9x07 (Telit LE910C4-WWX, u-blox LARA-R6); ff/10/xx are MeiG's own on SLM828; ff/42/01 is ADB everywhere.
CLASSES: Mapping[tuple[str, str, str], str] = {
    ("ff", "ff", "10"): "download",
    ("ff", "ff", "30"): "diag",
    ("ff", "ff", "40"): AT,
    ("ff", "ff", "60"): "nmea",
    ("ff", "ff", "70"): "log",
    ("ff", "ff", "80"): "log",
    ("ff", "00", "40"): "nmea",
    ("ff", "fe", "ff"): AT,
    ("ff", "10", "01"): "diag",
    ("ff", "10", "02"): AT,
    ("ff", "10", "03"): AT,
    ("ff", "10", "04"): "nmea",
    ("ff", "42", "01"): "adb",
}
# Huawei numbers its functions by protocol (qcserial.c, layout HWI; ModemManager's rules for MU609, MU909, ME906):
# the lines of a column are the same function under the operators' numbers.
HUAWEI = frozenset({"12d1", "03f0"})
HUAWEI_PROTOCOLS: Mapping[str, str] = {
    **dict.fromkeys(("02", "12", "32", "62"), AT),
    **dict.fromkeys(("03", "13", "33", "63"), "diag"),
    **dict.fromkeys(("05", "14", "34", "64"), "nmea"),
}
_OTHER_WORDS = re.compile(r"\b(diag\w*|nmea|gps|gnss|adb|trace|log|debug|audio|voice|sap|download)\b", re.IGNORECASE)
_AT_WORDS = re.compile(r"\b(at|modem|pcui|command)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What sysfs shows of one USB interface."""

    klass: str = ""  # bInterfaceClass, two hexadecimal digits, as the two that follow
    subclass: str = ""
    protocol: str = ""
    endpoints: int = 0
    name: str = ""  # the string descriptor


def described(vendor: str, seen: Descriptor) -> tuple[str, int]:
    """What the interface is by its own descriptors, and how late it is tried: 0 first, up to 2 where they name it.

    A name counts most, then the class. An AT port has an interrupt endpoint besides the two bulk ones, for the modem
    signals; DIAG and NMEA ports mostly have none (RG650V, SIM8230C; NUMEP2 in option.c).
    """
    if found := _OTHER_WORDS.search(seen.name):
        return found[0].lower(), 9
    if _AT_WORDS.search(seen.name):
        return UNKNOWN, 0
    if vendor in HUAWEI and seen.klass == "ff":
        kind = HUAWEI_PROTOCOLS.get(seen.protocol, UNKNOWN)
    else:
        kind = CLASSES.get((seen.klass, seen.subclass, seen.protocol), UNKNOWN)
    if kind == AT:
        return UNKNOWN, 1  # a convention is no table: it is probed
    if kind != UNKNOWN:
        return kind, 9
    if seen.klass == "02":  # the communication class: a modem by definition (CDC PSTN120)
        return UNKNOWN, 2
    bare = (seen.klass, seen.subclass, seen.protocol) == ("ff", "ff", "ff")
    return UNKNOWN, GUESSED + (seen.endpoints < 3) + (bare and seen.endpoints < 3)
