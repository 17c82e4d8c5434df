"""What a household's browser makes of 512 kbit/s: `make bench-browser`, or `python -m tests.bench.household_browser`.

Chromium in the household opens three frozen pages and holds a call with sound and picture with another Chromium in the
operator's network, alone and beside an update (eight TCP flows down) on the same host and on another one. The modem is
a Debian guest (household_line.py), shaped by the agent and by its peers in turn. The short form measures the first of
the agent's qdiscs and the plainest peer: the form and a brief call, beside an update elsewhere.

A page's time is its own, from the start of the navigation to the end of its load event, TCP and TLS included; names are
not asked for. A call's loss is what its receiver counts (getStats: packetsLost); its one way is measured at the packets
of its sound.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from simulator.qemu import GuestError
from tests.bench import household_call as call
from tests.bench.household_line import ELSEWHERE, TRIALS, line
from tests.bench.household_pages import PAGES, files
from tests.bench.rows import FAULT, SHORT, Bench
from tests.bench.shaping_load import listening, quantile
from tests.bench.shaping_setups import KBIT
from tests.netns import Namespace

SETUPS = ("agent: cake", "agent: tbf+fq_codel", "agent: tbf", "sqm settings", "tc: htb, default FIFO")
CALL = "call"
LOADS = {"alone": None, "update on the same host": 0, "update on another host": 1}  # the index of the host
FLOWS, UPDATE_PORT, WEB_PORT = 8, 5201, 8443
UPDATE_S = 50  # its age when the measurements begin, as of one that somebody comes upon
PATIENCE_S = 30  # with a call to come about; with a page besides three times what it takes at the full rate
LIMIT_S = 2700  # no measurement begins after it
FORM_S, LOST_PERCENT, ONE_WAY_MS = 6.0, 2.0, 150.0
TRIES = 3  # of the form, with the first setup

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--ignore-certificate-errors",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 10.99.0.1",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Loaded:
    """A page, by its own account; the median of its tries."""

    load_s: float
    paint_s: float

    def __str__(self) -> str:
        return f"{self.load_s:.1f} s, first seen after {self.paint_s:.1f} s"


@dataclass(frozen=True, slots=True)
class End:
    """What one end of a call received, and how long its sound was on the way."""

    lost_percent: float
    concealed_percent: float  # of the sound that was played: made up for what was lost or came late
    one_way_ms: tuple[float, float]  # median, 95 %
    frames_per_s: float
    frozen_s: float

    def __str__(self) -> str:
        middle, late = self.one_way_ms
        return (
            f"audio lost {self.lost_percent:.1f} % (concealed {self.concealed_percent:.1f} %), "
            f"one way {middle:.0f}/{late:.0f} ms, video {self.frames_per_s:.0f} fps, frozen {self.frozen_s:.0f} s"
        )


@dataclass(frozen=True, slots=True)
class Held:
    """A call: both its ends."""

    down: End  # what the household received
    up: End

    def __str__(self) -> str:
        return f"down: {self.down}; up: {self.up}"

    @property
    def good(self) -> bool:
        ends = (self.down, self.up)
        return all(end.lost_percent <= LOST_PERCENT and end.one_way_ms[1] <= ONE_WAY_MS for end in ends)


Outcome = Loaded | Held | str  # a text says why there is no number


class Household:
    """One shaped line with its web server; measures what is asked of it, one after the other."""

    def __init__(self, hosts: list[Namespace], far: Namespace, folder: Path) -> None:
        self.hosts, self.far, self.folder = hosts, far, folder
        self._marks = itertools.count()

    def page(self, name: str, tries: int) -> Outcome:
        found: list[dict[str, Any]] = []
        patience_s = PATIENCE_S + 3 * PAGES[name].total_bytes * 8 / KBIT / 1000
        for _ in range(tries):
            mark = next(self._marks)
            with self._browser(self.hosts[0], f"{name}.html?{mark}"):
                account = self._posted(f"loaded{mark}", time.monotonic() + patience_s)
            if account is None:
                return f"not in {patience_s:.0f} s"
            assert (account["protocol"], account["octets"]) == ("h2", PAGES[name].total_bytes), account
            found.append(account)
        return Loaded(median(one["load_s"] for one in found), median(one["paint_s"] for one in found))

    def call(self, seconds: int) -> Outcome:
        home, away, mark = self.hosts[0], self.far, next(self._marks)
        asked = f"call.html?mark={mark}&seconds={seconds}"
        with (
            call.watched(home) as seen_home,
            call.watched(away) as seen_away,
            self._browser(away, asked),
            self._browser(home, f"{asked}&offer"),
        ):
            until_s = time.monotonic() + PATIENCE_S + seconds
            received = {end: self._posted(f"{end}{mark}", until_s) for end in ("home", "away")}
        trips = {
            "home": call.one_way_ms(away, seen_away, seen_home),
            "away": call.one_way_ms(home, seen_home, seen_away),
        }
        down, up = (_end(received[end], trips[end], seconds) for end in ("home", "away"))
        return Held(down, up) if isinstance(down, End) and isinstance(up, End) else f"down: {down}; up: {up}"

    @contextlib.contextmanager
    def update(self, host: int | None) -> Iterator[None]:
        """Eight flows to that host, already at work."""
        if host is None:
            yield
            return
        server = self.far.popen("iperf3", "-s", "-1", "-p", str(UPDATE_PORT), stdout=subprocess.DEVNULL)
        asyncio.run(listening(self.far, [UPDATE_PORT]))
        words = ["-c", ELSEWHERE, "-p", str(UPDATE_PORT), "-R", "-P", str(FLOWS), "-t", "3600"]
        client = self.hosts[host].popen("iperf3", *words, stdout=subprocess.DEVNULL)
        try:
            time.sleep(UPDATE_S)
            yield
            assert client.poll() is None, "the update ended before the measurement"
        finally:
            for process in (client, server):
                process.kill()
                process.wait()

    @contextlib.contextmanager
    def _browser(self, place: Namespace, path: str) -> Iterator[None]:
        """A browser that knows nothing yet; it and its children end with the block."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            url = f"https://{self.far.address}:{WEB_PORT}/{path}"
            process = place.popen(
                "chromium", *FLAGS, f"--user-data-dir={profile}", url,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            try:
                yield
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _posted(self, name: str, until_s: float) -> dict[str, Any] | None:
        """What a page left under that name, once it has."""
        while not (self.folder / name).exists():
            if time.monotonic() > until_s:
                return None
            time.sleep(0.1)
        account: dict[str, Any] = json.loads((self.folder / name).read_text())
        return account


def _end(account: dict[str, Any] | None, trips_ms: list[float], seconds: int) -> End | str:
    if account is None or "error" in account:
        return account["error"] if account else "no call"
    sound, picture = account["audio"], account["video"]
    sent = sound["packetsReceived"] + sound["packetsLost"]
    return End(
        100 * sound["packetsLost"] / sent,
        100 * sound["concealedSamples"] / sound["totalSamplesReceived"],
        (quantile(trips_ms, 0.5), quantile(trips_ms, 0.95)),
        picture.get("framesDecoded", 0) / seconds,
        picture.get("totalFreezesDuration", 0.0),
    )


@contextlib.contextmanager
def household(setup: str) -> Iterator[Household]:
    """The line, the site and the server at the far end, all gone at the end."""
    with tempfile.TemporaryDirectory() as place, line(setup) as (hosts, far):
        folder = Path(place)
        for name in PAGES:
            for file, content in files(name):
                (folder / file).write_bytes(content)
        (folder / "call.html").write_bytes(call.PAGE)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", f"/CN={far.address}"],
            check=True, capture_output=True,
        )  # fmt: skip
        server = far.popen(
            "node", str(Path(__file__).with_name("household_server.js")), place, far.address, str(WEB_PORT)
        )
        try:
            asyncio.run(listening(far, [WEB_PORT]))
            yield Household(hosts, far, folder)
        finally:
            server.kill()
            server.wait()


# -- what is measured ----------------------------------------------------------------------------------------------

Found = dict[tuple[str, str, str], Outcome]  # by setup, what, load
TIME_OUT = "not measured: the time ran out"


def measure(setup: str, *, short: bool, until_s: float, found: Found) -> None:
    """One setup: everything for the agent's first, the form and the call beside the updates for the others."""
    whole = setup == SETUPS[0] and not short
    loads = list(LOADS) if whole else list(LOADS)[-1:] if short else list(LOADS)[1:]
    steps = [(what, load) for load in loads for what in ([*PAGES, CALL] if whole else ["form", CALL])]
    found.update({(setup, what, load): TIME_OUT for what, load in steps})
    if time.monotonic() > until_s:
        return
    with household(setup) as home:
        for load, group in itertools.groupby(steps, key=lambda step: step[1]):
            with home.update(LOADS[load]):
                for what, _ in group:
                    if time.monotonic() <= until_s:
                        seconds, tries = 20 if short else 60, TRIES if what == "form" and whole else 1
                        found[setup, what, load] = home.call(seconds) if what == CALL else home.page(what, tries)
                        _say(setup, what, load, found)


def _say(setup: str, what: str, load: str, found: Found) -> None:
    print(f"  {setup}: {what}, {load}: {found[setup, what, load]}", file=sys.stderr, flush=True)


def report(bench: Bench, found: Found) -> None:
    """A row for each of the agent's numbers, the peers' beside it."""
    for (setup, what, load), outcome in found.items():
        if not setup.startswith("agent"):
            continue
        peers = [
            f"{name}: {other}"
            for (name, same, at), other in found.items()
            if (same, at) == (what, load) and not name.startswith("agent")
        ]
        bench.row(f"{setup}: {_named(what)}, {load}", *judged(what, load, outcome), "; ".join(peers))


def _named(what: str) -> str:
    return CALL if what == CALL else f"{what} page of {PAGES[what].total_bytes / 1e6:.2g} MB"


def judged(what: str, load: str, outcome: Outcome) -> tuple[str, str, bool | None]:
    """Target, measured, kept."""
    if outcome == TIME_OUT:
        return "", TIME_OUT, None
    if what == CALL:
        target = f"audio lost ≤ {LOST_PERCENT:.0f} %, one way p95 ≤ {ONE_WAY_MS:.0f} ms"
        return target, str(outcome), isinstance(outcome, Held) and outcome.good
    if what == "form" and load != "alone":
        return f"≤ {FORM_S:.0f} s", str(outcome), isinstance(outcome, Loaded) and outcome.load_s <= FORM_S
    return "printed", str(outcome), None


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(FAULT))  # an exception, so that all that runs is ended
    short = SHORT in os.environ
    bench, found, until_s = Bench("household_browser", issue=20), Found(), time.monotonic() + LIMIT_S
    for setup in (SETUPS[0], SETUPS[-1]) if short else (*SETUPS, *TRIALS):
        try:
            measure(setup, short=short, until_s=until_s, found=found)
        except (AssertionError, OSError, GuestError, subprocess.SubprocessError) as error:
            bench.row(setup, "measured", f"not all: {type(error).__name__}: {str(error)[:300]}", False)
    report(bench, found)
    busy = f"{max(os.getloadavg()):.0f} processes on {os.cpu_count()} processors"
    bench.row("the machine's load meanwhile, the browsers' own included", "(stated)", busy, None)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
