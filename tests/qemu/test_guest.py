"""The lean guest: its command's result comes back, its time is bounded, the host is left as it was."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.qemu import Guest, GuestError, run
from simulator.qemu.image import device_disk
from tests.qemu.waiting import wait_for

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("qemu")]


def soon(guest: Guest, what: str, look: Callable[[], bool]) -> None:
    wait_for(what, look, patience_s=60, every_s=0.05, seen=guest.machine.last_lines)


def test_output_and_exit_code_of_the_projects_python_come_back() -> None:
    program = "import platform, sys; print(platform.release(), sys.version_info[:2]); sys.exit(7)"
    result = run([sys.executable, "-c", program], timeout_s=60)
    assert result.exit_code == 7
    release, version = result.output.split(maxsplit=1)
    assert release.endswith("-amd64")
    assert version.strip() == str(tuple(sys.version_info[:2]))


def test_the_kernel_loads_cake_by_itself_and_the_clock_starts_where_told() -> None:
    shell = "ip link add wwan0 type dummy && tc qdisc add dev wwan0 root cake bandwidth 512kbit; tc qdisc; date -u +%Y"
    result = run(["sh", "-c", shell], timeout_s=60, rtc="1970-01-01T00:00:00")
    assert "qdisc cake" in result.output, result.output
    assert "bandwidth 512Kbit" in result.output
    assert result.output.split()[-1] == "1970"


def test_what_the_guest_writes_stays_in_the_guest_but_for_the_share(tmp_path: Path) -> None:
    mark, share = tmp_path / "mark", tmp_path / "share"
    share.mkdir()
    result = run(["sh", "-c", f"echo x > {mark} && cat {mark} && cp {mark} /run/guest/kept"], share=share)
    assert result.output == "x\n"
    assert not mark.exists()
    assert (share / "kept").read_text() == "x\n"


def test_a_command_that_does_not_end_is_ended_with_its_output_shown() -> None:
    with Guest(["sh", "-c", "echo begun; sleep 600"]) as guest:
        soon(guest, "its first word", lambda: "begun" in guest.output)
        with pytest.raises(GuestError, match=r"(?s)not done.*begun"):
            guest.wait(0.2)
    assert not guest.machine.running
    assert not guest.machine.folder.exists()
    assert not guest.share.exists()


def test_a_guest_that_does_not_boot_shows_the_end_of_its_console() -> None:
    # A first program that is not there: the kernel panics, and QEMU ends instead of rebooting.
    with Guest(["true"], append="rdinit=/missing root=/dev/none") as guest, pytest.raises(GuestError, match="panic"):
        guest.wait(60)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("words", "patience_s", "said"),
    [
        # A first program that is not there: the kernel panics. One that waits for ever: the time runs out.
        ("rdinit=/missing root=/dev/none", 170, "Kernel panic"),
        ("rdinit=/bin/sh", 8, "within 8 s"),
    ],
    ids=["panics", "hangs"],
)
def test_a_device_that_does_not_boot_says_so_and_leaves_nothing(
    words: str, patience_s: int, said: str, tmp_path: Path
) -> None:
    device_disk()  # built, so that the time is that of the boot alone
    options = ["--state", "jffs2", "--append", words]
    command = [str(Path(sys.executable).with_name("modem-sim")), "qemu", *options, "--timeout", str(patience_s)]
    began = time.monotonic()
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=400, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert time.monotonic() - began < 180
    assert result.returncode == 1
    assert said in result.stderr
    assert "-- console --" in result.stderr
    # The command that does the same again, to be copied as it stands.
    again = result.stderr.partition("try again with: ")[2].strip()
    assert shlex.split(again) == ["modem-sim", "qemu", *options]
    assert list(tmp_path.iterdir()) == []
    assert [name for name in processes() if str(tmp_path) in name] == []


def processes() -> list[str]:
    """The command lines of all that runs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_a_power_cut_keeps_what_was_synced_and_loses_what_was_not(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    with disk.open("wb") as file:
        file.truncate(64 << 20)
    write = (
        "mkfs.ext4 -q /dev/vda && mkdir /tmp/d && mount -o commit=600 /dev/vda /tmp/d && cd /tmp/d && "
        "echo kept > synced && sync && echo lost > unsynced && echo ready > /run/guest/ready && sleep 600"
    )
    with Guest(["sh", "-c", write], modules=["virtio_blk", "ext4"], disks=[disk]) as guest:
        soon(guest, "its file", lambda: (guest.share / "ready").exists())
        guest.machine.power_cut()
    read = "mkdir /tmp/d && mount /dev/vda /tmp/d && cat /tmp/d/synced /tmp/d/unsynced"
    result = run(["sh", "-c", read], modules=["virtio_blk", "ext4"], disks=[disk])
    assert "kept" in result.output
    assert "lost" not in result.output
