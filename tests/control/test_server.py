"""The control socket with both its ends: requests, watchers, the slow, the gone, the stranger and the stale."""

from __future__ import annotations

import importlib
import json
import socket
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from agent.commands.rows import status
from agent.control import protocol
from agent.control.client import ControlClient
from agent.errors import AgentNotRunning, ControlError, NotPermitted, PortAbsent
from tests.control.conftest import Served, Table, serving


def ask(path: Path, *lines: bytes, answers: int = 1) -> list[dict[str, Any]]:
    """What a script with nc would do."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(b"".join(lines))
        with connection.makefile("rb") as stream:
            return [json.loads(stream.readline()) for _ in range(answers)]


def test_a_request_is_answered_with_its_id(served: Served) -> None:
    with ControlClient(served.path) as client:
        assert client.call("status", {"a": 1}) == {"v": 1, "beat": 1, "a": 1}
        assert client.role == "admin"
        assert client.call("status")["beat"] == 2
    assert served.table.asked[0][0] == "status"
    assert served.table.asked[0][2].startswith("local:")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"nonsense\n", protocol.PARSE_ERROR),
        (b"[" * 30_000 + b"\n", protocol.PARSE_ERROR),
        (b"[]\n", protocol.INVALID_REQUEST),
        (b'"status"\n', protocol.INVALID_REQUEST),
        (b'{"id":1}\n', protocol.INVALID_REQUEST),
        (b'{"id":[1],"method":"status"}\n', protocol.INVALID_REQUEST),
        (b'{"id":1,"method":"status","params":[1]}\n', protocol.INVALID_PARAMS),
        (b'{"id":1,"method":"watch","params":{"method":3}}\n', protocol.INVALID_PARAMS),
        (b'{"id":1,"method":"nothing"}\n', protocol.COMMAND_FAILURE),
        (b"\xff\xfe\x00\n", protocol.PARSE_ERROR),
        (b"x" * 100_000, protocol.INVALID_REQUEST),
    ],
)
def test_bad_lines_are_answered_and_the_server_goes_on(served: Served, line: bytes, code: int) -> None:
    assert ask(served.path, line)[0]["error"]["code"] == code
    with ControlClient(served.path) as client:
        assert client.call("status")["v"] == 1


def test_a_half_closed_client_still_gets_its_answer(served: Served) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(served.path))
        connection.sendall(b'{"jsonrpc":"2.0","id":7,"method":"status"}\n')
        connection.shutdown(socket.SHUT_WR)
        answer = json.loads(connection.makefile("rb").readline())
    assert answer["id"] == 7
    assert answer["result"]["v"] == 1


def test_faults_keep_their_meaning(served: Served) -> None:
    with ControlClient(served.path) as client:
        with pytest.raises(PortAbsent, match="no modem"):
            client.call("modem.info")
        with pytest.raises(ControlError, match="another version"):
            client.call("agent.dance")
        with pytest.raises(ControlError, match="the log says why"):
            client.call("broken")
        assert len(client.call("huge", {"bytes": 400_000})["text"]) == 400_000
        with pytest.raises(ControlError, match="ask for less"):
            client.call("huge", {"bytes": 2_000_000})
        with pytest.raises(TimeoutError, match=r"did not answer 'modem\.scan' in time"):
            client.call("modem.scan", timeout_s=0.2)


def test_a_client_that_goes_away_cancels_what_it_asked(served: Served) -> None:
    client = ControlClient(served.path)
    steps: list[dict[str, Any]] = []
    with pytest.raises(TimeoutError):
        client.call("modem.scan", timeout_s=0.3, progress=steps.append)
    assert steps[0]["percent"] == 10
    assert served.table.running.wait(10)
    assert not served.table.cancelled.is_set()
    client.close()
    assert served.table.cancelled.wait(10)


def test_watchers_of_the_same_share_their_beats(served: Served) -> None:
    first, second = ControlClient(served.path), ControlClient(served.path)
    with first, second:
        one = first.stream("status", {}, every_s=0.2)
        two = second.stream("status", {}, every_s=0.2)
        assert next(one) == {"v": 1, "beat": 1}
        last = [next(two) for _ in range(3)][-1]
        assert isinstance(last, dict)
        assert last["beat"] in (1, 2, 3, 4)
    asked = [name for name, _, _ in served.table.asked if name == "status"]
    assert len(asked) <= 6  # two watchers, three beats: not six questions and more


def test_a_watcher_only_reads(served: Served) -> None:
    with ControlClient(served.path) as client:
        beat = next(client.stream("modem.reset", {}, every_s=0.2))
    assert isinstance(beat, NotPermitted)


def test_a_watcher_survives_a_fault(served: Served) -> None:
    with ControlClient(served.path) as client:
        beats = client.stream("modem.info", {}, every_s=0.2)
        assert isinstance(next(beats), PortAbsent)
        assert isinstance(next(beats), PortAbsent)


def test_fifty_clients_and_one_that_hangs(served: Served) -> None:
    hung = socket.socket(socket.AF_UNIX)
    with hung:
        hung.connect(str(served.path))
        hung.setblocking(False)
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "huge", "params": {"bytes": 500_000}}).encode()
        hung.sendall((request + b"\n") * 20)  # 10 MB of answers that it never reads
        clients = [ControlClient(served.path) for _ in range(50)]
        try:
            started = time.monotonic()
            for client in clients:
                assert client.call("status")["v"] == 1
            assert time.monotonic() - started < 10
        finally:
            for client in clients:
                client.close()


def test_a_stale_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "run" / "control.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(AgentNotRunning, match="stale"):
        ControlClient(path)
    with serving(path, Table()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        with pytest.raises(ControlError, match="another agent listens"), serving(path, Table()):
            pass
        with ControlClient(path) as client:
            assert client.call("status")["v"] == 1
    assert not path.exists()


def test_nobody_there_nobody_ours_nothing_usable(tmp_path: Path) -> None:
    with pytest.raises(AgentNotRunning, match="no control socket"):
        ControlClient(tmp_path / "absent.sock")
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(ControlError, match="cannot listen"), serving(blocked / "control.sock", Table()):
        pass


def test_the_codes_are_those_of_the_table_of_commands() -> None:
    execute_codes = importlib.import_module("agent.commands.execute")
    assert execute_codes.TIMED_OUT == protocol.TIMED_OUT
    assert execute_codes.PERMISSION_DENIED == protocol.PERMISSION_DENIED
    assert execute_codes.COMMAND_FAILURE == protocol.COMMAND_FAILURE
    assert status.NO_MODEM == protocol.MODEM_ABSENT


def test_the_roles_include_each_other() -> None:
    assert protocol.allows("admin", "read")
    assert protocol.allows("act", "act")
    assert not protocol.allows("read", "act")
    assert not protocol.allows("", "read")
