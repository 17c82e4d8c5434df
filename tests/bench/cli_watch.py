"""What `signal --watch` costs the daemon: processor time of the real one with and without a watcher, a beat a second.

The module is simulated on a pseudo-terminal by another process, so that only the daemon's own work is counted.

Run: python -m tests.bench.cli_watch [seconds]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agent.control.client import ControlClient
from agent.errors import AgentError
from tests.bench.rows import Bench

LIMIT_PERCENT = 3.0
TOOLS = Path(sys.executable).parent


def busy_s(pid: int) -> float:
    """User and system time of a process so far (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def configure(folder: Path) -> Path:
    file = folder / "config.toml"
    file.write_text(
        f'[device]\nrun_dir = "{folder}/run"\nstate_dir = "{folder}/state"\nid = "bench"\n'
        f'[modem]\nport = "{folder}/modem"\nrecovery = false\n[wan]\ninterfaces = ["nowan0"]\n'
        '[probe]\nhosts = []\nname_servers = ["127.0.0.1"]\n'
    )
    return file


def wait_ready(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the daemon has read its module."""
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"the daemon ended with {process.returncode}")
        try:
            with ControlClient(path) as client:
                if client.call("status")["modem"]["state"] == "ready":
                    return
        except (AgentError, OSError):
            pass
        time.sleep(0.1)
    raise SystemExit("the daemon did not read its module within a minute")


def share(pid: int, seconds: float) -> float:
    """Percent of one core that a process uses over so many seconds."""
    before, began = busy_s(pid), time.monotonic()
    time.sleep(seconds)
    return (busy_s(pid) - before) / (time.monotonic() - began) * 100


def quiet(program: str, *words: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([TOOLS / program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    bench = Bench("cli_watch", 7)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config, path = configure(folder), folder / "run" / "control.sock"
        module = quiet("modem-sim", "serve", "--link", folder / "modem", "--control", folder / "control")
        daemon = quiet("modem-agent", "run", "--config", config)
        watchers: list[subprocess.Popen[bytes]] = []
        try:
            wait_ready(path, daemon)
            idle = share(daemon.pid, seconds)
            watching = ("modem-agent", "signal", "--watch", "--json", "--socket", path)
            watchers.append(quiet(*watching))
            time.sleep(2)
            one = share(daemon.pid, seconds)
            watchers += [quiet(*watching) for _ in range(4)]
            time.sleep(3)
            five = share(daemon.pid, seconds)
        finally:
            for process in (*watchers, daemon, module):
                process.terminate()
                process.wait()
    kept = one - idle < LIMIT_PERCENT
    bench.row("`signal --watch`, what it adds to the daemon", f"under {LIMIT_PERCENT:g} % of a core",
              f"{one - idle:.2f} % (idle {idle:.2f} %)", kept)  # fmt: skip
    bench.row("five watchers at once, what they add", "", f"{five - idle:.2f} %", None)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
