"""The story that the demo tells, act by act; every act measures what it shows and adds to the table of promises."""

from __future__ import annotations

import statistics
import time
from typing import Any

from simulator.demo import network
from simulator.demo.desk import Desk, Message
from simulator.demo.device import ALLOWANCE_BYTES, USED_BEFORE_BYTES, Device
from simulator.demo.display import Display, Promise
from simulator.demo.processes import Processes, flows, pings
from simulator.demo.recorder import Recorder

FULL_DOWN_BPS, FULL_UP_BPS, THROTTLED_BPS = 5_000_000, 2_000_000, 512_000
TOPUP_BYTES = 20_000_000  # used up before the month ends, so that a throttled line meets the new month
FLOWS = 4
SETTLE_S = 2.5  # after a change of rate, TCP's queues of before have drained by then
HEADER_BYTES = 14
FLOWING_BPS = 500_000


class Story:
    """The acts in their order. State that one act leaves to another: the promises, and the times of events."""

    def __init__(
        self, processes: Processes, device: Device, modem: Any, desk: Desk, recorder: Recorder, display: Display
    ) -> None:
        self.processes, self.device, self.modem, self.desk = processes, device, modem, desk
        self.recorder, self.display = recorder, display
        self.promises: list[Promise] = []
        self.events: list[tuple[float, str]] = []
        self.name = ""

    # -- small steps

    def promise(self, what: str, promised: str, measured: str, kept: bool) -> None:
        self.promises.append(Promise(what, promised, measured, bool(kept)))
        self.display.say(f"{what}: {measured}", "green" if kept else "bold red")

    def event(self, text: str) -> None:
        self.events.append((self.recorder.now_s(), text))

    def usage(self) -> Any:
        return self.device.ask("usage") or {}

    def counted_bytes(self) -> int:
        """What the ledger has counted since wwan0 was made: the household's bytes and the agent's own."""
        usage = self.usage()["usage"]
        return int(usage["received_bytes"] + usage["sent_bytes"]) - USED_BEFORE_BYTES

    def rate_over(self, direction: str, seconds: float) -> float:
        begin = self.recorder.now_s()
        time.sleep(seconds)
        return self.recorder.rate_bps(begin, self.recorder.now_s(), direction)

    def _flowing(self, direction: str) -> None:
        """Wait until a load that was started has come up to speed; on a busy machine that takes its time."""
        index = 0 if direction == "down" else 1
        self.processes.wait_until(
            lambda: self.recorder.live_bps()[index] > FLOWING_BPS, 10, f"the load {direction} flows"
        )
        time.sleep(1)

    def event_named(self, name: str, since: int = 0, timeout_s: float = 20) -> Message | None:
        return self.desk.wait_for(lambda m: m.topic.endswith(f"/e/{name}"), timeout_s, since)

    def counted_exactly(self, when: str) -> None:
        """With the line at rest, ledger and kernel agree to the byte."""
        exact = self.processes.wait_until(self._agreed, 15, f"ledger and kernel agree ({when})")
        self.promise(f"counted, {when}", "the kernel's bytes", f"{exact:,} bytes, difference 0", True)

    def _agreed(self) -> int:
        before = network.counters()
        counted = self.counted_bytes()
        truth = network.counters()
        return counted if before == truth and counted == truth.ip_bytes(HEADER_BYTES) else 0

    # -- the acts

    def arrive(self) -> None:
        """The daemon starts: modem read, broker reached, reports sent."""
        self.display.say("the daemon starts in the modem; ledger at 39.985 of 40 GB", "bold")
        began = time.monotonic()
        self.device.start(self.processes)
        online = self.processes.wait_until(self._online, 30, "the daemon says that it is online")
        self.name = online.topic.split("/")[2]
        took = time.monotonic() - began
        self.promise("from start to online at the operator", "at most 10 s", f"{took:.1f} s", took <= 10)
        reading = self.processes.wait_until(lambda: self._modem().get("reading"), 15, "the modem is read")
        cell, operator = reading["signal"], reading["operator"]
        self.display.say(
            f"modem: {reading['identity']['model']}, {operator['name']} {operator['plmn']}, "
            f"RSRP {cell['rsrp_dbm']} dBm, SINR {cell['sinr_db']} dB"
        )
        warning = self.event_named("warning")
        self.promise("warning to the operator", "once, at 95 %", _brief(warning), warning is not None)

    def full_speed(self) -> None:
        """Both directions as fast as the plan gives."""
        self.display.say("full speed: 5 Mbit/s down, 2 Mbit/s up", "bold")
        load = flows("up", 8, FLOWS)
        self._flowing("up")
        up = self.rate_over("up", 4)
        load.result()
        self.promise("full speed up", "at least 1.8 Mbit/s", f"{up / 1e6:.2f} Mbit/s", up >= 1_800_000)
        self._load = flows("down", 120, FLOWS)
        self._flowing("down")
        down = self.rate_over("down", 4)
        self.promise("full speed down", "at least 4.5 Mbit/s", f"{down / 1e6:.2f} Mbit/s", down >= 4_500_000)

    def crossing(self) -> None:
        """The household crosses 40 GB in full flight."""
        room = ALLOWANCE_BYTES - USED_BEFORE_BYTES
        crossed = self.processes.wait_until(lambda: self.recorder.crossing(room), 60, "the household crosses 40 GB")
        self.events.append((crossed.at_s, "40 GB crossed"))
        shaped = self.processes.wait_until(
            lambda: network.qdiscs() not in ([], ["noqueue"]) and self.recorder.now_s(), 10, "the line is shaped"
        )
        link = network.counters()
        over = link.ip_bytes() - room
        took = max(0.0, shaped - crossed.at_s)
        self.promise("from crossing to shaped", "at most 0.5 s", f"{took:.2f} s", took <= 0.5)
        self.promise("overshoot past 40 GB", "at most 1 MB", f"{over / 1e6:.2f} MB", over <= 1_000_000)
        told = self.event_named("throttle")
        self.promise("throttle reported to the operator", "event e/throttle", _brief(told), told is not None)

    def throttled(self) -> None:
        """512 kbit/s both ways, and a line that still answers while it is full."""
        self.display.say("throttled: 512 kbit/s each way", "bold")
        time.sleep(SETTLE_S)
        self._throttled("down", self._load)
        load = flows("up", 20, FLOWS)
        time.sleep(SETTLE_S)
        self._throttled("up", load)
        self.counted_exactly("after the throttle")

    def _throttled(self, direction: str, load: Any) -> None:
        echo = pings(10)
        begin = self.recorder.now_s()
        rate = self.rate_over(direction, 11)
        times = echo.result()
        load.stop()
        error = rate / THROTTLED_BPS - 1
        self.promise(
            f"link rate past 40 GB, {direction}", "512 kbit/s ±3 %", f"{rate / 1000:.1f} kbit/s ({error:+.1%})",
            abs(error) <= 0.03,
        )  # fmt: skip
        if direction == "down":
            came = self.recorder.arrived_bps(begin, begin + 11)
            self.display.say(f"{came / 1000:.0f} kbit/s came in ahead of the shaper: what it drops, TCP sends again")
        arrived = sorted(t for t in times if t is not None)
        lost = len(times) - len(arrived)
        p95 = statistics.quantiles(arrived, n=20)[-1] if len(arrived) > 20 else float("inf")
        self.promise(
            f"ping p95 under load, {direction}", "at most 100 ms", f"{p95:.0f} ms, {lost} of {len(times)} lost",
            p95 <= 100,
        )  # fmt: skip

    def topup(self) -> None:
        """Support adds 20 MB over MQTT; the line is fast again at once."""
        self.display.say("support tops up 20 MB over MQTT", "bold")
        args = {"bytes": TOPUP_BYTES, "by": "support:demo"}
        answers, took = self.desk.command(self.name, "plan.topup", args)
        self.event("plan.topup 20 MB")
        states = " → ".join(answer["state"] for answer in answers)
        self.promise("plan.topup answered", "succeeded", f"{states} in {took * 1000:.0f} ms",
                     states.endswith("succeeded"))  # fmt: skip
        load = flows("down", 7, FLOWS)
        self._flowing("down")
        rate = self.rate_over("down", 3)
        load.result()
        self.promise("full speed after the top-up", "at least 4.5 Mbit/s", f"{rate / 1e6:.2f} Mbit/s", rate >= 4.5e6)

    def unplugged(self) -> None:
        """The module goes away and comes back; counting goes on."""
        self.display.say("the modem is unplugged; the household goes on", "bold")
        load = flows("down", 6, 1)
        self.modem.unplug()
        self.event("modem unplugged")
        absent = self.processes.wait_until(
            lambda: self._modem_state() == "absent", 10, "the daemon sees that the modem is gone"
        )
        load.result()
        self.modem.plug()
        self.event("modem back")
        began = time.monotonic()
        self.processes.wait_until(lambda: self._modem_state() == "ready", 20, "the modem is read again")
        took = time.monotonic() - began
        self.promise("modem unplugged, then read again", "at most 10 s", f"{took:.1f} s", absent and took <= 10)
        self.counted_exactly("after the unplugging")

    def _online(self) -> Message | None:
        return self.desk.wait_for(lambda m: m.topic.endswith("/status") and _state(m) == "online", 0.2)

    def _modem(self) -> Any:
        return (self.device.ask("status") or {}).get("modem", {})

    def _modem_state(self) -> str:
        return str(self._modem().get("state"))

    def killed(self) -> None:
        """kill -9 in the middle of traffic; nothing is lost."""
        self.display.say("kill -9 of the daemon under traffic, then a restart", "bold")
        load = flows("down", 6, FLOWS)
        time.sleep(1.5)
        self.device.kill()
        self.event("kill -9")
        time.sleep(2)
        self.device.start(self.processes)
        self.processes.wait_until(self.usage, 15, "the daemon answers again")
        load.result()
        self.counted_exactly("through kill -9 and restart")

    def idle(self) -> None:
        """What the daemon costs while nothing happens."""
        time.sleep(5)  # the start before this has work left: the first page, the first look at each of its parts
        before, began = self.device.cpu_s(), time.monotonic()
        time.sleep(8)
        share = (self.device.cpu_s() - before) / (time.monotonic() - began)
        memory = self.device.memory_bytes()
        self.promise("processor while idle", "under 1 % of a core", f"{share:.2%}", share < 0.01)
        self.promise("memory (PSS)", "under 40 MB", f"{memory / 1e6:.1f} MB", memory < 40_000_000)

    def month_end(self) -> None:
        """The top-up is used up, the line is slow again; at midnight the new month makes it fast."""
        self.display.say("the household uses the top-up up: throttled again", "bold")
        load = flows("down", 60, FLOWS)
        self.processes.wait_until(lambda: network.qdiscs() not in ([], ["noqueue"]), 60, "the top-up is used up")
        load.stop()
        self.event("top-up used up")
        self.counted_exactly("before the month's end")
        load = flows("down", 60, FLOWS)
        left_s = self.device.month_end.timestamp() - time.time()
        self.display.say(f"midnight in {left_s:.0f} s, the household loads on", "bold")
        self.processes.wait_until(
            lambda: network.qdiscs() in ([], ["noqueue"]), max(1, left_s) + 10, "the new month lifts the throttle"
        )
        late = time.time() - self.device.month_end.timestamp()
        self.event("new month")
        self.promise("shaper gone at the new month", "at most 2 s late, never early", f"{late:+.1f} s", 0 <= late <= 2)
        load.stop()  # flows that were held at 512 kbit/s leave TCP's back-off when they will: new ones tell the rate
        load = flows("down", 20, FLOWS)
        self._flowing("down")
        rate = self.rate_over("down", 3)
        load.stop()
        self.promise("full speed in the new month", "at least 4.5 Mbit/s", f"{rate / 1e6:.2f} Mbit/s", rate >= 4.5e6)
        self._anew(self.recorder.now_s() - (time.time() - self.device.month_end.timestamp()))

    def _anew(self, midnight_s: float) -> None:
        """Usage of the new month is what the link carried since midnight, to one look of the agent at its counters."""
        time.sleep(1.5)  # what stood in the queues has drained
        used = self.usage()["usage"]["charged_bytes"]
        truth = network.counters().ip_bytes() - self.recorder.mark_at(midnight_s).link.ip_bytes()
        self.promise(
            "usage starts anew at midnight", "what came since, ±0.2 MB", f"{used:,} of {truth:,} bytes",
            abs(used - truth) <= 200_000,
        )  # fmt: skip

    def leave(self) -> None:
        took = self.device.terminate()
        self.promise("SIGTERM to stopped", "under 1 s", f"{took:.2f} s", took < 1)
        offline = self.desk.wait_for(lambda m: m.topic.endswith("/status") and _state(m) == "offline", 3)
        self.promise("presence after the stop", "offline", _brief(offline), offline is not None)


def _state(message: Message) -> str:
    return str(message.payload.get("state")) if isinstance(message.payload, dict) else ""


def _brief(message: Message | None) -> str:
    if message is None:
        return "nothing came"
    shown = message.payload if isinstance(message.payload, dict) else {}
    words = [str(shown[key]) for key in ("state", "kind") if key in shown]
    words += [f"{shown['percent']} %"] if "percent" in shown else []
    return " ".join(["/".join(message.topic.split("/")[3:]), *words])
