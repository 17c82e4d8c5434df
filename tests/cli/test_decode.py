"""`modem-agent decode`: a file, standard input, a stream; meaning for a person, one object for a program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.at import decode
from tests.at.corpus import DATA, rows


def modem_agent(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "agent.cli", "decode", *arguments]
    return subprocess.run(command, input=given, capture_output=True, timeout=60)


ANSWER = (
    b'\r\n+QENG: "servingcell","NOCONN","LTE","FDD",206,01,2C81000,193,1850,3,5,5,1694,-100,-11,-67,11,29\r\n\r\nOK\r\n'
)


def test_a_file_is_told_in_words_with_units_in_the_names(tmp_path: Path) -> None:
    file = tmp_path / "answer.txt"
    file.write_bytes(ANSWER)
    told = modem_agent('AT+QENG="servingcell"', str(file))
    assert told.returncode == 0
    lines = dict(line.split(None, 1) for line in told.stdout.decode().splitlines() if len(line.split(None, 1)) == 2)
    assert (lines["result"], lines["plmn"], lines["band"]) == ("OK", "20601", "3")
    assert b"rsrp_dbm               -100" in told.stdout


def test_standard_input_and_one_object() -> None:
    told = modem_agent("AT+CSQ", "-", "--json", given=b"\r\n+CSQ: 18,99\r\n\r\nOK\r\n")
    assert json.loads(told.stdout)["reading"]["rssi_dbm"] == -77


def test_an_error_is_told_in_words() -> None:
    told = modem_agent("AT+CPIN?", "-", given=b"\r\n+CME ERROR: 10\r\n")
    assert (told.returncode, told.stdout.decode().strip()) == (0, f"{'result':<22} CME 10: SIM not inserted")


def test_a_search_without_a_result_says_so() -> None:
    answer = modem_agent("AT+COPS=?", "-", given=b"\r\n+COPS: ,,(0-4),(0-2)\r\n\r\nOK\r\n")
    assert "networks               none found" in answer.stdout.decode()


@pytest.mark.parametrize("nonsense", [b"", b"lorem ipsum\r\n", b"\x00\xff\xfe\x80", b"+CSQ 5,99\r\nOK\r\n"])
def test_nonsense_is_one_line_and_exit_1(nonsense: bytes) -> None:
    told = modem_agent("AT+CSQ", "-", given=nonsense)
    assert (told.returncode, told.stdout) == (1, b"")
    assert len(told.stderr.decode().strip().splitlines()) == 1


def test_a_stream_gives_one_object_a_line_whatever_stands_on_it() -> None:
    first = {"command": "AT+CSQ", "reply": "\xff\xff+CSQ: 9,99\r\nOK\r\n"}  # 0xFF is line noise
    lines = [json.dumps(first), "not json", "[1]", '{"command": 3}', '{"reply": "\\ud800"}']
    given = "\n".join(lines).encode()
    told = modem_agent("--jsonl", given=given)
    assert told.returncode == 0
    objects = [json.loads(line) for line in told.stdout.splitlines()]
    assert len(objects) == 5
    assert objects[0]["reading"]["rssi_dbm"] == -95
    assert [found["reading"] for found in objects[1:]] == [None] * 4
    assert all(set(found) == {"final", "code", "reading", "unsolicited", "stray"} for found in objects)


def test_the_whole_sample_as_a_stream_is_what_the_room_reads() -> None:
    told = modem_agent("--jsonl", given=DATA.read_bytes())
    objects = [json.loads(line) for line in told.stdout.splitlines()]
    assert objects == [json.loads(json.dumps(decode(row["command"], row["reply"]))) for row in rows()]


def test_without_a_command_it_is_misused() -> None:
    assert modem_agent().returncode == 2
