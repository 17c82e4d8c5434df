"""The fast tests under every Python and library pairing that a release ships: `make test-matrix [ONLY=words]`.

A pairing whose Python is not on this machine is run in a new root of the Debian that has it, on the last commit. Where
there is no such Debian, or no right to make its root, it is named as skipped, never passed over in silence. The
environments of this machine are kept in the cache folder, so that a second run installs nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from simulator.qemu.cache import cache_dir
from tests.bench.rows import Bench

PROJECT = Path(__file__).parents[1]

EXPRESSION = "not qemu and not brokers"
# The checks of the whole project run once, in `make check`; timing is judged by the benches.
IGNORED = ("tests/qemu", "tests/selfcheck", "tests/bench")


@dataclass(frozen=True)
class Pairing:
    """What one release ships; an empty version is the newest."""

    release: str
    python: str
    pyroute2: str
    paho: str
    debian: str = ""  # the Debian that has this Python, for a machine that has not

    @property
    def name(self) -> str:
        return f"Python {self.python}, pyroute2 {self.pyroute2 or 'newest'}, paho {self.paho or 'newest'}"

    @property
    def folder(self) -> Path:
        return cache_dir() / "matrix" / re.sub(r"[^a-z0-9.]+", "-", self.name.lower())


PAIRINGS = (
    Pairing("oldest Python", "3.10", "0.7.2", "1.6.1"),
    Pairing("Debian bookworm, Raspberry Pi OS", "3.11", "0.7.2", "1.6.1"),
    Pairing("OpenWrt 23.05, 24.10", "3.11", "0.7.9", "1.6.1"),
    Pairing("pip on 3.12", "3.12", "", ""),
    Pairing("Debian trixie", "3.13", "0.7.7", "2.1.0"),
    Pairing("OpenWrt 25.12", "3.13", "0.7.9", "1.6.1"),
    Pairing("pip, newest", "3.13", "", ""),
    Pairing("OpenWrt master", "3.14", "0.9.6", "2.1.0", debian="forky"),
)


def find_python(version: str) -> str | None:
    """An interpreter of this minor version: on PATH, or where pyenv keeps its own."""
    found = shutil.which(f"python{version}")
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [found, *(str(path / "bin/python") for path in sorted(kept.glob(f"{version}.*"), reverse=True))]
    for candidate in filter(None, candidates):
        asked = subprocess.run([candidate, "-c", "import venv, sqlite3, ssl"], capture_output=True)
        if asked.returncode == 0:
            return candidate
    return None


def prepare(pairing: Pairing, python: str) -> Path:
    """The pairing's interpreter, with the project's test dependencies and the two libraries as the release has them."""
    interpreter = pairing.folder / "bin/python"
    # This checkout's: the command of an environment that another one made would run that one's code, or none.
    mark = pairing.folder / f"installed-{_hash(str(PROJECT).encode(), (PROJECT / 'pyproject.toml').read_bytes())}"
    if not mark.exists():
        shutil.rmtree(pairing.folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(pairing.folder)], check=True)
        wanted = [f"pyroute2=={pairing.pyroute2}" if pairing.pyroute2 else "pyroute2<0.10"]
        wanted.append(f"paho-mqtt=={pairing.paho}" if pairing.paho else "paho-mqtt<3")
        install = [str(interpreter), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*install, "-e", f"{PROJECT}[test]", *wanted], check=True)
        mark.touch()
    return interpreter


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:10]


def run(pairing: Pairing) -> str:
    """One line: what came of it."""
    python = find_python(pairing.python)
    if python is None:
        return run_in_debian(pairing)
    interpreter = prepare(pairing, python)
    began = time.monotonic()
    # The project's settings have one -q already, and with two the last line would count nothing.
    command = [str(interpreter), "-m", "pytest", "-n", "auto", "--dist", "loadfile", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, "-m", EXPRESSION, *(f"--ignore={path}" for path in IGNORED), "tests"],
        cwd=PROJECT, capture_output=True, text=True,
    )  # fmt: skip
    last = (result.stdout.strip().splitlines() or ["no output"])[-1]
    if result.returncode != 0:
        failures = [line for line in result.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return "FAILED: " + last + "".join(f"\n      {line}" for line in failures[:20])
    return f"passed: {last} ({time.monotonic() - began:.0f} s)"


def run_in_debian(pairing: Pairing) -> str:
    """This same command for the one pairing, where its Python is the system's; what it said of it."""
    missing = f"no Python {pairing.python} here"
    if not pairing.debian:
        return f"skipped: {missing}"
    if os.geteuid() != 0:
        return f"skipped: {missing}, and only root can make a root of Debian {pairing.debian}"
    command = [str(PROJECT / ".ci/bare"), pairing.debian, "make", "test-matrix", f"ONLY={pairing.name}"]
    result = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return outcome_of(pairing, result.stdout)


def outcome_of(pairing: Pairing, output: str) -> str:
    """What this command said of a pairing; its last lines where it did not get so far."""
    _, _, said = output.partition(f"{pairing.name} ({pairing.release})\n   ")
    outcome = re.match(r"(?:passed|FAILED|skipped): .*(?:\n {6}\S.*)*", said)
    last = "\n      ".join(output.splitlines()[-5:])
    return outcome[0] if outcome else f"FAILED: Debian {pairing.debian}: {last}"


def main() -> int:
    only = " ".join(sys.argv[1:]).lower()
    bench = Bench("matrix", 9)
    for pairing in PAIRINGS:
        if only not in f"{pairing.release} {pairing.name}".lower():
            continue
        outcome = run(pairing)
        print(f"{pairing.name} ({pairing.release})\n   {outcome}", flush=True)
        word, _, rest = outcome.partition(": ")
        measured = f"not measured: {rest}" if word == "skipped" else rest.splitlines()[0]
        kept = None if word == "skipped" else word == "passed"
        bench.row(f"fast tests, {pairing.release}: {pairing.name}", "pass", measured, kept, exact=True)
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
