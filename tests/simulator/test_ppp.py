"""The PPP peer by frames: a client on the data port gets the address of its context."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

import pytest

from simulator.modem import ppp
from simulator.modem.ppp import ACK, CODE_REJECT, ECHO, ECHOED, IPCP, IPV6CP, LCP, NAK, PROTOCOL_REJECT, REJECT, REQUEST
from tests.simulator.talk import Talk

ADDRESS, DNS1, DNS2 = 3, 129, 131
ZERO = bytes(4)


class Client:
    """As pppd behaves, as far as these tests go."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk

    def say(self, protocol: int, code: int, data: bytes = b"", number: int = 7) -> list[tuple[int, int, int, bytes]]:
        payload = bytes([code, number]) + (len(data) + 4).to_bytes(2, "big") + data
        return list(packets(self.talk.raw(ppp.framed(protocol, payload))))

    def agree(self, protocol: int, options: dict[int, bytes]) -> None:
        """Our request is acknowledged, and theirs by us."""
        answers = self.say(protocol, REQUEST, ppp.packed(options))
        assert (protocol, ACK, 7, ppp.packed(options)) in answers
        (asked,) = [answer for answer in answers if answer[1] == REQUEST]
        assert self.say(protocol, ACK, asked[3], number=asked[2]) == []


def packets(heard: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    for frame in heard.split(b"\x7e"):
        found = ppp.unframed(frame) if frame else None
        if found is not None:
            yield found[0], found[1][0], found[1][1], found[1][4:]


@pytest.fixture
def client() -> Client:
    talk = Talk()
    assert talk.say("ATD*99#") == ["CONNECT 150000000"]
    assert talk.wait(30) == b"", "it waits for the client to begin"
    return Client(talk)


def test_a_frame_is_as_the_rfc_draws_it() -> None:
    # RFC 1662 C.2's check over FF 03 C0 21 and an empty request, worked out by hand with its table.
    assert ppp.check(b"123456789") ^ 0xFFFF == 0x906E, "the published check value of CRC-16/X-25"
    frame = ppp.framed(LCP, b"\x01\x01\x00\x04")
    assert frame[:1] == frame[-1:] == b"\x7e"
    assert frame[1:8] == b"\xff\x7d\x23\xc0\x21\x7d\x21"
    assert ppp.unframed(frame[1:-1]) == (LCP, b"\x01\x01\x00\x04")
    assert ppp.unframed(frame[1:-2]) is None
    assert ppp.unframed(b"") is None


def test_a_client_gets_address_and_name_servers(client: Client) -> None:
    client.agree(LCP, {2: ZERO, 5: b"abcd", 7: b"", 8: b""})
    answers = client.say(IPCP, REQUEST, ppp.packed({ADDRESS: ZERO, DNS1: ZERO, DNS2: ZERO}))
    (better,) = [dict(ppp.options(data)) for _, code, _, data in answers if code == NAK]
    context = client.talk.modem.state.contexts[0]
    assert str(ipaddress.ip_address(better[ADDRESS])) == context.address
    assert [str(ipaddress.ip_address(better[kind])) for kind in (DNS1, DNS2)] == ["195.238.2.21", "195.238.2.22"]
    client.agree(IPCP, better)
    call = client.talk.modem.at.call
    assert call is not None
    assert call.peer.opened(IPCP)


def test_a_client_gets_an_interface_identifier(client: Client) -> None:
    client.agree(LCP, {5: b"abcd"})
    answers = client.say(IPV6CP, REQUEST, ppp.packed({1: bytes(8)}))
    (better,) = [dict(ppp.options(data)) for _, code, _, data in answers if code == NAK]
    assert better[1] != bytes(8)
    client.agree(IPV6CP, better)


def test_options_that_are_not_known_are_rejected(client: Client) -> None:
    answers = client.say(LCP, REQUEST, ppp.packed({5: b"abcd", 17: b"\x05\xdc"}))
    assert (LCP, REJECT, 7, ppp.packed({17: b"\x05\xdc"})) in answers
    client.agree(LCP, {5: b"abcd"})
    compression = ppp.packed({2: b"\x00\x2d\x0f\x01"})
    assert (IPCP, REJECT, 7, compression) in client.say(IPCP, REQUEST, compression)


def test_a_protocol_that_is_not_spoken_is_rejected(client: Client) -> None:
    client.agree(LCP, {5: b"abcd"})
    ((protocol, code, _, data),) = client.say(0x80FD, REQUEST)
    assert (protocol, code, data[:2]) == (LCP, PROTOCOL_REJECT, b"\x80\xfd")


def test_an_ipv4_context_has_no_ipv6() -> None:
    talk = Talk()
    talk.say('AT+CGDCONT=1,"IP","internet"')
    talk.say("ATD*99#")
    client = Client(talk)
    client.agree(LCP, {5: b"abcd"})
    ((protocol, code, _, data),) = client.say(IPV6CP, REQUEST, ppp.packed({1: bytes(8)}))
    assert (protocol, code, data[:2]) == (LCP, PROTOCOL_REJECT, b"\x80\x57")


def test_echoes_and_unknown_codes(client: Client) -> None:
    client.agree(LCP, {5: b"abcd"})
    ((_, code, number, data),) = client.say(LCP, ECHO, b"abcdping", number=9)
    assert (code, number, data[4:]) == (ECHOED, 9, b"ping")
    assert [code for _, code, _, _ in client.say(LCP, 77)] == [CODE_REJECT]


def test_a_client_that_begins_anew_is_answered_anew(client: Client) -> None:
    client.agree(LCP, {5: b"abcd"})
    client.agree(LCP, {5: b"efgh"})


def test_the_client_ends_the_link(client: Client) -> None:
    client.agree(LCP, {5: b"abcd"})
    heard = client.talk.raw(ppp.framed(LCP, b"\x05\x01\x00\x04"))
    assert [code for _, code, _, _ in packets(heard)] == [6]
    assert heard.endswith(b"\r\nNO CARRIER\r\n")
    assert client.talk.say("AT+CGACT?") == ["+CGACT: 1,0", "OK"]


def test_nothing_gets_through_an_operator_outage(client: Client) -> None:
    client.talk.modem.fault("outage")
    assert client.say(LCP, REQUEST, ppp.packed({5: b"abcd"})) == []


@pytest.mark.parametrize(
    "data", [b"\x7e\x7e\x7e", b"\x7e\xff\x03\xc0\x21\x7e", b"\x7e\x7d\x7e", bytes(range(256)) * 40]
)
def test_damaged_frames_are_dropped(client: Client, data: bytes) -> None:
    assert client.talk.raw(data) == b""
    client.agree(LCP, {5: b"abcd"})


def test_packets_with_impossible_lengths_are_dropped(client: Client) -> None:
    for payload in (b"\x01\x01", b"\x01\x01\x00\x02", b"\x01\x01\xff\xff", b"\x01\x01\x00\x06\x05\x01"):
        assert client.talk.raw(ppp.framed(LCP, payload)) == b"", payload


class Behind:
    """A network that keeps what comes to it."""

    def __init__(self) -> None:
        self.joined: dict[str, Callable[[bytes], None]] = {}
        self.sent: list[bytes] = []

    def join(self, offer: ppp.Offer, deliver: Callable[[bytes], None]) -> None:
        self.joined[offer.address] = deliver

    def leave(self, offer: ppp.Offer) -> None:
        del self.joined[offer.address]

    def send(self, packet: bytes) -> None:
        self.sent.append(packet)


def carried(heard: bytes) -> list[bytes]:
    found = [ppp.unframed(frame) for frame in heard.split(b"\x7e") if frame]
    return [packet[1] for packet in found if packet is not None and packet[0] == ppp.IPV4]


def test_packets_go_to_the_network_and_come_from_it_once_an_address_is_agreed_on() -> None:
    talk, behind = Talk(), Behind()
    talk.modem.network = behind
    modem, packet = talk.modem, bytes(range(256)) * 5
    talk.say("ATD*99#")
    address = modem.state.contexts[0].address
    deliver = behind.joined[address]
    client = Client(talk)
    client.agree(LCP, {})
    talk.raw(ppp.framed(ppp.IPV4, packet))
    deliver(packet)
    assert (behind.sent, carried(talk.wait(1))) == ([], [])
    client.agree(IPCP, {ADDRESS: ipaddress.ip_address(address).packed})
    talk.raw(ppp.framed(ppp.IPV4, packet))
    deliver(packet[:100])
    assert (behind.sent, carried(talk.wait(1))) == ([packet], [packet[:100]])
    assert (modem.state.counters.sent_bytes, modem.state.counters.received_bytes) == (len(packet), 100)
    modem.fault("outage")
    talk.raw(ppp.framed(ppp.IPV4, packet))
    deliver(packet)
    assert (behind.sent, carried(talk.wait(1))) == ([packet], [])


@pytest.mark.parametrize("end", ["terminal", "no-coverage", "restart"])
def test_the_network_hears_of_the_end_of_a_call(end: str) -> None:
    talk, behind = Talk(), Behind()
    talk.modem.network = behind
    talk.say("ATD*99#")
    assert list(behind.joined) == [talk.modem.state.contexts[0].address]
    if end == "terminal":
        talk.modem.at.terminal_ready(False)
    elif end == "restart":
        talk.modem.restart()
        talk.wait(5)
    else:
        talk.modem.fault(end)
    assert behind.joined == {}


def test_the_network_ends_the_link_before_the_carrier_goes(client: Client) -> None:
    client.agree(LCP, {5: b"abcd"})
    client.talk.modem.set("coverage", False)
    frame, said, _ = client.talk.wait(1).partition(b"\r\nNO CARRIER\r\n")
    assert said
    assert [packet[:2] for packet in packets(frame)] == [(LCP, ppp.TERMINATE)]
    assert client.say(LCP, ppp.TERMINATED) == [], "a late answer is no command"
    assert client.talk.say("AT") == ["OK"]
