"""A fleet under an update server: gooseBit by its DDI and its own API. What it does not serve: test_ddi_bridge."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.commands.standin import StandIn
from tests.commands.test_runner import Channel
from tests.mqtt.broker import Mosquitto
from tests.support.goosebit import VERSION, GooseBit, archive
from tests.support.home import home
from tests.support.publisher import start, support

FILE = f"modem-agent_{VERSION}_all.deb"
FEED = "https://updates.example/{version}"
WAIT_S = 90.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GooseBit]:
    with GooseBit(tmp_path / "goosebit") as running:
        yield running


@contextlib.asynccontextmanager
async def bridge(broker: Mosquitto, server: GooseBit, state: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    words = ["ddi", server.url, "--feed", FEED, "--state", str(state), "--attribute", "hw_revision=default"]
    process = await start("--broker", broker.url, *words)
    try:
        yield process
    finally:
        process.terminate()
        _, problem = await process.communicate()
        assert b"Traceback" not in problem, problem.decode()


async def until(holds: Callable[[], bool]) -> None:
    """The server's own API is asked until it says so."""

    async def look() -> None:
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110  # another process's database
            await asyncio.sleep(0.1)

    await asyncio.wait_for(look(), WAIT_S)


@contextlib.asynccontextmanager
async def online(agent: StandIn) -> AsyncIterator[StandIn]:
    async with agent:
        await Channel(agent).until(lambda: agent.session.state.proved)
        yield agent


def states(server: GooseBit) -> dict[str, tuple[str, str]]:
    return {name: (device["last_state"], device["sw_version"]) for name, device in server.devices().items()}


def test_a_roll_out_of_three_of_which_one_fails(broker: Mosquitto, server: GooseBit, tmp_path: Path) -> None:
    ran, bad, state = list[str](), {"two"}, tmp_path / "ddi.json"

    def agent(name: str, version: str = "0.1.0") -> StandIn:
        return home(tmp_path / name, broker.url, name, ran, bad, version)

    async def story() -> None:
        async with online(agent("one")), online(agent("two")), online(agent("three")), bridge(broker, server, state):
            # They are registered with the version that each says it runs.
            await until(lambda: states(server) == dict.fromkeys(("one", "two", "three"), ("Registered", "0.1.0")))
            software = server.upload("agent.swu", archive(VERSION, FILE, b"package"))
            server.roll_out(software)
            await until(lambda: sum(server.counts()) == 3)
            assert server.counts() == (2, 1)
            assert states(server)["one"] == states(server)["three"] == ("Finished", VERSION)
            assert states(server)["two"] == ("Error", "0.1.0")
            assert sorted(ran) == [f"{name} {VERSION}" for name in ("one", "three", "two")]
            # Nothing more is offered to who failed, until the operator wants it.
            bad.clear()
            server.force("two")
            await until(lambda: server.counts() == (3, 1))
            assert ran.count(f"two {VERSION}") == 2
            await until(lambda: json.loads(state.read_text()) == {"turns": {}})

    asyncio.run(story())


def test_a_roll_back_is_reported_so_that_the_server_offers_again(
    broker: Mosquitto, server: GooseBit, tmp_path: Path
) -> None:
    ran, state = list[str](), tmp_path / "ddi.json"

    def agent(version: str) -> StandIn:
        return home(tmp_path / "one", broker.url, "one", ran, set(), version)

    async def story() -> None:
        async with bridge(broker, server, state):
            async with online(agent("0.1.0")):
                await until(lambda: "one" in server.devices())
                server.roll_out(server.upload("agent.swu", archive(VERSION, FILE, b"package")))
                await until(lambda: server.counts() == (1, 0))
            async with online(agent(VERSION)):  # as it comes back with the new version
                await until(lambda: states(server)["one"] == ("Finished", VERSION))
        # It went back while no bridge ran: a new one asks no more of it than the server offers.
        async with online(agent("0.1.0")), bridge(broker, server, state):
            await until(lambda: server.counts() == (2, 0))
        assert ran == [f"one {VERSION}"] * 2

    asyncio.run(story())


def test_what_is_asked_for_wrongly_is_named(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("GatewayToken 0123456789\n")
    token.chmod(0o600)

    async def story() -> None:
        for words, said in (
            (["https://updates.example", "--feed", FEED], "no address such as https://HOST/TENANT"),
            (["http://h/DEFAULT", "--feed", FEED, "--token", str(token)], "a token goes over https:// alone"),
            (["http://h/DEFAULT", "--feed", "http://h/"], "is no https address"),
            (["http://h/DEFAULT", "--feed", FEED, "--option", "rate_bps=1"], "rate_bps"),
            (["http://h/DEFAULT", "--feed", FEED, "--attribute", "hw"], "no KEY=VALUE"),
        ):
            ended = await support("--broker", "mqtt://127.0.0.1:1", "ddi", *words)
            assert (ended.status, said in ended.problem) == (2, True), ended.problem

    asyncio.run(story())
