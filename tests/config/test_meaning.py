"""What is refused although each value is well formed: in one sentence that names the key and the value."""

from __future__ import annotations

import pytest

from agent.config import load, parse
from agent.errors import ConfigError

STEP = "[[plan.steps]]\nat_percent = {}\ndown_bps = {{}}\nup_bps = {{}}\n"
STEPS = STEP.format(100) + STEP.format(120)


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, "agent.toml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    ["*", "**", "?*", "*?", "[a-z]*", "??*", "l*", "lo", "l?", "*0", "i*", "ifb0", "ifb4*", "ifb4wwan0", "ifb*",
     "br-lan", "br*", "br?lan", "br0", "docker0", "docker*", "virbr0", "lan", "lan*"],
)  # fmt: skip
def test_links_that_are_no_mobile_line(pattern: str) -> None:
    said = refusal(f'[wan]\ninterfaces = ["wwan0", "{pattern}"]\n')
    assert said.startswith(f"agent.toml: wan.interfaces: {pattern} ")
    assert f"(found '{pattern}')" in said


@pytest.mark.parametrize(
    "pattern",
    ["wwan0", "wwan*", "*wan*", "*wan0", "usb0", "usb?", "eth1", "ppp*", "wwp0s20u4", "wwan0.7", "br-wan", "qmimux*",
     "lan0", "rmnet_*"],
)  # fmt: skip
def test_links_that_may_be(pattern: str) -> None:
    assert parse(f'[wan]\ninterfaces = ["{pattern}"]\n').wan.interfaces == (pattern,)


@pytest.mark.parametrize("name", ["", "a" * 16, "wwan 0", "eth0:1", "a/b"])
def test_names_that_no_link_can_have(name: str) -> None:
    assert refusal(f'[wan]\ninterfaces = ["{name}"]\n').startswith("agent.toml: wan.interfaces: ")


@pytest.mark.parametrize(
    ("rates", "key", "value"),
    [
        ((512_000, 512_000, 1_000_000, 512_000), "plan.steps.down_bps", "1000000"),
        ((512_000, 256_000, 512_000, 512_000), "plan.steps.up_bps", "512000"),
        ((512_000, 512_000, 512_000, 512_001), "plan.steps.up_bps", "512001"),
    ],
)
def test_steps_that_make_the_line_faster(rates: tuple[int, ...], key: str, value: str) -> None:
    said = refusal(STEPS.format(*rates))
    assert said.startswith(f"agent.toml: {key}: ")
    assert "the step at 120 %" in said
    assert f"(found {value})" in said


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[plan]\nfull_down_bps = 511_999\n", "plan.full_down_bps"),
        ("[plan]\nfull_up_bps = 8_000\n", "plan.full_up_bps"),
        ("[plan]\nfull_up_bps = 1_000_000\n" + STEPS.format(512_000, 2_000_000, 512_000, 64_000), "plan.full_up_bps"),
    ],
)
def test_a_full_speed_below_a_step(text: str, key: str) -> None:
    said = refusal(text)
    assert said.startswith(f"agent.toml: {key}: the full speed is below ")
    assert "the step at 100 %" in said


def test_rates_that_fall_or_stay() -> None:
    assert parse(STEPS.format(512_000, 512_000, 512_000, 64_000)).plan.steps[1].up_bps == 64_000
    assert parse("[plan]\nfull_down_bps = 512_000\n").plan.full_down_bps == 512_000
    assert parse("[plan]\nsteps = []\nfull_down_bps = 8_000\n").plan.steps == ()


@pytest.mark.parametrize("value", ["0", "-512000", "7999", "true", "0.5"])
@pytest.mark.parametrize("key", ["full_down_bps", "full_up_bps"])
def test_rates_that_are_none(key: str, value: str) -> None:
    assert refusal(f"[plan]\n{key} = {value}\n").startswith(f"agent.toml: plan.{key}: ")


def test_steps_at_the_same_use() -> None:
    twice = "[[plan.steps]]\nat_percent = 100\n[[plan.steps]]\nat_percent = 100\n"
    assert refusal(twice).startswith("agent.toml: plan.steps: ")


def test_the_files_of_the_packages_are_right() -> None:
    assert load("firmware-config/debian/config.toml").wan.interfaces == ("wwan*",)


@pytest.mark.parametrize(
    "path",
    ["/tmp/victim.txt", "/dev/mtd0", "/sys/class/leds/x/value", "/sys/class/gpio/value", "/sys/class/gpio/../x/value",
     "/sys/class/gpio/./value", "/sys/class/gpio/gpio7/../../../../etc/value", "/sys/class/gpio/gpio7/value/../x",
     "/sys/class/gpio//value", "/sys/class/gpio/gpio7/direction", "sys/class/gpio/gpio7/value",
     "/sys/class/gpio/gpio7/value\\n"],
)  # fmt: skip
def test_files_that_are_no_gpio(path: str) -> None:
    assert refusal(f'[modem]\npower_gpio = "{path}"\n').startswith("agent.toml: modem.power_gpio: ")


@pytest.mark.parametrize("name", ["../x", "..", ".", "a/b", "/etc", "a/../b", "x\\u0000", "a b", "x" * 64])
def test_names_that_no_led_has(name: str) -> None:
    assert refusal(f'[household]\nled = "{name}"\n').startswith("agent.toml: household.led: not the name of a LED")


@pytest.mark.parametrize("name", ["", "green:status", "ACT", "led0", "mmc0::", "tp-link:blue:wlan-5g", "..x"])
def test_names_that_a_led_may_have(name: str) -> None:
    assert parse(f'[household]\nled = "{name}"\n').household.led == name


@pytest.mark.parametrize("line", ["", "gpio7", "gpiochip0_7", "power_modem", "lte-power"])
def test_a_gpio_by_number_or_by_name(line: str) -> None:
    path = line and f"/sys/class/gpio/{line}/value"
    assert parse(f'[modem]\npower_gpio = "{path}"\n').modem.power_gpio == path
