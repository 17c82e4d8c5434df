"""What can go wrong with a guest; every text names the cause and what to do about it."""

from __future__ import annotations


class GuestError(Exception):
    """A guest could not be built, booted or finished; str() carries the last lines of its console."""


class GuestUnavailable(GuestError):
    """This machine lacks what a guest needs (QEMU, the kernel package, busybox): a test skips with this reason."""


class GuestHung(GuestError):
    """A guest that runs and says nothing any more; str() carries what it said last."""
