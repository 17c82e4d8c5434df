"""The Network Cost element in the air: a Debian kernel's simulated radios, hostapd and NetworkManager."""

from __future__ import annotations

import json
import shlex
import shutil
import sys

import pytest

from simulator.qemu import run
from simulator.qemu.kernel import find_kernel, simulated_radios
from tests.qemu.beacon import CHANGES

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("qemu")]


@pytest.mark.timeout(900)
def test_a_device_that_joins_is_told_and_none_is_sent_away(capsys: pytest.CaptureFixture[str]) -> None:
    for program in ("hostapd", "wpa_supplicant", "NetworkManager", "dnsmasq", "dbus-daemon"):
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            pytest.skip(f"wifi: {program} is not installed")
    radios = simulated_radios(find_kernel())
    program = shlex.join([sys.executable, "-m", "tests.qemu.beacon"])
    shell = f"insmod {shlex.quote(str(radios))} radios=2 && {program} || {{ tail -n 20 /run/*.log; exit 1; }}"
    modules = ["mac80211", "af_packet", "ctr", "ccm"]
    result = run(["sh", "-c", shell], timeout_s=800, modules=modules, memory_mb=768)
    assert result.exit_code == 0, result.output[-4000:] + result.console[-2000:]
    seen = json.loads(result.output.splitlines()[-1])
    with capsys.disabled():
        slowest = max(seen["changes_s"])
        print(f"\n{CHANGES} changes, the slowest {slowest:.2f} s; {seen['restart_s']:.2f} s after a restart")
    assert seen["metered"] == "yes (guessed)"
    assert len(seen["changes_s"]) == CHANGES
    assert seen["sent_away"] == 0
    assert seen["most_at_once"] == 1
    assert seen["foreign_lost"] == 0
