"""What went over the ports: read back, written to a file, and replayed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import simulator
from simulator.errors import DataError
from simulator.ports import ask
from simulator.ports.replay import replay
from simulator.ports.trace import HOST, MODULE, Event, commands, read
from simulator.verbs import ctl
from simulator.verbs import replay as verb
from tests.simulator.test_serve import exchange


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.one_of(st.none(), st.integers(0, 9)), st.binary(), st.sampled_from("<>")))
)
def test_whatever_is_written_is_read_back(rows: list[tuple[float, int | None, bytes, str]]) -> None:
    events = [Event(round(at, 6), port, sign, data) for at, port, data, sign in rows]
    path = Path(os.environ.get("TMPDIR", "/tmp"), f"modem-sim-trace-{os.getpid()}")
    path.write_text("# a comment\n\n" + "".join(f"{event}\n" for event in events), encoding="ascii")
    try:
        assert read(path) == events
    finally:
        path.unlink()


@pytest.mark.parametrize("line", ['x 2 > "AT"', "1.0 2 > AT", '1.0 2 ? "AT"', '1.0 2 > "\\x0"', '1.0 2 > "é"'])
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "trace"
    path.write_text(f'0.1 2 > "AT\\r"\n{line}\n', encoding="utf-8")
    with pytest.raises(DataError) as error:
        read(path)
    assert str(path) in str(error.value)


def test_commands_are_whole_lines_however_they_were_cut() -> None:
    pieces = [(2, b"AT+C"), (3, b"ATI\rAT"), (2, b"SQ\rAT+CMGS=5\r"), (2, b"0011\x1a"), (3, b"E0"), (2, b"\r\n\r")]
    events = [Event(0.0, port, HOST, data) for port, data in pieces]
    events.insert(2, Event(0.0, 2, MODULE, b"\r\nOK\r\n"))
    assert commands(events) == ["ATI", "AT+CSQ", "AT+CMGS=5", "0011"]
    assert commands(events, 3) == ["ATI"]


def test_a_served_module_tells_what_the_host_said(tmp_path: Path) -> None:
    control, file = str(tmp_path / "c"), tmp_path / "trace"
    with simulator.serve(control=control, trace=file) as running:
        port = os.open(running.path, os.O_RDWR | os.O_NOCTTY)
        try:
            exchange(port, b"ATE0\r")
            running.set("rsrp", -117)
            ask(control, ["set", "operator", "BASE Company"])
            ask(control, ["status"])
            assert b"BASE Company" in exchange(port, b"AT+COPS?\r")
        finally:
            os.close(port)
        assert running.commands() == ["ATE0", "AT+COPS?"]
        log = ask(control, ["log", "3"])
        assert [line.split(" ", 1)[1] for line in log[:2]] == [
            "- * \"set operator 'BASE Company'\"",
            '2 > "AT+COPS?\\r"',
        ]
        assert ask(control, ["log", "0"]) == []
        shown = CliRunner().invoke(ctl.command, ["--control", control, "log"]).output.splitlines()
        assert shown[-3:] == log
    assert file.read_text(encoding="ascii").startswith("# modem-sim trace: quectel-ec25, seed 0, pace 1, warm\n")
    assert [str(event) for event in read(file)][-3:] == log


def test_a_trace_replays_to_the_same_answers(tmp_path: Path) -> None:
    file = tmp_path / "trace"
    with simulator.serve("quectel-ec25", trace=file, seed=4) as running:
        port = os.open(running.path, os.O_RDWR | os.O_NOCTTY)
        try:
            for command in (b"ATE0\r", b"AT+CGSN\r", b'AT+QENG="servingcell"\r'):
                exchange(port, command)
            running.set("rsrp", -117)
            exchange(port, b'AT+QENG="servingcell"\r')
        finally:
            os.close(port)
    again = replay(read(file), "quectel-ec25", seed=4)
    assert again.differences == []
    assert b",-117," in b"".join(event.data for event in again.events)
    assert CliRunner().invoke(verb.command, [str(file), "--seed", "4"]).exit_code == 0
    other = CliRunner().invoke(verb.command, [str(file), "--seed", "5"])
    assert other.exit_code == 1
    assert "was said, now" in other.output + other.stderr
