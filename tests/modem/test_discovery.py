"""Ports found in a made-up sysfs: the right interface, kept by place, DIAG and download mode left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.modem.discovery import candidates, device_at, place_of
from agent.modem.modem import SELDOM
from agent.modem.profiles import choose, profiles, usb_table


def plug(root: Path, bus: str, vendor: str, product: str, ttys: dict[int, str], driver: str = "ttyUSB") -> None:
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
        (root / "dev").mkdir(exist_ok=True)
        (root / "dev" / name).write_text("")
        entry = root / "sys" / "class" / "tty" / name
        entry.mkdir(parents=True)
        (entry / "device").symlink_to(place)


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
        ("Fibocom Wireless Inc.", "L850-GL", "fibocom-intel"),
        ("Fibocom Wireless Inc.", "FM350-GL", "fibocom"),
        ("ZTE CORPORATION", "MF286", "zte"),
        ("Acme", "Rocket", "generic"),
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
