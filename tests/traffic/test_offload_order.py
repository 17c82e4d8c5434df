"""Software flow offload does not get around the shaper: tc's ingress hook comes before nftables' flowtable.

A household behind the modem, its flows in a flowtable (conntrack says so), its download shaped all the same: what comes
out of the ifb is put back behind the flowtable's hook, and takes the ordinary way as long as the line is shaped. CI's
kernel has no flowtables; the guest under QEMU runs this (tests/qemu/test_traffic.py).
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
import time

import pytest

from agent.config import ShaperSettings
from agent.plan import Rates
from agent.traffic import Shaper
from agent.traffic.proof import judge, read
from tests.netns import Namespace, Wire, lan_and_wan, needs_namespaces
from tests.traffic.conftest import kernel_in

pytestmark = pytest.mark.root

RULES = """
table inet quick {
  flowtable fast { hook ingress priority 0; devices = { lan0, wan0 }; }
  chain forward {
    type filter hook forward priority 0;
    meta l4proto tcp flow add @fast
  }
}
"""
SLOW = Rates(512_000, 512_000)
PORT, SECONDS = 9_000, 8


def use_flowtable(modem: Namespace) -> None:
    done = subprocess.run(
        ["ip", "netns", "exec", modem.name, "nft", "-f", "-"], input=RULES, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"flowtable: {done.stderr.strip().splitlines()[0]}")


def download(host: Namespace, w: Wire, seconds: float) -> tuple[int, bool]:
    """Bytes that one TCP flow brought to the household, and whether it was seen in the flowtable."""
    with w.far.entered():
        server = socket.create_server((w.far.address, PORT))
    with host.entered():
        client = socket.socket()
    stop = time.monotonic() + seconds

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(seconds + 5)
            while time.monotonic() < stop:
                connection.sendall(bytes(16_384))

    received, offloaded = 0, False
    with server, client:
        client.settimeout(seconds + 5)
        thread = threading.Thread(target=serve)
        thread.start()
        client.connect((w.far.address, PORT))
        while octets := client.recv(65_536):
            received += len(octets)
            if not offloaded and received > 100_000:
                offloaded = "[OFFLOAD]" in w.near.run("cat", "/proc/net/nf_conntrack")
        thread.join()
    return received, offloaded


def test_a_flow_in_the_flowtable_is_shaped() -> None:
    needs_namespaces()
    with lan_and_wan() as ((host,), w):
        use_flowtable(w.near)

        async def scenario() -> None:
            async with kernel_in(w) as kernel:
                shaper = Shaper(kernel, ShaperSettings())
                links = await kernel.links(["wan0"])
                assert (await shaper.reconcile(links, SLOW)).state == "enforced"
                before = await read(kernel, links[0])
                received, offloaded = await asyncio.to_thread(download, host, w, SECONDS)
                after = await read(kernel, links[0])
                assert before is not None
                assert after is not None
                seconds = after.at_s - before.at_s
                assert received * 8 / seconds < 512_000 * 1.05
                assert received * 8 / seconds > 512_000 * 0.6
                assert offloaded
                verdict = judge(before, after, SLOW)
                assert verdict is not None
                assert verdict.effective, verdict.text

        asyncio.run(scenario())
