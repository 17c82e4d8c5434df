"""A key taken from one device commands no other, and a master key is refused on every device."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from agent.commands.authority import KeyAuthority, sign
from agent.commands.envelope import parse
from agent.commands.keys_file import for_device, load
from agent.errors import ConfigError, Rejected
from agent.plan import Moment
from agent.store.counter_window import CounterWindow
from agent.support.cli import run
from tests.commands.standin import DEVICE, HandClock

OTHER = "imei::990000862471862"
MASTER = """
[support]
key_id = "support-2026"
master = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
role = "act"
commands = ["status", "plan.*"]
[support.limits."plan.topup"]
bytes = 20000000000
"""


def file(tmp_path: Path, name: str, text: str) -> str:
    path = tmp_path / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def believed(device: str, keys: str, envelope: dict[str, Any]) -> bool:
    import json

    found = parse(json.dumps(envelope).encode(), type=envelope["type"], id=envelope["id"], device=envelope["aud"])
    moment: Moment = HandClock().now()
    try:
        KeyAuthority(load(keys), require=True, device=device).grant(found, moment, nonce="", used=CounterWindow())
    except Rejected:
        return False
    return True


def test_a_key_taken_from_one_device_commands_that_one_alone(tmp_path: Path) -> None:
    masters = file(tmp_path, "masters.toml", MASTER)
    devices = {device: file(tmp_path, f"{device}.toml", for_device(masters, device)) for device in (DEVICE, OTHER)}
    (stolen,) = load(devices[DEVICE]).values()
    for target in (DEVICE, OTHER):
        body = {"v": 1, "id": "i", "type": "status", "iss": "support", "aud": target, "ctr": time.time_ns() // 10**6}
        assert believed(target, devices[target], sign(body, stolen.key_id, stolen.key)) is (target == DEVICE)
        (desk,) = load(masters, desk_of=target).values()
        assert believed(target, devices[target], sign(body, desk.key_id, desk.key))


def test_a_devices_file_holds_all_but_the_master_key(tmp_path: Path) -> None:
    masters = file(tmp_path, "masters.toml", MASTER)
    text = for_device(masters, DEVICE)
    (desk,), (device,) = load(masters, desk_of=DEVICE).values(), load(file(tmp_path, "k.toml", text)).values()
    assert device == desk
    assert "0001020304" not in text
    assert (device.role, device.commands, device.limits) == (
        "act",
        ("status", "plan.*"),
        {"plan.topup": {"bytes": 2e10}},
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (MASTER, "support.master"),
        (MASTER.replace("master =", 'key = "00112233445566778899aabbccddeeff"\nmaster ='), "support.master"),
        ("[support]\nkey = 5", "support.key"),
        ('[support]\nkey = "00112233445566778899aabbccddeeff"\n[support.limits]\n"plan.topup" = 5', "support"),
        ("support = 1", "support"),
    ],
)
def test_what_is_wrong_with_a_devices_file_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=rf"k\.toml: {named}: "):
        load(file(tmp_path, "k.toml", text))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (MASTER.replace("1e1f", "1e"), "support.master"),
        (MASTER.replace("master =", 'key = "00112233445566778899aabbccddeeff"\nmaster ='), "support.key"),
        ('[support]\nkey = "00112233445566778899aabbccddeeff"', "support"),
    ],
)
def test_what_is_wrong_with_a_file_of_master_keys_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=rf"m\.toml: {named}: "):
        for_device(file(tmp_path, "m.toml", text), DEVICE)


def test_the_tool_prints_a_devices_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masters = file(tmp_path, "masters.toml", MASTER)
    assert run(["keys", "derive", masters, DEVICE]) == 0
    assert capsys.readouterr().out == for_device(masters, DEVICE)
    assert run(["keys", "derive", masters, "a/b"]) == 2
    assert run(["keys", "derive", str(tmp_path / "none"), DEVICE]) == 2
