"""What fetching a package costs on the wire, and what of it: whole, with five broken connections, without timestamps.

Over the loopback of a network namespace, TLS 1.3, segments as on a line with an MTU of 1500.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from agent.update import fetch
from tests.bench.rows import Bench
from tests.netns.namespace import Namespace, namespaces
from tests.update.publisher import Publisher

SIZE_BYTES = 310_000  # the agent's own .deb
# As long as firmware-config/README.md makes them: gpg with an ed25519 key, dpkg-scanpackages of this package.
INDEX = {"InRelease": bytes(403), "Packages": bytes(1_050)}
NAME = "modem-agent_1.0_all.deb"


@dataclass(frozen=True)
class Cost:
    """Bytes on the wire: both directions, headers included."""

    received: int
    sent: int

    @property
    def share(self) -> float:
        return (self.received + self.sent) / SIZE_BYTES


def cost(breaks: list[int], *, timestamps: bool) -> Cost:
    content = random.Random(1).randbytes(SIZE_BYTES)
    with namespaces("fetch") as names, tempfile.TemporaryDirectory() as side, Namespace(names["fetch"]).entered():
        # ip-sysctl.rst, tcp_timestamps: one end that does not offer them is enough, so the operator's server is.
        Path("/proc/sys/net/ipv4/tcp_timestamps").write_text("1" if timestamps else "0")
        with Publisher(Path(side) / "pki") as server:
            server.files = {NAME: content, **INDEX}
            server.breaks = breaks
            folder = Path(side) / "update"
            folder.mkdir()
            order = fetch.Order(
                f"{server.base}/{NAME}", str(folder), SIZE_BYTES, hashlib.sha256(content).hexdigest(), 10**9,
                tuple(INDEX), server.pki.path("ca.pem"),
            )  # fmt: skip
            with contextlib.redirect_stdout(io.StringIO()) as told:
                fetch.fetch(order, fetch.Wire(order.rate_bps))
    received, sent, _ = (int(word) for word in told.getvalue().splitlines()[-1].split())
    return Cost(received, sent)


def main() -> int:
    bench = Bench("update_fetch", 22)
    fetch.AGAIN_S = 0.01
    for breaks, timestamps, target in (([], True, 1.05), ([], False, 1.05), ([50_000] * 5, True, 1.3)):
        cuts = len(breaks)
        found = cost(breaks, timestamps=timestamps)
        without = "" if timestamps else ", a server without TCP timestamps"
        bench.row(
            f"wire bytes for a package of {SIZE_BYTES} bytes with its index, {cuts} cuts{without}",
            f"<= {target} x the package", f"{found.share:.3f} x ({found.received} received, {found.sent} sent)",
            found.share <= target,
        )  # fmt: skip
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
