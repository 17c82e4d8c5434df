"""Where traffic leaves this device: the kernel's routes, and what a link rides on. From /proc/net and /sys/class/net.

Used by the daemon's look at the uplink and by the doctor, neither of which needs privileges or netlink for it.

/proc/net/route is the main table alone, /proc/net/ipv6_route all tables. That is enough: what a household sends leaves
by the main table unless somebody steers single flows (mwan3, ip rule), and no table tells how many. Of a default route
with several next hops the kernel shows the first.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path

PROC_NET, SYS_NET = Path("/proc/net"), Path("/sys/class/net")

# linux/route.h and linux/ipv6_route.h
RTF_UP, RTF_GATEWAY, RTF_HOST, RTF_REJECT = 0x1, 0x2, 0x4, 0x200
RTF_ANYCAST, RTF_LOCAL = 0x00100000, 0x80000000

# if_arp.h: NONE (tun, wireguard, xfrm, 464xlat), TUNNEL, TUNNEL6, SIT, IPGRE, IP6GRE. A raw-IP module is NONE as well,
# but it is hardware; rmnet and qmimux children of one name the link below them. PPP is a line of its own.
TUNNEL_TYPES = frozenset({65534, 768, 769, 776, 778, 823})
TUNNEL_DEVTYPES = frozenset({"wireguard", "vxlan", "geneve"})  # what the drivers call themselves in uevent


@dataclass(frozen=True, slots=True)
class KernelRoute:
    """One route of the kernel that leads off this device."""

    family: int  # 4 or 6
    ifname: str
    gateway: str  # empty: straight onto the link
    metric: int  # the lowest counts
    default: bool
    host: bool = False  # to one address
    network: str = field(default="", compare=False)  # where it leads to, as address/length


@dataclass(frozen=True, slots=True)
class NetDevice:
    """What sysfs says of a link."""

    ifname: str
    lowers: tuple[str, ...] = ()  # of a bridge, VLAN, bond or multiplexed child: the links below it
    tunnel: bool = False  # its packets leave inside those of another link
    bridge: bool = False


# -- /proc/net, pure -----------------------------------------------------------------------------------------------


def ipv4_routes(text: str) -> list[KernelRoute]:
    """Iface Destination Gateway Flags RefCnt Use Metric Mask ...; addresses in hexadecimal, host byte order."""
    routes = []
    for words in (line.split() for line in text.splitlines()[1:]):
        if len(words) < 8 or not _usable(int(words[3], 16)):
            continue
        default, host = words[1] == words[7] == "00000000", words[7] == "FFFFFFFF"
        gateway = socket.inet_ntoa(struct.pack("=I", int(words[2], 16)))
        network = f"{socket.inet_ntoa(struct.pack('=I', int(words[1], 16)))}/{int(words[7], 16).bit_count()}"
        gateway = "" if gateway == "0.0.0.0" else gateway
        routes.append(KernelRoute(4, words[0], gateway, int(words[6]), default, host, network))
    return routes


def ipv6_routes(text: str) -> list[KernelRoute]:
    """Destination, its prefix length, source, its prefix length, next hop, metric, RefCnt, Use, flags, device.

    A default route for one source alone (OpenWrt makes them so) is what the LAN's traffic takes, and counts.
    """
    routes = []
    for words in (line.split() for line in text.splitlines()):
        if len(words) < 10 or words[9] == "lo" or not _usable(int(words[8], 16)):
            continue
        default, host = words[0] == "0" * 32 and words[1] == "00", words[1] == "80"
        gateway = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[4]))
        network = f"{socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[0]))}/{int(words[1], 16)}"
        gateway = "" if gateway == "::" else gateway
        routes.append(KernelRoute(6, words[9], gateway, int(words[5], 16), default, host, network))
    return routes


def _usable(flags: int) -> bool:
    return bool(flags & RTF_UP) and not flags & (RTF_REJECT | RTF_LOCAL | RTF_ANYCAST)


# -- reading -------------------------------------------------------------------------------------------------------


def read_routes(proc_net: Path = PROC_NET) -> list[KernelRoute] | None:
    """All routes of both families; None if neither could be read."""
    v4, v6 = _text(proc_net / "route"), _text(proc_net / "ipv6_route")
    if v4 is None and v6 is None:
        return None
    return ipv4_routes(v4 or "") + ipv6_routes(v6 or "")


def read_devices(sys_net: Path = SYS_NET) -> dict[str, NetDevice]:
    """All links, by name."""
    try:
        names = sorted(entry.name for entry in sys_net.iterdir())
    except OSError:
        return {}
    return {name: _device(sys_net / name) for name in names if (sys_net / name).is_dir()}


def _device(folder: Path) -> NetDevice:
    lowers = tuple(sorted(entry.name.removeprefix("lower_") for entry in folder.glob("lower_*")))
    kind = (_text(folder / "type") or "").strip()
    virtual = not (folder / "device").exists()
    named = {line.removeprefix("DEVTYPE=") for line in (_text(folder / "uevent") or "").splitlines()}
    by_type = kind.isdecimal() and int(kind) in TUNNEL_TYPES and virtual
    tunnel = not lowers and (by_type or (folder / "tun_flags").exists() or bool(named & TUNNEL_DEVTYPES))
    return NetDevice(folder.name, lowers, tunnel, (folder / "bridge").is_dir())


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return None
