"""The guest's side of the unplug campaign: `python3 -m simulator.qemu.inside.campaign COUNT`.

Pulls the USB cable under traffic and compares the agent's ledger with the kernel's own count each time.
"""

from __future__ import annotations

import faulthandler
import subprocess
import sys
import time
import traceback
from pathlib import Path

from simulator.qemu.inside import network
from simulator.qemu.inside.lab import LINK, Lab, Traffic, counted_bytes, say, wait_until

_RATE_BPS = 40_000_000
_HANGS_S = 100
_UNSHAPED = """[plan]
allowance_bytes = 1_000_000_000_000
"""


def unplug(count: int) -> None:
    """`count` times: traffic, a pulled cable, the cable back; the ledger must say what the kernel said."""
    lab = Lab(clock="system", broker=False, more=_UNSHAPED)
    lab.mount()
    lab.plug()
    _silence()
    lab.start()
    lab.wait_for(lambda status: status["links"], 240, "the agent to see the link")
    say("running")
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
        _silence()
        lab.wait_for(lambda status: status["links"], 120, "the agent to see the link again")
    say("done", count=count)
    lab.stop()


def _silence() -> None:
    """Nothing of its own goes over the link: what passed between the reading of the truth and the pull would be in the
    ledger (the kernel's last word has it) and not in the truth."""
    end = ("ip", "-n", network.NAMESPACE)
    for place, link in (((), LINK), (("ip", "netns", "exec", network.NAMESPACE), "far0")):
        switch = f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6"
        subprocess.run([*place, "sh", "-c", 'echo 1 > "$0"', switch], check=True)
    near = Path("/sys/class/net", LINK, "address").read_text().strip()
    words = ("neigh", "replace", network.DEVICE, "lladdr", near, "dev", "far0", "nud", "permanent")
    subprocess.run([*end, *words], check=True)


def _settled(lab: Lab) -> int:
    """The agent's count once it no longer changes; `status` reads the link's counters itself."""
    last = -1

    def steady() -> bool:
        nonlocal last
        status = lab.status()
        used = counted_bytes(status) if status else -1
        same, last = used == last and used >= 0, used
        return bool(same)

    wait_until(steady, 30, "a steady count")
    return last


def main() -> None:
    # Where it stands, if it hangs, is in the output that the host shows.
    faulthandler.dump_traceback_later(_HANGS_S, repeat=True, file=sys.stdout)
    try:
        unplug(int(sys.argv[1]))
    except Exception:
        traceback.print_exc()
        print(Path("/run/guest/agent.log").read_text()[-3000:] if Path("/run/guest/agent.log").exists() else "")
        sys.exit(1)


if __name__ == "__main__":
    main()
