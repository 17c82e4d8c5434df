"""`python3 -m agent.daemon.unshape`: takes the agent's shaping off every link. Called when the package is removed.

Not a verb: whoever runs the agent lifts the throttle by its command, which the plan and the operator then know of. A
household that the agent has left must not stay slow for ever.
"""

from __future__ import annotations

import asyncio
import sys

from agent.config import ShaperSettings
from agent.errors import AgentError
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
    sys.exit(main())
