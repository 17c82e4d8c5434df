"""One TOML file becomes frozen dataclasses; every default is visible here.

Called by the daemon and the CLI. An error names the file, the line or key, the value found and what is allowed.
A section is a dataclass; what a value must satisfy stands in config_rules.py.
"""

from __future__ import annotations

import contextlib
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import config_meaning
from agent.config_rules import RULES, SECRETS
from agent.errors import ConfigError
from agent.plan.model import Plan
from agent.toml import tomllib

if TYPE_CHECKING:
    from dataclasses import Field
    from typing import ClassVar, Protocol

    class Section(Protocol):
        """A dataclass: `[plan]` and the like."""

        __dataclass_fields__: ClassVar[dict[str, Field[object]]]


DEFAULT_PATH = Path("/etc/modem-agent/config.toml")


@dataclass(frozen=True, slots=True)
class Device:
    """The device itself: its name, its folders, who may use its socket."""

    id: str = ""  # device id in topics; empty: imei::<IMEI of the module>
    state_dir: str = "/var/lib/modem-agent"  # the database
    run_dir: str = "/run/modem-agent"  # the control socket
    read_group: str = "modem-agent"  # may read over the control socket
    act_group: str = ""  # may act over it, besides root
    language: str = ""  # of modem-agent's screens where the terminal's locale names none: fr, nl, de, en; empty: en


@dataclass(frozen=True, slots=True)
class ModemSettings:
    """The cellular module."""

    port: str = "auto"  # auto, a device path, or a pyserial URL (socket://, rfc2217://)
    profile: str = "auto"  # vendor profile; auto: by the module's identity
    baud: int = 115_200  # speed of a true serial line; USB has none
    poll_s: float = 60.0  # one status poll
    apn: str = ""  # set in the module where nobody else dials; empty: what the module or the network has
    apn_user: str = ""  # sent with it; empty: none
    apn_password_file: str = ""  # one line
    apn_auth: str = "pap"  # pap, chap or none: how the two are sent
    pin_file: str = ""  # holds the SIM's PIN; tried once, never the last attempt
    recovery: bool = True  # the recovery ladder may act
    power_cycle: tuple[str, ...] = ()  # command and arguments that cut the module's power and give it back
    power_gpio: str = ""  # or a GPIO's value file, /sys/class/gpio/gpioN/value


@dataclass(frozen=True, slots=True)
class Wan:
    """The links that count."""

    interfaces: tuple[str, ...] = ("wwan0",)  # names or shell patterns


@dataclass(frozen=True, slots=True)
class ShaperSettings:
    """How the line is slowed."""

    qdisc: str = "auto"  # auto takes the best that the kernel has
    replace_foreign: bool = False  # whether a qdisc that somebody else made may be replaced
    offload_guard: bool = True  # hardware flow offload is switched off while throttled


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """The way to the operator's broker, and what may be sent on it."""

    url: str = ""  # mqtts://host:8883 or mqtt://host:1883; empty: no broker
    root: str = "modem-agent"  # first level of every topic
    client_id: str = ""  # empty: the device id
    protocol: str = "auto"  # 5, 3.1.1, or auto: 5 first
    username: str = ""  # at the broker; empty: none
    password_file: str = ""  # holds the password
    ca_file: str = ""  # certificates to trust, PEM; empty: the system's
    cert_file: str = ""  # this device's certificate, PEM
    key_file: str = ""  # its key, PEM
    psk_file: str = ""  # one line identity:hexkey
    alpn: str = ""  # name of the protocol asked for in TLS; empty: none
    bind_interface: str = ""  # empty: the routing table decides
    keepalive_s: int = 1_000  # above beat_s: then the beat keeps the session alive and no ping is paid for
    beat_s: int = 900  # a measurement at least this often
    budget_bytes_day: int = 100_000  # on the wire, enforced by stretching the beat
    location: str = "faults"  # when the cell is told, which is where the home is: faults (only then), always, never
    outbox_rows: int = 5_000  # reports that wait for the broker, at most
    outbox_bytes: int = 4_000_000  # their size, at most
    outbox_days: int = 45  # their age, at most


@dataclass(frozen=True, slots=True)
class CommandSettings:
    """Who may command what."""

    keys_file: str = ""  # issuers, their keys, roles and limits (TOML); empty: none
    require_signature: bool = False  # unsigned commands over MQTT are refused
    two_issuers: tuple[str, ...] = ()  # commands that over MQTT need the signatures of two issuers, as agent.update
    rate_per_minute: int = 30  # commands of one issuer, at most
    at_allow: tuple[str, ...] = ()  # further AT commands (patterns) besides the built-in read-only list
    sms_allow: tuple[str, ...] = ()  # numbers (patterns) for sms.send; empty: all but short, premium and satellite ones
    sms_per_day: int = 20  # messages by sms.send, at most
    diag_bytes_day: int = 100_000_000  # what diagnosis from afar may move, at most
    diag_allow: tuple[str, ...] = ()  # networks of the household's, as address/length, that diagnosis may reach
    topups_month: int = 100  # top-ups that one issuer may grant, at most
    topup_bytes_month: int = 200_000_000_000  # their bytes, at most


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """Which time is believed."""

    source: str = "auto"  # auto: NTP, else network time; ntp, modem or system: that one alone


@dataclass(frozen=True, slots=True)
class Household:
    """What the household sees: its page, a lamp, SMS."""

    led: str = ""  # a name in /sys/class/leds
    sms_to: str = ""  # phone number told at each warning, throttle and new month, and answered when it asks
    sms_language: str = "fr"  # of the texts to the household, and of its page where the browser asks for no other
    metered: str = "auto"  # whether devices are told, by Wi-Fi and DHCP, that the line is metered: auto or off
    captive_portal_url: str = ""  # the RFC 8908 document whose address DHCP gives to phones; empty: none
    page: bool = True  # whether the page for the household is written
    help_phone: str = ""  # whom the page tells to call
    devices: str = "own"  # use by device on the page: own (the reader's), list (all of them), or off
    help_text: str = ""  # where help is near, as the page shows it


@dataclass(frozen=True, slots=True)
class Probe:
    """What is asked to find out whether the line works: by the doctor, and by the recovery ladder."""

    hosts: tuple[str, ...] = ("1.1.1.1:443", "9.9.9.9:443")  # independent of each other and of any name server
    name: str = "www.belgium.be"  # asked of every name server
    name_servers: tuple[str, ...] = ()  # their addresses; empty: those of /etc/resolv.conf
    speed_url: str = ""  # a file on the operator's server, for `modem-agent speed`; empty: none
    speed_upload_url: str = ""  # where the same server takes an upload; empty: only the download is measured


@dataclass(frozen=True, slots=True)
class Log:
    """What is logged."""

    level: str = "info"  # from this level on


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration; `file` is where it was read, `problem` why that is not the file that was asked for."""

    device: Device = field(default_factory=Device)
    modem: ModemSettings = field(default_factory=ModemSettings)
    wan: Wan = field(default_factory=Wan)
    plan: Plan = field(default_factory=Plan)
    shaper: ShaperSettings = field(default_factory=ShaperSettings)
    operator: OperatorSettings = field(default_factory=OperatorSettings)
    commands: CommandSettings = field(default_factory=CommandSettings)
    clock: ClockSettings = field(default_factory=ClockSettings)
    household: Household = field(default_factory=Household)
    probe: Probe = field(default_factory=Probe)
    log: Log = field(default_factory=Log)
    file: str = ""
    problem: str = ""


BESIDE = frozenset({"file", "problem"})  # no sections

# -- loading -------------------------------------------------------------------------------------------------------


def load(path: Path | str, *, meaning: bool = True) -> Config:
    """Read and check a configuration file. Raises ConfigError, whose text is one line."""
    name = str(path)
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(name, f"line {line}", "not UTF-8 text", allowed="TOML in UTF-8") from error
    except OSError as error:
        raise ConfigError(name, "", f"cannot be read: {error.strerror or error}") from error
    return parse(text, name, meaning=meaning)


def parse(text: str, name: str = "<string>", *, meaning: bool = True) -> Config:
    """Check TOML text; `name` stands for the file in errors. Without `meaning` each value is judged by itself alone."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error).replace("\n", " ")
        place = re.search(r"\(at (line \d+, column \d+|end of document)\)", message)
        problem = message[: place.start()].strip() if place else message
        last = f"line {text.count(chr(10)) + 1} (end of file)"
        where = "" if place is None else last if place[1] == "end of document" else place[1]
        raise ConfigError(name, where, f"not TOML: {problem}") from error
    config = typing.cast(Config, _section(Config, table, name, "", skip=BESIDE))
    return replace(_meaningful(config, name) if meaning else config, file=name)


def with_keys(config: Config, changes: Mapping[str, object], name: str) -> Config:
    """The configuration with single keys replaced, named `section.key`; `name` stands for them in errors.

    Raises ConfigError like a file with these keys would.
    """
    sections: dict[str, dict[str, object]] = {}
    for key, value in changes.items():
        section, _, rest = key.partition(".")
        if not section or not rest:
            raise ConfigError(name, key, "not a key", allowed="section.key, such as operator.beat_s")
        sections.setdefault(section, {})[rest] = value
    made = config
    for section, hint in _hints(Config, sections, name, "", skip=BESIDE).items():
        values = sections[section]
        typed = {
            key: _value(inner, values[key], name, f"{section}.{key}")
            for key, inner in _hints(hint, values, name, section + ".").items()
        }
        whole = _allowed(replace(getattr(made, section), **typed), values, name, section)
        made = replace(made, **{section: whole})
    return _meaningful(made, name)


def _meaningful(config: Config, name: str) -> Config:
    found = _meaning(config)
    if found is not None:
        raise ConfigError(name, found.key, found.text, value=found.value, allowed=found.allowed)
    return config


def _meaning(config: Config) -> config_meaning.Problem | None:
    written = {"power_gpio": config.modem.power_gpio, "led": config.household.led}
    return config_meaning.problem(config.wan.interfaces, config.plan, **written)


def salvage(path: Path | str) -> Config:
    """What can be used of a configuration that load() refuses: its right sections, and the defaults for the rest.

    For the doctor alone, which must look at a device just because its configuration is broken; nothing starts on it.
    """
    name = str(path)
    config = Config(file=name)
    try:
        table = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError):
        return config
    for key, value in table.items():
        try:
            section = typing.cast(Config, _section(Config, {key: value}, name, "", skip=BESIDE))
        except ConfigError:
            continue
        config = replace(config, **{key: getattr(section, key)})
    return config


def _section(cls: type, table: Mapping[str, Any], name: str, prefix: str, skip: frozenset[str] = frozenset()) -> object:
    hints = _hints(cls, table, name, prefix, skip)
    return cls(**{key: _value(hint, table[key], name, prefix + key) for key, hint in hints.items()})


def _hints(
    cls: type, table: Mapping[str, object], name: str, prefix: str, skip: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The types of the keys in `table`, in the order of the dataclass."""
    hints = typing.get_type_hints(cls)
    known = [f.name for f in fields(cls) if f.name not in skip]
    for key in table:
        if key not in known:
            raise ConfigError(name, prefix + key, "unknown key", allowed=", ".join(known))
    return {key: hints[key] for key in known if key in table}


def _value(hint: Any, value: Any, name: str, key: str) -> Any:
    return _allowed(_typed(hint, value, name, key), value, name, key)


def _allowed(result: Any, value: Any, name: str, key: str) -> Any:
    """The typed value, if its rule holds; `value` is what was written."""
    rule = RULES.get(key)
    if rule is not None and result is not None and not rule[0](result):
        problem = "out of range" if isinstance(value, (int, float)) else "not allowed"
        raise ConfigError(name, key, problem, value=value, allowed=rule[1])
    return result


def _typed(hint: Any, value: Any, name: str, key: str) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [h for h in typing.get_args(hint) if h is not type(None)]
        return _typed(inner[0], value, name, key)
    if is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(name, key, "wrong type", value=value, allowed="a table")
        return _section(typing.cast(type, hint), value, name, key + ".")
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigError(name, key, "wrong type", value=value, allowed="a list")
        item = typing.get_args(hint)[0]
        return tuple(_typed(item, v, name, key) for v in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is date and isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):  # JSON has no dates
        with contextlib.suppress(ValueError):
            return date.fromisoformat(value)
    if hint is date and isinstance(value, datetime):
        raise ConfigError(name, key, "wrong type", value=str(value), allowed="a date such as 2027-01-31")
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(name, key, "wrong type", value=value, allowed=_TYPE_NAMES.get(hint, str(hint)))
    return value


_TYPE_NAMES: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true | false",
    date: "a date such as 2027-01-31",
}


def refused(run_dir: str) -> str:
    """What was wrong with a configuration that came after the one in force; empty: nothing.

    OpenWrt's init script, which makes the file of UCI, leaves it in run_dir; in the default one where none has passed.
    """
    for folder in dict.fromkeys((run_dir, "/var/run/modem-agent")):
        try:
            return Path(folder, "config.refused").read_text("utf-8", errors="replace").strip()
        except OSError:
            continue
    return ""


# -- showing -------------------------------------------------------------------------------------------------------


def to_dict(config: Config) -> dict[str, dict[str, object]]:
    """The configuration as plain values, secrets masked, for `config show` and the twin."""
    return {f.name: _table(getattr(config, f.name), f.name) for f in fields(config) if f.name not in BESIDE}


def _table(section: Section, key: str) -> dict[str, object]:
    return {f.name: _plain(getattr(section, f.name), f"{key}.{f.name}") for f in fields(section)}


def _plain(value: object, key: str) -> object:
    if key in SECRETS and value:
        return ["***"] * len(value) if isinstance(value, tuple) else "***"
    if is_dataclass(value) and not isinstance(value, type):
        return _table(value, key)
    if isinstance(value, tuple):
        return [_plain(v, key) for v in value]
    return value.isoformat() if isinstance(value, date) else value


def is_default(section: Section, name: str) -> bool:
    """Whether a section's value is the one it would have without a file."""
    for f in fields(section):
        if f.name == name:
            default = f.default
            if default is MISSING and f.default_factory is not MISSING:
                default = f.default_factory()
            return bool(getattr(section, name) == default)
    raise KeyError(name)
