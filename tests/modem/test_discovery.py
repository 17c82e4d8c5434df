"""Ports found in a made-up sysfs: the right interface, kept by place, DIAG and download mode left alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.modem.discovery import candidates, device_at, place_of, survey
from agent.modem.modem import SELDOM
from agent.modem.profiles import choose, profiles
from agent.modem.usb import usb_table

Interface = tuple[str, str, str, int]  # class, subclass, protocol, endpoints


def plug(
    root: Path,
    bus: str,
    vendor: str,
    product: str,
    ttys: dict[int, str],
    driver: str = "ttyUSB",
    *,
    bound: str = "",
    seen: Mapping[int, Interface] | None = None,
    names: Mapping[int, str] | None = None,
    net: int | None = None,
) -> None:
    """A USB device as the kernel lays it out: a ttyUSB one folder below its interface, a ttyACM not."""
    device = root / "sys" / "devices" / "usb1" / bus
    device.mkdir(parents=True)
    (device / "idVendor").write_text(vendor + "\n")
    (device / "idProduct").write_text(product + "\n")
    (device / "authorized").write_text("1\n")
    by_bus = root / "sys" / "bus" / "usb" / "devices"
    by_bus.mkdir(parents=True, exist_ok=True)
    (by_bus / bus).symlink_to(device)
    for number, name in ttys.items():
        interface = device / f"{bus}:1.{number}"
        place = interface / name if driver == "ttyUSB" else interface
        place.mkdir(parents=True)
        (interface / "bInterfaceNumber").write_text(f"{number:02x}\n")
        files = ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol", "bNumEndpoints")
        for file, value in zip(files, (seen or {}).get(number, ()), strict=False):
            (interface / file).write_text(f"{value:02x}\n" if isinstance(value, int) else f"{value}\n")
        if number in (names or {}):
            (interface / "interface").write_text((names or {})[number] + "\n")
        if bound:
            (interface / "driver").symlink_to(root / "sys/bus/usb/drivers" / bound)
        (root / "dev").mkdir(exist_ok=True)
        (root / "dev" / name).write_text("")
        entry = root / "sys" / "class" / "tty" / name
        entry.mkdir(parents=True)
        (entry / "device").symlink_to(place)
    if net is not None:
        (device / f"{bus}:1.{net}" / "net" / "wwan0").mkdir(parents=True)


def numbers(root: Path) -> list[int]:
    return [c.interface for c in candidates(root / "sys", root / "dev")]


def devices(root: Path) -> list[str]:
    return [Path(c.device).name for c in candidates(root / "sys", root / "dev")]


def test_an_ec25_is_spoken_to_on_interface_2_and_never_on_diag_or_nmea(tmp_path: Path) -> None:
    plug(tmp_path, "1-1.2", "2c7c", "0125", {0: "ttyUSB0", 1: "ttyUSB1", 2: "ttyUSB2", 3: "ttyUSB3"})
    assert devices(tmp_path) == ["ttyUSB2", "ttyUSB3"]
    assert place_of("/dev/ttyUSB2", tmp_path / "sys") == "1-1.2:2"
    assert device_at("1-1.2:2", tmp_path / "sys", tmp_path / "dev") == str(tmp_path / "dev" / "ttyUSB2")


def test_the_place_finds_a_module_that_came_back_under_another_number(tmp_path: Path) -> None:
    plug(tmp_path, "1-1.2", "2c7c", "0125", {2: "ttyUSB7", 3: "ttyUSB8"})
    assert device_at("1-1.2:2", tmp_path / "sys", tmp_path / "dev").endswith("ttyUSB7")
    assert device_at("1-1.3:2", tmp_path / "sys", tmp_path / "dev") == ""


def test_download_mode_and_other_peoples_serial_lines_are_left_alone(tmp_path: Path) -> None:
    plug(tmp_path, "1-1", "05c6", "9008", {0: "ttyUSB0"})
    plug(tmp_path, "1-2", "0403", "6001", {0: "ttyUSB1"})  # an FTDI cable
    plug(tmp_path, "1-3", "12d1", "14dc", {0: "ttyUSB2"})  # a HiLink stick speaks no AT
    assert devices(tmp_path) == []


def test_an_unlisted_product_of_a_known_maker_is_probed(tmp_path: Path) -> None:
    plug(tmp_path, "1-1", "12d1", "abcd", {0: "ttyUSB0", 1: "ttyUSB1"})
    assert devices(tmp_path) == ["ttyUSB0", "ttyUSB1"]
    assert not any(c.certain for c in candidates(tmp_path / "sys", tmp_path / "dev"))


def test_acm_ports_hang_one_folder_higher(tmp_path: Path) -> None:
    plug(tmp_path, "1-4", "1546", "1146", {0: "ttyACM0", 2: "ttyACM1"}, driver="ttyACM")
    assert devices(tmp_path) == ["ttyACM0", "ttyACM1"]


def test_a_pcie_module_shows_as_wwan(tmp_path: Path) -> None:
    (tmp_path / "sys" / "class" / "wwan" / "wwan0at0").mkdir(parents=True)
    (tmp_path / "sys" / "class" / "wwan" / "wwan0mbim0").mkdir(parents=True)
    assert devices(tmp_path) == ["wwan0at0"]


def test_no_sysfs_is_no_module(tmp_path: Path) -> None:
    assert devices(tmp_path) == []


@pytest.mark.parametrize(
    ("manufacturer", "model", "profile"),
    [
        ("Quectel", "EC25", "quectel"),
        ("Quectel", "RM520N-GL", "quectel-5g"),
        ("SIMCOM INCORPORATED", "SIMCOM_SIM7600E-H", "simcom"),
        ("INCORPORATED", "A7670E-FASE", "simcom-a76"),
        ("Huawei Technologies Co., Ltd.", "ME909s-120", "huawei"),
        ("Sierra Wireless, Incorporated", "EM7455", "sierra"),
        ("Telit", "LE910C1-EUX", "telit"),
        ("u-blox", "TOBY-L210", "ublox"),
        ("Fibocom Wireless Inc.", "FM350-GL", "fibocom"),
        ("ZTE CORPORATION", "MF286", "zte"),
        ("Quectel", "RG650V-EU", "quectel-5g"),
        ("Quectel", "RG255C-GL", "quectel-5g"),
        ("Quectel", "RG200U-CN", "quectel-5g"),
        ("Quectel", "EC200U", "quectel-ec200"),
        ("Quectel", "EG25", "quectel"),
        ("Cinterion", "PLS83-W", "cinterion"),
        ("Cinterion", "MV31-W", "cinterion"),
        ("Foxconn", "T77W968", "foxconn"),
        ("Dell", "DW5821e Snapdragon X20 LTE", "foxconn"),
        ("MEIG", "SLM828G", "meig"),
        ("Neoway", "N720", "neoway"),
        ("Gosuncn", "ME3630-W", "gosuncn"),
        ("CMCC", "ML307A", "china-mobile"),
        ("SIMCOM INCORPORATED", "SIM8230C", "simcom"),
        ("u-blox", "LARA-L6004D", "ublox"),
        ("Fibocom Wireless Inc.", "L610-EU", "fibocom"),
        ("Fibocom Wireless Inc.", "FM190-GL", "fibocom"),
        ("Fibocom Wireless Inc.", "L850-GL", "fibocom-intel"),
        ("Alcatel", "IK41VE1", "tcl"),
        ("AirM2M", "Air724UG", "asr"),
        ("D-Link", "DWM-222", "d-link"),
        ("Nobody", "Rocket", "generic"),
        (None, None, "generic"),
    ],
)
def test_the_profile_follows_the_identity(manufacturer: str | None, model: str | None, profile: str) -> None:
    assert choose(manufacturer, model).name == profile


def test_a_configured_profile_is_taken_whatever_the_module_says() -> None:
    assert choose("Quectel", "EC25", "sierra").name == "sierra"
    assert choose("Quectel", "EC25", "no such").name == "quectel"


def test_no_profile_asks_more_than_twelve_commands() -> None:
    for profile in profiles().values():
        asked = (*profile.poll, *sorted(profile.seldom, key=len)[-1:])  # of those, one a poll
        assert len(asked) <= 12, profile.name
        assert sum(len(command) + 1 for command in asked) <= 300, profile.name
        assert len(profile.seldom) <= SELDOM, profile.name
        assert not any("COPS=?" in command for command in (*profile.poll, *profile.seldom, *profile.init))
        assert all(command.startswith("AT") for command in (*profile.poll, *profile.init, *profile.identity))


def test_no_table_offers_a_port_that_it_forbids() -> None:
    assert all(not set(row.at) & set(row.never) for row in usb_table())


# -- the table -----------------------------------------------------------------------------------------------------

PRODUCTS = [
    line.split("\t")
    for line in (Path(__file__).parent / "data" / "usb-products.tsv").read_text().splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize(("ids", "at", "others"), PRODUCTS, ids=[row[0] for row in PRODUCTS])
def test_the_at_port_of_a_known_product_comes_first_and_no_other_is_touched(
    ids: str, at: str, others: str, tmp_path: Path
) -> None:
    speak = [int(number) for number in at.split(",")]
    never = {int(item.split(":")[0]) for item in others.split(",") if item != "-"}
    vendor, product = ids.split(":")
    plug(tmp_path, "1-1", vendor, product, {n: f"ttyUSB{n}" for n in sorted({*speak, *never})}, bound="option")
    found = numbers(tmp_path)
    assert found[0] == speak[0]
    assert set(found) == set(speak)


def test_every_row_of_the_table_names_a_product_once() -> None:
    seen = [(row.vendor, product) for row in usb_table() for product in row.products or ("*",)]
    assert len(seen) == len(set(seen))
    assert all(row.at or row.never or not row.products for row in usb_table() if row.vendor not in ("2c7c",))


# -- products that nobody listed -----------------------------------------------------------------------------------

# From the usb-devices listings in the commits that added them to the kernel's option driver; AT ports by their words.
LISTINGS: dict[str, tuple[dict[int, Interface], list[int]]] = {
    "MeiG SRM825L": (
        {0: ("ff", "ff", "30", 2), 1: ("ff", "ff", "40", 3), 2: ("ff", "ff", "40", 3), 3: ("ff", "ff", "60", 3)},
        [1, 2],
    ),
    "MeiG SLM828": (
        {0: ("ff", "10", "01", 2), 1: ("ff", "10", "02", 3), 2: ("ff", "10", "03", 3), 3: ("ff", "10", "04", 3)},
        [1, 2],
    ),
    "MeiG SRM825WN": (
        {2: ("ff", "ff", "30", 2), 3: ("ff", "ff", "40", 3), 4: ("ff", "ff", "40", 3), 5: ("ff", "ff", "60", 3)},
        [3, 4],
    ),
    "Quectel RG650V": (
        {0: ("ff", "ff", "30", 2), 1: ("ff", "00", "00", 2), 2: ("ff", "00", "00", 3), 3: ("ff", "00", "00", 3)},
        [2, 3],
    ),
    "SIMCom 8230C": ({0: ("ff", "ff", "30", 2), 1: ("ff", "00", "00", 2), 2: ("ff", "ff", "40", 3)}, [2]),
    "SIMCom SIM7600 RNDIS": ({2: ("ff", "ff", "ff", 2), 4: ("ff", "00", "00", 3), 5: ("ff", "00", "00", 3)}, [4, 5]),
    "Neoway N723": ({2: ("ff", "00", "00", 3), 4: ("ff", "00", "00", 3), 6: ("ff", "00", "00", 3)}, [2, 4, 6]),
}


@pytest.mark.parametrize("name", LISTINGS)
def test_an_unlisted_product_of_an_unknown_maker_is_tried_by_its_descriptors(name: str, tmp_path: Path) -> None:
    seen, speak = LISTINGS[name]
    plug(tmp_path, "1-1", "abcd", "0001", {n: f"ttyUSB{n}" for n in seen}, bound="option", seen=seen)
    assert numbers(tmp_path)[: len(speak)] == speak
    kinds = {port.interface: port.kind for port in survey(tmp_path / "sys", tmp_path / "dev")}
    forbidden = {n for n, (_, _, protocol, _) in seen.items() if protocol in ("30", "60", "01", "04")}
    assert forbidden.isdisjoint(numbers(tmp_path)), kinds
    assert not any(c.certain for c in candidates(tmp_path / "sys", tmp_path / "dev"))


@pytest.mark.parametrize("driver", ["option", "qcserial", "sierra"])
def test_the_modem_drivers_make_a_module_of_any_maker(driver: str, tmp_path: Path) -> None:
    plug(tmp_path, "1-1", "abcd", "0001", {0: "ttyUSB0"}, bound=driver)
    assert numbers(tmp_path) == [0]


def test_an_acm_device_is_a_module_only_beside_a_network_interface(tmp_path: Path) -> None:
    plug(tmp_path, "1-1", "2341", "0043", {0: "ttyACM0"}, "ttyACM", bound="cdc_acm")  # an Arduino
    plug(tmp_path, "1-2", "abcd", "0001", {2: "ttyACM1"}, "ttyACM", bound="cdc_acm", net=0)
    assert devices(tmp_path) == ["ttyACM1"]


@pytest.mark.parametrize(
    ("vendor", "product"),
    [
        ("1546", "01a7"),  # a u-blox GNSS receiver, by a maker of modules
        ("0e8d", "3329"),  # a GPS logger on MediaTek's number, of which single modules are listed
        ("413c", "2113"),  # a dock, of a maker who sells laptops with modules
    ],
)
def test_a_receiver_or_dock_on_a_module_makers_number_is_left_alone(vendor: str, product: str, tmp_path: Path) -> None:
    plug(tmp_path, "1-1", vendor, product, {0: "ttyACM0"}, "ttyACM", bound="cdc_acm")
    assert devices(tmp_path) == []


def test_an_unlisted_module_of_such_a_maker_is_known_by_its_driver(tmp_path: Path) -> None:
    plug(tmp_path, "1-1", "413c", "ffff", {2: "ttyUSB0"}, bound="option")
    plug(tmp_path, "1-2", "05c6", "fffe", {2: "ttyUSB1"}, bound="qcserial")
    assert devices(tmp_path) == ["ttyUSB0", "ttyUSB1"]


def test_the_name_of_an_interface_counts_more_than_its_class(tmp_path: Path) -> None:
    alike = {n: ("ff", "ff", "40", 3) for n in (0, 1, 2)}
    names = {0: "GPS NMEA Port", 1: "Debug Interface", 2: "Mobile AT Port"}
    plug(tmp_path, "1-1", "abcd", "1", {n: f"ttyUSB{n}" for n in alike}, bound="option", seen=alike, names=names)
    assert numbers(tmp_path) == [2]
    assert [port.kind for port in survey(tmp_path / "sys", tmp_path / "dev")][1:] == ["gps", "debug"]


def test_huawei_tells_its_ports_by_protocol(tmp_path: Path) -> None:
    seen = {2: ("ff", "02", "10", 3), 3: ("ff", "02", "13", 2), 4: ("ff", "02", "12", 2), 5: ("ff", "02", "14", 2)}
    plug(tmp_path, "1-1", "12d1", "ffff", {n: f"ttyUSB{n}" for n in seen}, bound="option", seen=seen)
    assert numbers(tmp_path) == [4, 2]


def test_an_unlisted_quectel_is_probed_on_its_usual_ports_first(tmp_path: Path) -> None:
    plug(tmp_path, "1-1", "2c7c", "fffe", {n: f"ttyUSB{n}" for n in range(4)}, bound="option")
    assert numbers(tmp_path) == [2, 3, 0, 1]


@pytest.mark.parametrize(
    ("driver", "kind"),
    [("huawei_cdc_ncm", "unknown"), ("cdc_wdm", "unknown"), ("qmi_wwan", "qmi"), ("cdc_mbim", "mbim")],
)
def test_a_control_channel_is_offered_only_where_its_driver_carries_at(driver: str, kind: str, tmp_path: Path) -> None:
    plug(tmp_path, "1-1", "12d1", "1506", {2: "ttyUSB9"}, bound=driver)
    node = tmp_path / "sys/class/usbmisc/cdc-wdm0"
    node.mkdir(parents=True)
    (node / "device").symlink_to(tmp_path / "sys/devices/usb1/1-1/1-1:1.2")
    (tmp_path / "sys/class/tty/ttyUSB9/device").unlink()
    assert [port.kind for port in survey(tmp_path / "sys", tmp_path / "dev")] == [kind]
    assert devices(tmp_path) == (["cdc-wdm0"] if kind == "unknown" else [])
    assert device_at("1-1:2", tmp_path / "sys", tmp_path / "dev").endswith("cdc-wdm0")


@pytest.mark.parametrize("name", ["wwan0qcdm0", "wwan0mbim0", "wwan0qmi0", "wwan0nmea0"])
def test_a_wwan_port_names_its_protocol(name: str, tmp_path: Path) -> None:
    for port in (name, "wwan0at1", "wwan0"):
        (tmp_path / "sys/class/wwan" / port).mkdir(parents=True)
    assert devices(tmp_path) == ["wwan0at1"]
    assert {port.kind for port in survey(tmp_path / "sys", tmp_path / "dev")} == {"at", name[5:-1]}
