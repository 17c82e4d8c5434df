"""A table of nf_tables that counts over some links, from the first reading of a process to its last.

Used by thread.py alone, in its thread, as the DNS and NTP table (nftables.py) and the table of devices
(device_counters.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, Generic, TypeVar

from agent.errors import KernelError
from agent.traffic.netlink.nfnetlink import OwnedTable, Request

T = TypeVar("T")


class LinksTable(ABC, Generic[T]):
    """What one reading gives is a T."""

    name: ClassVar[str]  # of the table in the kernel
    what: ClassVar[str]  # it does, in an error

    def __init__(self) -> None:
        self._table: OwnedTable | None = None
        self._ifnames: tuple[str, ...] = ()
        self._begin()

    def more(self, ifnames: tuple[str, ...]) -> T:
        """What was counted since the last call; from now on over the links of these names. A link that has gone stays
        meant: it mostly comes back. KernelError where the kernel refuses, and the next call begins anew."""
        try:
            since = self._since(self._table) if self._table else self._begin()
            if not set(ifnames) <= set(self._ifnames):
                self.close()
                self._table = OwnedTable(self.name, lambda name: self._requests(name, ifnames))
                self._ifnames = ifnames
        except OSError as error:
            self.close()
            raise KernelError(self.what, error.errno, error.strerror or str(error)) from error
        return since

    def close(self) -> None:
        """The table goes with its socket."""
        if self._table is not None:
            self._table.close()
        self._table, self._ifnames = None, ()
        self._begin()

    @abstractmethod
    def _begin(self) -> T:
        """Nothing was read yet, and nothing counted."""

    @abstractmethod
    def _since(self, table: OwnedTable) -> T:
        """What was counted since the last reading. Raises OSError."""

    @abstractmethod
    def _requests(self, name: str, ifnames: Sequence[str]) -> Iterator[Request]:
        """What fills the table."""
