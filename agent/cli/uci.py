"""OpenWrt's configuration, changed with uci itself: there the agent's file is made from UCI at each start.

Used by `setup`. Only what differs is set, so that comments and sections of the owner's stay; all of it or nothing.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.errors import AgentError
from agent.system import OPENWRT_OPKG

ROOT = Path("/")
PACKAGE = "modem-agent"
RENDERED = "# Made from /etc/config/modem-agent"  # how render.awk begins the file that it makes
TIMEOUT_S = 60.0


def is_source_of(path: Path) -> bool:
    """Whether a configuration file is made from UCI, so that what is written into it would be lost."""
    try:
        if path.read_text("utf-8", errors="replace").startswith(RENDERED):
            return True
    except OSError:
        pass  # none yet: the first start makes it
    return path == Path("/etc/modem-agent/config.toml") and (ROOT / "etc/config" / PACKAGE).exists()


def write(changes: Mapping[str, object]) -> None:
    """`changes` maps "section.key" to a value. Raises AgentError, and UCI is as it was."""
    if not changes:
        return
    program = ROOT / "sbin/uci"
    if not program.exists():
        lines = "; ".join(f"uci {shlex.join(words)}" for words in commands(changes, {}))
        raise AgentError(f"{OPENWRT_OPKG.configuration} counts here, and there is no uci to set it. Wanted: {lines}")
    if _uci("-q", "changes", PACKAGE):
        raise AgentError(f"somebody's changes wait in UCI ('uci changes {PACKAGE}'): commit or revert them first")
    names = {section: _name_of(section) for section in {key.partition(".")[0] for key in changes}}
    try:
        for words in commands(changes, names):
            _uci(*words)
    except AgentError:
        _uci("revert", PACKAGE)
        raise


def commands(changes: Mapping[str, object], names: Mapping[str, str | None]) -> list[list[str]]:
    """What uci is told; `names` has each section as UCI knows it, None for one that is to be made."""
    words: list[list[str]] = []
    for section in dict.fromkeys(key.partition(".")[0] for key in changes):
        if names.get(section, section) is None:
            words.append(["set", f"{PACKAGE}.{section}={section}"])
    for key, value in changes.items():
        section, _, option = key.partition(".")
        place = f"{PACKAGE}.{names.get(section) or section}"
        if key == "wan.interfaces":  # links by name take the place of networks that are looked up
            words.append(["-q", "delete", f"{place}.network"])
        if value == "":
            words.append(["-q", "delete", f"{place}.{option}"])
        elif isinstance(value, Sequence) and not isinstance(value, str):
            words.append(["-q", "delete", f"{place}.{option}"])
            words += [["add_list", f"{place}.{option}={item}"] for item in value]
        else:
            words.append(["set", f"{place}.{option}={value}"])
    return [*words, ["commit", PACKAGE]]


def take_up() -> None:
    """Have the init script make the file anew and restart the agent if it differs. Raises AgentError."""
    _run(str(ROOT / "etc/init.d" / PACKAGE), "reload")


def _name_of(section: str) -> str | None:
    """A section of that name, or the first of that type: UCI allows either to have no name."""
    return next((name for name in (section, f"@{section}[0]") if _uci("-q", "get", f"{PACKAGE}.{name}")), None)


def _uci(*words: str) -> str:
    """What uci says; with -q a failure is an empty answer."""
    return _run(str(ROOT / "sbin/uci"), *words, quiet=words[0] == "-q")


def _run(*command: str, quiet: bool = False) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AgentError(f"{command[0]}: {error}") from error
    if done.returncode and not quiet:
        raise AgentError(f"{shlex.join(command)}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return "" if done.returncode else done.stdout.strip()
