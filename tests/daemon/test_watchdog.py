"""A daemon that no longer does its work ends with 1, and the next one carries on: tasks, threads, the loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from agent.daemon import watchdog as module
from agent.daemon.supervisor import Supervisor
from agent.daemon.watchdog import LINE_REST_S, LOOKS, REST_S, Endings, Patience, Watchdog
from tests.daemon.procd import Procd
from tests.daemon.running import Running, kernel_ip_bytes, until
from tests.netns import Wire

# -- the tasks


def test_a_task_is_reported_once_and_lost_when_it_stays_away() -> None:
    patience = Patience()
    assert [patience.look(["modem"]) for _ in range(LOOKS - 1)] == [["modem"], []]
    assert patience.lost() == []
    assert patience.look(["modem", "shaping"]) == ["shaping"]
    assert patience.lost() == ["modem"]


def test_a_task_that_keeps_its_promise_again_begins_anew() -> None:
    patience = Patience()
    for _ in range(LOOKS - 1):
        patience.look(["modem"])
    patience.look([])
    assert patience.look(["modem"]) == ["modem"]
    assert patience.lost() == []


def test_endings_are_few_and_fewer_for_what_the_household_can_do_without(tmp_path: Path) -> None:
    now = [1_000.0]
    endings = Endings(tmp_path / "ended", lambda: now[0])
    assert endings.allows("counting")
    assert endings.allows("modem")
    endings.note()
    for passed_s, line, rest in ((0.0, False, False), (LINE_REST_S, True, False), (REST_S, True, True)):
        now[0] = 1_000.0 + passed_s
        again = Endings(tmp_path / "ended", lambda: now[0])
        assert (again.allows("counting"), again.allows("shaping"), again.allows("modem")) == (line, line, rest)
    now[0] = 5.0  # another boot, whose run folder was not cleared
    assert endings.allows("modem")


@pytest.mark.parametrize("content", ["", "nonsense", "nan"])
def test_a_note_that_cannot_be_read_keeps_nobody_from_ending(tmp_path: Path, content: str) -> None:
    (tmp_path / "ended").write_text(content)
    assert Endings(tmp_path / "ended", lambda: 7.0).allows("counting")
    Endings(tmp_path / "nowhere" / "ended", lambda: 7.0).note()


def test_a_fatal_task_that_may_not_end_the_process_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.daemon.supervisor.FIRST_PAUSE_S", 0.0)
    tries: list[str] = []

    async def scenario() -> None:
        done = asyncio.Event()

        def on_fatal(name: str, reason: str) -> bool:
            tries.append(f"{name}: {reason}")
            if len(tries) == 2:
                done.set()
            return len(tries) == 2

        async def work() -> None:
            raise ValueError("a bug")

        supervisor = Supervisor(Counter(), on_fatal=on_fatal)
        supervisor.start("counting", work, fatal=True)
        await asyncio.wait_for(done.wait(), 60)
        await supervisor.close()

    asyncio.run(scenario())
    assert tries == ["counting: a bug"] * 2


def test_a_task_that_does_not_go_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.daemon.supervisor.CLOSE_S", 0.01)

    async def scenario() -> None:
        release = asyncio.Event()

        async def stubborn() -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

        supervisor = Supervisor(Counter(), on_fatal=lambda name, reason: True)
        supervisor.start("modem", stubborn)
        await asyncio.sleep(0)
        await supervisor.close()
        release.set()

    asyncio.run(scenario())


# -- the loop


def test_the_thread_ends_the_process_when_it_is_not_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal.setitimer", lambda which, seconds: None)
    ended, slept, fed = threading.Event(), list[float](), list[int]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) in (10, 20):
            dog.feed(40 * module.STEP_S)
            fed.append(len(slept))

    dog = Watchdog(sleep=sleep, end=lambda status: ended.set() if status == 1 else None)
    dog.start()
    assert ended.wait(30)
    # The step in which it is fed is not over: it counts as one of the forty.
    assert (fed, len(slept)) == ([10, 20], 20 - 1 + 40)


# -- the daemon as a whole

HARNESS = """
import asyncio, sys, threading, time
from pathlib import Path
import agent.daemon.app as assembly, agent.daemon.tasks.counting as counting, agent.daemon.supervisor as supervisor
from agent.daemon.accounting import Accounting
from agent.daemon.watchdog import Watchdog
from agent.keeper import Keeper
from agent.store import Store
from agent.traffic.netlink.thread import Kernel

ill = Path(sys.argv[1])
counting.PROMISE_S, counting.LONGEST_SAVE_S, assembly.LOOK_S, supervisor.FIRST_PAUSE_S = 2.0, 2.0, 1.0, 0.1
Accounting.interval_s = lambda self: 0.2

def when_ill(owner, name, harm, only=lambda args: True):
    real = getattr(owner, name)
    def instead(*args, **options):
        if ill.exists() and only(args):
            harm()
        return real(*args, **options)
    setattr(owner, name, instead)

def fail():
    raise SystemError("it breaks")

def for_ever():
    threading.Event().wait()

{harm}
from agent.cli import main
sys.argv[1:] = sys.argv[2:]
sys.exit(main())
"""
HARMS = {
    "the netlink thread is blocked": (
        "when_ill(Kernel, '_read', for_ever)",
        "no progress: counting",
        {"stalled", "fault"},
    ),
    "the netlink thread is dead": (
        "when_ill(Kernel, '_drain_events', fail)\nwhen_ill(Kernel, '_refuse_for', fail, lambda args: args[1] > 0)",
        "the kernel thread has ended",
        {"fault"},
    ),
    "the store's thread is blocked": (
        "when_ill(Store, '_transact', for_ever)\nKeeper.commit_due = lambda self: ill.exists()",
        "no progress: counting",
        set[str](),
    ),
    "the loop is blocked": (
        "when_ill(counting.Counting, 'sample', for_ever)\n"
        "Watchdog.__init__.__kwdefaults__['sleep'] = lambda seconds: time.sleep(seconds / 20)",
        "Where each thread is",
        set[str](),
    ),
}


@pytest.mark.root
@pytest.mark.parametrize("what", HARMS)
def test_under_procd_what_no_longer_works_ends_with_1_and_the_next_carries_on(
    line: Wire, tmp_path: Path, what: str
) -> None:
    harm, said, events = HARMS[what]
    running, ill = Running(line.near, tmp_path), tmp_path / "ill"
    running.seed(1_000)
    code = HARNESS.replace("{harm}", harm)

    def start() -> subprocess.Popen[str]:
        with (tmp_path / "daemon.log").open("a") as log:
            words = (sys.executable, "-c", code, str(ill), "run", "--config", str(running.file))
            return line.near.popen(*words, stdout=log, stderr=log)

    with Procd(start, pace=5) as procd:
        until(lambda: running.ask("status"))
        line.near.run("ping", "-c5", "-i0.05", "-s1000", line.far.address)
        until(lambda: running.counted() == 1_000 + kernel_ip_bytes(line.near))
        ill.touch()
        line.near.run("ping", "-c5", "-i0.05", "-s1000", line.far.address)
        until(lambda: procd.statuses, 120)
        ill.unlink()
        assert procd.statuses[0] == 1
        assert said in running.log()
        line.near.run("ping", "-c5", "-i0.05", "-s1000", line.far.address)
        until(lambda: running.ask("status"))
        until(lambda: running.counted() == 1_000 + kernel_ip_bytes(line.near))
        assert events <= {event["name"] for event in running.ask("log")["events"]}, "the operator hears of it"
