"""pyroute2 as the room uses it: imported without its ballast, in each of the supported releases, with clear errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import KernelError
from agent.traffic.netlink.link_stats import answer, request
from agent.traffic.netlink.route import Route

ROOT = Path(__file__).parents[2]
RELEASES = ("0.7.2", "0.7.9", "0.9.6")  # Debian 12, OpenWrt 23.05 to 25.12, OpenWrt's main branch

BALLAST = """
import sys
from agent.traffic.netlink.route import Route
route = Route()
route.links()
route.close()
ballast = ("pyroute2.ndb", "pyroute2.nftables", "pyroute2.dhcp", "pyroute2.ethtool")
heavy = [n for n in sys.modules if n.startswith(ballast)]
print(len(heavy), len([n for n in sys.modules if n.startswith("pyroute2")]))
"""


def _python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_leaves_the_ballast_out() -> None:
    heavy, all_of_it = map(int, _python(BALLAST).split())
    assert heavy == 0
    assert all_of_it < 120


def test_the_import_works_after_a_whole_import_too() -> None:
    assert _python("import pyroute2\nfrom agent.traffic.netlink.route import Route\nRoute().close()\nprint(1)") == "1\n"


def test_what_the_kernel_refuses_says_what_was_asked_and_why() -> None:
    route = Route()
    try:
        with pytest.raises(KernelError) as caught:
            route.put_qdisc(99_999, "tbf", 0x10000, 0xFFFFFFFF, {"rate": 64_000, "burst": 2_000, "limit": 9_000})
        assert (caught.value.code, str(caught.value)) == (19, "qdisc tbf on link 99999: No such device")
        route.delete_link(99_999)  # done already
        assert route.link("absent0") is None
    finally:
        route.close()


def test_a_counter_answer_is_read_or_refused() -> None:
    assert len(request(7, 1)) == 28
    with pytest.raises(KernelError, match="another question"):
        answer(request(7, 1), 2)


@pytest.fixture(scope="module", params=RELEASES)
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with that release of pyroute2 and nothing else."""
    folder = tmp_path_factory.mktemp(f"pyroute2-{request.param}")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(folder),
        f"pyroute2=={request.param}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"pyroute2 {request.param}: {done.stderr.strip().splitlines()[-1]}")
    return folder


@pytest.mark.root
def test_the_shaper_s_tests_hold_with_each_release(release: Path) -> None:
    chosen = "both_directions or in_place or removed_twice or foreign_redirect or final or privilege or class_of"
    chosen += " or all_that_is_its_own or is_corrected or lies_on_what or carry_one_rate"
    subjects = ("shaper", "steps", "foreign", "troubles", "netlink_thread", "own_traffic", "removal", "layout")
    files = [f"tests/traffic/test_{subject}.py" for subject in subjects]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", chosen, *files],
        capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(release)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout
    version = _python("import importlib.metadata as m; print(m.version('pyroute2'))", PYTHONPATH=str(release))
    assert version.strip() in RELEASES
