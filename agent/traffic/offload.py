"""Ways around the shaper: hardware flow offload and vendors' fast paths, found, switched off while throttled, put back.

Called by the shaper before it shapes and after it no longer does. Packets that a switch chip or a vendor module
forwards by itself never meet a qdisc. Software flow offload needs nothing: its hook comes after tc's ingress hook, and
it leaves by the ordinary egress qdisc (tests/traffic/test_offload_order.py holds the kernel to it).

On OpenWrt the UCI setting is staged just as long as the firewall takes to read it, and never committed: what others
commit meanwhile is theirs, a reboot puts it back by itself, and the flash is not written. The firewall reads the file
again whenever somebody reloads it; that is noticed by the file it then writes. A marker on a tmpfs remembers, over
restarts of the agent, what we have done and for which of the firewall's loads.
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
TRUE = frozenset(("1", "on", "true", "yes"))  # parse_bool() in fw4.uc of OpenWrt's firewall4
LOADED = "var/run/fw4.state"  # STATEFILE in fw4.uc: written at each start and reload
MARKER = Path("/var/run/modem-agent/offload")
STAGED = "staged"  # the marker's first word while our value may be found in UCI; the second is the value before
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
ETHTOOL_SGRO = 0x2C


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
    """Engaged while the line is throttled, released after. Never raises: what fails is reported in `left`."""

    def __init__(self, marker: Path = MARKER, *, root: Path = Path("/"), may_act: bool = True) -> None:
        self._marker, self._root, self._may_act = marker, root, may_act
        self._engaged: Offload | None = None
        self._of_load: str = ""  # the firewall's load that `_engaged` is about

    async def engage(self) -> Offload:
        """Find every way around, and close those that may be closed. Cheap to call again until the firewall is
        loaded anew."""
        if self._engaged is None or self.overtaken:
            before, self._engaged = self._engaged, await self._close()
            self._of_load = self._load()
            if self._engaged.warning and self._engaged != before:
                log.warning("%s", self._engaged.warning)
        return self._engaged

    @property
    def overtaken(self) -> bool:
        """Whether the firewall was loaded by somebody else since we looked: it then has read what is committed."""
        return self._engaged is not None and self._of_load != self._load()

    async def release(self) -> bool:
        """Have the firewall as UCI says, now or before a restart. Returns whether there was anything to put back."""
        self._engaged = None
        if not self._marker.exists():
            return False
        await self._unstage_after_crash()
        if not await self._reload():
            return False
        self._marker.unlink(missing_ok=True)
        return True

    async def _close(self) -> Offload:
        vendor = await asyncio.to_thread(self._vendor_paths)
        await self._unstage_after_crash()
        value = await self._value()
        if value not in TRUE:
            return Offload(left=vendor)
        stands = self._mark() == self._load()
        if stands or (self._may_act and await self._switch_off(value)):
            return Offload(switched_off=("hardware flow offload",), left=vendor)
        return Offload(left=("hardware flow offload", *vendor))

    # -- OpenWrt ---------------------------------------------------------------------------------------------------

    async def _value(self) -> str:
        """As UCI has it; empty where there is none."""
        code, output = await self._uci("get", OPTION)
        return output.strip() if code == 0 else ""

    async def _switch_off(self, value: str) -> bool:
        """Have the firewall loaded with the option off. UCI is afterwards as it was before."""
        code, changes = await self._uci("changes", "firewall")
        theirs = code == 0 and OPTION.rpartition(".")[2] in changes
        self._set_mark(f"{STAGED} {value}")  # first: a crash in between must not forget it
        code, output = await self._uci("set", f"{OPTION}=0")
        if code != 0:
            log.error("hardware flow offload could not be switched off: %s", output.strip()[-200:])
        off = code == 0 and await self._reload()
        await self._unstage(value, theirs=theirs)
        if off:
            self._set_mark(self._load())
        else:
            self._marker.unlink(missing_ok=True)
        return off

    async def _unstage_after_crash(self) -> None:
        """An agent that ended between setting and reverting, or one that left its value staged on purpose."""
        mark = self._mark()
        if mark.startswith((STAGED, OPTION)):
            await self._unstage(mark.partition(" ")[2] or "1", theirs=False)
            self._set_mark("reverted")

    async def _unstage(self, value: str, *, theirs: bool) -> None:
        """Take our value out of UCI again. Whoever has staged one before gets it back, and a `uci commit` without a
        name that came in between must not keep ours."""
        await self._uci("revert", OPTION)
        if await self._value() != value:
            await self._uci("set", f"{OPTION}={value}")
            if not theirs:
                await self._uci("commit", "firewall")

    async def _reload(self) -> bool:
        code, output = await _run(str(self._root / "etc/init.d/firewall"), "reload")
        if code != 0:
            log.error("the firewall could not be loaded: %s", output.strip()[-200:])
        return code == 0

    async def _uci(self, *words: str) -> tuple[int, str]:
        program = self._root / "sbin/uci"
        return await _run(str(program), "-q", *words) if program.exists() else (127, "")

    def _load(self) -> str:
        """Which of the firewall's loads is in force; always the same where it leaves no trace."""
        try:
            return f"off at load {(self._root / LOADED).stat().st_mtime_ns}"
        except OSError:
            return "off"

    def _mark(self) -> str:
        try:
            return self._marker.read_text().strip()
        except OSError:
            return ""

    def _set_mark(self, text: str) -> None:
        try:
            self._marker.parent.mkdir(parents=True, exist_ok=True)
            self._marker.write_text(text + "\n")
        except OSError as error:
            log.warning("%s: %s", self._marker, error.strerror or error)

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
