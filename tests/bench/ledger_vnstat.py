"""vnStat beside the agent: the daemon of Debian's package on the same link. Used by the ledger's benches."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path


def installed() -> bool:
    return shutil.which("vnstatd") is not None


class VnStat:
    """Its daemon on `wan0`, with the defaults of its package but for `settings`."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        self.folder = folder
        self.folder.mkdir()
        self.config = self.folder / "vnstat.conf"
        self.database = self.folder / "database"
        self.database.mkdir()
        self.config.write_text(
            f'DatabaseDir "{self.database}"\nInterface "wan0"\nUseLogging 0\nPidFile "{self.folder}/pid"\n{settings}'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """With an empty folder it makes its database and takes the interfaces that there are."""
        with (self.folder / "log").open("wb") as log:
            command = ["vnstatd", "-n", "--config", str(self.config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> tuple[int, int] | str:
        """Its totals, or what kept it from having any."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)
        command = ["vnstat", "--config", str(self.config), "-i", "wan0", "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return f"{done.stdout} {done.stderr} {(self.folder / 'log').read_text()}".replace("\n", " ").strip()[-300:]
        total = json.loads(done.stdout)["interfaces"][0]["traffic"]["total"]
        return total["rx"], total["tx"]
