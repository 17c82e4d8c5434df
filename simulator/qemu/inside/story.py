"""The guest's side of the end-to-end story: `python3 -m simulator.qemu.inside.story first|second`.

first: a board without a clock late on 30 November, the allowance nearly used up; it crosses 40 GB, is slowed, takes a
command, loses and finds its module, and then carries traffic until the host cuts the power. second: power comes back in
December. Each line of output is one event for the host, which judges.
"""

from __future__ import annotations

import sys
import traceback
from datetime import datetime
from pathlib import Path
from typing import Any

from simulator.demo.desk import Desk
from simulator.qemu.inside import network
from simulator.qemu.inside.lab import BROKER_PORT, Lab, Traffic, counted_bytes, say, uptime_s, wait_until

FIRST_WALL = datetime.fromisoformat("2026-11-30T23:30:00+01:00")
SECOND_WALL = datetime.fromisoformat("2026-12-01T00:10:00+01:00")
ALLOWANCE_BYTES = 40_000_000_000
_USED_BEFORE = ALLOWANCE_BYTES - 4_000_000
_RATE_BPS = 8_000_000
_PATIENCE_S = 240


def first() -> None:
    lab = Lab(wall=FIRST_WALL)
    lab.mount()
    lab.seed(_USED_BEFORE)
    lab.plug()
    lab.start_broker()
    wait_until(lambda: _listens(), 60, "the broker")
    desk = Desk(network.OPERATOR, BROKER_PORT, uptime_s)
    lab.start()
    status = lab.wait_for(lambda s: s["modem"]["state"] == "ready" and s["clk"] == "nitz", _PATIENCE_S, "network time")
    say("ready", year=datetime.now().astimezone().year, time=status["time"], rates=status["plan"]["rates"])
    report = desk.wait_for(lambda message: "/m/" in message.topic, _PATIENCE_S)
    say("reported", topic=report.topic if report else None)
    traffic = Traffic(_RATE_BPS).start()
    crossed = lab.wait_for(lambda s: s["plan"]["state"] == "throttled", _PATIENCE_S, "the crossing of 40 GB")
    say("throttled", charged_bytes=crossed["usage"]["charged_bytes"])
    lab.wait_for(lambda s: s["shaper"]["state"] == "enforced", _PATIENCE_S, "the shaping")
    say("shaped", qdisc=lab.qdisc())
    traffic.stop()
    answers, took_s = desk.command(status["device"], "usage", {}, timeout_s=_PATIENCE_S)
    say("commanded", states=[answer["state"] for answer in answers], took_s=round(took_s, 2))
    _unplugged(lab)
    _until_the_power_goes(lab)


def _unplugged(lab: Lab) -> None:
    before = lab.wait_for(lambda s: bool(s["links"]), _PATIENCE_S, "a status")
    lab.unplug()
    lab.wait_for(lambda s: not s["links"] and s["modem"]["state"] != "ready", _PATIENCE_S, "the unplugging to be seen")
    say("unplugged")
    lab.replug()
    after = lab.wait_for(
        lambda s: s["modem"]["state"] == "ready" and s["links"] and s["shaper"]["state"] == "enforced",
        _PATIENCE_S,
        "module and shaping to be back",
    )
    say(
        "replugged",
        ifindexes=[status["links"][0]["ifindex"] for status in (before, after)],
        added_bytes=counted_bytes(after) - counted_bytes(before),
        qdisc=lab.qdisc(),
    )


def _until_the_power_goes(lab: Lab) -> None:
    """The truth is written to the share all the time; the last word before the cut is what the host compares with."""
    start = lab.status()
    assert start is not None
    base = counted_bytes(start) - lab.carried_bytes()
    _note(base + lab.carried_bytes())
    Traffic(_RATE_BPS).start()
    say("carrying", truth_bytes=base + lab.carried_bytes())
    wait_until(lambda: _note(base + lab.carried_bytes()), 1e9, "the end")


def _note(truth_bytes: int) -> bool:
    new = Path("/run/guest/truth.new")
    new.write_text(f"{truth_bytes}\n")
    new.replace("/run/guest/truth")  # whole at every moment, the last one too
    return False


def second() -> None:
    lab = Lab(wall=SECOND_WALL)
    lab.mount()
    # No module yet: nobody tells the time, and the clock says 1970.
    lab.start()
    before = lab.wait_for(lambda s: True, _PATIENCE_S, "the agent to answer")
    say("found", **_plan(before))
    lab.plug()
    after = lab.wait_for(lambda s: s["clk"] == "nitz" and s["plan"]["state"] == "normal", _PATIENCE_S, "the new month")
    say("new-month", **_plan(after))
    lab.wait_for(lambda s: s["shaper"]["state"] == "off", _PATIENCE_S, "the shaping to be lifted")
    say("free", qdisc=lab.qdisc())
    lab.stop()
    say("stopped")


def _plan(status: dict[str, Any]) -> dict[str, Any]:
    return {
        "clk": status["clk"],
        "state": status["plan"]["state"],
        "period": status["period"]["label"],
        "counted_bytes": counted_bytes(status),
        "store": status["store"],
    }


def _listens() -> bool:
    import socket

    from simulator.demo.network import OPERATOR, inside

    try:
        with inside(OPERATOR):
            socket.create_connection((network.OPERATOR, BROKER_PORT), timeout=1).close()
    except OSError:
        return False
    return True


def main() -> None:
    try:
        {"first": first, "second": second}[sys.argv[1]]()
    except Exception:
        traceback.print_exc()
        log = Path("/run/guest/agent.log")
        print(log.read_text()[-3000:] if log.exists() else "the agent said nothing")
        sys.exit(1)


if __name__ == "__main__":
    main()
