"""Which addresses a diagnosis from afar may reach: those of the internet, and nothing of the household's. Pure, but for
`is_own`.

Not reachable are this device, its LANs, and whatever an address of those stands for (an IPv4 address within IPv6).
"""

from __future__ import annotations

import fnmatch
import ipaddress
import socket
from collections.abc import Iterable, Sequence

from agent.net.routes import KernelRoute

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291, 2.5.5.1; deprecated, and still routed


def problem(address: str, allowed: Sequence[str], routes: Iterable[KernelRoute], wan: Sequence[str]) -> str:
    """Why support may not reach this address; empty when it may. `allowed` are networks, `wan` patterns of links."""
    try:
        target = ipaddress.ip_address(address)
    except ValueError:
        return f"{address} is no address"
    if any(_within(target, network) for network in allowed):
        return ""
    for one in (target, *_inside(target)):
        if not one.is_global or one.is_multicast:
            return f"{address} is not on the internet"
    known = list(routes)
    link = _link(target, known)
    # Also a link that the configuration names leads to the internet only if the kernel's way there is over it.
    outward = {route.ifname for route in known if route.default}
    if link and not (link in outward and any(fnmatch.fnmatchcase(link, pattern) for pattern in wan)):
        return f"{address} is in the household's network ({link})"
    return ""


def is_own(address: str) -> bool:
    """Whether it is this device's own: the kernel would take it as the source too. Nothing is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
        except OSError:  # no way there: then it is not here
            return False
        return str(probe.getsockname()[0]) == address


def _within(address: IpAddress, network: str) -> bool:
    found = ipaddress.ip_network(network)
    return address.version == found.version and address in found


def _inside(address: IpAddress) -> list[IpAddress]:
    """The IPv4 addresses that a translator or a tunnel makes of an IPv6 address."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[IpAddress | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or address in _COMPATIBLE:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return [one for one in found if one is not None]


def _link(address: IpAddress, routes: Iterable[KernelRoute]) -> str:
    """The link of the narrowest route; empty for a default route, and where there is none."""
    fitting = [
        (ipaddress.ip_network(route.network).prefixlen, route.ifname)
        for route in routes
        if route.network and not route.default and _within(address, route.network)
    ]
    return max(fitting)[1] if fitting else ""
