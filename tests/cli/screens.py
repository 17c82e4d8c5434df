"""The screens of `agent/cli/README.md` (three of them in the top README too), rendered from one fixed device.

python -m tests.cli.screens writes them into the README; tests/cli/test_screens.py fails when the two differ. A verb
that asks the agent is run as a technician runs it, against screen_device's agent; what depends
on this machine (doctor, meter, store, bundle) is rendered from its own pure part.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from agent.cli import screen
from agent.cli.meter import Meter
from agent.cli.times import ZONE
from agent.cli.verbs import bundle, doctor
from agent.cli.verbs import status as status_verb
from agent.doctor.bundle import Entry
from agent.doctor.diagnosis import diagnose
from agent.doctor.evidence import Evidence
from tests.cli.screen_device import ANSWER, CONFIG, Device, evidence, reading, status, without_sim
from tests.cli.spoken import spoken_in
from tests.control.conftest import serving

README = Path(__file__).parents[2] / "agent" / "cli" / "README.md"
TOP_README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```\n\$ modem-agent (.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examined(seen: Callable[[], Evidence]) -> Callable[[Path], str]:
    return lambda folder: "\n".join(doctor.lines(diagnose(seen()))) + "\n"


def in_french(folder: Path) -> str:
    """The doctor's cause and advice as a technician of Wallonia reads them."""
    with spoken_in("fr"):
        return "\n".join(doctor.short_lines(diagnose(without_sim()))) + "\n"


def stored(folder: Path) -> str:
    """`status` with the agent dead: the store's screen, and the sentence."""
    ZONE.reckon_by(lambda: "Europe/Brussels")
    kept = status(stored={"age_s": 2400}, version=None, agent_up_s=None)
    error = "modem-agent: the agent is not running (no control socket /run/modem-agent/control.sock)\n"
    return "\n".join(status_verb.lines(kept)) + "\n" + error


def bundled(folder: Path) -> str:
    """A bundle of a device whose agent has not run since the device started."""
    names = ("doctor", "status", "config", "versions", "events", "usage", "links", "qdiscs", "system", "log")
    entries = [Entry(f"{name}.json", True, 0.1, 900) for name in names]
    missing = "no readings are kept: the agent has not run since the device started"
    entries.append(Entry("readings.jsonl", False, 0.0, 0, missing))
    return "\n".join(bundle.lines(Path("ticket.tar.gz"), 5_800, entries)) + "\n"


def watched(folder: Path) -> str:
    """The meter while an antenna is turned past the mast and on."""
    meter, start = Meter(), datetime(2026, 11, 22, 9, 36, 5)  # noqa: DTZ001  the wall clock that stands on the screen
    at = start
    for beat in range(48):
        at = start + timedelta(seconds=beat)
        angle = math.cos((beat - 21) / 24 * math.pi / 2)
        heard = reading()
        heard["signal"].update(
            rsrp_dbm=round(-104 + 15 * angle), sinr_db=round(3 + 12 * angle), rssi_dbm=round(-74 + 15 * angle)
        )
        meter.take(heard, at)
    lines = meter.lines(80, at)
    return "\n".join(line.rstrip() for line in [*lines, *screen.wrap(meter.summary(), 80)]) + "\n"


# -- the whole README ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Screen:
    """`shown`: lines that stand in the README before `...`; 0 is all. `bare`: the verb takes no --config."""

    words: str
    render: Callable[[Path], str] | None = None
    shown: int = 0
    bare: bool = False


SCREENS = (
    Screen("status"),
    Screen("status", stored),
    Screen("usage"),
    Screen("usage --months"),
    Screen("signal"),
    Screen("signal --watch", watched),
    Screen("modem", shown=34),
    Screen("log"),
    Screen("log --audit"),
    Screen("doctor", examined(evidence)),
    Screen("doctor", examined(without_sim)),
    Screen("doctor --short --lang fr", in_french),
    Screen("ping 10.99.0.1 --count 3"),
    Screen("at AT+CSQ"),
    Screen("at AT+CFUN=1,1"),
    Screen("speed"),
    Screen("decode 'AT+QENG=\"servingcell\"' answer.txt", shown=20, bare=True),
    Screen("bundle --out ticket.tar.gz", bundled),
    Screen("reset radio --yes"),
    Screen("throttle lift --reason telemedicine"),
    Screen("throttle auto"),
    Screen("topup 2GB --yes"),
    Screen("setup --yes --no-doctor --apn internet --wan wan0"),
    Screen("config check"),
    Screen("config show", shown=20),
    Screen("commands", shown=20),
)


# Those of the top README: an ordinary day, a fault, the signal.
TOP_SCREENS = (SCREENS[0], SCREENS[10], SCREENS[4])


@contextmanager
def stage() -> Iterator[Path]:
    """A folder with the device's configuration and its agent's socket."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run").mkdir()
        (folder / "config.toml").write_text(CONFIG.format(folder=folder))
        (folder / "answer.txt").write_bytes(ANSWER)
        with serving(folder / "run" / "control.sock", Device()):
            yield folder


def rendered(screen_: Screen, folder: Path) -> str:
    """What stands below the command line."""
    more = () if screen_.bare else ("--config", str(folder / "config.toml"))
    text = screen_.render(folder) if screen_.render else _run((*shlex.split(screen_.words), *more), folder)
    lines = text.splitlines()
    if screen_.shown and len(lines) > screen_.shown:
        lines = [*lines[: screen_.shown], "..."]
    return "\n".join(lines) + "\n"


def _run(words: tuple[str, ...], folder: Path) -> str:
    """Standard output, and the sentence of an error; the progress that a pipe gets is left out."""
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", *words],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder), "PYTHONPATH": str(README.parents[2])},
        cwd=folder,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith(("modem-agent: ", "note: "))]
    text = done.stdout + "".join(line + "\n" for line in said)
    return (
        text.replace(str(folder / "config.toml"), "/etc/modem-agent/config.toml")
        .replace(str(folder / "state"), "/var/lib/modem-agent")
        .replace(str(folder / "run"), "/run/modem-agent")
    )


def main() -> int:
    """Write the screens into both README files, in their order."""
    with stage() as folder:
        for file, screens in ((README, SCREENS), (TOP_README, TOP_SCREENS)):
            file.write_text(BLOCK.sub(_fresh(iter(screens), folder), file.read_text()))
    return 0


def _fresh(wanted: Iterator[Screen], folder: Path) -> Callable[[re.Match[str]], str]:
    def fresh(found: re.Match[str]) -> str:
        each = next(wanted)
        assert found[1] == each.words, f"the README shows {found[1]!r} where {each.words!r} is due"
        return f"```\n$ modem-agent {each.words}\n{rendered(each, folder)}```"

    return fresh


if __name__ == "__main__":
    sys.exit(main())
