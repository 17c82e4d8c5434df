"""A household behind a modem that is a Debian guest: its kernel has cake and fq_codel, the browsers run on the host.

    with line("agent: cake") as (hosts, far): ...

Two hosts and the operator's network are namespaces of this machine; each holds one end of a tap whose other end is a
network card of the guest, which routes and shapes. The cards take and give packets of at most 1500 bytes, as a radio
does. What the radio itself delays and loses is not in it.

`python -m tests.bench.household_line NAME` is the part inside the guest.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from agent.config import ShaperSettings
from agent.traffic import Kernel, Shaper
from agent.traffic.model import ifb_name
from simulator.qemu import Guest, GuestError
from simulator.qemu.initramfs import SHARE
from tests.bench.shaping_setups import Setup, agent, setups
from tests.netns import Namespace, Wire
from tests.netns.namespace import namespaces

# The guest's cards in their order, and the namespace at the other end of each.
CARDS = {"wan0": "isp", "lan0": "host0", "lan1": "host1"}
MODEM, MODEM_LAN = "10.99.0.2", "192.168.%d.1"
ELSEWHERE = "10.99.0.3"  # another server of the operator's network
ADDRESSES = {"isp": "10.99.0.1", "host0": "192.168.1.2", "host1": "192.168.2.2"}
WHOLE_PACKETS = ",".join(f"{feature}=off" for feature in ("guest_tso4", "guest_tso6", "host_tso4", "host_tso6"))
BOOT_S = 120.0


@contextlib.contextmanager
def line(setup: str) -> Iterator[tuple[list[Namespace], Namespace]]:
    """The household's hosts and the operator's network, with the guest shaped by that setup between them."""
    with namespaces("modem", *CARDS.values()) as names:
        # Born in a namespace of its own, QEMU makes the taps there, and ends with it.
        with Namespace(names["modem"]).entered():
            guest = Guest(
                [sys.executable, "-m", "tests.bench.household_line", setup],
                modules=["virtio_net"], extra=_cards(), memory_mb=1024,
            )  # fmt: skip
        with guest:
            _wait_for(guest, setup)
            ends = {role: Namespace(names[role], address) for role, address in ADDRESSES.items()}
            for card, role in CARDS.items():
                _connect(Namespace(names["modem"]), card, ends[role])
            ends["isp"].ip("addr", "add", f"{ELSEWHERE}/24", "dev", "eth0")
            for host in (ends["host0"], ends["host1"]):
                _settle(host, ends["isp"].address)
            yield [ends["host0"], ends["host1"]], ends["isp"]


def _cards() -> list[str]:
    words: list[str] = []
    for number, card in enumerate(CARDS):
        words += ["-netdev", f"tap,id={card},ifname={card},script=no,downscript=no"]
        words += ["-device", f"virtio-net-pci,netdev={card},mac=02:00:00:00:05:0{number},romfile=,{WHOLE_PACKETS}"]
    return words


def _connect(taps: Namespace, card: str, end: Namespace) -> None:
    taps.ip("link", "set", card, "netns", end.name, "name", "eth0")
    end.ip("addr", "add", f"{end.address}/24", "dev", "eth0")
    end.ip("link", "set", "eth0", "up")
    gateway = MODEM if card == "wan0" else MODEM_LAN % (int(card[-1]) + 1)
    # Linux's own congestion control (RFC 9438), whatever this machine prefers.
    end.ip("route", "add", "default", "via", gateway, "congctl", "cubic")


def _wait_for(guest: Guest, setup: str) -> None:
    until = time.monotonic() + BOOT_S
    while not (guest.share / "shaped").exists():
        if time.monotonic() > until or not guest.machine.running:
            raise GuestError(f"{setup}: the guest does not shape\n{guest.output[-500:]}{guest.machine.last_lines()}")
        time.sleep(0.1)


def _settle(host: Namespace, far: str) -> None:
    until = time.monotonic() + 20
    while "1 received" not in host.run("ping", "-c1", "-W1", far, check=False):
        assert time.monotonic() < until, f"{far} does not answer"


# -- what might be done besides: the agent's cake, its download in three classes ------------------------------------

_IFB = ifb_name("wan0")
# cake takes a mark of 1 for its bulk class and 3 for the one that goes first (tc-cake(8), fwmark).
_CLASSES = f"tc qdisc change dev {_IFB} root cake diffserv3 fwmark 0x3"
TRIALS = {
    # Twice the form is a long connection: so is each of an update's eight after its first 40 s here.
    "trial: cake, long TCP last": (
        "nft add table inet bench",
        "nft add chain inet bench forward { type filter hook forward priority 0 ; }",
        "nft add rule inet bench forward meta l4proto tcp ct bytes > 300000 ct mark set 1",
        "sysctl -qw net.netfilter.nf_conntrack_acct=1",
        # Known by tc-ctinfo(8) on the ingress side already, before the ifb.
        "tc filter add dev wan0 ingress prio 1 matchall action ctinfo cpmark 0x3 continue",
        _CLASSES,
    ),
    # As the tree of a tbf alone has it: what is shorter than 256 bytes.
    "trial: cake, small UDP first": (
        "tc filter add dev wan0 ingress prio 1 protocol ip u32 match ip protocol 17 0xff match u16 0 0xff00 at 2"
        " action skbedit mark 3 continue",
        _CLASSES,
    ),
}


def _trial(name: str) -> Setup:
    async def apply(kernel: Kernel, w: Wire) -> str:
        kind = await agent("cake").apply(kernel, w)
        for command in TRIALS[name]:
            w.near.run(*command.split())
        return kind

    return Setup(name, apply)


# -- inside the guest ----------------------------------------------------------------------------------------------


async def _shape(name: str) -> None:
    """The cards go into a namespace, which is what the setups shape; then it stays as it is until the power goes."""
    with namespaces("modem") as names:
        modem = Namespace(names["modem"], MODEM)
        host = Wire(modem, Namespace("", ADDRESSES["isp"]), "wan0", "")
        for number, card in enumerate(CARDS):
            address = MODEM if card == "wan0" else MODEM_LAN % number
            here = Path("/sys/class/net") / f"eth{number}"
            assert here.exists(), f"no card {here.name}"
            await _run("ip", "link", "set", here.name, "netns", modem.name, "name", card)
            modem.ip("addr", "add", f"{address}/24", "dev", card)
            modem.ip("link", "set", card, "up")
        modem.ip("route", "add", "default", "via", ADDRESSES["isp"])
        modem.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        kernel = Kernel()
        with modem.entered():
            kernel.start(asyncio.get_running_loop(), lambda event: None)
            await kernel.links(["*"])
        capabilities = await Shaper(kernel, ShaperSettings()).probe()
        setup = next(setup for setup in (*setups(capabilities.qdiscs), *map(_trial, TRIALS)) if setup.name == name)
        (Path(SHARE) / "shaped").write_text(await setup.apply(kernel, host))
        await asyncio.Event().wait()


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0, command


if __name__ == "__main__":
    asyncio.run(_shape(sys.argv[1]))
