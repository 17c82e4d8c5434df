"""Ways around the shaper: hardware flow offload and vendors' fast paths, found, switched off while throttled, put back.

Called by the shaper before it shapes and after it no longer does. Packets that a switch chip or a vendor module
forwards by itself never meet a qdisc. Software flow offload needs nothing: its hook comes after tc's ingress hook, and
it leaves by the ordinary egress qdisc (tests/traffic/test_offload_order.py holds the kernel to it).

On OpenWrt the UCI setting is changed in the session's memory only (no `uci commit`): a reboot puts it back by itself,
and the flash is not written. A marker on a tmpfs remembers, over restarts of the agent, that it was us.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import logging
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

OPTION = "firewall.@defaults[0].flow_offloading_hw"
FAST_PATH_MODULES = {  # as /proc/modules has them: whose they are
    "shortcut_fe": "Qualcomm SFE",
    "shortcut_fe_ipv6": "Qualcomm SFE",
    "fast_classifier": "Qualcomm SFE",
    "qca_nss_ecm": "Qualcomm NSS",
    "ecm": "Qualcomm NSS",
    "hw_nat": "MediaTek HNAT",
    "mtkhnat": "MediaTek HNAT",
    "ctf": "Broadcom CTF",
    "fcache": "Broadcom flow cache",
}
TIMEOUT_S = 20.0
SIOCETHTOOL = 0x8946
ETHTOOL_GGRO, ETHTOOL_SGRO = 0x2B, 0x2C


@dataclass(frozen=True, slots=True)
class Offload:
    """What was found, and what of it still leads around the shaper."""

    switched_off: tuple[str, ...] = ()
    left: tuple[str, ...] = ()  # found, and not ours to switch off

    @property
    def warning(self) -> str:
        if not self.left:
            return ""
        return f"{', '.join(self.left)} may carry traffic around the shaper; unload it (rmmod) or switch it off"


class OffloadGuard:
    """Engaged while the line is throttled, released after. Never raises: what fails is told in `left`."""

    def __init__(self, marker: Path, *, root: Path = Path("/"), may_act: bool = True) -> None:
        self._marker, self._root, self._may_act = marker, root, may_act
        self._engaged: Offload | None = None

    async def engage(self) -> Offload:
        """Find every way around, and close those that may be closed. Done once; cheap to call again."""
        if self._engaged is None:
            vendor = await asyncio.to_thread(self._vendor_paths)
            hardware = await self._hardware_offload()
            if hardware and self._may_act and await self._set("0"):
                self._engaged = Offload(switched_off=("hardware flow offload",), left=vendor)
            else:
                self._engaged = Offload(left=(*(["hardware flow offload"] if hardware else []), *vendor))
            if self._engaged.warning:
                log.warning("%s", self._engaged.warning)
        return self._engaged

    async def release(self) -> bool:
        """Put back what we switched off, now or before a restart. Returns whether there was anything."""
        self._engaged = None
        if not self._marker.exists() or not await self._set("1"):
            return False
        self._marker.unlink(missing_ok=True)
        return True

    # -- OpenWrt ---------------------------------------------------------------------------------------------------

    @property
    def _uci(self) -> Path:
        return self._root / "sbin/uci"

    async def _hardware_offload(self) -> bool:
        if not self._uci.exists():
            return False
        code, output = await _run(str(self._uci), "-q", "get", OPTION)
        return code == 0 and output.strip() == "1"

    async def _set(self, value: str) -> bool:
        """The option in memory, and the firewall told to read it."""
        if value == "0":
            self._marker.parent.mkdir(parents=True, exist_ok=True)
            self._marker.write_text(OPTION + "\n")  # first: a crash in between must not forget it
        code, output = await _run(str(self._uci), "set", f"{OPTION}={value}")
        if code == 0:
            code, output = await _run(str(self._root / "etc/init.d/firewall"), "reload")
        if code != 0:
            log.error("hardware flow offload could not be set to %s: %s", value, output.strip()[-200:])
        return code == 0

    # -- vendors ---------------------------------------------------------------------------------------------------

    def _vendor_paths(self) -> tuple[str, ...]:
        found: dict[str, None] = {}
        try:
            modules = (self._root / "proc/modules").read_text().splitlines()
        except OSError:
            modules = []
        for line in modules:
            name = line.partition(" ")[0]
            if name in FAST_PATH_MODULES:
                found[FAST_PATH_MODULES[name]] = None
        if (self._root / "sys/fast_classifier").exists():
            found["Qualcomm SFE"] = None
        return tuple(found)


async def _run(*command: str) -> tuple[int, str]:
    """A command's exit code and its output; a program that hangs is ended."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as error:
        return 127, str(error)
    try:
        output, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        return 124, f"{command[0]} did not end in {TIMEOUT_S:g} s"
    return process.returncode or 0, output.decode(errors="replace")


# -- GRO -----------------------------------------------------------------------------------------------------------


def get_gro(ifname: str) -> bool | None:
    """Whether a device merges received packets; None if it does not say."""
    value = _ethtool(ifname, ETHTOOL_GGRO, 0)
    return None if value is None else bool(value)


def set_gro(ifname: str, enabled: bool) -> bool:
    """Switch merging on or off. An htb would send the merged 64 kB at once: a second of the line at 512 kbit/s."""
    return _ethtool(ifname, ETHTOOL_SGRO, int(enabled)) is not None


def _ethtool(ifname: str, command: int, value: int) -> int | None:
    """One ethtool_value there and back; None if the driver does not know it."""
    memory = ctypes.create_string_buffer(struct.pack("=II", command, value), 8)
    request = struct.pack("16sP16x", ifname.encode(), ctypes.addressof(memory))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCETHTOOL, request)
    except OSError:
        return None
    return int(struct.unpack_from("=I", memory.raw, 4)[0])
