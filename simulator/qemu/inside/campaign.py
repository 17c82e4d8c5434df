"""The guest's side of the campaigns: `python3 -m simulator.qemu.inside.campaign power|unplug [COUNT]`.

power: once up, carries traffic and writes the truth to the share for ever; the host cuts the power when it likes and
compares at the next start. unplug: pulls the cable under traffic and compares the ledger with the kernel each time.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

from simulator.qemu.inside.lab import Lab, Traffic, say, uptime_s, wait_until

TRUTH = Path("/run/guest/truth")
ALLOWANCE_BYTES = 40_000_000_000
_USED_BEFORE = ALLOWANCE_BYTES + 1_000_000_000  # throttled all the while: shaping must be right after every start
_RATE_BPS = 40_000_000
_UNSHAPED = """[plan]
allowance_bytes = 1_000_000_000_000
"""


def power() -> None:
    """One power-on. The agent's ledger as found on the disk is said first, before a byte of this boot is added."""
    lab = Lab(clock="system", broker=False)
    lab.mount()
    if not (Path("/var/lib/modem-agent/agent.db")).exists():
        lab.seed(_USED_BEFORE)
    lab.plug()
    started_s = uptime_s()
    lab.start()
    first = lab.wait_for(lambda status: True, 150, "the agent to answer")
    say("found", used_bytes=first["usage"]["charged_bytes"] - lab.carried_bytes(), store=first["store"])
    lab.wait_for(lambda status: status["shaper"]["state"] == "enforced", 30, "the shaping")
    say("shaped", after_s=round(uptime_s() - started_s, 2), qdisc=lab.qdisc())
    # The upload is shaped by its own qdisc; the download reaches the counters before its shaper, so it is counted full.
    Traffic(_RATE_BPS).start()
    share = os.open(TRUTH, os.O_WRONLY | os.O_CREAT, 0o644)
    say("running", used_before=_USED_BEFORE)
    while True:
        os.pwrite(share, b"%20d\n" % lab.carried_bytes(), 0)
        time.sleep(0.02)


def unplug(count: int) -> None:
    """`count` times: traffic, a pulled cable, the cable back; the ledger must say what the kernel said."""
    lab = Lab(clock="system", broker=False, more=_UNSHAPED)
    lab.mount()
    lab.plug()
    lab.start()
    lab.wait_for(lambda status: status["links"], 60, "the agent to see the link")
    start = _settled(lab)
    base_truth, base_ledger = lab.carried_bytes(), start
    for number in range(1, count + 1):
        traffic = Traffic(_RATE_BPS).start()
        time.sleep(0.5)
        traffic.stop()
        time.sleep(0.1)  # what is under way arrives: the truth is read while the link is silent
        lab.unplug()
        truth = lab.carried_bytes() - base_truth
        ledger = _settled(lab) - base_ledger
        say("unplugged", number=number, truth_bytes=truth, ledger_bytes=ledger, phantom_bytes=ledger - truth)
        lab.replug()
        lab.wait_for(lambda status: status["links"], 30, "the agent to see the link again")
    say("done", count=count)
    lab.stop()


def _settled(lab: Lab) -> int:
    """The agent's count once it no longer changes; `status` reads the link's counters itself."""
    last = -1

    def steady() -> bool:
        nonlocal last
        status = lab.status()
        used = status["usage"]["charged_bytes"] if status else -1
        same, last = used == last and used >= 0, used
        return bool(same)

    wait_until(steady, 30, "a steady count")
    return last


def main() -> None:
    try:
        if sys.argv[1] == "power":
            power()
        else:
            unplug(int(sys.argv[2]))
    except Exception:
        traceback.print_exc()
        print(Path("/run/guest/agent.log").read_text()[-3000:] if Path("/run/guest/agent.log").exists() else "")
        sys.exit(1)


if __name__ == "__main__":
    main()
