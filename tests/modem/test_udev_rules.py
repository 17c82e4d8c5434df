"""The udev rules keep ModemManager off the port that the agent takes first, for every maker of the table."""

from __future__ import annotations

import re

import pytest

from agent.modem.usb import UsbIds, usb_table
from tests.modem.udev_rules import NEEDS_NO_AT, RULES, written

RULE = re.compile(
    r'ATTRS\{idVendor\}=="(\w+)"(?:, ATTRS\{idProduct\}=="([\w|]+)")?'
    r'(?:, ENV\{ID_USB_INTERFACE_NUM\}=="(\w+)")?, GOTO="(\w+)"'
)


def destination(vendor: str, product: str, interface: int) -> str:
    """Where udev goes with this port: the first rule that fits."""
    for line in RULES.read_text().splitlines():
        found = RULE.fullmatch(line)
        if found is None or found[1] != vendor or (found[2] and product not in found[2].split("|")):
            continue
        if not found[3] or int(found[3], 16) == interface:
            return found[4]
    return "modem_agent_end"


def test_the_rules_are_those_of_the_table() -> None:
    """python -m tests.modem.udev_rules writes them."""
    assert RULES.read_text() == written(RULES.read_text())


@pytest.mark.parametrize("row", [row for row in usb_table() if row.at], ids=lambda row: f"{row.vendor}-{row.at}")
def test_the_agents_port_is_the_first_and_no_other(row: UsbIds) -> None:
    spare = len(row.at) > 1 or row.vendor in NEEDS_NO_AT
    for product in row.products or ("fffe",):
        taken = [n for n in range(13) if destination(row.vendor, product, n) == "modem_agent_port"]
        assert taken == ([row.at[0]] if spare else [])


def test_what_is_installed_ignores_that_port_for_modemmanager() -> None:
    port = RULES.read_text().partition('LABEL="modem_agent_port"\n')[2].splitlines()[0]
    assert 'ENV{ID_MM_PORT_IGNORE}="1"' in port


def test_huaweis_control_port_is_told_by_its_protocol() -> None:
    last = RULES.read_text().partition("# -- end of the table")[0].splitlines()[-2:]
    assert last[0] == 'ATTRS{idVendor}!="12d1", GOTO="modem_agent_end"'
    assert last[1].startswith('ATTRS{bInterfaceClass}=="ff", ATTRS{bInterfaceProtocol}=="02|12|32|62"')
