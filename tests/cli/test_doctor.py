"""`doctor` as a technician calls it: on loopback, without an agent."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from agent.cli import exits
from tests.cli.conftest import Run


def write(tmp_path: Path, more: str = "", hosts: str = "") -> str:
    """A configuration in which nothing outside this machine is asked."""
    file = tmp_path / "config.toml"
    file.write_text(
        f'[device]\nrun_dir = "{tmp_path}/run"\nstate_dir = "{tmp_path}"\n[wan]\ninterfaces = ["nowan*"]\n'
        f'[probe]\nhosts = [{hosts}]\nname_servers = ["127.0.0.1"]\n{more}'
    )
    return str(file)


def test_with_the_agent_dead_it_still_walks_the_chain(cli: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f'"127.0.0.1:{server.getsockname()[1]}"'
        done = cli("doctor", "--config", write(tmp_path, hosts=host))
    assert done.returncode == exits.FAILED
    lines = done.stdout.splitlines()
    assert any(line.startswith("agent         FAULT") for line in lines)
    assert any(line.startswith("disk          ok") for line in lines)
    assert "Root cause (no-wan-interface): address: there is no interface nowan*" in done.stdout
    assert "What to do: " in done.stdout
    assert max(map(len, lines)) <= 80
    assert done.stdout.isascii()


def test_json_names_the_cause_and_the_worst(cli: Run, tmp_path: Path) -> None:
    done = cli("doctor", "--json", "--config", write(tmp_path))
    assert done.returncode == exits.FAILED
    answer = json.loads(done.stdout)
    assert answer["worst"] == "fault"
    assert answer["cause"] == "no-wan-interface"
    assert done.stderr == ""


def test_a_broken_configuration_is_a_finding_not_an_end(cli: Run, tmp_path: Path) -> None:
    done = cli("doctor", "--json", "--config", write(tmp_path, more="[plan]\nbilling_day = 77\n"))
    assert done.returncode == exits.FAILED
    answer = json.loads(done.stdout)
    assert answer["cause"] == "configuration"
    assert "billing_day" in answer["root"]["text"]
