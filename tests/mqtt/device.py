"""One device in a process of its own, whose memory can be measured: `python -m tests.mqtt.device FOLDER URL PROTOCOL`.

Reports until its input ends, then says what it had in memory at most, in bytes.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from tests.commands.standin import StandIn, config_for


async def live(folder: str, url: str, protocol: str) -> None:
    async with StandIn(Path(folder), config_for(url, protocol=protocol)):
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(live(*sys.argv[1:4]))
    # Not getrusage(2), whose maximum includes what the process was before exec(2).
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(int(peak) * 1024)
