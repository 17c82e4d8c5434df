"""What fetching a package costs on the wire: as one piece, and with five broken connections. Over loopback, TLS 1.3."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import sys
import tempfile
from pathlib import Path

from agent.update import fetch
from tests.bench.rows import Bench
from tests.update.publisher import Publisher

SIZE_BYTES = 310_000  # the agent's own .deb
NAME = "modem-agent_1.0_all.deb"


def cost(breaks: list[int]) -> tuple[int, int]:
    """Bytes received and sent."""
    content = random.Random(1).randbytes(SIZE_BYTES)
    with tempfile.TemporaryDirectory() as side, Publisher(Path(side) / "pki") as server:
        server.files = {NAME: content, "InRelease": bytes(1_100), "Packages": bytes(900)}
        server.breaks = breaks
        folder = Path(side) / "update"
        folder.mkdir()
        order = fetch.Order(
            f"{server.base}/{NAME}", str(folder), SIZE_BYTES, hashlib.sha256(content).hexdigest(), 10**9,
            ("InRelease", "Packages"), server.pki.path("ca.pem"),
        )  # fmt: skip
        with contextlib.redirect_stdout(io.StringIO()) as told:
            fetch.fetch(order, fetch.Wire(order.rate_bps))
    received, sent, _ = (int(word) for word in told.getvalue().splitlines()[-1].split())
    return received, sent


def main() -> int:
    bench = Bench("update_fetch", 22)
    fetch.AGAIN_S = 0.01
    for breaks, target in (([], 1.05), ([50_000] * 5, 1.3)):
        number = len(breaks)
        received, sent = cost(breaks)
        share = (received + sent) / SIZE_BYTES
        bench.row(
            f"wire bytes for a package of {SIZE_BYTES} bytes with its index, {number} cuts",
            f"<= {target} x the package", f"{share:.3f} x ({received} received, {sent} sent)", share <= target,
        )  # fmt: skip
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
