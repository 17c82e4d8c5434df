"""The one-shot process that fetches: against a server that breaks, lies, or knows no ranges."""

from __future__ import annotations

import hashlib
import json
import random
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from agent.update import fetch
from agent.update.fetch import Order, Unusable, Wire
from tests.update.publisher import Publisher

CONTENT = random.Random(5).randbytes(310_000)  # the agent's package
NAME = "modem-agent_0.2.0_all.deb"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Publisher]:
    with Publisher(tmp_path / "pki") as server:
        server.files = {NAME: CONTENT, "InRelease": b"signed", "Packages": b"listed"}
        yield server


@pytest.fixture
def order(server: Publisher, tmp_path: Path) -> Order:
    folder = tmp_path / "update"
    folder.mkdir()
    return Order(
        f"{server.base}/{NAME}", str(folder), len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), 10**9,
        ("InRelease", "Packages"), server.pki.path("ca.pem"),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "AGAIN_S", 0.01)


def told(capsys: pytest.CaptureFixture[str]) -> list[int]:
    return [int(word) for word in capsys.readouterr().out.splitlines()[-1].split()]


def test_all_files_come_over_one_connection(
    order: Order, server: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch.fetch(order, Wire(order.rate_bps))
    folder = Path(order.folder)
    assert (folder / NAME).read_bytes() == CONTENT
    assert sorted(path.name for path in folder.iterdir()) == ["InRelease", "Packages", NAME]
    received, sent, have = told(capsys)
    assert len(CONTENT) < received < 1.1 * len(CONTENT)
    assert 0 < sent < 0.1 * len(CONTENT)
    assert have == len(CONTENT)


def test_a_private_authority_is_good_on_every_python(
    order: Order, server: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 3.13 on the default context asks for extensions that the authority here leaves out, as many a one does."""
    default = ssl.create_default_context

    def strict() -> ssl.SSLContext:
        context = default()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    fetch.fetch(order, Wire(order.rate_bps))
    assert (Path(order.folder) / NAME).read_bytes() == CONTENT


def test_five_cuts_cost_their_handshakes_alone(
    order: Order, server: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    server.breaks = [50_000] * 5
    fetch.fetch(order, Wire(order.rate_bps))
    assert (Path(order.folder) / NAME).read_bytes() == CONTENT
    starts = [int(words[6:-1]) for path, words in server.asked if path.endswith(NAME)]
    assert starts == sorted(starts)
    assert len(starts) == 6
    received, sent, _ = told(capsys)
    assert received + sent <= 1.3 * len(CONTENT)


def test_a_part_of_an_earlier_run_is_gone_on_with(order: Order, server: Publisher) -> None:
    (Path(order.folder) / f"{NAME}.part").write_bytes(CONTENT[:200_000])
    fetch.fetch(order, Wire(order.rate_bps))
    assert (Path(order.folder) / NAME).read_bytes() == CONTENT
    assert server.asked[0][1] == "bytes=200000-"


def test_a_server_without_ranges_sends_all_again(order: Order, server: Publisher) -> None:
    server.ranges = False
    (Path(order.folder) / f"{NAME}.part").write_bytes(CONTENT[:200_000])
    fetch.fetch(order, Wire(order.rate_bps))
    assert (Path(order.folder) / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sha256": "0" * 64}, "another sum"),
        ({"size": len(CONTENT) - 1}, "the server has another file"),
        ({"size": len(CONTENT) + 1}, "the server has another file"),
        ({"beside": ("InRelease", "missing")}, "404 to missing"),
    ],
)
def test_another_file_than_ordered_is_not_asked_for_again(
    order: Order, server: Publisher, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(Unusable, match=said):
        fetch.fetch(replace(order, **changes), Wire(order.rate_bps))  # type: ignore[arg-type]
    assert len([path for path, _ in server.asked if path.endswith(NAME)]) == 1


def test_a_server_that_the_ca_does_not_know_is_not_believed(
    order: Order, server: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Enough(Exception):
        pass

    def pause(seconds: float) -> None:
        raise Enough

    monkeypatch.setattr("agent.update.fetch.time.sleep", pause)
    with pytest.raises(Enough):
        fetch.fetch(replace(order, ca_file=""), Wire(order.rate_bps))
    assert server.asked == []


def test_the_rate_is_held_over_all_pieces(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []
    monkeypatch.setattr("agent.update.fetch.time.sleep", paused.append)
    fetch.fetch(order, Wire(256_000))
    assert sum(paused) == pytest.approx((len(CONTENT) + 12) * 8 / 256_000)


def test_as_a_process_it_says_what_failed(order: Order) -> None:
    wrong = json.dumps(asdict(replace(order, sha256="0" * 64)))
    done = subprocess.run(
        [sys.executable, "-m", "agent.update.fetch", wrong], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "the package has another sum than the command says"
