"""The demo's processes: one that ends by itself is named at once, and the broker runs for an ordinary user."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.demo.network import SetupError
from simulator.demo.processes import MOSQUITTO_CONF, Processes
from tests.netns.namespace import namespaces, needs_namespaces

NOBODY = 65534


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    yield made
    made.close()


@pytest.mark.root
@pytest.mark.parametrize(("script", "said"), [
    ("echo well; echo no such port >&2; exit 3", "the daemon ended with status 3: no such port"),
    ("exit 0", "the daemon ended with status 0: it said nothing"),
    ("kill -9 $$", "the daemon ended with status -9: it said nothing"),
])  # fmt: skip
def test_a_process_that_ends_is_reported_with_its_last_line(processes: Processes, script: str, said: str) -> None:
    needs_namespaces()
    with namespaces("host") as names:
        processes.start(names["host"], "broker", "sleep", "60")
        processes.all_run()
        processes.start(names["host"], "daemon", "sh", "-c", script)
        with pytest.raises(SetupError, match=f"^{said}$"):
            processes.wait_until(lambda: None, 60, "the daemon answers")


def test_what_never_comes_is_named_with_how_long_it_was_given(processes: Processes) -> None:
    assert processes.wait_until(lambda: "here", 60, "it is here") == "here"
    with pytest.raises(SetupError, match=r"^not within 0 s: the modem is read$"):
        processes.wait_until(lambda: None, 0.01, "the modem is read")


@pytest.mark.root
def test_a_process_that_was_ended_on_purpose_may_be_started_again(processes: Processes) -> None:
    needs_namespaces()
    with namespaces("host") as names:
        first = processes.start(names["host"], "daemon", "sleep", "60")
        first.kill()
        first.wait()
        processes.start(names["host"], "daemon", "sleep", "60")
        processes.all_run()


@pytest.mark.root
def test_the_broker_runs_for_an_ordinary_user(tmp_path: Path) -> None:
    """As the demo runs it for one: by root of a user namespace."""
    needs_namespaces()
    mosquitto = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")
    if mosquitto is None:
        pytest.skip("mosquitto: not installed")
    ordinary = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    ordinary += ["unshare", "--user", "--map-root-user", "--net"]
    probe = subprocess.run([*ordinary, "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"user namespaces: {probe.stderr.strip()}")
    # Where an ordinary user may read, unlike in pytest's folders.
    conf = Path("/tmp") / f"modem-agent-demo-{os.getpid()}.conf"
    conf.write_text(MOSQUITTO_CONF.format(port=1883, address="127.0.0.1"))
    log = tmp_path / "broker.log"
    command = [*ordinary, "sh", "-c", 'ip link set lo up && exec "$0" -c "$1"', mosquitto, str(conf)]
    try:
        with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as broker:
            while broker.poll() is None and "running" not in log.read_text():
                time.sleep(0.05)
            alive = broker.poll() is None
            broker.kill()
    finally:
        conf.unlink()
    assert alive, log.read_text()
