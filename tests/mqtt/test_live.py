"""The real daemon, a real mosquitto and `modem-support`: what support asks for from afar happens, or is rolled back."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.running import EXECUTABLE, Running, until
from tests.mqtt.broker import Mosquitto
from tests.netns.namespace import needs_namespaces, wire

DEVICE = "kitchen"
SUPPORT = EXECUTABLE.with_name("modem-support")


class Managed(Running):
    """A daemon that is started again whenever it ends, as its service manager does."""

    def __init__(self, *words: Any, **more: Any) -> None:
        super().__init__(*words, **more)
        self.starts = 0
        self._over = False
        self._keeper = threading.Thread(target=self._keep)

    def manage(self) -> None:
        self._keeper.start()
        until(lambda: self.ask("status"))

    def _keep(self) -> None:
        while not self._over:
            with (self.folder / "daemon.log").open("a") as log:
                self.process = self.namespace.popen(
                    str(EXECUTABLE), "run", "--config", str(self.file), stdout=log, stderr=log
                )
                self.starts += 1
                self.process.wait()

    def close(self) -> None:
        self._over = True
        if self.process is not None:
            self.process.terminate()
        self._keeper.join(20)


class Line:
    """Broker, device and desk."""

    def __init__(self, device: Managed, broker: Mosquitto) -> None:
        self.device, self.broker = device, broker

    def support(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ["ip", "netns", "exec", self.device.namespace.name, str(SUPPORT), "--broker", self.broker.url]
        return subprocess.run([*command, *words], capture_output=True, text=True, timeout=120, check=False)

    def send(self, command: str, *words: str, timeout: int = 60) -> list[dict[str, Any]]:
        """The result messages, the final one last."""
        done = self.support("send", DEVICE, command, *words, "--json", "--timeout", str(timeout))
        assert done.stdout, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def member(self) -> dict[str, Any]:
        (found,) = json.loads(self.support("fleet", "--for", "1", "--json").stdout)["devices"]
        return dict(found)

    def online(self) -> None:
        until(lambda: self.member()["presence"] == "online")


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    needs_namespaces()
    folder = tmp_path / "broker"
    folder.mkdir()
    with wire("wan0", "isp0") as cable, cable.near.entered():
        broker = Mosquitto(folder)
        with broker:
            extra = f'[operator]\nurl = "{broker.url}"\n[clock]\nsource = "system"\n'
            device = Managed(cable.near, tmp_path, extra)
            device.file.write_text(device.file.read_text().replace("[device]\n", f'[device]\nid = "{DEVICE}"\n'))
            device.manage()
            try:
                made = Line(device, broker)
                until(lambda: broker.log().count(f"as {DEVICE}"))
                made.online()
                yield made
            finally:
                device.close()


def test_support_looks_and_acts(line: Line) -> None:
    assert line.send("status")[-1]["out"]["device"] == DEVICE
    assert [m["state"] for m in line.send("throttle.force", "reason=a test")] == ["accepted", "running", "succeeded"]
    assert line.device.ask("status")["plan"]["state"] == "forced"
    until(lambda: line.member()["state"] == "Forced")
    assert line.send("throttle.auto")[-1]["state"] == "succeeded"
    assert line.send("plan.topup", "bytes=5GB", "by=alice")[-1]["out"]["usage"]["topup_bytes"] == 5_000_000_000
    assert line.support("ask-rebirth", DEVICE).returncode == 0
    assert line.send("device.frobnicate")[-1]["state"] == "rejected"
    shown = line.device.ask("log", "--audit")
    assert shown["broken"] is None
    assert ("plan.topup", "succeeded", "claimed:support") in [
        (e["type"], e["what"], e["issuer"]) for e in shown["audit"]
    ]


def test_both_ways_in_are_one_audit_trail(line: Line) -> None:
    assert line.device.cli("throttle", "lift", "--for", "1h", "--reason", "a test").returncode == 0
    assert line.send("throttle.auto")[-1]["state"] == "succeeded"
    entries = line.device.ask("log", "--audit")["audit"]
    who = [(e["type"], e["what"], e["issuer"]) for e in entries]
    assert who == [
        ("throttle.lift", "running", "local:root (uid 0)"),
        ("throttle.lift", "succeeded", "local:root (uid 0)"),
        ("throttle.auto", "running", "claimed:support"),
        ("throttle.auto", "succeeded", "claimed:support"),
    ]
    shown = line.device.cli("log", "--audit").stdout.replace("\n  ", " ")
    assert "#2 throttle.lift succeeded, by local:root (uid 0) (admin)" in shown


def test_a_restart_is_a_success_once_another_process_answers(line: Line) -> None:
    starts = line.device.starts
    assert [m["state"] for m in line.send("agent.restart")] == ["accepted", "running", "succeeded"]
    assert line.device.starts == starts + 1


def test_a_pushed_configuration_is_kept_once_it_reached_the_broker(line: Line) -> None:
    answers = line.send("config.set", 'changes={"operator.beat_s": 1800}', "confirm_s=60", timeout=90)
    assert answers[-1]["state"] == "succeeded", answers
    assert line.send("config.get", "section=operator")[-1]["out"]["config"]["operator"]["beat_s"] == 1800
    assert line.send("config.rollback")[-1]["state"] == "succeeded"
    until(lambda: line.send("config.get", "section=operator")[-1]["out"]["config"]["operator"]["beat_s"] == 900)


@pytest.mark.parametrize(("killed", "confirm_s"), [(False, 10), (True, 40)], ids=["in-peace", "killed-meanwhile"])
def test_a_pushed_configuration_that_loses_the_broker_is_rolled_back(line: Line, killed: bool, confirm_s: int) -> None:
    """The answer comes over the old way, which the device found back to by itself. A trial that is cut short lasts
    long enough to be seen by a command that a busy machine starts in seconds."""
    words = ['changes={"operator.url": "mqtt://127.0.0.1:9"}', f"confirm_s={confirm_s}"]
    before = line.device.starts
    result: list[list[dict[str, Any]]] = []
    asking = threading.Thread(target=lambda: result.append(line.send("config.set", *words, timeout=110)))
    asking.start()
    until(lambda: line.device.starts > before)
    if killed:
        until(lambda: (line.device.ask("status") or {}).get("session", {}).get("broker") == "127.0.0.1:9")
        line.device.kill()
    asking.join(130)
    (answers,) = result
    assert answers[-1]["state"] == "failed", answers
    assert f"was not reached within {confirm_s} s" in answers[-1]["reason"]
    assert line.send("config.get", "section=operator")[-1]["out"]["config"]["operator"]["url"] == line.broker.url
