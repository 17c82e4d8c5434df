"""The bridge's parts: packages in archives, the API's answers, and turns that are cancelled, late or begun anew."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from agent.errors import ConfigError, OperatorError
from agent.support.client import Client
from agent.support.ddi import turns
from agent.support.ddi.artifact import Unusable, package
from agent.support.ddi.bridge import Bridge, Terms
from agent.support.ddi.server import ActionOver, Feedback, Server
from agent.support.fleet import Fleet
from agent.support.messages import NotUnderstood, read
from tests.support.goosebit import archive, cpio
from tests.support.hawkbit import HawkBit
from tests.support.publisher import status

CONTENT = b"the package, of 31 bytes, as is"
FILE = "modem-agent_0.9.0_all.deb"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ARTIFACT = {"filename": FILE, "size": len(CONTENT), "hashes": {"sha256": SHA256}, "_links": "/files/1"}


@pytest.fixture
def server() -> Iterator[HawkBit]:
    with HawkBit() as running:
        running.pages["/files/1"] = CONTENT
        yield running


@pytest.fixture
def client(server: HawkBit) -> Iterator[Server]:
    with Server(server.url, "GatewayToken 0123", None) as client:
        yield client


# -- the package in an artifact ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"x", CONTENT, bytes(4096)])
def test_a_package_in_an_archive_of_swupdate_is_found(content: bytes) -> None:
    found = package("agent.swu", archive("0.9.0", FILE, content))
    assert (found.file, found.size, found.sha256) == (FILE, len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("name", ["a_1.deb", "a_1.ipk", "a-1.apk"])
def test_a_package_by_itself_is_one(name: str) -> None:
    assert package(name, CONTENT).sha256 == SHA256


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("image.bin", CONTENT),
        ("agent.swu", cpio({"sw-description": b"none"})),
        ("agent.swu", cpio({"a.deb": b"1", "b.deb": b"2"})),
        ("agent.swu", b"070701" + b"Z" * 200),
    ],
)
def test_anything_else_is_refused_by_name(name: str, content: bytes) -> None:
    with pytest.raises(Unusable, match=r"holds \d packages|a damaged archive"):
        package(name, content)


def test_an_archive_cut_anywhere_is_damaged() -> None:
    whole = archive("0.9.0", FILE, CONTENT)
    last = whole.rindex(b"TRAILER!!!")
    for end in range(6, last):
        with pytest.raises(Unusable):
            package("agent.swu", whole[:end])


# -- the server's answers ----------------------------------------------------------------------------------------------


def test_a_poll_says_when_to_come_again_and_what_there_is(server: HawkBit, client: Server) -> None:
    link = server.offer("7", ARTIFACT)
    base = client.poll("imei::990000862471854")
    assert (base.sleep_s, base.deployment, base.cancel) == (300.0, link, None)
    offer = client.offer(link)
    assert (offer.action, offer.version, offer.file, offer.wait) == ("7", "0.9.0", FILE, False)
    assert client.artifact(offer) == CONTENT
    assert server.tokens == {"GatewayToken 0123"}


def test_a_link_to_another_server_is_not_followed(server: HawkBit, client: Server) -> None:
    server.links = {"deploymentBase": "http://elsewhere.example/DEFAULT/controller/v1/one/deploymentBase/7"}
    with pytest.raises(OperatorError, match=r"deploymentBase leads to elsewhere\.example"):
        client.poll("one")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hashes": {"sha256": "0" * 64}}, "another length or sha256"),
        ({"hashes": {"sha1": "0" * 40}}, "another length or sha1"),
        ({"hashes": {}}, "neither a sha256 nor a sha1"),
        ({"size": len(CONTENT) + 1}, "another length"),
        ({"size": 50_000_001}, "at most 50000000"),
    ],
)
def test_a_file_is_the_one_that_is_named(
    server: HawkBit, client: Server, changes: Mapping[str, Any], said: str
) -> None:
    with pytest.raises(Unusable, match=said):
        client.artifact(client.offer(server.offer("7", {**ARTIFACT, **changes})))


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (b"[]", "not a JSON object"),
        (b'{"_links": {"deploymentBase": 7}}', "deploymentBase is no object"),
        (b'{"_links": {"deploymentBase": {"href": "http://h/' + b"x" * 3000 + b'"}}}', "at most 2000"),
    ],
)
def test_a_poll_that_is_not_understood_is_named(server: HawkBit, client: Server, page: bytes, said: str) -> None:
    server.pages["/DEFAULT/controller/v1/one"] = page
    with pytest.raises(NotUnderstood, match=said):
        client.poll("one")


@pytest.mark.parametrize(
    ("code", "said"), [(401, "is the token right"), (403, "is the token right"), (500, "says 500")]
)
def test_a_server_that_refuses_is_named(server: HawkBit, client: Server, code: int, said: str) -> None:
    server.statuses["/DEFAULT/controller/v1/one"] = code
    with pytest.raises(OperatorError, match=said):
        client.poll("one")


def test_an_action_that_is_over_is_told_from_an_error(server: HawkBit, client: Server) -> None:
    server.statuses["/DEFAULT/controller/v1/one/deploymentBase/7/feedback"] = 410
    with pytest.raises(ActionOver):
        client.report("one", "7", Feedback("closed", "success", ""))


# -- turns -------------------------------------------------------------------------------------------------------------


class Broker:
    """What the bridge asks of its MQTT client, kept."""

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []

    def request(self, device: str, envelope: Mapping[str, Any]) -> None:
        self.sent.append({"device": device, **envelope})


class Desk:
    """A bridge whose time and messages are a test's."""

    def __init__(self, client: Server, folder: Path) -> None:
        self.broker, self.fleet, self.now_s = Broker(), Fleet(["one"]), 1_000.0
        self.said: list[str] = []
        self.bridge = Bridge(
            cast(Client, self.broker), client, folder / "ddi.json",
            Terms("https://updates.example/{version}/", {"rate_bps": 64_000}, {"hw": "rpi"}),
            fleet=self.fleet, sign=lambda envelope: envelope, tell=self.said.append, now=lambda: self.now_s,
        )  # fmt: skip
        self.presence("online", "0.1.0")

    def hear(self, topic: str, body: Mapping[str, Any]) -> bool:
        message = read("modem-agent", f"modem-agent/v1/one/{topic}", json.dumps(body).encode())
        assert message is not None
        return self.bridge._heard(message)

    def presence(self, state: str, version: str) -> None:
        self.hear("status", status(state, version=version))

    def answer(self, state: str, **more: Any) -> bool:
        id = self.broker.sent[-1]["id"]
        return self.hear(f"cmd/agent.update/{id}/res", {"v": 1, "id": id, "state": state, **more})

    def visit(self) -> None:
        asyncio.run(self.bridge._visit(self.fleet.members["one"]))


@pytest.fixture
def desk(client: Server, tmp_path: Path) -> Desk:
    return Desk(client, tmp_path)


def test_an_offer_is_one_command_and_each_state_of_it_one_feedback(desk: Desk, server: HawkBit) -> None:
    server.offer("7", ARTIFACT)
    desk.visit()
    desk.visit()
    (sent,) = desk.broker.sent
    assert sent["args"] == {
        "version": "0.9.0", "url": f"https://updates.example/0.9.0/{FILE}", "sha256": SHA256, "size": len(CONTENT),
        "rate_bps": 64_000,
    }  # fmt: skip
    assert server.told[0] == ("configData", {"mode": "merge", "data": {"hw": "rpi", "sw_version": "0.1.0"}})
    path = "deploymentBase/7/feedback"
    assert server.feedback() == [(path, "proceeding", "none")]
    assert desk.answer("running", progress=30)
    desk.visit()
    desk.visit()
    assert server.told[-1][1]["status"]["result"]["progress"] == {"cnt": 30, "of": 100}
    assert desk.answer("succeeded")
    assert not desk.answer("failed", reason="nothing follows a final answer")
    desk.visit()
    assert server.feedback() == [(path, "proceeding", "none")] * 2 + [(path, "closed", "success")]


@pytest.mark.parametrize("state", ["failed", "rejected", "expired", "timed-out", "cancelled"])
def test_every_other_end_closes_the_action_as_failed(desk: Desk, server: HawkBit, state: str) -> None:
    server.offer("7", ARTIFACT)
    desk.visit()
    desk.answer(state, reason="restored: it did not say that it is well")
    desk.visit()
    assert server.feedback()[-1][1:] == ("closed", "failure")
    assert server.told[-1][1]["status"]["details"] == [f"{state}: restored: it did not say that it is well"]


def test_a_device_that_says_nothing_has_failed(desk: Desk, server: HawkBit) -> None:
    server.offer("7", ARTIFACT)
    desk.visit()
    desk.now_s += 7_200
    desk.visit()
    assert server.feedback()[-1][1] == "proceeding"
    desk.now_s += 1
    desk.visit()
    assert server.feedback()[-1][1:] == ("closed", "failure")


def test_a_device_that_is_away_is_asked_when_it_is_back(desk: Desk, server: HawkBit) -> None:
    server.offer("7", ARTIFACT)
    desk.presence("lost", "0.1.0")
    desk.visit()
    assert (desk.broker.sent, server.feedback()) == ([], [])
    desk.presence("online", "0.1.0")
    desk.visit()
    assert len(desk.broker.sent) == 1


def test_a_window_that_is_not_open_is_waited_for(desk: Desk, server: HawkBit) -> None:
    server.offer("7", ARTIFACT, update="skip")
    desk.visit()
    assert (desk.broker.sent, server.feedback()) == ([], [])


def test_a_version_that_runs_already_needs_no_command(desk: Desk, server: HawkBit) -> None:
    server.offer("7", ARTIFACT, version="0.1.0")
    desk.visit()
    assert (desk.broker.sent, server.feedback()) == ([], [("deploymentBase/7/feedback", "closed", "success")])


@pytest.mark.parametrize(
    ("artifact", "version", "said"),
    [
        ({**ARTIFACT, "filename": "image.bin"}, "0.9.0", "holds 0 packages"),
        (ARTIFACT, "no version", "version"),
        ({**ARTIFACT, "filename": "a b.deb"}, "0.9.0", "url"),
    ],
)
def test_an_offer_that_no_device_could_install_is_closed(
    desk: Desk, server: HawkBit, artifact: Mapping[str, Any], version: str, said: str
) -> None:
    server.offer("7", artifact, version=version)
    desk.visit()
    assert desk.broker.sent == []
    assert server.feedback() == [("deploymentBase/7/feedback", "closed", "failure")]
    assert said in server.told[-1][1]["status"]["details"][0]


def test_what_nobody_was_asked_is_cancelled(desk: Desk, server: HawkBit) -> None:
    server.cancel("7")
    desk.visit()
    assert server.feedback() == [("cancelAction/7/feedback", "closed", "success")]


def test_what_a_device_was_asked_it_brings_to_its_end(desk: Desk, server: HawkBit) -> None:
    server.offer("7", ARTIFACT)
    desk.visit()
    server.cancel("7")
    desk.visit()
    assert server.feedback()[-1] == ("cancelAction/7/feedback", "rejected", "none")
    server.links = {}
    desk.answer("succeeded")
    desk.visit()
    assert server.feedback()[-1] == ("deploymentBase/7/feedback", "closed", "success")


def test_an_action_that_the_server_has_closed_is_forgotten(desk: Desk, server: HawkBit) -> None:
    server.offer("7", ARTIFACT)
    desk.visit()
    server.statuses["/DEFAULT/controller/v1/one/deploymentBase/7/feedback"] = 410
    desk.answer("succeeded")
    desk.visit()
    assert desk.bridge._turns == {}


def test_a_server_that_is_down_hears_of_it_later(desk: Desk, server: HawkBit) -> None:
    server.offer("7", ARTIFACT)
    desk.visit()
    desk.answer("succeeded")
    server.statuses["/DEFAULT/controller/v1/one/deploymentBase/7/feedback"] = 503
    desk.visit()
    server.statuses.clear()
    server.told.clear()
    desk.visit()
    assert server.feedback() == [("deploymentBase/7/feedback", "closed", "success")]


@pytest.mark.parametrize("state", ["running", "succeeded", "failed"])
def test_a_report_whose_answer_was_lost_is_not_made_again(state: str, desk: Desk, server: HawkBit) -> None:
    server.offer("7", ARTIFACT)
    desk.visit()
    server.told.clear()
    desk.answer(state)
    server.silent = True
    desk.visit()
    server.silent = False
    if state != "running":
        server.links = {}  # it knows the end, and offers the action no more
    desk.visit()
    assert [path for path, _, _ in server.feedback()] == ["deploymentBase/7/feedback"]
    assert (desk.bridge._turns == {}) is (state != "running")


def test_an_end_that_got_lost_is_reported_while_the_action_is_offered(desk: Desk, server: HawkBit) -> None:
    server.offer("7", ARTIFACT)
    desk.visit()
    desk.answer("succeeded")
    server.silent = True
    desk.visit()
    server.silent = False
    server.told.clear()
    desk.visit()
    assert server.feedback() == [("deploymentBase/7/feedback", "closed", "success")]


def test_a_bridge_that_ended_asks_again_under_the_same_id(
    desk: Desk, server: HawkBit, client: Server, tmp_path: Path
) -> None:
    server.offer("7", ARTIFACT)
    desk.visit()
    later = Desk(client, tmp_path)
    later.visit()
    assert [sent["id"] for sent in later.broker.sent] == [desk.broker.sent[0]["id"]]
    later.answer("succeeded")
    server.told.clear()
    later.visit()
    assert server.feedback() == [("deploymentBase/7/feedback", "closed", "success")]


def test_an_end_that_the_server_knows_is_not_reported_twice(
    desk: Desk, server: HawkBit, client: Server, tmp_path: Path
) -> None:
    """The bridge ended between reporting and noting so: the server offers the action no more."""
    server.offer("7", ARTIFACT)
    desk.visit()
    desk.answer("succeeded")
    server.links = {}
    server.told.clear()
    later = Desk(client, tmp_path)
    later.visit()
    assert server.feedback() == []
    assert turns.load(tmp_path / "ddi.json") == {}


def test_a_file_that_is_none_of_a_bridge_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ddi.json").write_text('{"turns": {"one": {"action": "7"}}}')
    with pytest.raises(ConfigError, match="not a bridge's file"):
        turns.load(tmp_path / "ddi.json")


def test_a_version_is_reported_once_and_again_when_it_is_another(desk: Desk, server: HawkBit) -> None:
    for version in ("0.1.0", "0.1.0", "0.9.0", "0.1.0"):
        desk.presence("online", version)
        desk.visit()
    assert [body["data"]["sw_version"] for _, body in server.told] == ["0.1.0", "0.9.0", "0.1.0"]
