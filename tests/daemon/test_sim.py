"""Another SIM in the running daemon's module: reported, shown, and counted apart where it is not the contract's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

import simulator
from simulator.ports import Running as Simulated
from tests.daemon.running import Running, daemon, until
from tests.mqtt import contract
from tests.netns import needs_namespaces, wire

pytestmark = pytest.mark.root
OTHER = "8933010000000000025"


def swap(module: Simulated, iccid: str) -> None:
    module.unplug()
    module.modem.state.sim.iccid = iccid
    module.plug()


def sim(running: Running) -> dict[str, Any]:
    found: dict[str, Any] = (running.ask("status") or {"modem": {"sim": {}}})["modem"]["sim"]
    return found


def swaps(running: Running) -> list[dict[str, Any]]:
    return [event for event in running.ask("log")["events"] if event["name"] == "sim"]


def test_a_swapped_sim_is_told_and_a_foreign_one_counted_apart(tmp_path: Path) -> None:
    needs_namespaces()
    with wire("wan0", "isp0") as line, simulator.serve("quectel-ec25", link=tmp_path / "modem0") as module:
        own = module.modem.state.sim.iccid
        with daemon(line.near, tmp_path, f'[plan]\nsim = ["{own[:10]}*"]\n') as running:
            until(lambda: sim(running).get("now"))
            assert sim(running)["foreign"] is False
            assert swaps(running) == []
            swap(module, OTHER)
            until(lambda: sim(running).get("foreign"))
            own_bytes = running.ask("usage")["usage"]["charged_bytes"]
            line.near.run("ping", "-c3", "-i0.2", line.far.address)
            used = until(lambda: (found := running.ask("usage")["usage"])["foreign_bytes"] >= 6 * 84 and found)
            assert used["charged_bytes"] == own_bytes
            shown = running.cli("status").stdout
            assert "not the contract's" in shown
            assert OTHER not in shown
            until(lambda: swaps(running))
            swap(module, own)
            until(lambda: sim(running)["foreign"] is False)
            assert len(until(lambda: (found := swaps(running)) and len(found) == 2 and found)) == 2
            wanted = contract.schema("event-sim.schema.json")
            wanted["required"] = ["state", "ICCID", "PreviousICCID", "Foreign"]  # the numbering is the outbox's
            jsonschema.validate(swaps(running)[-1]["data"], wanted)
            assert own not in str(swaps(running))
