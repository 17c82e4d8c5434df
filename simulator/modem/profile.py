"""Reads a vendor data file into a Profile, and says file, line and what is wrong when it cannot.

`data/<name>.toml`; `extends` takes over everything of another file, whose rules come after the file's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from simulator.errors import DataError, UnknownName
from simulator.modem import state as settings
from simulator.modem.facts import FACTS
from simulator.modem.rules import ACTIONS, Later, Rule, unknown_word, words
from simulator.toml_lines import line_of, tomllib

DATA = Path(__file__).parent / "data"
ROLES = ("at", "modem", "nmea", "diag")
_RULE_NAME = re.compile(r"AT([+^#%!*$_@][A-Z0-9_]+)", re.IGNORECASE)
_LINE_ENDS = {"crlf": b"\r\n", "crcrlf": b"\r\r\n", "cr": b"\r", "lf": b"\n"}


@dataclass(frozen=True)
class PortSpec:
    interface: int
    role: str
    primary: bool = False
    protocol: int = 0xFF  # bInterfaceProtocol: how Huawei's ports are told apart


@dataclass(frozen=True)
class Usb:
    vendor: str = ""  # four hex digits, empty: not a USB device
    product: str = ""
    driver: str = "option"  # what the kernel binds to the serial interfaces: option, sierra, cdc_acm, qcserial
    net_interface: int | None = None
    net: str = "ecm"  # ecm, mbim, qmi, rndis, ncm
    manufacturer: str = ""
    product_name: str = ""


@dataclass(frozen=True)
class Timing:
    """Seconds that things take on this module."""

    gone_s: float = 2.0  # from the restart command to the port being gone
    boot_s: float = 15.0  # from there to the port being back
    sim_s: float = 2.0  # from power to the SIM being ready
    search_s: float = 3.0  # from looking to registered
    scan_s: float = 60.0  # +COPS=?


@dataclass(frozen=True)
class Dialect:
    registration: str = '"{tac:X}","{ci:X}",{act}'
    registration_absent: str = ""  # what follows stat when there is no cell: ",00,0" on old Huawei
    unknown: str = "ERROR"  # what an unknown command gets
    cgsn_prefix: str = ""
    pdp_zero: bool = True  # +CGDCONT? fills in 0.0.0.0
    charsets: str = '"GSM","IRA","UCS2"'
    functionality: str = "(0,1,4),(0,1)"  # what +CFUN=? prints, and +CFUN takes
    restarting: Sequence[int] = ()  # values of +CFUN that restart the module


@dataclass(frozen=True)
class Profile:
    name: str
    manufacturer: str
    model: str
    revision: str
    usb: Usb = field(default_factory=Usb)
    ports: tuple[PortSpec, ...] = (PortSpec(0, "at", primary=True),)
    timing: Timing = field(default_factory=Timing)
    dialect: Dialect = field(default_factory=Dialect)
    line_end: bytes = b"\r\n"
    cmee_at_power_up: int = 0
    boot: tuple[Later, ...] = ()
    periodic: tuple[Later, ...] = ()
    rules: tuple[Rule, ...] = ()
    variables: dict[str, Any] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()  # 27.007 commands that this module does not have
    settings: dict[str, Any] = field(default_factory=dict)  # what its state starts with
    note: str = ""

    @cached_property
    def vendor_commands(self) -> frozenset[str]:
        """The names that its rules answer to, as +CLAC lists them."""
        found = (_RULE_NAME.match(rule.command.pattern.replace("\\", "")) for rule in self.rules)
        return frozenset(match[1] for match in found if match)

    @property
    def primary(self) -> PortSpec:
        return next((p for p in self.ports if p.primary), self.ports[0])


def names() -> list[str]:
    """Every shipped profile; files that begin with an underscore are only there to be extended."""
    return sorted(p.stem for p in DATA.glob("*.toml") if not p.stem.startswith("_"))


@lru_cache(maxsize=64)
def load(name: str) -> Profile:
    """A shipped profile by name, or a data file by its path."""
    path = Path(name) if name.endswith(".toml") else DATA / f"{name}.toml"
    if not path.exists():
        raise UnknownName("profile", name, names())
    return _File(path).profile()


class _File:
    """One data file while it is being read; knows which line a table stands on."""

    KEYS = (
        "extends",
        "name",
        "note",
        "manufacturer",
        "model",
        "revision",
        "line_end",
        "cmee_at_power_up",
        "absent",
        "usb",
        "port",
        "timing",
        "dialect",
        "settings",
        "variables",
        "boot",
        "periodic",
        "rule",
    )

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8")
            self.table: dict[str, Any] = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            place = re.search(r"line (\d+)", str(error))
            raise DataError(str(path), int(place[1]) if place else None, f"not TOML: {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(str(path), None, f"cannot be read: {error}") from error
        self.base = self._base()
        base_variables = set(self.base.variables) if self.base else set()
        self.variables = base_variables | set(self.table.get("variables", {}))

    def _base(self) -> Profile | None:
        parent = self.table.get("extends")
        if parent is None:
            return None
        sibling = self.path.parent / f"{parent}.toml"
        return load(str(sibling)) if sibling.exists() else load(str(parent))

    def wrong(self, where: str, problem: str, *, index: int = 0, key: str = "") -> DataError:
        return DataError(str(self.path), line_of(self.text, where, index, key), problem)

    def profile(self) -> Profile:
        for key in self.table:
            if key not in self.KEYS:
                raise self.wrong("", f"unknown key {key!r}; known: {', '.join(self.KEYS)}", key=key)
        base, table = self.base, self.table
        values: dict[str, Any] = {f.name: getattr(base, f.name) for f in fields(Profile)} if base else {}
        values["name"] = table.get("name", self.path.stem)
        for key in ("manufacturer", "model", "revision", "note", "cmee_at_power_up"):
            if key in table:
                values[key] = table[key]
        for key in ("manufacturer", "model", "revision"):
            if not isinstance(values.get(key), str):
                raise DataError(
                    str(self.path), 1, f"{key} is missing: it is what the module says to +CGMI, +CGMM, +CGMR"
                )
        if "line_end" in table:
            if table["line_end"] not in _LINE_ENDS:
                raise self.wrong("", f"line_end must be one of {', '.join(_LINE_ENDS)}", key="line_end")
            values["line_end"] = _LINE_ENDS[table["line_end"]]
        for section, cls in (("usb", Usb), ("timing", Timing), ("dialect", Dialect)):
            if section in table:
                values[section] = self._section(section, cls, values.get(section, cls()))
        if "port" in table:
            values["ports"] = tuple(self._port(i, row) for i, row in enumerate(table["port"]))
        if "absent" in table:
            values["absent"] = frozenset(table["absent"])
        values["settings"] = {**values.get("settings", {}), **self._settings()}
        values["variables"] = {**values.get("variables", {}), **table.get("variables", {})}
        for section in ("boot", "periodic"):
            if section in table:
                values[section] = tuple(self._later(section, i, row, set()) for i, row in enumerate(table[section]))
        own = tuple(self._rule(i, row) for i, row in enumerate(table.get("rule", ())))
        values["rules"] = own + values.get("rules", ())
        return Profile(**values)

    def _section(self, section: str, cls: type, before: object) -> object:
        known = {f.name: getattr(before, f.name) for f in fields(cls)}
        for key, value in self.table[section].items():
            if key not in known:
                raise self.wrong(section, f"unknown key {key!r}; known: {', '.join(known)}", key=key)
            known[key] = value
            if section == "dialect" and isinstance(value, str) and "{" in value:
                self._check_template(value, set(), section, 0, key)
        return cls(**known)

    def _port(self, index: int, row: dict[str, Any]) -> PortSpec:
        self._known("port", index, row, {f.name for f in fields(PortSpec)})
        if row.get("role") not in ROLES:
            raise self.wrong("port", f"role must be one of {', '.join(ROLES)}", index=index, key="role")
        return PortSpec(**row)

    def _settings(self) -> dict[str, Any]:
        found: dict[str, Any] = self.table.get("settings", {})
        for name, value in found.items():
            try:
                settings.assign(settings.State(), name, value)
            except Exception as error:
                raise self.wrong("settings", str(error), key=name) from error
        return found

    def _rule(self, index: int, row: dict[str, Any]) -> Rule:
        self._known("rule", index, row, {f.name for f in fields(Rule)} - {"line"})
        try:
            pattern = re.compile(row["command"], re.IGNORECASE)
        except KeyError:
            raise self.wrong("rule", "a rule needs a command: the pattern it answers", index=index) from None
        except re.error as error:
            raise self.wrong(
                "rule", f"command is no regular expression: {error}", index=index, key="command"
            ) from error
        groups = set(pattern.groupindex)
        reply = row.get("reply", ())
        lines = tuple(reply.split("\n")) if isinstance(reply, str) else tuple(reply)
        for text in lines:
            self._check_template(text, groups, "rule", index, "reply")
        self._check_when(row.get("when", {}), "rule", index)
        self._check_set(row.get("set", {}), groups, "rule", index)
        if row.get("action", "") not in {"", *ACTIONS}:
            raise self.wrong("rule", f"action must be one of {', '.join(ACTIONS)}", index=index, key="action")
        after = tuple(self._later("rule", index, later, groups) for later in row.get("after", ()))
        rest = {key: row[key] for key in ("when", "error", "delay_s", "set", "action") if key in row}
        return Rule(pattern, lines, after=after, line=line_of(self.text, "rule", index, "") or 0, **rest)

    def _later(self, where: str, index: int, row: dict[str, Any], groups: set[str]) -> Later:
        self._known(where, index, row, {f.name for f in fields(Later)})
        self._check_template(row.get("urc", ""), groups, where, index, "urc")
        self._check_when(row.get("when", {}), where, index)
        self._check_set(row.get("set", {}), groups, where, index)
        return Later(**{"delay_s": 0.0, **row})

    def _known(self, where: str, index: int, row: dict[str, Any], known: Iterable[str]) -> None:
        allowed = sorted(known)
        for key in row:
            if key not in allowed:
                raise self.wrong(where, f"unknown key {key!r}; known: {', '.join(allowed)}", index=index, key=key)

    def _check_template(self, text: str, groups: set[str], where: str, index: int, key: str) -> None:
        try:
            used = words(text)
        except ValueError as error:
            raise self.wrong(where, f"{text!r}: {error}", index=index, key=key) from error
        for name in used:
            if unknown_word(name, groups, self.variables):
                raise self.wrong(where, f"{text!r} uses an unknown word {name!r}", index=index, key=key)

    def _check_when(self, when: dict[str, Any], where: str, index: int) -> None:
        for name in when:
            if name not in FACTS and unknown_word(name, set(), self.variables):
                raise self.wrong(where, f"when: {name!r} is not known of a modem", index=index, key="when")

    def _check_set(self, changes: dict[str, Any], groups: set[str], where: str, index: int) -> None:
        for name, value in changes.items():
            if isinstance(value, str):
                self._check_template(value, groups, where, index, "set")
            try:
                known = name[4:] in self.variables if name.startswith("var.") else True
                if not name.startswith("var."):
                    settings.read(settings.State(), name)
            except UnknownName:
                known = False
            if not known:
                raise self.wrong(where, f"set: there is no setting or variable {name!r}", index=index, key="set")
