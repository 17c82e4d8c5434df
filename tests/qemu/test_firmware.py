"""A given image: it boots by its own loader, the package goes in, the module comes and goes on QEMU's bus.

The image is a small one of our own making, laid out as OpenWrt's are (tests/qemu/small_image.py says what is not)."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.qemu import GuestError
from simulator.qemu.firmware import Firmware
from tests.qemu import small_image
from tests.qemu.waiting import wait_for

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("qemu"), pytest.mark.timeout(600)]
BOOT_S = 170


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if not Path("/usr/lib/grub/i386-pc/boot.img").exists():
        pytest.skip("grub: the small image needs grub-pc-bin")
    folder = tmp_path_factory.mktemp("image")
    made = small_image.make(folder)
    packed = folder / "small.img.gz"
    # As OpenWrt's own: metadata behind the compressed stream.
    packed.write_bytes(gzip.compress(made.read_bytes(), 1) + b"metadata of the builder")
    yield packed
    shutil.rmtree(folder)


def shown(firmware: Firmware, command: str) -> str:
    """What a command prints, once it prints anything."""

    def seen() -> str:
        return firmware.shell("ls -l /dev/ttyUSB* /sys/class/net; dmesg | tail -n 12", check=False)

    return str(
        wait_for(
            command, lambda: firmware.shell(command, check=False).strip(), patience_s=BOOT_S, every_s=0.5, seen=seen
        )
    )


def test_the_image_boots_takes_the_package_and_keeps_it_through_a_power_cut(image: Path) -> None:
    with Firmware(image) as firmware:
        firmware.power_on(BOOT_S)
        said = firmware.install()
        assert "no feeds" in said
        assert "Configuring modem-agent" in said
        assert firmware.shell("ls -l /etc/init.d/modem-agent").startswith("-rwxr-xr-x")
        assert firmware.shell("cat /tmp/postinst") == "ran\n"
        kept = firmware.shell("cat /usr/lib/opkg/info/modem-agent.conffiles")
        assert kept.split() == ["/etc/config/modem-agent"]
        installed = firmware.shell("md5sum < /usr/lib/modem-agent/agent/errors.py; sync")
        # The module, outside, on QEMU's own bus: it answers, goes with the cable, and comes back.
        # Its number may change: the port that was open when the cable was pulled is taken for a moment longer. Opened
        # only where it is there: a shell that opens what is not would make a file of that name.
        talk = "stty -F $p raw -echo; exec 3<>$p; printf 'AT+CGMM\\r' >&3; timeout 3 head -n 3 <&3"
        ask = f"for p in /dev/ttyUSB*; do if [ -c $p ]; then {talk}; fi; done 2>/dev/null | sed -n /EC25/p"
        assert "EC25" in shown(firmware, ask)
        shown(firmware, "ls -d /sys/class/net/usb0")
        firmware.unplug()
        shown(firmware, "ls /dev | grep -q ttyUSB || [ -e /sys/class/net/usb0 ] || echo gone")
        firmware.plug()
        assert "EC25" in shown(firmware, ask)
        shown(firmware, "ls -d /sys/class/net/usb0")
        firmware.power_cut()
        firmware.power_on(BOOT_S)
        assert firmware.shell("md5sum < /usr/lib/modem-agent/agent/errors.py") == installed


def test_an_image_that_does_not_boot_shows_its_console_and_leaves_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty.img"
    with empty.open("wb") as file:
        file.truncate(1 << 20)
    with Firmware(empty) as firmware:
        with pytest.raises(GuestError, match=r"(?s)did not come up within 8 s.*-- console --"):
            firmware.power_on(8)
        assert firmware._machine is None
        folder = firmware.folder
    assert not folder.exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.img", None, "none.img: no such image"),
        ("cut.img.gz", gzip.compress(b"x" * 100_000, mtime=0)[:50], "ends in the middle"),
        ("not.img.gz", b"not compressed at all", "not.img.gz: Error -3"),
    ],
    ids=["absent", "cut short", "not compressed"],
)
def test_a_file_that_is_no_image_is_named(name: str, content: bytes | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(GuestError, match=said):
        Firmware(tmp_path / name)
