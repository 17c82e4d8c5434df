"""The engine on every wire variation that real modules showed, whole, split anywhere, and with news spliced in."""

from __future__ import annotations

import pytest

from agent.at import Engine, Event, Prompt, Response, Stray, Urc, decode, find

VARIATIONS = {
    "verbose": b"\r\n+CSQ: 18,99\r\n\r\nOK\r\n",
    "echo on": b"AT+CSQ\r\r\n+CSQ: 18,99\r\n\r\nOK\r\n",
    "no space after the colon": b"\r\n+CSQ:18,99\r\n\r\nOK\r\n",
    "doubled carriage return": b"\r\r\n+CSQ: 18,99\r\r\n\r\r\nOK\r\r\n",
    "CR alone": b"+CSQ: 18,99\rOK\r",
    "LF alone": b"AT+CSQ\n+CSQ: 18,99\nOK\n",
    "leading NULs": b"\0\0\0\r\n\0+CSQ: 18,99\r\n\0\0OK\r\n",
    "line noise": b"\xff\xff\r\n+CSQ: 18,99\r\n\xffOK\r\n",
    "leading spaces": b"\r\n   +CSQ: 18,99\r\n\r\nOK\r\n",
    "numeric results": b"+CSQ: 18,99\r\n0\r",
}
NEWS = (
    b"\r\n+CREG: 2\r\n",
    b'\r\n+CMTI: "ME",1\r\n',
    b"\r\nRING\r\n",
    b"\r\n^DSFLOWRPT:0000,00,00\r\n",
    b"\r\nNO CARRIER\r\n",
)


def events(engine: Engine) -> list[Event]:
    found = []
    while (event := engine.next_event()) is not None:
        found.append(event)
    return found


def exchange(command: str, *chunks: bytes) -> list[Event]:
    engine = Engine(find)
    engine.submit(command)
    for chunk in chunks:
        engine.receive(chunk)
    engine.flush()
    return events(engine)


def response(found: list[Event]) -> Response:
    [only] = [event for event in found if isinstance(event, Response)]
    return only


@pytest.mark.parametrize("name", VARIATIONS)
def test_every_variation_of_the_wire_reads_the_same(name: str) -> None:
    wire = VARIATIONS[name]
    for cut in range(len(wire) + 1):
        found = response(exchange("AT+CSQ", wire[:cut], wire[cut:]))
        assert (found.final, tuple(line.replace(": ", ":") for line in found.lines)) == ("OK", ("+CSQ:18,99",))
    found = response(exchange("AT+CSQ", *(wire[i : i + 1] for i in range(len(wire)))))
    assert found.final == "OK"


@pytest.mark.parametrize("news", NEWS)
def test_news_at_any_line_boundary_changes_no_answer(news: bytes) -> None:
    lines = [b"\r\n+CSQ: 18,99\r\n", b"\r\nOK\r\n"]
    for position in range(len(lines) + 1):
        found = exchange("AT+CSQ", *lines[:position], news, *lines[position:])
        assert response(found).lines == ("+CSQ: 18,99",)
        assert response(found).final == "OK"
        assert [event for event in found if isinstance(event, Urc)] == [Urc(news.decode().strip())]


def test_what_follows_the_final_result_code_is_news() -> None:
    found = exchange("AT+CSQ", b'\r\n+CSQ: 1,99\r\n\r\nOK\r\n\r\n+CMTI: "ME",1\r\n')
    assert isinstance(found[0], Response)
    assert found[1] == Urc('+CMTI: "ME",1')


def test_a_result_glued_to_news_is_two_lines() -> None:
    found = exchange("AT+CSQ", b'\r\n+CSQ: 1,99\r\n\r\nOK+CMTI: "ME",1\r\n')
    assert response(found).final == "OK"
    assert Urc('+CMTI: "ME",1') in found


@pytest.mark.parametrize(
    ("line", "final", "code"),
    [
        (b"+CME ERROR: 10", "CME", 10),
        (b"+CME ERROR:10", "CME", 10),
        (b"+CME ERROR: SIM not inserted", "CME", 10),
        (b"+CME ERROR: raspberry", "CME", "raspberry"),
        (b"+CME ERROR: ", "CME", None),
        (b"+CMS ERROR: 500", "CMS", 500),
        (b"+EXT ERROR: 3", "EXT", 3),
        (b"MODEM ERROR: 11", "MODEM ERROR", 11),
        (b"COMMAND NOT SUPPORT", "COMMAND NOT SUPPORT", None),
        (b"NA", "NA", None),
        (b"TOO MANY PARAMETERS", "TOO MANY PARAMETERS", None),
        (b"4", "ERROR", None),
    ],
)
def test_final_error_codes(line: bytes, final: str, code: object) -> None:
    found = response(exchange("AT+CREG?", b"\r\n" + line + b"\r\n"))
    assert (found.final, found.code, found.ok) == (final, code, False)


@pytest.mark.parametrize("line", ["+CME ERROR:", "MODEM ERROR: apple", "UNKNOWN COMMAND", "OKTEL", "ERRORS", "OK then"])
def test_what_only_looks_like_a_final_result_code_ends_nothing(line: str) -> None:
    found = exchange("AT+CREG?", f"\r\n{line}\r\n".encode())
    assert not [event for event in found if isinstance(event, Response)]


def test_an_operator_called_ok_ends_nothing() -> None:
    decoded = decode("AT+COPS?", '\r\n+COPS: 0,0,"OK",7\r\n\r\nOK\r\n')
    assert decoded["reading"] is not None
    assert decoded["reading"]["operator"] == "OK"  # type: ignore[index]


def test_a_call_result_is_news_to_a_query_and_final_to_a_dial() -> None:
    found = exchange("AT+CSQ", b"\r\nNO CARRIER\r\n\r\n+CSQ: 5,99\r\n\r\nOK\r\n")
    assert response(found).final == "OK"
    assert response(exchange("ATD*99#", b"\r\nNO CARRIER\r\n")).final == "NO CARRIER"
    connected = response(exchange("ATD*99#", b"\r\nCONNECT 150000000\r\n"))
    assert (connected.final, connected.ok) == ("CONNECT", True)


def test_an_unsolicited_registration_never_answers_a_read() -> None:
    found = exchange("AT+CEREG?", b'\r\n+CEREG: 5,"1F00","79D903",7\r\n\r\n+CEREG: 2,1,"0001","0002",7\r\n\r\nOK\r\n')
    assert response(found).lines == ('+CEREG: 2,1,"0001","0002",7',)
    assert Urc('+CEREG: 5,"1F00","79D903",7') in found


def test_a_value_line_is_what_is_no_news() -> None:
    found = exchange("AT+CGSN", b"\r\n+CREG: 1\r\n\r\nRDY\r\n\r\n356000000000000\r\n\r\nOK\r\n")
    assert response(found).lines == ("356000000000000",)
    assert [event for event in found if isinstance(event, Urc)] == [Urc("+CREG: 1"), Urc("RDY")]


def test_another_process_on_the_port_leaves_strays_only() -> None:
    found = exchange("AT+CGSN", b"AT+QENG?\r\r\n+COPS: 0\r\n\r\n356000000000000\r\n\r\nOK\r\n")
    assert response(found).lines == ("356000000000000",)
    assert [event for event in found if isinstance(event, Stray)] == [Stray("AT+QENG?"), Stray("+COPS: 0")]


def test_a_missing_ok_leaves_the_line_that_came() -> None:
    engine = Engine(find)
    engine.submit("AT+CPIN?", now=0.0)
    engine.receive(b"\r\n+CPIN: READY\r\n")
    assert engine.deadline is not None
    engine.expire(engine.deadline - 0.1)
    assert engine.next_event() is None
    engine.expire(engine.deadline)
    found = response(events(engine))
    assert (found.final, found.lines, found.ok) == (None, ("+CPIN: READY",), True)


def test_a_late_answer_is_never_credited_to_the_next_command() -> None:
    engine = Engine(find)
    engine.submit("AT+CSQ", now=0.0)
    engine.expire(3.0)
    assert response(events(engine)).final is None
    engine.submit("AT+CPIN?", now=3.0)
    engine.receive(b"\r\n+CSQ: 31,99\r\n\r\nOK\r\n\r\n+CPIN: READY\r\n\r\nOK\r\n")
    found = events(engine)
    assert response(found).lines == ("+CPIN: READY",)
    assert Stray("+CSQ: 31,99") in found


def test_a_text_cut_by_line_ends_is_put_together() -> None:
    found = exchange("AT+COPS=?", b'+COPS: (2,"A",,"20601",7),\r\n(1,"B",,"20610",7)\r\n\r\nOK\r\n')
    assert len(response(found).lines) == 1
    news = exchange("AT", b'\r\n+CUSD: 0,\r\n"Credit 5 EUR",15\r\n\r\nOK\r\n')
    assert Urc('+CUSD: 0,\n"Credit 5 EUR",15') in news


def test_a_message_and_its_text_are_one_piece_of_news() -> None:
    found = exchange("AT", b'\r\n+CMT: "+32470000000",,"26/11/22,08:00:00+04"\r\nHello\r\n\r\nOK\r\n')
    assert Urc('+CMT: "+32470000000",,"26/11/22,08:00:00+04"\nHello') in found
    assert response(found).final == "OK"


def test_the_prompt_of_a_message() -> None:
    engine = Engine(find)
    engine.submit('AT+CMGS="+32470000000"')
    engine.receive(b"\r\n> ")
    assert engine.next_event() == Prompt()
    engine.receive(b"\r\n+CMGS: 12\r\n\r\nOK\r\n")
    assert response(events(engine)).lines == ("+CMGS: 12",)


def test_a_line_without_end_is_given_up_and_memory_does_not_grow() -> None:
    engine = Engine(find)
    engine.submit("AT+CSQ")
    for _ in range(100):
        engine.receive(b"x" * 4096)
    assert engine.overlong >= 10
    engine.receive(b"\r\n+CSQ: 5,99\r\n\r\nOK\r\n")
    assert response(events(engine)).lines == ("+CSQ: 5,99",)


def test_one_command_at_a_time() -> None:
    engine = Engine(find)
    engine.submit("AT+CSQ")
    with pytest.raises(ValueError, match="still pending"):
        engine.submit("AT+CREG?")
    engine.abandon()
    assert engine.submit("at+creg?") == b"at+creg?\r"


def test_nothing_pending_and_nothing_lost() -> None:
    engine = Engine(find)
    engine.receive(b"\r\nRDY\r\n\r\nOK\r\n\r\n+FOO: 1\r\nbar\r\n")
    assert events(engine) == [Urc("RDY"), Stray("OK"), Urc("+FOO: 1"), Stray("bar")]


def test_a_chain_is_answered_under_each_prefix() -> None:
    found = decode("AT+CSQ;+COPS=3,2;+COPS?", '\r\n+CSQ: 18,99\r\n\r\n+COPS: 0,2,"20601",7\r\n\r\nOK\r\n')
    reading = found["reading"]
    assert isinstance(reading, dict)
    assert (reading["rssi_dbm"], reading["plmn"]) == (-77, "20601")
    assert (found["final"], found["stray"]) == ("OK", [])
