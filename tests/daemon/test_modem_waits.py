"""The running daemon and its module: the configured APN reaches it, doctor and status say why a SIM stays locked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import simulator
from simulator.ports import Running as Simulated
from tests.daemon.running import Running, until
from tests.netns import needs_namespaces, wire

pytestmark = pytest.mark.root


@contextmanager
def device(folder: Path, keys: str, *faults: str) -> Iterator[tuple[Running, Simulated]]:
    """A daemon with these keys in [modem] and a module with these faults."""
    needs_namespaces()
    with wire("wan0", "isp0") as line, simulator.serve(link=folder / "modem0", faults=faults) as module:
        running = Running(line.near, folder)
        running.file.write_text(running.file.read_text().replace("poll_s = 1\n", f"poll_s = 1\n{keys}\n"))
        running.start()
        try:
            until(lambda: running.modem_state == "ready")
            yield running, module
        finally:
            running.kill()


def test_the_configured_apn_reaches_the_module(tmp_path: Path) -> None:
    with device(tmp_path, 'apn = "orange.be"') as (running, _):
        until(lambda: '"orange.be"' in str(running.ask("at", "AT+CGDCONT?")))
        told = until(lambda: [e for e in running.ask("log")["events"] if e["name"] == "modem-context"])
        assert told[0]["data"] == {"apn": "orange.be"}
        until(lambda: "connected, APN orange.be" in " ".join(running.cli("doctor").stdout.split()))


def test_a_locked_sim_is_told_with_its_last_attempt_and_why_the_pin_waits(tmp_path: Path) -> None:
    """One attempt is left: it stays a person's, and doctor and status say so."""
    file = tmp_path / "pin"
    file.write_text("1234\n")
    with device(tmp_path, f'pin_file = "{file}"', "sim-pin=1") as (running, module):
        until(lambda: (running.ask("status")["modem"]["reading"] or {"sim": {}})["sim"].get("pin_attempts") == 1)
        assert "the SIM wants its PIN, 1 attempt left" in " ".join(running.cli("doctor").stdout.split())
        until(lambda: running.ask("status")["modem"]["pin"])
        doctor = " ".join(running.cli("doctor").stdout.split())
        assert "only 1 attempt left, which is kept for a person" in doctor
        assert "modem-agent pin" in doctor
        status = running.cli("status").stdout
        assert "SIM PIN, 1 PIN attempt left, not entered: only 1 attempt left" in " ".join(status.split())
        assert module.modem.state.sim.pin_left == 1
