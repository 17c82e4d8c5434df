"""UCI to TOML: the real renderer under busybox awk, its output read by the agent's own configuration reader."""

from __future__ import annotations

import subprocess
import typing
from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import config
from agent.errors import ConfigError
from agent.plan.model import Step

from .conftest import OPENWRT


def rendered(busybox: str, uci: str, networks: str = "") -> subprocess.CompletedProcess[str]:
    command = [busybox, "awk", "-v", f"networks={networks}", "-f", str(OPENWRT / "render.awk")]
    return subprocess.run(command, input=uci, capture_output=True, text=True, timeout=20)


def read(busybox: str, uci: str, networks: str = "") -> config.Config:
    result = rendered(busybox, uci, networks)
    assert result.returncode == 0, result.stderr
    return config.parse(result.stdout)


def quoted(value: str) -> str:
    """As `uci export` writes a value."""
    return "'" + value.replace("'", "'\\''") + "'"


def test_the_shipped_configuration_is_the_promised_plan(busybox: str) -> None:
    found = read(busybox, (OPENWRT / "modem-agent.config").read_text(), networks="wwan0")
    assert found.plan.allowance_bytes == 40_000_000_000
    assert found.plan.steps == (Step(100, 512_000, 512_000),)
    assert found.plan.timezone == "CET-1CEST,M3.5.0,M10.5.0/3"
    assert found.wan.interfaces == ("wwan0",)
    assert found.device.state_dir == "/etc/modem-agent/state"


def test_a_missing_section_leaves_the_state_on_flash(busybox: str) -> None:
    found = read(busybox, "config log\n\toption level debug\n")
    assert found.log.level == "debug"
    assert found.device.state_dir == "/etc/modem-agent/state"
    assert found.device.run_dir == "/var/run/modem-agent"
    assert found.wan == config.Wan()


SAMPLES: dict[Any, tuple[str, Any]] = {
    int: ("50000", 50_000),
    float: ("12.5", 12.5),
    bool: ("on", True),
    date: ("2027-01-31", date(2027, 1, 31)),
    str: ("text", "text"),
}
# Where the rules of the configuration allow no such sample.
FITTING = {
    "device.state_dir": "/x", "device.run_dir": "/x", "modem.port": "/dev/x", "modem.pin_file": "/x",
    "modem.apn_password_file": "/x", "modem.apn_auth": "chap",
    "modem.power_gpio": "/sys/class/gpio/gpio7/value",
    "plan.timezone": "UTC0", "plan.count": "link", "plan.charge": "sent",
    "shaper.qdisc": "tbf", "operator.url": "mqtt://h", "operator.protocol": "5", "commands.keys_file": "/x",
    "clock.source": "ntp", "household.sms_to": "+32470", "household.sms_language": "nl", "household.metered": "off",
    "household.captive_portal_url": "https://h/x", "household.help_phone": "+32 2 123", "household.devices": "list",
    "log.level": "debug",
    **{f"operator.{name}_file": "/x" for name in ("password", "ca", "cert", "key", "psk")},
    "probe.name": "a.example", "probe.speed_url": "http://h/x", "probe.speed_upload_url": "https://h/y",
    "device.language": "nl", "plan.billing_day": 15,
    "plan.full_down_bps": 5_000_000, "plan.full_up_bps": 2_000_000,
    "plan.max_bps": 2_000_000, "plan.allowance_bytes": 5_000_000, "modem.poll_s": 30.0,
    "modem.baud": 9600, "operator.beat_s": 60, "operator.outbox_days": 7, "commands.rate_per_minute": 5,
    "commands.sms_per_day": 5, "operator.location": "never",
}  # fmt: skip

LISTS = {
    "plan.warn_percent": ["80", "95"],
    "plan.sim": ["8932010000000000017", "20601*"],
    "wan.interfaces": ["usb0", "ww*"],
    "probe.hosts": ["1.2.3.4:443", "5.6.7.8:53"],
    "probe.name_servers": ["1.2.3.4"],
    "commands.sms_allow": ["+3247*", "0470000000"],
    "commands.two_issuers": ["agent.update", "device.erase"],
    "commands.diag_allow": ["192.168.1.0/24", "fd00::/8"],
}


def every_key() -> list[tuple[str, Any]]:
    keys = []
    for section in fields(config.Config):
        cls = typing.get_type_hints(config.Config)[section.name]
        if is_dataclass(cls):
            hints = typing.get_type_hints(cls)
            keys += [(f"{section.name}.{f.name}", hints[f.name]) for f in fields(cls) if f.name != "steps"]
    return keys


@pytest.mark.parametrize(("key", "hint"), every_key())
def test_every_key_of_the_agent_can_be_set_from_uci(busybox: str, key: str, hint: Any) -> None:
    """Guards the renderer's table of types: a key added to the agent and forgotten there fails here."""
    section, name = key.split(".")
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        words = LISTS.get(key, ["one", "two words"])
        lines = "".join(f"\tlist {name} {quoted(word)}\n" for word in words)
        expected: Any = tuple(item(word) for word in words)
    else:
        plain = next((kind for kind in (*typing.get_args(hint), hint) if kind in SAMPLES), str)
        text, expected = SAMPLES[plain]
        if key in FITTING:
            text, expected = str(FITTING[key]), FITTING[key]
        lines = f"\toption {name} {quoted(text)}\n"
    found = read(busybox, f"config {section} '{section}'\n{lines}")
    assert getattr(getattr(found, section), name) == expected


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
@pytest.mark.parametrize("form", ["single", "double"])
def test_any_text_survives_quotes_newlines_and_all(busybox: str, form: str, value: str) -> None:
    value = value.replace("\r\n", "\n")  # the text mode of this test's pipe, not the renderer's doing
    word = quoted(value) if form == "single" else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    uci = f"config operator\n\toption username {word}\n".encode()
    command = [busybox, "awk", "-f", str(OPENWRT / "render.awk")]
    result = subprocess.run(command, input=uci, capture_output=True, timeout=20)
    assert result.returncode == 0, result.stderr
    assert config.parse(result.stdout.decode()).operator.username == value


@pytest.mark.parametrize(
    ("uci", "said"),
    [
        ("config plan\n\toption allowance_bytes '40\n", "line 2: a quote is not closed"),
        ("config plna\n", "line 1: unknown section 'plna'; one of device modem"),
        ("config plan\nconfig plan\n", "line 2: a second section 'plan' (the first is at line 1)"),
        ("option x 1\n", "line 1: option before any section"),
        ("config plan\n\toption a 1 2\n", "line 2: option needs a name and one value"),
        ("config plan\n\toption billing_day 1\n\toption billing_day 2\n", "line 3: a second option 'billing_day'"),
        ("config plan\n\tlist billing_day 1\n", "line 2: 'billing_day' is no list"),
        ("config plan\n\toption 'a b' 1\n", "line 2: 'a b' is not a name"),
        ("cofnig plan\n", "line 1: 'cofnig' is not UCI"),
        ("", "no section at all"),
    ],
)
def test_a_mistake_of_form_is_named_with_its_line(busybox: str, uci: str, said: str) -> None:
    result = rendered(busybox, uci)
    assert result.returncode == 1
    assert said in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("uci", "said"),
    [
        ("config plan\n\toption billing_day 'soon'\n", r"plan.billing_day: wrong type \(found 'soon'\)"),
        ("config plan\n\toption billing_day 32\n", r"plan.billing_day: out of range \(found 32\); allowed: 1 to 31"),
        ("config plan\n\toption allowence 1\n", r"plan.allowence: unknown key; allowed: allowance_bytes"),
        ("config modem\n\toption recovery maybe\n", r"modem.recovery: wrong type \(found 'maybe'\); allowed: true"),
        ("config step\n\toption down_bps fast\n", r"plan.steps.down_bps: wrong type \(found 'fast'\)"),
    ],
)
def test_a_wrong_value_is_named_by_the_agent(busybox: str, uci: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(busybox, uci)


def test_numbers_are_taken_as_people_write_them(busybox: str) -> None:
    found = read(busybox, "config plan\n\toption billing_day 007\n\toption local_topup 1\nconfig step\nconfig step\n"
                          "\toption at_percent 150\n")  # fmt: skip
    assert found.plan.billing_day == 7
    assert found.plan.local_topup is True
    assert [step.at_percent for step in found.plan.steps] == [100, 150]
