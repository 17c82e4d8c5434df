"""`page`: the household's page from a running agent or its store, and the sheet for the kitchen."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from agent.cli.verbs.page import home_addresses
from agent.doctor import page_server
from agent.net import probes
from agent.net.facts import WanLink
from tests.cli import sample
from tests.cli.conftest import Answers, Run

SETTINGS = {"help_phone": "+32 2 111 11 11", "help_text": "EPN <b>here</b>"}


def shown(answers: Answers, cli: Run, tmp_path: Path, *words: str, **changes: Any) -> str:
    answers["status"] = sample.status(**changes)
    answers["config.get"] = {"v": 1, "config": {"household": SETTINGS}, "pushed": {}, "trial": False}
    done = cli("page", "--socket", str(tmp_path / "control.sock"), *words, env={"PYTHONUTF8": "1"})
    assert (done.returncode, done.stderr) == (0, "")
    return str(done.stdout)


def test_the_page_of_a_running_agent(cli: Run, tmp_path: Path, answers: Answers) -> None:
    text = shown(answers, cli, tmp_path, "--lang", "nl")
    assert text.startswith('<!DOCTYPE html>\n<html lang="nl"')
    assert "<bdi>19</bdi>\xa0GB" in text  # 19.07 GB are left
    assert "+32 2 111 11 11" in text
    assert "EPN &lt;b&gt;here&lt;/b&gt;" in text
    assert "niet actueel" not in text
    assert "@" not in text


def test_the_page_as_json(cli: Run, tmp_path: Path, answers: Answers) -> None:
    found = json.loads(shown(answers, cli, tmp_path, "--json"))
    assert {name: found[name] for name in ("v", "old", "age_s", "used_tenths", "left_tenths", "speed", "new_day")} == {
        "v": 1, "old": False, "age_s": 0, "used_tenths": 210, "left_tenths": 190, "speed": "fast",
        "new_day": "2026-12-01",
    }  # fmt: skip


def test_without_an_agent_nor_a_store_it_says_so(cli: Run, tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f'[device]\nstate_dir = "{tmp_path}"\nrun_dir = "{tmp_path}"\n')
    done = cli("page", "--config", str(config))
    assert done.returncode == 3
    assert done.stdout == ""


def test_the_sheet_needs_no_agent(cli: Run, tmp_path: Path) -> None:
    done = cli("page", "--sheet", "--lang", "de", env={"PYTHONUTF8": "1"})
    assert done.returncode == 0
    assert "http://internet.box/" in done.stdout
    assert json.loads(cli("page", "--sheet", "--json").stdout)["address"] == "http://internet.box/"


def test_the_sheet_names_the_homes_side_of_the_router_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    links = [
        ("br-lan", True, ("192.168.8.1", "fd00::1")), ("lo", True, ("127.0.0.1",)), ("wwan0", True, ("10.64.0.2",)),
        ("eth1", False, ("192.168.9.1",)), ("eth2", True, ("94.109.0.9",)), ("eth3", True, ("fd00::2",)),
        ("x", True, ()),
    ]  # fmt: skip
    made = tuple(WanLink(name, up=up, carrier=True, addresses=found) for name, up, found in links)
    monkeypatch.setattr(probes, "wan_links", lambda patterns: made)
    assert home_addresses(["wwan*"]) == ["192.168.8.1"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'HTTP/1.1 200 OK\r\nX-Household-Page: modem-agent\r\n\r\n<p class="own">', ""),
        (b'HTTP/1.1 200 OK\r\nX-Household-Page: modem-agent\r\n\r\n<p class="old">', "lacks use by device"),
        (b"HTTP/1.1 503 No\r\nX-Household-Page: modem-agent\r\n\r\n", "there are no numbers"),
        (b"HTTP/1.1 200 OK\r\nServer: nginx\x1b[2J/1.22\r\n\r\n", "another web server's (nginx[2J/1.22)"),
        (b"SSH-2.0-OpenSSH\r\n", "no web server answers"),
    ],
)
def test_the_doctor_names_who_has_the_port(answer: bytes, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        found = page_server.look(port=server.getsockname()[1], count=True)
        thread.join()
    assert said in found
    assert bool(found) is bool(said)


def test_the_doctor_says_when_nobody_answers() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert page_server.look(port=port).startswith(f"no web server answers on port {port}")
