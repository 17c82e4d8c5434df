"""The operator behind the module: a network namespace that holds the far end of the mobile link.

Called by the guest's modem program. Here a broker listens and here the downloads come from, so that all that the
household or the agent sends and receives crosses the link that is counted and shaped.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

NAMESPACE = "operator"
OPERATOR, DEVICE, PREFIX = "10.64.0.1", "10.64.0.2", 24


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def make_namespace() -> None:
    if not Path("/run/netns", NAMESPACE).exists():
        ip("netns", "add", NAMESPACE)
    ip("-n", NAMESPACE, "link", "set", "lo", "up")


def take_far_end(name: str) -> None:
    """Move the module's own end of the link to the operator. It comes back to life at each plug, so once is enough."""
    ip("link", "set", name, "netns", NAMESPACE)
    ip("-n", NAMESPACE, "address", "add", f"{OPERATOR}/{PREFIX}", "dev", name)
    ip("-n", NAMESPACE, "link", "set", name, "up")


def announce(name: str) -> None:
    """The module tells the device of a connection (CDC 1.2, 6.3.1 NetworkConnection), as at a new session."""
    ip("-n", NAMESPACE, "link", "set", name, "down")
    ip("-n", NAMESPACE, "link", "set", name, "up")
