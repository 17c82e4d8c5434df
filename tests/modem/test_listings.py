"""Ports of modules as public usb-devices listings show them: by the table, as an unlisted sibling, as a stranger."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.modem.discovery import candidates, survey
from agent.modem.usb import UsbIds, usb_table
from tests.modem.test_discovery import Interface, plug

LISTINGS = [
    line.split("\t")
    for line in (Path(__file__).parent / "data" / "usb-listings.tsv").read_text("utf-8").splitlines()
    if not line.startswith("#")
]
# What no AT port has among its class, subclass and protocol.
NEVER = {("ff", "ff", protocol) for protocol in ("10", "30", "70", "80")} | {("ff", "00", "40"), ("ff", "42", "01")}
# MediaTek gives all its ports the same descriptors: only the table and the probe tell them apart.
ALIKE = frozenset({"0e8d:7127", "0e8d:7129"})

each = pytest.mark.parametrize(
    ("ids", "interfaces", "at", "others"),
    [(ids, *seen) for ids, _, *seen in LISTINGS],
    ids=[f"{name} {ids}" for ids, name, *_ in LISTINGS],
)


def numbers(text: str) -> set[int]:
    return {int(number) for number in text.split(",") if number != "-"}


def descriptors(text: str) -> dict[int, Interface]:
    found: dict[int, Interface] = {}
    for item in text.split(","):
        number, _, seen = item.partition("=")
        klass, subclass, protocol, endpoints = seen.split("/")
        found[int(number)] = (klass, subclass, protocol, int(endpoints))
    return found


def offered(root: Path, ids: str, interfaces: str, table: tuple[UsbIds, ...]) -> list[int]:
    """Interfaces in the order in which they are tried, of a product whose ports the option driver bound."""
    vendor, product = ids.split(":")
    seen = descriptors(interfaces)
    plug(root, "1-1", vendor, product, {n: f"ttyUSB{n}" for n in seen}, bound="option", seen=seen)
    return [port.interface for port in candidates(root / "sys", root / "dev", table)]


@each
def test_a_listed_product_is_spoken_to_on_its_at_port(
    ids: str, interfaces: str, at: str, others: str, tmp_path: Path
) -> None:
    found = offered(tmp_path, ids, interfaces, usb_table())
    assert not numbers(others) & set(found)
    assert (found[0] in numbers(at)) if numbers(at) else found == []


@each
@pytest.mark.parametrize("maker", ["its own", "unknown"])
def test_an_unlisted_one_is_tried_on_its_at_port_first(
    maker: str, ids: str, interfaces: str, at: str, others: str, tmp_path: Path
) -> None:
    usual = tuple(row for row in usb_table() if not row.products) if maker == "its own" else ()
    found = offered(tmp_path, ids, interfaces, usual)
    never = {number for number, seen in descriptors(interfaces).items() if seen[:3] in NEVER}
    assert never <= numbers(others)
    assert not never & set(found)
    assert numbers(at) - {n for n, seen in descriptors(interfaces).items() if seen[:3] == ("ff", "ff", "60")} <= set(
        found
    )
    if found and ids not in ALIKE:
        assert found[0] in numbers(at)
    assert not any(port.certain for port in survey(tmp_path / "sys", tmp_path / "dev", usual))
