"""What probes find out about this device's network and disk, as frozen values; None is "could not be found out"."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WanLink:
    """One network interface that the configuration calls WAN."""

    ifname: str
    up: bool
    carrier: bool
    addresses: tuple[str, ...] = ()
    received_bytes: int = 0
    sent_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """A default route."""

    ifname: str
    gateway: str  # empty: straight onto the link


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether something answered: a name server, a host, the broker."""

    name: str
    ok: bool
    ms: float | None = None
    problem: str = ""

    @property
    def answered(self) -> bool:
        """Whether anything came back; a refused connection proves the way there and back too."""
        return self.ms is not None


@dataclass(frozen=True, slots=True)
class Disk:
    path: str
    free_bytes: int | None = None
    read_only: bool = False
    problem: str = ""
