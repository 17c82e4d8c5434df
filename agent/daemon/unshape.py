"""`python3 -m agent.daemon.unshape`: takes the agent's shaping off every link, and back what it announces.

Called when the package is removed. Not a verb: whoever runs the agent lifts the throttle by its command, which the plan
and the operator then know of. A household that the agent has left must not stay slow for ever, nor must its devices
hold back.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from pathlib import Path

from agent.config import ShaperSettings
from agent.errors import AgentError
from agent.household import dnsmasq, hostapd
from agent.traffic import Kernel, Shaper, ShaperState

PATTERNS = ("*",)  # the configuration may be gone by now; only what bears the agent's handles is touched


async def unshape() -> ShaperState:
    """Remove every qdisc, filter and ifb that is the agent's own."""
    kernel = Kernel()
    kernel.start(asyncio.get_running_loop(), lambda event: None)
    try:
        return await Shaper(kernel, ShaperSettings()).remove(await kernel.links(PATTERNS))
    finally:
        kernel.close()


def withdraw(root: Path = Path("/")) -> None:
    """The devices are no longer told that the line is metered; what cannot be taken back is said, no more."""
    withdrawals = [functools.partial(dnsmasq.settle_as_root, (), root)]
    try:
        points = hostapd.access_points(root)
    except AgentError as error:
        points = ()
        print(f"modem-agent: {error}", file=sys.stderr)
    withdrawals += [functools.partial(hostapd.announce, point, b"", root) for point in points]
    for take_back in withdrawals:
        try:
            take_back()
        except AgentError as error:
            print(f"modem-agent: {error}", file=sys.stderr)


def main() -> int:
    """0 when nothing of the agent's shaping is left, 1 with a sentence when the kernel refused."""
    try:
        state = asyncio.run(unshape())
    except AgentError as error:
        print(f"modem-agent: {error}", file=sys.stderr)
        return 1
    if state.state != "off":
        print(f"modem-agent: shaping is {state.state}: {state.reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    withdraw()
    sys.exit(status)
