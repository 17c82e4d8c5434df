"""The one thread that talks to the kernel: link events, counters, and whatever the shaper asks for.

Made and awaited by the daemon on its loop. Nothing of netlink ever runs on the loop, and nothing of the loop in the
thread: the two meet in a queue one way and in `call_soon_threadsafe` the other.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import errno
import logging
import queue
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from agent.errors import KernelError
from agent.plan import Epoch, Sample, Survey
from agent.traffic.lower_links import completed, pppoe_devices
from agent.traffic.model import IFB_PREFIX, DeviceBytes, Link, LinkEvent, Management, ifb_name, matches
from agent.traffic.netlink import ifinfomsg
from agent.traffic.netlink.device_counters import DeviceCounters
from agent.traffic.netlink.ifinfomsg import TcRow
from agent.traffic.netlink.link_stats import StatsSocket
from agent.traffic.netlink.messages import Counters, LinkRow
from agent.traffic.netlink.nftables import NamesTable
from agent.traffic.netlink.route import Route
from agent.traffic.stacking import carried
from agent.traffic.tree import LAST_MAJOR, MAJOR, REDIRECT_PRIO

log = logging.getLogger(__name__)
T = TypeVar("T")

RTMGRP_LINK, RTMGRP_TC = 0x1, 0x8
EVENT_BUFFER_BYTES = 1 << 20  # a burst of link events while the thread is busy with tc
RETRY_S = 1.0  # after the thread's sockets broke
CLOSE_S = 2.0  # a thread that the kernel holds is not waited for any longer
_CLOSE: Any = object()
Job = tuple[Callable[[Route], Any], "concurrent.futures.Future[Any]"]


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def boot_s() -> float:
    """Seconds since boot, suspended ones included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Kernel:
    """Links, their counters and events, and a thread in which others may use netlink.

    The network namespace is that of the thread which calls `start`.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._wake_read, self._wake_write = socket.socketpair()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._ended = False  # the thread will answer no more
        self._links: dict[int, Link] = {}  # only ever touched in the thread
        self._stats: StatsSocket | None = None
        self._events: socket.socket | None = None
        self._names = NamesTable()
        self._devices = DeviceCounters()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_event: Callable[[LinkEvent], None] | None = None
        self._boot_id = boot_id()
        self._generation = 0
        self._counted: tuple[str, ...] = ()  # patterns of the links that count

    # -- on the loop -----------------------------------------------------------------------------------------------

    def start(self, loop: asyncio.AbstractEventLoop, on_event: Callable[[LinkEvent], None]) -> None:
        """Start the thread; `on_event` is called on the loop for every link that comes, changes or goes from now on."""
        self._loop, self._on_event = loop, on_event
        self._thread = threading.Thread(target=self._main, name="netlink", daemon=True)
        self._thread.start()

    async def call(self, function: Callable[[Route], T]) -> T:
        """Run a function of the netlink route in the thread. Raises what it raises; KernelError once closed."""
        if self._closed or self._thread is None:
            raise KernelError("netlink", None, "the kernel thread is not running")
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._jobs.put((function, future))
        if self._ended:
            self._refuse_for(0, None)
        else:
            self._wake()
        return await asyncio.wrap_future(future)

    async def links(self, patterns: Iterable[str]) -> list[Link]:
        """The links meant by names or patterns, by ifindex."""
        wanted = tuple(patterns)
        return await self.call(lambda route: self._matching(wanted))

    async def samples(self, patterns: Iterable[str]) -> list[Sample]:
        """The counters of those links, read now."""
        wanted = tuple(patterns)
        return list(await self.call(lambda route: self._read(wanted)))

    async def survey(self, patterns: Iterable[str]) -> Survey:
        """The counters of all links that count, and how far the kernel has numbered its links."""
        counted = tuple(patterns)
        return await self.call(lambda route: self._survey(counted))

    async def names(self, links: Iterable[Link]) -> Management:
        """What DNS and NTP of this device have carried over these links since the last call. KernelError where the
        kernel cannot count it."""
        ifnames = tuple(sorted(link.ifname for link in links))
        return await self.call(lambda route: self._names.more(ifnames))

    async def devices(self, links: Iterable[Link]) -> DeviceBytes:
        """What each device of the household has carried over these links since the last call. KernelError where the
        kernel cannot count it."""
        ifnames = tuple(sorted(link.ifname for link in links))
        return await self.call(lambda route: self._devices.more(ifnames))

    async def generation(self) -> int:
        """A number that grows with every change of a link, qdisc, class or filter, whoever makes it."""
        return await self.call(lambda route: self._generation)

    def close(self) -> None:
        """Stop the thread and wait for it, but not for ever; what is still queued fails."""
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            self._jobs.put(_CLOSE)
            self._wake()
            self._thread.join(CLOSE_S)
            if self._thread.is_alive():
                log.error("netlink: the thread does not end; it is left behind")
                return
        self._wake_read.close()
        self._wake_write.close()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # a full socket wakes as well
            self._wake_write.send(b"\0", socket.MSG_DONTWAIT)

    # -- in the thread ---------------------------------------------------------------------------------------------

    def _main(self) -> None:
        """Serve until closed. Whatever ends it, a broken socket or a bug, it begins again: counting must go on."""
        try:
            while True:
                try:
                    self._open_and_serve()
                except BaseException as error:  # all that could be waited for has to be answered
                    log.exception("netlink: %s", error)
                    if not self._refuse_for(RETRY_S, error):
                        return
                else:
                    return
        finally:
            self._ended = True  # before the last look: what is asked after it is refused where it is asked
            self._refuse_for(0, None)

    def _open_and_serve(self) -> None:
        route: Route | None = None
        self._stats = None
        self._events = _event_socket()  # before the first dump: nothing may fall between them
        try:
            self._stats = StatsSocket()
            route = Route()
            if self._links:
                self._resync(route)
            self._links = {row.link.ifindex: completed(row.link) for row in route.links()}
            self._serve(route)
        finally:
            for resource in (route, self._stats, self._events, self._names, self._devices):
                if resource is not None:
                    resource.close()

    def _refuse_for(self, seconds: float, trouble: BaseException | None) -> bool:
        """Answer all jobs with the trouble for so long; False once closed."""
        until = time.monotonic() + seconds
        while True:
            left_s = until - time.monotonic()
            try:
                # Never a wait of no time: Python 3.10 turns it into one without end where the queue was just emptied.
                job = self._jobs.get(timeout=left_s) if left_s > 0 else self._jobs.get_nowait()
            except queue.Empty:
                return True
            if job is _CLOSE:
                return False
            _refuse(job, KernelError("netlink", None, str(trouble or "the kernel thread has ended")))

    def _serve(self, route: Route) -> None:
        assert self._events is not None
        while True:
            ready, _, _ = select.select([self._events, self._wake_read], [], [])
            self._drain_events(route)
            if self._wake_read in ready:
                self._wake_read.recv(4096)
            while not self._jobs.empty():
                self._drain_events(route)  # names and ifindexes as of now; should it break, the job is still queued
                job = self._jobs.get_nowait()
                if job is _CLOSE:
                    return
                _run(job, route)

    def _drain_events(self, route: Route) -> None:
        assert self._events is not None
        while True:
            try:
                self._take(route, self._events.recv(1 << 16, socket.MSG_DONTWAIT))
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                log.warning("link events were lost; reading all links again")
                self._resync(route)
            except KernelError as error:
                log.warning("%s; reading all links again", error)
                self._resync(route)

    def _take(self, route: Route, data: bytes) -> None:
        """One datagram of events."""
        self._generation += 1
        for row in ifinfomsg.rows(data):
            if isinstance(row, TcRow):
                self._note_tc(row)
            else:
                self._note(row)

    def _note_tc(self, row: TcRow) -> None:
        """Somebody, perhaps we, changed the traffic control of a link or of its ifb: told as a change of the link."""
        link = self._links.get(row.ifindex)
        if link is not None and link.ifname.startswith(IFB_PREFIX):
            link = next((other for other in self._links.values() if ifb_name(other.ifname) == link.ifname), link)
        if link is not None:
            self._tell("changed", LinkRow(link, None), ours=_is_ours(row))

    def _resync(self, route: Route) -> None:
        self._generation += 1  # what was lost may have told of anything
        rows = {row.link.ifindex: row for row in route.links()}
        for ifindex in set(self._links) - set(rows):
            self._note(LinkRow(self._links[ifindex], None, deleted=True))
        for row in rows.values():
            self._note(row, announced=False)

    def _note(self, row: LinkRow, *, announced: bool = True) -> None:
        """Keep the table and tell the loop what changed; what is no change to us is not told. A link that was not
        `announced` came a while ago, and may have carried something since."""
        known = self._links.get(row.link.ifindex)
        if row.deleted:
            if self._links.pop(row.link.ifindex, None) is not None:
                self._tell("deleted", row)
            return
        row = replace(row, link=completed(row.link))
        if known != row.link:
            self._links[row.link.ifindex] = row.link
            self._tell("changed" if known else "new", row, appeared=announced and known is None)

    def _tell(self, kind: str, row: LinkRow, *, appeared: bool = False, ours: bool = False) -> None:
        sample = None
        if row.counters is not None:
            above = row.link.ifindex in self._carried()
            sample = self._sample(row.link, row.counters, final=kind == "deleted", appeared=appeared, carried=above)
        assert self._loop is not None
        assert self._on_event is not None
        ours = ours or row.link.ifname.startswith(IFB_PREFIX)
        with contextlib.suppress(RuntimeError):  # the loop has closed before us
            self._loop.call_soon_threadsafe(self._on_event, LinkEvent(kind, row.link, sample, ours))

    def _matching(self, patterns: tuple[str, ...]) -> list[Link]:
        return [self._links[i] for i in sorted(self._links) if matches(patterns, self._links[i].ifname)]

    def _survey(self, counted: tuple[str, ...]) -> Survey:
        self._counted = counted
        newest, present = max(self._links, default=0), frozenset(self._links)
        return Survey(self._boot_id, boot_s(), newest, self._read(counted), present)

    def _read(self, patterns: tuple[str, ...]) -> tuple[Sample, ...]:
        assert self._stats is not None
        carried = self._carried()
        pairs = [(link, self._stats.read(link.ifindex)) for link in self._matching(patterns)]
        return tuple(
            self._sample(link, counters, carried=link.ifindex in carried)
            for link, counters in pairs
            if counters is not None
        )

    def _carried(self) -> frozenset[int]:
        meant = {link.ifindex for link in self._matching(self._counted)}
        return carried(self._links, meant, pppoe_devices()) if len(meant) > 1 else frozenset()

    def _sample(self, link: Link, counters: Counters, **how: bool) -> Sample:
        return Sample(
            epoch=Epoch(self._boot_id, link.ifindex, link.ifname),
            boot_s=boot_s(),
            received_bytes=counters.received_bytes,
            sent_bytes=counters.sent_bytes,
            received_packets=counters.received_packets,
            sent_packets=counters.sent_packets,
            header_bytes=link.header_bytes,
            **how,
        )


def _event_socket() -> socket.socket:
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, EVENT_BUFFER_BYTES)
    events.bind((0, RTMGRP_LINK | RTMGRP_TC))
    return events


def _is_ours(row: TcRow) -> bool:
    return any(MAJOR <= handle >> 16 <= LAST_MAJOR for handle in (row.handle, row.parent)) or row.prio == REDIRECT_PRIO


def _run(job: Job, route: Route) -> None:
    """Answer a question; nothing that it raises, and nobody who no longer waits for it, ends the thread."""
    function, future = job
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(function(route))
    except BaseException as error:
        future.set_exception(_deliverable(error))


def _refuse(job: Job, trouble: KernelError) -> None:
    if job[1].set_running_or_notify_cancel():
        job[1].set_exception(trouble)


def _deliverable(error: BaseException) -> BaseException:
    """What the asker gets. asyncio never delivers a StopIteration, and takes a CancelledError for the asker's own."""
    if isinstance(error, Exception) and not isinstance(error, (StopIteration, concurrent.futures.CancelledError)):
        return error
    return KernelError("netlink", None, f"{type(error).__name__}: {error}")
