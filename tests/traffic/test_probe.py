"""What the kernel can do: found by trying, kept for the boot, and told in words that help."""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from agent.config import ShaperSettings
from agent.plan import Rates
from agent.system import OPENWRT_APK, OPENWRT_OPKG
from agent.traffic import Capabilities, Shaper, advice, probe
from agent.traffic.netlink.route import Route
from agent.traffic.netlink.thread import boot_id
from tests.netns import Wire
from tests.traffic.conftest import kernel_in

NETLINK_KOBJECT_UEVENT = 15
FULL = Capabilities(
    frozenset({"cake", "fq_codel", "htb", "tbf", "bfifo"}), frozenset({"matchall", "u32"}), True, True, True
)


@pytest.mark.root
def test_the_probe_says_what_tc_says_and_leaves_nothing(cable: Wire) -> None:
    links = cable.near.run("ip", "-o", "link").count("\n")

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            found = await Shaper(kernel, ShaperSettings()).probe()
            assert (found.ifb, found.ingress, found.mirred, found.problem) == (True, True, True, "")
            assert found.missing() == ()
            for kind in ("cake", "fq_codel", "htb"):
                assert (kind in found.qdiscs) == _tc_accepts(cable, kind)
            assert "u32" in found.classifiers

    asyncio.run(scenario())
    assert cable.near.run("ip", "-o", "link").count("\n") == links


def _tc_accepts(cable: Wire, kind: str) -> bool:
    cable.near.run("tc", "qdisc", "add", "dev", "wan0", "root", "handle", "5:", kind, check=False)
    accepted = f"qdisc {kind} 5:" in cable.near.tc("qdisc", "show", "dev", "wan0")
    cable.near.run("tc", "qdisc", "del", "dev", "wan0", "root", check=False)
    return accepted


@pytest.mark.root
def test_hotplug_scripts_hear_nothing_of_the_probe(cable: Wire) -> None:
    """Every device that comes or goes is told to udev and procd through this socket."""
    with cable.near.entered():
        heard = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT)
        heard.bind((0, 1))
    heard.setblocking(False)

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            assert not (await Shaper(kernel, ShaperSettings()).probe()).problem

    with heard:
        asyncio.run(scenario())
        with pytest.raises(BlockingIOError):
            raise AssertionError(heard.recv(4096))
        cable.near.ip("link", "add", "ifb4-heard", "type", "ifb")  # the ear is open
        assert b"ifb4-heard" in heard.recv(4096)


@pytest.mark.root
def test_where_no_namespace_may_be_made_it_probes_beside_the_links(
    cable: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            out_of_sight = await kernel.call(probe.probe)
            monkeypatch.setattr(probe, "CLONE_NEWNET", -1)  # the kernel refuses it, as it does without CAP_SYS_ADMIN
            assert await kernel.call(probe.probe) == out_of_sight

    asyncio.run(scenario())
    assert probe.PROBE_NAME not in cable.near.run("ip", "link")


@pytest.mark.root
def test_a_probe_that_was_cut_off_does_not_stand_in_the_way(cable: Wire) -> None:
    cable.near.ip("link", "add", probe.PROBE_NAME, "type", "ifb")

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            assert not (await Shaper(kernel, ShaperSettings()).probe()).problem

    asyncio.run(scenario())
    assert probe.PROBE_NAME not in cable.near.run("ip", "link")


@pytest.mark.root
def test_once_a_boot(cable: Wire, tmp_path: Path) -> None:
    """A second start in the same boot believes the first; here it is told of cake, which is then asked for."""
    cache = tmp_path / "capabilities.json"

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            found = await Shaper(kernel, ShaperSettings(), cache=cache).probe()
            assert probe.load(cache, boot_id()) == found
            probe.save(cache, boot_id(), replace(found, qdiscs=found.qdiscs - {"tbf", "cake"}))
            again = await Shaper(kernel, ShaperSettings(), cache=cache).probe()
            assert "tbf" not in again.qdiscs

    asyncio.run(scenario())


def test_another_boot_or_a_damaged_file_is_not_believed(tmp_path: Path) -> None:
    cache = tmp_path / "capabilities.json"
    assert probe.load(cache, "a") is None
    probe.save(cache, "a", FULL)
    assert probe.load(cache, "a") == FULL
    assert probe.load(cache, "b") is None
    cache.write_text("{")
    assert probe.load(cache, "a") is None
    probe.save(tmp_path / "absent" / "file", "a", FULL)  # no harm


@pytest.mark.root
@pytest.mark.parametrize("true", [True, False], ids=["still_so", "no_longer_so"])
def test_after_a_reboot_the_first_shaping_does_not_wait_for_the_probe(
    cable: Wire, tmp_path: Path, true: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes by what an earlier boot of this kernel found. Where that is no longer so, the kernel's refusal has it
    probed at once; where it is, the probe comes after."""
    memory, probed = tmp_path / "memory.json", list[int]()
    real = probe.probe

    def noted(route: Route) -> Capabilities:
        probed.append(1)
        return real(route)

    monkeypatch.setattr(probe, "probe", noted)

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            found = await Shaper(kernel, ShaperSettings(), memory=memory).probe()
            assert probe.load(memory, probe.kernel_build()) == found
            if not true:  # such as cake before its module was removed, or matchall
                if found == FULL:
                    pytest.skip("kernel: it has all that could be remembered")
                probe.save(memory, probe.kernel_build(), FULL)
            probed.clear()
            shaper = Shaper(kernel, ShaperSettings(), cache=tmp_path / "cache.json", memory=memory)
            links, rates = await kernel.links(["wan0"]), Rates(512_000, 512_000)
            first = await shaper.reconcile(links, rates)
            assert (first.state, len(probed)) == ("enforced", 0 if true else 1)
            second = await shaper.reconcile(links, rates)
            assert (second.state, second.qdisc, second.changed, len(probed)) == ("enforced", first.qdisc, False, 1)
            assert probe.load(memory, probe.kernel_build()) == found

    asyncio.run(scenario())


def test_another_kernel_does_not_believe_it(tmp_path: Path) -> None:
    probe.save(tmp_path / "memory.json", "#1 SMP some other day", FULL)
    assert probe.load(tmp_path / "memory.json", probe.kernel_build()) is None


@pytest.mark.root
def test_a_kernel_without_the_wanted_qdisc_says_what_to_install(cable: Wire, tmp_path: Path) -> None:
    cache = tmp_path / "capabilities.json"
    probe.save(cache, boot_id(), replace(FULL, qdiscs=frozenset({"htb"})))

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            links = await kernel.links(["wan0"])
            for qdisc, lacking in (("cake", "cake"), ("auto", "tbf")):
                shaper = Shaper(kernel, ShaperSettings(qdisc=qdisc), cache=cache)
                state = await shaper.reconcile(links, Rates(512_000, 512_000))
                assert state.state == "unenforced"
                assert lacking in state.reason
                assert "kmod-sched" in state.advice
                assert "Debian" in state.advice

    asyncio.run(scenario())


def test_advice_names_packages_of_the_system() -> None:
    without = Capabilities(qdiscs=frozenset({"tbf"}), classifiers=frozenset({"u32"}))
    assert without.missing() == ("ifb", "ingress", "mirred")
    text = advice.for_missing(without.missing())
    assert "kmod-ifb kmod-sched-core" in text
    assert "linux-image" in text
    assert "apk add kmod-ifb kmod-sched-core" in advice.for_missing(without.missing(), OPENWRT_APK)
    assert "opkg install kmod-ifb" in advice.for_missing(without.missing(), OPENWRT_OPKG)
    assert "linux-image" not in advice.for_missing(without.missing(), OPENWRT_OPKG)
    assert advice.for_missing(()) == ""
    assert "CAP_NET_ADMIN" in advice.for_error(errno.EPERM, None)
    assert "went away" in advice.for_error(errno.ENODEV, FULL)
    assert advice.for_error(errno.EINVAL, FULL) == ""
