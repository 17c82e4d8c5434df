"""The running daemon keeps the household's page in memory; once it is killed, the page says that it is old."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.daemon.running import daemon, until
from tests.netns import Wire

SCRIPT = Path(__file__).parents[2] / "firmware-config/openwrt/modem-agent/files/modem-agent.page"
EXTRA = '[household]\nhelp_phone = "+32 2 111 11 11"\n'


def served(folder: Path, uptime: Path = Path("/proc/uptime")) -> str:
    """What the web server's script makes of the page in English."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox: not installed")
    environment = {
        "PATH": os.environ["PATH"], "PAGE": str(folder / "run/page"), "UPTIME": str(uptime), "QUERY_STRING": "lang=en",
        "HTTP_HOST": "internet.box", "REMOTE_ADDR": "192.168.1.2",
    }  # fmt: skip
    done = subprocess.run([busybox, "sh", str(SCRIPT)], env=environment, capture_output=True, timeout=60, check=True)
    return re.sub("<[^>]*>", "", done.stdout.decode()).replace("\xa0", " ")


@pytest.mark.root
def test_the_page_follows_the_ledger_and_outlives_the_agent(line: Wire, tmp_path: Path) -> None:
    with daemon(line.near, tmp_path, EXTRA, used_bytes=30_000_000_001) as running:
        until(lambda: "GB left" in served(tmp_path))
        said = served(tmp_path)
        assert "You have 9.9 GB left." in said
        assert "You used 30.1 GB of 40 GB." in said
        assert "Call +32 2 111 11 11" in said
        assert "not up to date" not in said
        assert "This device: 0 GB" in said  # the kernel counts by device here
        assert "The box does not know which device: 30 GB" in said  # used before anybody counted
        running.kill()
    later = tmp_path / "uptime"
    later.write_text(f"{float(Path('/proc/uptime').read_text().split()[0]) + 180} 0\n")
    assert "This page is not up to date." in served(tmp_path, later)


@pytest.mark.root
def test_a_page_that_is_switched_off_is_taken_away(line: Wire, tmp_path: Path) -> None:
    (tmp_path / "run/page").mkdir(parents=True)
    (tmp_path / "run/page/fr.html").write_text("of an earlier agent")
    with daemon(line.near, tmp_path, "[household]\npage = false\n"):
        until(lambda: not (tmp_path / "run/page").exists())
