"""What a value of the configuration must satisfy, and which values are masked: by `section.key`.

A rule is a test of the typed value and what is allowed, in words: the error and the manual say them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from agent.plan.model import SIM_RULE

Rule = tuple[Callable[[Any], bool], str]


def _between(low: float, high: float) -> Rule:
    return (lambda value: low <= value <= high), f"{low:,} to {high:,}".replace(",", " ")


def _one_of(*choices: str) -> Rule:
    return (lambda value: value in choices), " | ".join(choices)


def _matching(pattern: str, meaning: str) -> Rule:
    return (lambda value: re.fullmatch(pattern, value) is not None), meaning


def _known_zone(name: str) -> bool:
    from agent.plan.period import zone_problem

    return zone_problem(name) is None


def _is_network(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


_PATH = _matching(r"|/.*", "an absolute path, or empty")
_INTERFACE = r"[^/:\s]{1,15}"  # dev_valid_name() of net/core/dev.c
_RATE = _between(8_000, 10_000_000_000)  # below 8 kbit/s a single packet takes more than a second

RULES: dict[str, Rule] = {
    "device.id": _matching(r"|[A-Za-z0-9._:-]{1,64}", "one topic level: letters, digits and . _ : - (64 at most)"),
    "device.state_dir": _matching(r"/.+", "an absolute path"),
    "device.run_dir": _matching(r"/.+", "an absolute path"),
    "modem.port": _matching(
        r"auto|/.+|(socket|rfc2217)://.+", "auto | /dev/… | socket://HOST:PORT | rfc2217://HOST:PORT"
    ),
    "modem.baud": _between(1_200, 4_000_000),
    "modem.poll_s": _between(1, 3_600),
    "modem.apn": _matching(
        r"|[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?", "letters, digits, dots and hyphens (3GPP TS 23.003, 9.1)"
    ),
    "modem.apn_user": _matching(r"[!#-\[\]-~]{0,64}", "up to 64 printable characters without quotes and spaces"),
    "modem.apn_password_file": _PATH,
    "modem.apn_auth": _one_of("pap", "chap", "none"),
    "modem.pin_file": _PATH,
    "modem.power_gpio": _PATH,
    "wan.interfaces": (
        lambda names: bool(names) and all(re.fullmatch(_INTERFACE, n) for n in names),
        "one or more interface names or patterns of 1 to 15 characters",
    ),
    "plan": (
        lambda plan: not plan.contract_start or not plan.contract_end or plan.contract_start <= plan.contract_end,
        "a contract_end that is not before contract_start",
    ),
    "plan.allowance_bytes": _between(1_000_000, 10**15),
    "plan.billing_day": _between(1, 31),
    "plan.timezone": (
        _known_zone,
        "an installed IANA zone (Europe/Brussels) or a POSIX TZ string (CET-1CEST,M3.5.0,M10.5.0/3)",
    ),
    "plan.warn_percent": (
        lambda values: all(1 <= v <= 1_000 for v in values) and list(values) == sorted(set(values)),
        "rising whole numbers from 1 to 1000",
    ),
    "plan.steps": (
        lambda steps: [s.at_percent for s in steps] == sorted({s.at_percent for s in steps}),
        "steps of rising at_percent",
    ),
    "plan.steps.at_percent": _between(1, 1_000),
    "plan.steps.down_bps": _RATE,
    "plan.steps.up_bps": _RATE,
    "plan.full_down_bps": _RATE,
    "plan.full_up_bps": _RATE,
    "plan.count": _one_of("ip", "link"),
    "plan.charge": _one_of("sum", "received", "sent"),
    "plan.sim": (
        lambda rules: all(re.fullmatch(SIM_RULE, rule) for rule in rules),
        "ICCIDs or IMSIs: 14 to 20 digits, at least 5 digits and *, or LOW-HIGH",
    ),
    "plan.max_bps": _between(1_000_000, 10_000_000_000),
    "shaper.qdisc": _one_of("auto", "cake", "tbf+fq_codel", "htb+fq_codel", "tbf"),
    "operator.url": _matching(r"|mqtts?://[^/\s:]+(:\d{1,5})?", "mqtts://HOST[:PORT] | mqtt://HOST[:PORT] | empty"),
    "operator.root": _matching(r"[A-Za-z0-9._-]{1,64}", "one topic level"),
    "operator.location": _one_of("faults", "always", "never"),
    "operator.protocol": _one_of("auto", "5", "3.1.1"),
    **{f"operator.{name}_file": _PATH for name in ("password", "ca", "cert", "key", "psk")},
    "operator.keepalive_s": _between(10, 65_535),
    "operator.beat_s": _between(1, 86_400),
    "operator.budget_bytes_day": _between(1_000, 10**9),
    "operator.outbox_rows": _between(10, 10**6),
    "operator.outbox_bytes": _between(10_000, 10**9),
    "operator.outbox_days": _between(1, 3_650),
    "commands.keys_file": _PATH,
    "commands.two_issuers": (
        lambda names: all(re.fullmatch(r"[a-z][a-z0-9.-]{0,39}", name) for name in names),
        "names of commands, such as agent.update",
    ),
    "commands.rate_per_minute": _between(1, 10_000),
    "commands.sms_allow": (
        lambda numbers: all(re.fullmatch(r"\+?[0-9*?]{3,20}", number) for number in numbers),
        "phone numbers, with * and ? for digits",
    ),
    "commands.sms_per_day": _between(0, 10_000),
    "commands.diag_bytes_day": _between(0, 10**12),
    "commands.diag_allow": (
        lambda networks: all(map(_is_network, networks)),
        "networks or addresses, such as 192.168.1.0/24",
    ),
    "commands.topups_month": _between(0, 100_000),
    "commands.topup_bytes_month": _between(0, 10**15),
    "clock.source": _one_of("auto", "ntp", "modem", "system"),
    "household.sms_to": _matching(r"|\+?[0-9]{3,20}", "a phone number, or empty"),
    "device.language": _matching("|fr|nl|de|en", "fr | nl | de | en | empty"),
    "household.sms_language": _one_of("fr", "nl", "de", "en"),
    "household.metered": _one_of("auto", "off"),
    # RFC 8910, 2: https, and a DHCP option holds 255 bytes. No comma, quote or space: dnsmasq.conf and UCI give them a
    # meaning of their own.
    "household.captive_portal_url": _matching(
        r"|(?=.{1,240}$)https://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._~/%?&=:+-]*)?",
        "https://HOST[:PORT][/PATH], or empty",
    ),
    "household.help_phone": _matching(r"|\+?[0-9][0-9 ()/.-]{2,23}", "a phone number, or empty"),
    "household.devices": _one_of("own", "list", "off"),
    "household.help_text": (lambda text: len(text) <= 400, "up to 400 characters"),
    "probe.hosts": (
        lambda hosts: all(re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):\d{1,5}", h) for h in hosts),
        "a list of HOST:PORT",
    ),
    "probe.speed_url": _matching(r"|https?://[^\s]{1,490}", "http[s]://HOST[/PATH], or empty"),
    "probe.speed_upload_url": _matching(r"|https?://[^\s]{1,490}", "http[s]://HOST[/PATH], or empty"),
    "probe.name": _matching(r"[A-Za-z0-9.-]{1,253}", "a host name"),
    "log.level": _one_of("debug", "info", "warning", "error"),
}

# Values that `config show` and the twin mask: numbers of people and cards. The other secrets live in files.
SECRETS = frozenset({"household.sms_to", "modem.apn_user", "plan.sim"})
