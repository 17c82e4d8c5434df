"""Proof that it bites: the judgement as a table, and a real bypass in a namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import cast

import pytest

from agent.config import ShaperSettings
from agent.events import Occurrence, ShapingJudged, unheard
from agent.plan import Rates
from agent.traffic import Kernel, Shaper, ShaperState
from agent.traffic.netlink.thread import boot_s
from agent.traffic.proof import EVERY_S, WINDOW_S, Passed, Proof, Reading, Verdict, judge, read
from agent.traffic.tree import tree
from tests.netns import Wire
from tests.traffic.conftest import ManualSeconds, kernel_in

SLOW = Rates(512_000, 512_000)
START = Reading(100.0, 4, Passed(1_000_000, 900_000, 800_000), Passed(50_000, 40_000, 40_000))
HALF_MINUTE = 1_920_000  # bytes that 512 kbit/s carries in 30 s


def after(down: tuple[int, int, int] = (0, 0, 0), up: tuple[int, int, int] = (0, 0, 0)) -> Reading:
    """Half a minute later: what was added to the link's, the caught and the shaped bytes."""

    def added(first: Passed | None, more: tuple[int, int, int]) -> Passed:
        assert first is not None
        return Passed(first.link_bytes + more[0], first.caught_bytes + more[1], first.shaped_bytes + more[2])

    return replace(START, at_s=130.0, down=added(START.down, down), up=added(START.up, up))


def refused(end: Reading, packets: int) -> Reading:
    """The same, with packets of the upload that its qdisc has dropped."""
    assert end.up is not None
    return replace(end, up=replace(end.up, dropped_packets=packets))


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        pytest.param(after(), "", id="silence"),
        pytest.param(after(down=(HALF_MINUTE, HALF_MINUTE, HALF_MINUTE)), "", id="a full line"),
        pytest.param(after(down=(2 * HALF_MINUTE, 2 * HALF_MINUTE, HALF_MINUTE)), "", id="half of it was dropped"),
        pytest.param(after(down=(HALF_MINUTE, HALF_MINUTE * 96 // 100, HALF_MINUTE)), "", id="headers merged by GRO"),
        pytest.param(after(down=(9_000_000, 100_000, 100_000)), "bypass", id="download around it"),
        pytest.param(after(up=(9_000_000, 0, 0)), "bypass", id="upload around it"),
        pytest.param(after(down=(2_500_000, 2_500_000, 2_500_000)), "exceeded", id="download too fast"),
        pytest.param(after(up=(2_500_000, 2_500_000, 2_500_000)), "exceeded", id="upload too fast"),
        pytest.param(after(up=(15_000, 0, 0)), "", id="too little to say"),
        pytest.param(after(down=(50_000, 50_000, 0)), "blocked", id="nothing of a download passed"),
        pytest.param(after(down=(2_000, 2_000, 0)), "", id="a packet that is still on its way"),
        pytest.param(after(down=(HALF_MINUTE, HALF_MINUTE, 16_000)), "", id="a burst, of which a queue passed"),
        pytest.param(after(down=(50_000, 50_000, 84)), "blocked", id="ARP alone passed"),
        pytest.param(refused(after(), 40), "blocked", id="nothing of an upload passed"),
        pytest.param(refused(after(up=(80, 80, 80)), 3), "", id="a few packets were dropped"),
    ],
)
def test_judgement(end: Reading, cause: str) -> None:
    verdict = judge(START, end, SLOW, "wan0")
    assert verdict is not None
    assert (verdict.cause, verdict.effective) == (cause, not cause)
    if cause:
        assert verdict.text.startswith("wan0 ")


def test_what_cannot_be_compared_is_not_judged() -> None:
    assert judge(START, replace(after(), ifindex=5), SLOW) is None
    assert judge(START, replace(after(), at_s=100.0), SLOW) is None
    assert judge(START, replace(after(), down=None), SLOW) is None
    assert judge(START, replace(after(), up=Passed(60_000, 10, 10)), SLOW) is None


def test_an_unshaped_direction_may_be_as_fast_as_it_likes() -> None:
    verdict = judge(START, after(up=(90_000_000, 0, 0)), Rates(512_000, None))
    assert verdict is not None
    assert verdict.effective
    assert verdict.up_bps is None


class Verdicts(list[Verdict]):
    def emit(self, event: Occurrence) -> None:
        assert isinstance(event, ShapingJudged)
        self.append(event.verdict)


@pytest.mark.root
def test_a_real_bypass_is_found_and_a_sound_line_is_not_accused(cable: Wire) -> None:
    clock, verdicts = ManualSeconds(), Verdicts()

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            shaper = Shaper(kernel, ShaperSettings())
            links = await kernel.links(["wan0"])
            state = await shaper.reconcile(links, SLOW)
            proof = Proof(kernel, verdicts.emit, now=clock, sleep=asyncio.sleep)
            proof.shaped(links, state)

            async def window(*bypass: str) -> None:
                await proof.tick()
                if bypass:
                    cable.near.tc(*bypass)
                await asyncio.to_thread(_pings, cable)
                # The readings carry the kernel's own time; only the wait is ours.
                clock.seconds += WINDOW_S + (await read(kernel, links[0])).at_s  # type: ignore[union-attr]
                await proof.tick()
                clock.seconds += EVERY_S

            await window()
            assert [v.effective for v in verdicts] == [True]
            assert verdicts[0].down_bps
            await window(
                "filter", "add", "dev", "wan0", "ingress", "prio", "1", "u32", "match", "u32", "0", "0", "classid", ":1"
            )
            assert verdicts[-1].cause == "bypass"
            assert "wan0 download" in verdicts[-1].text
            proof.shaped(links, ShaperState("off"))
            await proof.tick()
            await proof.tick()
            assert [v.effective for v in verdicts] == [True, False, True]  # lifted: the alarm is taken back, once

    asyncio.run(scenario())


def _drop_behind_the_redirect(cable: Wire) -> None:
    """What is led to a device that is down is lost."""
    cable.near.ip("link", "add", "ifb9", "type", "ifb")
    cable.near.tc("qdisc", "add", "dev", "ifb4wan0", "clsact")
    cable.near.tc(
        "filter", "add", "dev", "ifb4wan0", "egress", "prio", "1", "u32", "match", "u32", "0", "0",
        "action", "mirred", "egress", "redirect", "dev", "ifb9",
    )  # fmt: skip


def _take_no_packet(cable: Wire, device: str) -> None:
    """The same rates and limit, which are read back, and buckets that hold no packet, which are not."""
    (want, *_) = tree("tbf", 512_000, header_bytes=14)
    rates = {"rate": f"{want.values['rate'] * 8}bit", "peakrate": f"{want.values['peak'] * 8}bit"}
    words = {**rates, "limit": str(want.values["limit"]), "burst": "60", "mtu": "60"}
    cable.near.tc(
        "qdisc", "change", "dev", device, "root", "handle", "1fa0:", "tbf", *(w for pair in words.items() for w in pair)
    )


BLOCKS: dict[str, Callable[[Wire], None]] = {
    "a filter behind the redirect": _drop_behind_the_redirect,
    "a download tbf that takes no packet": partial(_take_no_packet, device="ifb4wan0"),
    "an upload tbf that takes no packet": partial(_take_no_packet, device="wan0"),
}


@pytest.mark.root
@pytest.mark.parametrize("block", BLOCKS)
def test_a_line_that_passes_nothing_because_of_our_objects_is_found_and_made_anew(cable: Wire, block: str) -> None:
    clock, verdicts = ManualSeconds(), Verdicts()

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            shaper = Shaper(kernel, ShaperSettings(qdisc="tbf"))
            links = await kernel.links(["wan0"])
            state = await shaper.reconcile(links, SLOW)
            proof = Proof(kernel, verdicts.emit, now=clock, sleep=asyncio.sleep)
            proof.shaped(links, state)
            BLOCKS[block](cable)
            assert not (await shaper.reconcile(links, SLOW)).changed  # it reads as it should
            await proof.tick()
            await asyncio.to_thread(_pings, cable)
            clock.seconds += WINDOW_S + (await read(kernel, links[0])).at_s  # type: ignore[union-attr]
            await proof.tick()
            assert [v.cause for v in verdicts] == ["blocked"]
            shaper.remake()
            assert (await shaper.reconcile(links, SLOW)).state == "enforced"
            assert "1 received" in cable.near.run("ping", "-c1", "-W5", cable.far.address)

    asyncio.run(scenario())


@pytest.mark.root
def test_a_redirect_that_leads_nowhere_counts_and_passes_nothing(cable: Wire) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            shaper = Shaper(kernel, ShaperSettings())
            (link,) = await kernel.links(["wan0"])
            await shaper.reconcile([link], SLOW)
            cable.near.ip("link", "del", "ifb4wan0")
            before = await read(kernel, link)
            await asyncio.to_thread(_pings, cable)
            after = await read(kernel, link)
            assert before
            assert after
            verdict = judge(before, after, SLOW, "wan0")
            assert verdict
            assert (verdict.cause, verdict.text[:14]) == ("blocked", "wan0 download:")

    asyncio.run(scenario())


@pytest.mark.root
def test_the_verdict_of_one_link_does_not_hide_that_of_another(cable: Wire) -> None:
    clock, verdicts = ManualSeconds(), Verdicts()
    cable.near.ip("link", "add", "wan1", "type", "veth", "peer", "name", "isp1")

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            shaper = Shaper(kernel, ShaperSettings())
            links = await kernel.links(["wan*"])
            state = await shaper.reconcile(links, SLOW)
            proof = Proof(kernel, verdicts.emit, now=clock, sleep=asyncio.sleep)
            proof.shaped(links, state)
            await proof.tick()
            cable.near.ip("link", "set", "ifb4wan0", "down")
            await asyncio.to_thread(_pings, cable)
            clock.seconds += WINDOW_S + (await read(kernel, links[0])).at_s  # type: ignore[union-attr]
            await proof.tick()
            assert [v.cause for v in verdicts] == ["blocked"]

    asyncio.run(scenario())


def _pings(cable: Wire) -> None:
    cable.near.run("ping", "-c40", "-w3", "-i0.005", "-s1400", "-q", cable.far.address, check=False)


def test_windows_follow_each_change_and_then_the_hour() -> None:
    """Nothing is read while nothing is due; a state that is not enforced is not watched."""

    async def scenario() -> None:
        reads: list[str] = []

        class CountingKernel:
            async def samples(self, patterns: list[str]) -> list[object]:
                reads.append(patterns[0])
                return []

        clock = ManualSeconds()
        from agent.traffic import Link

        link = Link(4, "wan0", "veth", True, 14, 1500)
        kernel = cast(Kernel, CountingKernel())
        proof = Proof(kernel, unheard, now=clock, sleep=asyncio.sleep)
        await proof.tick()
        assert reads == []
        proof.shaped([link], ShaperState("enforced", "tbf", SLOW))
        await proof.tick()
        assert reads == ["wan0"]

    asyncio.run(scenario())


@pytest.mark.root
def test_between_two_looks_it_sleeps_until_there_is_something_to_see_or_the_shaping_changes(cable: Wire) -> None:
    clock, pauses = ManualSeconds(), list[float]()
    behind_s = 0.0  # by so much at most the clock is behind the kernel's, which the first reading has

    class EnoughError(Exception):
        pass

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            shaper = Shaper(kernel, ShaperSettings())
            links = await kernel.links(["wan0"])

            async def sleep(seconds: float) -> None:
                """What the daemon's pauses are like: over in time, or as soon as the shaping changes."""
                nonlocal behind_s
                pauses.append(seconds)
                match len(pauses):
                    case 1:
                        clock.seconds = boot_s()
                        proof.shaped(links, await shaper.reconcile(links, SLOW))
                    case 2 | 3:
                        behind_s = behind_s or boot_s() - clock.seconds
                        clock.seconds += seconds + 0.5
                    case _:
                        raise EnoughError

            proof = Proof(kernel, unheard, now=clock, sleep=sleep)
            with pytest.raises(EnoughError):
                await proof.run()

    asyncio.run(scenario())
    unshaped, window, hour, _ = pauses
    assert [unshaped, hour] == pytest.approx([EVERY_S, EVERY_S])
    assert WINDOW_S <= window <= WINDOW_S + behind_s
