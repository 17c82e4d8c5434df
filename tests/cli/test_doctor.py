"""`doctor` as a technician calls it, with the agent dead, against the simulator's faults; nothing leaves loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.cli import exits
from simulator import Running, serve
from tests.cli.conftest import Run


class Device:
    """A module, and the configuration of the device that it belongs to."""

    def __init__(self, module: Running, tmp_path: Path, cli: Run) -> None:
        self.module, self._path, self._cli = module, tmp_path, cli
        self.more = ""

    def write(self, hosts: str = "", interfaces: str = "nowan*") -> str:
        """A configuration in which nothing outside this machine is asked."""
        file = self._path / "config.toml"
        file.write_text(
            f'[device]\nrun_dir = "{self._path}/run"\nstate_dir = "{self._path}"\n'
            f'[modem]\nport = "{self.module.path}"\n[wan]\ninterfaces = ["{interfaces}"]\n'
            f'[probe]\nhosts = [{hosts}]\nname_servers = ["127.0.0.1"]\n{self.more}'
        )
        return str(file)

    def doctor(self, *options: str, **kwargs: str) -> subprocess.CompletedProcess[str]:
        return self._cli("doctor", "--config", self.write(**kwargs), *options)


@pytest.fixture
def device(tmp_path: Path, cli: Run) -> Iterator[Device]:
    with serve("quectel-ec25", link=tmp_path / "modem", pace=0.05) as module:
        yield Device(module, tmp_path, cli)


def test_with_the_agent_dead_it_reads_the_modem_itself(device: Device) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = device.doctor(hosts=f'"127.0.0.1:{server.getsockname()[1]}"')
    assert done.returncode == exits.FAILED
    lines = done.stdout.splitlines()
    for start in (
        "modem         ok       Quectel EC25",
        "SIM           ok",
        "registration  ok       home network Proximus",
    ):
        assert any(line.startswith(start) for line in lines), (start, done.stdout)
    assert any(line.startswith("agent         FAULT") for line in lines)
    assert any(line.startswith("disk          ok") for line in lines)
    assert "Root cause (no-wan-interface): address: there is no interface nowan*" in done.stdout
    assert "What to do: " in done.stdout
    assert max(map(len, lines)) <= 80
    assert done.stdout.isascii()


def unplugged(module: Running) -> None:
    module.unplug()


def hung(module: Running) -> None:
    module.fault("hang")


def without_sim(module: Running) -> None:
    module.set("sim", False)


def with_pin(module: Running) -> None:
    module.set("sim.pin_enabled", True)
    module.set("sim.pin_verified", False)


def denied(module: Running) -> None:
    module.set("accepts", False)


def uncovered(module: Running) -> None:
    module.set("coverage", False)


def detached(module: Running) -> None:
    module.set("attached", False)


@pytest.mark.parametrize(
    ("provoke", "cause"),
    [
        (unplugged, "usb-gone"),
        (hung, "modem-hung"),
        (without_sim, "sim-missing"),
        (denied, "registration-denied"),
        (uncovered, "no-coverage"),
        (detached, "apn"),
    ],
)
def test_it_names_what_the_simulator_provokes(device: Device, provoke: Callable[[Running], None], cause: str) -> None:
    provoke(device.module)
    done = device.doctor("--json")
    assert done.returncode == exits.FAILED, done.stderr
    answer = json.loads(done.stdout)
    assert answer["cause"] == cause, answer
    assert answer["worst"] == "fault"
    assert answer["root"]["advice"]
    assert done.stderr == ""


def test_it_names_who_holds_the_port(device: Device) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys, time; f = open(sys.argv[1], 'rb+', 0); print(flush=True); time.sleep(60)",
         device.module.path], stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        answer = json.loads(device.doctor("--json").stdout)
    finally:
        holder.kill()
        holder.communicate()
    assert answer["cause"] == "port-stolen", answer
    assert str(holder.pid) in answer["root"]["text"]
    assert os.path.exists(device.module.path)


def test_a_broken_configuration_is_a_finding_not_an_end(device: Device) -> None:
    device.more = "[plan]\nbilling_day = 77\n"
    done = device.doctor("--json")
    assert done.returncode == exits.FAILED
    answer = json.loads(done.stdout)
    assert answer["cause"] == "configuration"
    assert "billing_day" in answer["root"]["text"]
    levels = {row["link"]: row["level"] for row in answer["links"]}
    assert levels["modem"] == "ok"  # the right sections of the file are used all the same


def test_at_goes_straight_to_the_port_without_an_agent(device: Device, cli: Run) -> None:
    config = device.write()
    done = cli("at", "AT+CSQ", "--config", config)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("+CSQ: ")
    refused = cli("at", "AT+CFUN=0", "--config", config)
    assert refused.returncode == exits.NOT_PERMITTED
    assert "harmless" in refused.stderr
    assert cli("at", "AT+CFUN=0\r", "--config", config).returncode == exits.USAGE
    device.module.unplug()
    assert cli("at", "AT+CSQ", "--config", config).returncode == exits.NO_MODEM


def test_a_bundle_without_an_agent(device: Device, cli: Run, tmp_path: Path) -> None:
    out = tmp_path / "ticket.tar.gz"
    done = cli("bundle", "--json", "--out", str(out), "--config", device.write())
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["bytes"] == out.stat().st_size
    assert {row["file"]: row["ok"] for row in answer["files"]}["doctor.json"]
    again = cli("bundle", "--out", str(tmp_path / "none" / "t.tar.gz"), "--config", device.write())
    assert again.returncode == exits.FAILED
    assert again.stderr.splitlines()[-1].startswith("modem-agent: ")
