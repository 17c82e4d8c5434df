"""Links, events and counters against a real kernel, in a network namespace."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import socket
import threading
from collections.abc import Callable
from typing import cast

import pytest

from agent.errors import KernelError
from agent.traffic import Kernel, Link, LinkEvent
from agent.traffic.netlink import thread as kernel_module
from agent.traffic.netlink.route import Route
from agent.traffic.netlink.thread import boot_id
from tests.netns import Wire
from tests.traffic.conftest import kernel_in, until

pytestmark = pytest.mark.root


def test_links_by_pattern_leave_out_our_own_ifb(cable: Wire) -> None:
    cable.near.ip("link", "add", "ifb4wan0", "type", "ifb")

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            assert [link.ifname for link in await kernel.links(["*"])] == ["lo", "wan0"]
            (wan,) = await kernel.links(["w?n*"])
            assert (wan.kind, wan.up, wan.header_bytes, wan.mtu) == ("veth", True, 14, 1500)
            assert await kernel.links(["ppp*"]) == []

    asyncio.run(scenario())


def test_a_raw_ip_link_has_no_header(cable: Wire) -> None:
    cable.near.ip("tuntap", "add", "tun0", "mode", "tun")

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            (tun,) = await kernel.links(["tun0"])
            assert tun.header_bytes == 0

    asyncio.run(scenario())


def test_samples_count_what_passed(cable: Wire) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            (before,) = await kernel.samples(["wan0"])
            await asyncio.to_thread(cable.near.run, "ping", "-c5", "-i0.01", "-s1000", cable.far.address)
            (after,) = await kernel.samples(["wan0"])
            sent = after.sent_bytes - before.sent_bytes
            packets = after.sent_packets - before.sent_packets
            assert sent - 14 * packets >= 5 * 1028
            assert sent < 5 * 1042 + 1000
            assert after.received_bytes - before.received_bytes >= 5 * 1042
            assert after.boot_s > before.boot_s
            assert (after.epoch.boot_id, after.epoch.ifname, after.final) == (boot_id(), "wan0", False)
            shown = cable.near.run("cat", "/proc/net/dev").split("wan0:")[1].split()
            assert after.received_bytes <= int(shown[0])

    asyncio.run(scenario())


def test_a_deleted_link_tells_its_final_counters_and_comes_back_as_another(cable: Wire) -> None:
    events: list[LinkEvent] = []

    async def scenario() -> None:
        async with kernel_in(cable, events) as kernel:
            await asyncio.to_thread(cable.near.run, "ping", "-c3", "-i0.01", "-s1000", cable.far.address)
            (last,) = await kernel.samples(["wan0"])
            await asyncio.to_thread(cable.recreate)
            await until(lambda: any(e.kind == "changed" and e.link.up for e in events[-1:]))
            deleted = next(e for e in events if e.kind == "deleted")
            assert deleted.link.ifname == "wan0"
            assert deleted.sample is not None
            assert deleted.sample.final
            assert deleted.sample.epoch == last.epoch
            assert deleted.sample.sent_bytes >= last.sent_bytes
            created = next(e for e in events if e.kind == "new")
            assert created.link.ifname == "wan0"
            assert created.link.ifindex != last.epoch.ifindex
            (fresh,) = await kernel.samples(["wan0"])
            assert fresh.epoch != last.epoch
            assert fresh.sent_bytes < last.sent_bytes

    asyncio.run(scenario())


def test_a_renamed_link_keeps_its_ifindex(cable: Wire) -> None:
    events: list[LinkEvent] = []

    async def scenario() -> None:
        async with kernel_in(cable, events) as kernel:
            (before,) = await kernel.links(["wan0"])
            await asyncio.to_thread(cable.rename, "wwan9")
            (after,) = await kernel.links(["wwan9"])
            assert after.ifindex == before.ifindex
            await until(lambda: ("changed", "wwan9") in [(e.kind, e.link.ifname) for e in events])
            assert {(e.kind, e.link.ifindex) for e in events} == {("changed", before.ifindex)}
            assert await kernel.samples(["wan0"]) == []

    asyncio.run(scenario())


def test_what_is_no_change_to_us_is_not_told(cable: Wire) -> None:
    events: list[LinkEvent] = []

    async def scenario() -> None:
        async with kernel_in(cable, events) as kernel:
            await asyncio.to_thread(cable.near.ip, "link", "set", "wan0", "alias", "the way out")
            await asyncio.to_thread(cable.near.ip, "link", "set", "wan0", "mtu", "1400")
            await kernel.links(["*"])
            await until(lambda: bool(events))
            assert [(e.kind, e.link.mtu) for e in events] == [("changed", 1400)]

    asyncio.run(scenario())


def test_a_storm_of_events_that_overflows_ends_in_the_truth(cable: Wire) -> None:
    events: list[LinkEvent] = []

    async def scenario() -> None:
        async with kernel_in(cable, events) as kernel:
            storm = "\n".join(f"link add d{n} type veth peer name e{n}" for n in range(40))
            held = asyncio.ensure_future(
                kernel.call(lambda route: cable.near.run("sh", "-c", f"ip -b - <<E\n{storm}\nE"))
            )
            await held
            assert len(await kernel.links(["d*", "e*"])) == 80
            assert len({e.link.ifname for e in events if e.kind == "new"}) == 80

    asyncio.run(scenario())


def test_a_link_whose_coming_went_unheard_is_told_as_one_that_may_have_carried_something(cable: Wire) -> None:
    events: list[LinkEvent] = []

    def lose(kernel: Kernel, route: Route) -> None:
        kernel._links.popitem()
        kernel._resync(route)

    async def scenario() -> None:
        async with kernel_in(cable, events) as kernel:
            await kernel.call(lambda route: lose(kernel, route))
            await until(lambda: bool(events))
            assert [(e.kind, e.sample.appeared) for e in events if e.sample is not None] == [("new", False)]

    asyncio.run(scenario())


def test_what_a_job_raises_reaches_the_one_who_asked(cable: Wire) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            with pytest.raises(KernelError, match="No such device") as caught:
                await kernel.call(lambda route: route.put_qdisc(99_999, "tbf", 0x10000, 0xFFFFFFFF, _TBF))
            assert caught.value.code == 19
            assert await kernel.links(["wan0"])

    asyncio.run(scenario())


_TBF = {"rate": 64_000, "burst": 1_749, "limit": 5_000}


def test_after_close_there_is_a_clear_error() -> None:
    async def scenario() -> None:
        kernel = Kernel()
        kernel.start(asyncio.get_running_loop(), lambda event: None)
        assert await kernel.links(["lo"])
        kernel.close()
        kernel.close()
        with pytest.raises(KernelError, match="not running"):
            await kernel.links(["lo"])

    asyncio.run(scenario())


async def answered(kernel: Kernel, names: list[str]) -> list[Link]:
    """The links, once the kernel is asked again; a job that meets the last moment of the pause is refused with it."""
    for _ in range(20):
        with contextlib.suppress(KernelError):
            return await kernel.links(names)
        await asyncio.sleep(kernel_module.RETRY_S / 2)
    raise AssertionError("the socket was never opened again")


def test_a_broken_socket_is_opened_again_and_what_changed_meanwhile_is_told(
    cable: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[LinkEvent] = []

    async def scenario() -> None:
        async with kernel_in(cable, events) as kernel:

            def break_it(route: object) -> None:
                assert kernel._events is not None
                kernel._events.close()
                cable.near.ip("link", "add", "late0", "type", "veth", "peer", "name", "late1")

            await kernel.call(break_it)
            with pytest.raises(KernelError):
                await kernel.links(["wan0"])
            assert [link.ifname for link in await answered(kernel, ["wan0", "late0"])] == ["wan0", "late0"]
            assert ("new", "late0") in [(e.kind, e.link.ifname) for e in events]
            assert await kernel.samples(["wan0"])

    asyncio.run(scenario())
    assert "netlink" in caplog.text


class _Overrun:
    """The event socket, as it answers once when the kernel had more to tell than it could hold."""

    def __init__(self, events: socket.socket) -> None:
        self._events, self._told = events, False

    def recv(self, length: int, flags: int) -> bytes:
        if self._told:
            return self._events.recv(length, flags)
        self._told = True
        raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))


def test_lost_events_count_as_a_change_and_the_links_are_read_again(cable: Wire) -> None:
    """What was lost may have told of a qdisc that is gone: the shaper must look, not wait for its next full reading."""
    events: list[LinkEvent] = []

    async def scenario() -> None:
        async with kernel_in(cable, events) as kernel:
            before = await kernel.generation()

            def overrun(route: Route) -> None:
                real = kernel._events
                assert real is not None
                del kernel._links[next(i for i, link in kernel._links.items() if link.ifname == "wan0")]
                kernel._events = cast(socket.socket, _Overrun(real))  # it is asked for nothing but recv
                try:
                    kernel._drain_events(route)
                finally:
                    kernel._events = real

            await kernel.call(overrun)
            assert await kernel.generation() > before
            await until(lambda: [(e.kind, e.link.ifname) for e in events[-1:]] == [("new", "wan0")])

    asyncio.run(scenario())


@pytest.mark.parametrize("breaks", [False, True], ids=["serving", "refusing"])
def test_a_question_that_is_cancelled_while_it_waits_ends_nothing(cable: Wire, breaks: bool) -> None:
    """Also while the thread refuses all questions, because its sockets have just broken."""

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            release, began = threading.Event(), asyncio.Event()
            loop = asyncio.get_running_loop()

            def hold(route: Route) -> None:
                loop.call_soon_threadsafe(began.set)
                release.wait(30)
                if breaks:
                    assert kernel._events is not None
                    kernel._events.close()

            held = asyncio.ensure_future(kernel.call(hold))
            await began.wait()
            waiting = [asyncio.ensure_future(kernel.links(["wan0"])) for _ in range(3)]
            await asyncio.sleep(0)  # they are in the queue
            held.cancel()  # while it runs
            waiting[0].cancel()  # before it runs
            waiting[2].cancel()
            await asyncio.wait([waiting[0], waiting[2], held])
            release.set()
            await asyncio.wait([waiting[1]])
            assert bool(waiting[1].exception()) == breaks
            assert await answered(kernel, ["wan0"])

    asyncio.run(scenario())


class _Odd(BaseException):
    pass


ODD = (SystemExit, KeyboardInterrupt, StopIteration, asyncio.CancelledError, GeneratorExit, _Odd, MemoryError)


@pytest.mark.parametrize("error", ODD)
def test_whatever_a_question_raises_is_told_and_the_thread_goes_on(cable: Wire, error: type[BaseException]) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:

            def fail(route: Route) -> None:
                raise error()

            with pytest.raises((KernelError, MemoryError)) as caught:
                await asyncio.wait_for(kernel.call(fail), 20)
            assert error.__name__ in repr(caught.value)
            assert await kernel.links(["wan0"])

    asyncio.run(scenario())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_ended_is_told_to_whoever_asks(cable: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            monkeypatch.setattr(kernel, "_refuse_for", functools.partial(_die_once, kernel, kernel._refuse_for))

            def break_it(route: object) -> None:
                assert kernel._events is not None
                kernel._events.close()

            await kernel.call(break_it)
            for _ in range(2):
                with pytest.raises(KernelError, match="has ended"):
                    await asyncio.wait_for(kernel.links(["wan0"]), 20)

    asyncio.run(scenario())


def _die_once(kernel: Kernel, refuse: Callable[[float, BaseException | None], bool], s: float, why: object) -> bool:
    """A bug where nothing catches it any more: the pause after broken sockets."""
    if s > 0:
        raise SystemError("the thread dies")
    return refuse(s, None)


def test_a_thread_that_the_kernel_holds_is_not_waited_for(
    cable: Wire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kernel_module, "CLOSE_S", 0.01)
    release = threading.Event()

    async def scenario() -> Kernel:
        async with kernel_in(cable) as kernel:
            asked = asyncio.ensure_future(kernel.call(lambda route: release.wait(30)))
            await asyncio.sleep(0)
        asked.cancel()
        return kernel

    kernel = asyncio.run(scenario())
    assert "left behind" in caplog.text
    release.set()
    assert kernel._thread is not None
    kernel._thread.join(20)
    kernel._wake_read.close()
    kernel._wake_write.close()
