"""The real daemon on a real link, in a network namespace: doctor names each cause that the simulator provokes.

The WAN is a veth to a namespace that plays the operator: gateway, two hosts and a name server are listeners there.
What the module cannot show (an outage, a throttle) is provoked on the line.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.control.client import ControlClient
from agent.errors import AgentError
from simulator import Running, serve
from simulator.causes import RECIPES
from tests.netns.namespace import Wire, needs_namespaces, wire

PATIENCE_S = 60.0


class Outside:
    """What the operator's side answers with, in the far namespace: TCP on two ports, DNS on UDP 53."""

    def __init__(self, cable: Wire) -> None:
        with cable.far.entered():
            self.hosts = [socket.create_server((cable.far.address, port)) for port in (8443, 8444)]
            self.names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.names.bind((cable.far.address, 53))
        self.thread = threading.Thread(target=self._answer)
        self.thread.start()

    def _answer(self) -> None:
        while True:
            query, asker = self.names.recvfrom(2048)
            if not query:
                return
            self.names.sendto(query[:2] + b"\x81\x83" + query[4:], asker)  # NXDOMAIN proves a name server too

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stop:
            stop.sendto(b"", self.names.getsockname())
        self.thread.join(10)
        for each in (*self.hosts, self.names):
            each.close()


class Device:
    """A household's device: module, WAN link and daemon."""

    def __init__(self, folder: Path, module: Running, cable: Wire) -> None:
        self.folder, self.module, self.cable = folder, module, cable
        self.config = folder / "config.toml"
        self.socket = folder / "run" / "control.sock"
        far = cable.far.address
        self.config.write_text(
            f'[device]\nid = "kitchen"\nrun_dir = "{folder}/run"\nstate_dir = "{folder}/state"\n'
            f'[modem]\nport = "{module.path}"\npoll_s = 1\nrecovery = false\n[wan]\ninterfaces = ["wan0"]\n'
            f'[probe]\nhosts = ["{far}:8443", "{far}:8444"]\nname_servers = ["{far}"]\n'
            '[clock]\nsource = "system"\n'
        )
        self.daemon = cable.near.popen(
            sys.executable, "-m", "agent.cli", "run", "--config", str(self.config), stderr=subprocess.PIPE
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", self.cable.near.name, sys.executable, "-m", "agent.cli", *words,
             "--config", str(self.config)], capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until the agent's own status shows what was provoked."""
        end, last = time.monotonic() + PATIENCE_S, {}
        while time.monotonic() < end:
            try:
                with ControlClient(self.socket) as client:
                    last = client.call("status")
                if wanted(last):
                    return
            except (AgentError, OSError):
                pass
            time.sleep(0.2)
        raise AssertionError(f"it did not come to that within {PATIENCE_S:g} s: {last}")

    def diagnosis(self) -> dict[str, Any]:
        done = self.run("doctor", "--json")
        assert done.stderr == "", done.stderr
        return dict(json.loads(done.stdout))

    def close(self) -> None:
        self.daemon.send_signal(signal.SIGTERM)
        self.daemon.communicate(timeout=30)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    needs_namespaces()
    with wire("wan0", "isp0") as cable:
        cable.near.ip("route", "add", "default", "via", cable.far.address)
        outside = Outside(cable)
        with serve("quectel-ec25", link=tmp_path / "modem", pace=0.05) as module:
            device = Device(tmp_path, module, cable)
            try:
                device.until(lambda status: status["modem"]["state"] == "ready" and bool(status["links"]))
                yield device
            finally:
                device.close()
                with cable.far.entered():
                    outside.close()


def state(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda status: status["modem"]["state"] == name


def reads(part: str, name: str, *values: object) -> Callable[[dict[str, Any]], bool]:
    """The module's reading has come to one of these."""
    return lambda status: ((status["modem"].get("reading") or {}).get(part) or {}).get(name) in values


def addressless(status: dict[str, Any]) -> bool:
    contexts = (status["modem"].get("reading") or {}).get("contexts") or ()
    return bool(contexts) and not any(context.get("address") for context in contexts)


# How the agent's status shows that it has seen what was provoked on the module.
SEEN: dict[str, Callable[[dict[str, Any]], bool]] = {
    "usb-gone": state("absent"),
    "port-stolen": state("busy"),
    "modem-hung": state("hung"),
    "sim-missing": reads("sim", "lock", "not-inserted"),
    "sim-locked": reads("sim", "lock", "sim-pin"),
    "registration-denied": reads("registration", "stat", 3),
    "no-coverage": reads("registration", "stat", 0, 2, 4),
    "apn": addressless,
}


def provoke(module: Running, cause: str) -> None:
    for step in RECIPES[cause]:
        if step[0] in ("unplug", "steal"):
            getattr(module, step[0])()
        else:
            module.fault(*step[1:])


def test_a_healthy_line_has_no_fault(device: Device) -> None:
    answer = device.diagnosis()
    levels = {row["link"]: row["level"] for row in answer["links"]}
    assert answer["worst"] == "warning", answer
    assert answer["cause"] == "no-broker"
    # Nor is there a web server for the household's page, of which nothing of the line hangs.
    assert {link for link, level in levels.items() if level != "ok"} == {"broker", "page"}
    assert device.run("doctor").returncode == 0
    assert device.run("doctor", "--strict").returncode == 1


@pytest.mark.parametrize("cause", list(SEEN))
def test_what_is_wrong_with_the_module(device: Device, cause: str) -> None:
    provoke(device.module, cause)
    device.cable.near.ip("addr", "flush", "dev", "wan0")  # a module in that state carries no data
    device.until(SEEN[cause])
    answer = device.diagnosis()
    assert answer["cause"] == cause, answer
    assert answer["worst"] == "fault"
    assert device.run("doctor").returncode == 1


def test_every_acting_verb_reaches_the_device(device: Device) -> None:
    assert device.run("at", "AT+CSQ").stdout.startswith("+CSQ: ")
    refused = device.run("at", "AT+CFUN=1")
    assert refused.returncode == 4
    assert "--force sends it all the same" in refused.stderr
    forced = device.run("at", "--force", "AT+CFUN=1")
    assert (forced.returncode, forced.stdout) == (0, "OK\n")
    assert "warning: AT+CFUN=1 is sent as it is" in forced.stderr
    assert device.run("topup", "1GB", "--yes").returncode == 4  # this plan allows none on the device
    assert device.run("reset", "attach", "--yes").returncode == 0
    assert device.run("ping", device.cable.far.address, "--count", "2").returncode == 0
    names = [event["data"].get("name") for event in json.loads(device.run("log", "--json").stdout)["events"]]
    assert {"modem.at", "modem.reset"} <= set(names)


def test_an_outage_of_the_operator(device: Device) -> None:
    device.cable.far.ip("link", "set", "isp0", "down")
    device.cable.near.ip("neigh", "flush", "dev", "wan0")
    assert device.diagnosis()["cause"] == "operator-outage"


def test_a_line_that_is_slowed_on_purpose(device: Device) -> None:
    done = device.run("throttle", "force", "--for", "1h", "--reason", "a test")
    assert done.returncode == 0, done.stderr
    answer = device.diagnosis()
    assert answer["cause"] == "throttled", answer
    assert answer["worst"] == "warning"
    assert device.run("throttle", "auto").returncode == 0
    assert device.diagnosis()["cause"] == "no-broker"


def test_no_address_no_route_no_name(device: Device) -> None:
    device.cable.near.ip("route", "del", "default")
    assert device.diagnosis()["cause"] == "no-route"
    device.cable.near.ip("addr", "flush", "dev", "wan0")
    assert device.diagnosis()["cause"] == "apn"
    device.cable.near.ip("link", "set", "wan0", "down")
    assert device.diagnosis()["cause"] == "wan-down"


def test_a_name_server_that_is_silent(device: Device) -> None:
    text = device.config.read_text().replace(
        f'name_servers = ["{device.cable.far.address}"]', 'name_servers = ["192.0.2.1"]'
    )
    device.config.write_text(text)
    assert device.diagnosis()["cause"] == "name-server"
