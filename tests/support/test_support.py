"""`modem-support` as its users run it: a process, a broker, a device."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from agent.commands.keys_file import load
from agent.support.fleet import Fleet
from agent.support.messages import read
from tests.commands.standin import DEVICE, StandIn, config_for
from tests.mqtt.broker import Mosquitto

KEYS = f'[support]\nkey_id = "k1"\nkey = "{bytes(range(32)).hex()}"\nrole = "act"\n'


async def support(broker: Mosquitto, *words: str) -> tuple[int, str, str]:
    import sys

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from agent.support.cli import main; main()",
        "--broker",
        broker.url,
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, problem = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), problem.decode()


def test_send_fleet_watch_and_rebirth(broker: Mosquitto, tmp_path: Path) -> None:
    async def story() -> None:
        async with StandIn(tmp_path, config_for(broker.url)) as agent:
            await connected(agent)
            before = agent.snapshot().usage.limit_bytes
            status, out, problem = await support(broker, "send", DEVICE, "plan.topup", "bytes=5GB", "--json")
            assert (status, problem) == (0, "")
            states = [json.loads(line)["state"] for line in out.splitlines()]
            assert states == ["accepted", "running", "succeeded"]
            assert agent.snapshot().usage.limit_bytes == before + 5_000_000_000

            status, out, problem = await support(broker, "send", DEVICE, "plan.topup", "bytes=lots")
            assert (status, out) == (2, "")
            assert "argument 'bytes': must be an integer" in problem

            member: dict[str, object] = {}
            for _ in range(10):  # the answer overtakes the twin, which tells the new limit a moment later
                status, out, _ = await support(broker, "fleet", "--json")
                (member,) = json.loads(out)["devices"]
                if member["limit_bytes"] == agent.snapshot().usage.limit_bytes:
                    break
            assert (member["device"], member["presence"]) == (DEVICE, "online")
            assert member["limit_bytes"] == agent.snapshot().usage.limit_bytes

            watching = asyncio.create_task(support(broker, "watch", DEVICE, "--for", "4", "--json"))
            await asyncio.sleep(1.5)
            assert (await support(broker, "ask-rebirth", DEVICE))[0] == 0
            status, out, _ = await watching
            topics = [json.loads(line)["topic"] for line in out.splitlines()]
            assert status == 0
            assert {"status", "twin/info", "m/traffic", "m/state"} <= set(topics)

    asyncio.run(story())


def test_a_signed_command_and_one_that_lacks_it(broker: Mosquitto, tmp_path: Path) -> None:
    from agent.commands.authority import KeyAuthority

    keys = tmp_path / "keys.toml"
    keys.write_text(KEYS)
    keys.chmod(0o600)

    async def story() -> None:
        authority = KeyAuthority(load(str(keys)), require=True, device=DEVICE)
        async with StandIn(tmp_path, config_for(broker.url), authority=authority) as agent:
            await connected(agent)
            status, out, _ = await support(broker, "send", DEVICE, "throttle.lift", "reason=test")
            assert status == 4
            assert "rejected: this device asks for a signature" in out
            for _ in range(2):  # the counter rises from one to the next
                status, out, _ = await support(broker, "send", DEVICE, "throttle.lift", "--sign", str(keys))
                assert status == 0
            assert agent.snapshot().decision.state == "lifted"

    asyncio.run(story())


def test_the_broker_is_away(broker: Mosquitto) -> None:
    async def story() -> None:
        broker.stop()
        status, _, problem = await support(broker, "fleet")
        assert status == 1
        assert "Connection refused" in problem

    asyncio.run(story())


def take(fleet: Fleet, topic: str, body: object) -> None:
    message = read("modem-agent", f"modem-agent/v1/d/{topic}", json.dumps(body).encode() if body is not None else b"")
    assert message is not None
    fleet.take(message)


def test_a_late_will_never_makes_a_device_look_lost() -> None:
    fleet = Fleet()
    for state, session, seen in (
        ("online", 4, "online"),
        ("online", 5, "online"),
        ("lost", 4, "online"),
        ("lost", 5, "lost"),
        ("online", 6, "online"),
    ):
        take(fleet, "status", {"v": 1, "state": state, "session": session})
        assert fleet.members["d"].presence == seen


def test_alarms_are_raised_and_cleared() -> None:
    fleet = Fleet()
    take(fleet, "a/shaper", {"state": "raised"})
    assert fleet.members["d"].alarms == {"shaper"}
    take(fleet, "a/shaper", None)
    assert fleet.members["d"].alarms == set()


async def connected(agent: StandIn) -> None:
    for _ in range(500):
        if agent.session.state.connected and agent.outbox.rows == 0:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(agent.session.state.last_error)
