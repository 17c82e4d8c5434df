"""What one full status poll of an EC25 costs: commands and bytes written, by the simulated module's own count.

python -m tests.bench.at_poll [PROFILE]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import simulator
from agent.config import ModemSettings
from agent.modem import Modem
from tests.bench.rows import Bench

COMMANDS, BYTES = 12, 300


async def measured(path: str) -> list[tuple[int, int, float]]:
    """Commands, bytes and seconds of each of eleven polls behind the first, which also reads the SIM."""
    sent: list[bytes] = []
    with tempfile.TemporaryDirectory() as scratch:
        modem = Modem(ModemSettings(port=path), lock_directory=Path(scratch))
        try:
            await modem.open()
            port = modem._dialogue._port
            assert port is not None
            write = port.write

            def noted(data: bytes) -> None:
                sent.append(data)
                write(data)

            with patch.object(port, "write", noted):
                await modem.poll()
                found = []
                for _ in range(11):
                    sent.clear()
                    begun = time.perf_counter()
                    await modem.poll()
                    found.append((len(sent), sum(map(len, sent)), time.perf_counter() - begun))
                return found
        finally:
            modem.close()


def main() -> int:
    profile = sys.argv[1] if len(sys.argv) > 1 else "quectel-ec25"
    with simulator.serve(profile) as running:
        polls = asyncio.run(measured(running.path))
    commands, octets = max(poll[0] for poll in polls), max(poll[1] for poll in polls)
    seconds = [poll[2] for poll in polls]
    bench = Bench("at_poll", 3)
    bench.row(f"commands in a full status poll of a {profile}", f"at most {COMMANDS}", f"{commands}",
              commands <= COMMANDS, exact=True)  # fmt: skip
    bench.row("bytes written for it", f"at most {BYTES}", f"{octets}", octets <= BYTES, exact=True)
    bench.row("time it takes against the simulated module", "", f"{min(seconds):.3f} to {max(seconds):.3f} s", None)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
