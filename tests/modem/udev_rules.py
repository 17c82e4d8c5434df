"""The part of systemd/modem-agent.udev that follows from the table of USB products.

python -m tests.modem.udev_rules writes it; tests/modem/test_udev_rules.py fails when the two differ.
"""

from __future__ import annotations

from pathlib import Path

from agent.modem.usb import AT, HUAWEI_PROTOCOLS, UsbIds, usb_table

RULES = Path(__file__).parents[2] / "systemd" / "modem-agent.udev"
BEGIN, END = "# -- from agent/modem/usb-ports.tsv", "# -- end of the table"

# Makers whose modules carry data by QMI or MBIM alone (qcserial.c: net on interface 8): ModemManager does without AT.
# Of any other module with one AT port that port is ModemManager's, and the agent reads through it.
NEEDS_NO_AT = frozenset({"1199"})


def agents_port(row: UsbIds) -> int | None:
    """The interface that the agent takes where ModemManager runs; None leaves the module to ModemManager."""
    spare = len(row.at) > 1 or (row.at and row.vendor in NEEDS_NO_AT)
    return row.at[0] if spare else None


def rules() -> list[str]:
    lines: list[str] = []
    for vendor in sorted({row.vendor for row in usb_table()}):
        own = [row for row in usb_table() if row.vendor == vendor]
        by_port: dict[int, list[str]] = {}
        for row in own:
            port = agents_port(row)
            if port is not None and row.products:
                by_port.setdefault(port, []).extend(row.products)
        lines += [_rule(vendor, sorted(products), port) for port, products in sorted(by_port.items())]
        usual = next((port for row in own if not row.products and (port := agents_port(row)) is not None), None)
        if usual is not None:
            listed = sorted(product for row in own for product in row.products)
            lines += [f'{_product(vendor, listed)}, GOTO="modem_agent_end"', _rule(vendor, [], usual)]
    return lines + huawei()


def huawei() -> list[str]:
    """Huawei marks its ports by protocol; udev wants the attributes of one device in one rule, so it takes two."""
    protocols = "|".join(sorted(number for number, kind in HUAWEI_PROTOCOLS.items() if kind == AT))
    return [
        'ATTRS{idVendor}!="12d1", GOTO="modem_agent_end"',
        f'ATTRS{{bInterfaceClass}}=="ff", ATTRS{{bInterfaceProtocol}}=="{protocols}", GOTO="modem_agent_port"',
    ]


def _product(vendor: str, products: list[str]) -> str:
    named = f', ATTRS{{idProduct}}=="{"|".join(products)}"' if products else ""
    return f'ATTRS{{idVendor}}=="{vendor}"{named}'


def _rule(vendor: str, products: list[str], port: int) -> str:
    return f'{_product(vendor, products)}, ENV{{ID_USB_INTERFACE_NUM}}=="{port:02x}", GOTO="modem_agent_port"'


def written(text: str) -> str:
    """The file's text with the table's part as it should be."""
    before, _, rest = text.partition(BEGIN + "\n")
    _, _, after = rest.partition(END + "\n")
    return before + "\n".join([BEGIN, *rules(), END]) + "\n" + after


if __name__ == "__main__":
    RULES.write_text(written(RULES.read_text()))
