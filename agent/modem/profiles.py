"""Vendor profiles: what differs between modules, as data files beside this one and never as subclasses.

A profile says how to greet a module, what one poll asks, how it is restarted and where its attempts counter stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from agent.toml import tomllib

FOLDER = Path(__file__).parent / "profiles"


@dataclass(frozen=True, slots=True)
class Profile:
    """One family of modules. Patterns are searched in what the module says of itself, case ignored."""

    name: str
    title: str = ""
    manufacturer: str = ""
    model: str = ""
    init: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    poll: tuple[str, ...] = ()  # every time
    seldom: tuple[str, ...] = ()  # one a poll, in turn, every tenth poll each: 12 commands at most
    operator_format: int = 2  # +COPS: 2 numeric, 0 the long name where something else tells the PLMN
    pin_attempts: str = ""
    radio_off: str = "AT+CFUN=4"
    radio_on: str = "AT+CFUN=1"
    restart: str = "AT+CFUN=1,1"
    # Fields: cid, apn, user, password, auth (0 none, 1 PAP, 2 CHAP), type (1 IPv4, 2 IPv6, 3 both).
    context_auth: str = 'AT+CGAUTH={cid},{auth},"{user}","{password}"'
    reattach: tuple[str, ...] = ("AT+CGATT=0", "AT+CGATT=1")
    restart_s: float = 120.0  # the longest the port has stayed away

    def fits(self, manufacturer: str, model: str) -> bool:
        """Whether the module is of this family."""
        if not self.manufacturer and not self.model:
            return False
        return _found(self.manufacturer, manufacturer) and _found(self.model, model)


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


@cache
def _files() -> tuple[dict[str, Any], ...]:  # TOML
    return tuple(tomllib.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.toml")))


@cache
def profiles() -> dict[str, Profile]:
    """All profiles by name; `generic` (27.007 alone) is one of them. A key absent from a file comes from generic."""
    tables = [table for file in _files() for table in file.get("profile", ())]
    base = next(table for table in tables if table["name"] == "generic")
    return {table["name"]: _profile({**base, "manufacturer": "", "model": "", **table}) for table in tables}


def _profile(table: Mapping[str, object]) -> Profile:
    known = {f.name for f in fields(Profile)}
    unknown = set(table) - known
    if unknown:
        raise ValueError(f"profile {table.get('name')}: unknown keys {sorted(unknown)}")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return Profile(**values)


def choose(manufacturer: str | None, model: str | None, wanted: str = "auto") -> Profile:
    """The profile by name, or by the module's identity; the generic one for a module nobody described."""
    if wanted != "auto" and wanted in profiles():
        return profiles()[wanted]
    found = (p for p in profiles().values() if p.fits(manufacturer or "", model or ""))
    return next(found, profiles()["generic"])
