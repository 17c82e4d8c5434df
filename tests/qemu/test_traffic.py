"""The traffic room on a Debian kernel: cake, fq_codel, matchall and flowtables, which CI's own kernel lacks."""

from __future__ import annotations

import sys

import pytest

from simulator.qemu import run

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("qemu")]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["tests/traffic/test_every_qdisc.py", "tests/traffic/test_nftables.py"], ""),
        (
            ["tests/traffic/test_shaper.py", "tests/traffic/test_steps.py"],
            "both_directions or removed_twice or ifb4wan0 or known_rates",
        ),
        (
            ["tests/traffic/test_offload_order.py", "tests/traffic/test_proof.py", "tests/traffic/test_probe.py"],
            "not no_longer_so",  # this kernel has all that could be remembered
        ),
    ],
    ids=["qdiscs and names", "shaper", "offload and probe"],
)
def test_the_shaper_s_tests_hold_on_debian_s_kernel(files: list[str], chosen: str) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "--timeout=300", "-k", chosen, *files]
    result = run(
        command, timeout_s=800, cpus=2, memory_mb=1024, environment={"CI": ""}, modules=["tun", "nft_flow_offload"]
    )
    assert result.exit_code == 0, result.output[-4000:]
    assert "passed" in result.output
    assert "skipped" not in result.output, result.output[-2000:]
