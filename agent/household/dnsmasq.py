"""Puts the DHCP options of dnsmasq_conf.py into the household's dnsmasq, and takes them out again.

On OpenWrt the agent is root and does it itself. On Debian it may not write to /etc: it leaves the wanted options in a
file, and systemd runs `python3 -m agent.household.dnsmasq FILE` as root (modem-agent-dnsmasq.path).

The household's addresses and names hang on dnsmasq. It is restarted only on a configuration that its own --test takes,
never on one that was wrong before, and what it does not take is undone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from agent.config_rules import RULES
from agent.errors import AgentError
from agent.household import dnsmasq_conf as conf
from agent.household.metered import ANDROID_METERED, CAPTIVE_PORTAL, VENDOR_SPECIFIC, DhcpOption

DNSMASQ = "/usr/sbin/dnsmasq"
# As Debian's /usr/share/dnsmasq/init-system-common starts it: CONFIG_DIR of /etc/default/dnsmasq.
TEST_DEBIAN = (
    *(DNSMASQ, "--test", "--conf-file={root}/etc/dnsmasq.conf"),
    "--conf-dir={root}/etc/dnsmasq.d,.dpkg-dist,.dpkg-old,.dpkg-new",
)
RESTART_DEBIAN = ("/bin/systemctl", "try-restart", "dnsmasq.service")  # one that does not run is not started
RELOAD_OPENWRT = ("/etc/init.d/dnsmasq", "reload")
UCI = "/sbin/uci"
TIMEOUT_S = 30.0

WATCHER = "/etc/systemd/system/multi-user.target.wants/modem-agent-dnsmasq.path"
REQUEST = "/run/modem-agent/dnsmasq"
ASKED = "systemd was asked to change it; 'journalctl -u modem-agent-dnsmasq' tells what came of it"
LONGEST_REQUEST = 1_000


def settle(wanted: Sequence[DhcpOption], root: Path = conf.ROOT) -> str:
    """Make dnsmasq send the wanted options; who was asked to, where the agent may not do it itself.
    Raises AgentError, and nothing is changed."""
    if not conf.is_openwrt(root):
        return ask(wanted)
    found = conf.look(root)
    if not conf.settled(found, wanted):
        _on_openwrt(conf.target(found, wanted), root)
    return ""


# -- Debian: systemd is asked ------------------------------------------------------------------------------------------


def ask(wanted: Sequence[DhcpOption], watcher: str = WATCHER, request: str = REQUEST) -> str:
    if not os.path.lexists(watcher):
        raise AgentError("only root may change it, and modem-agent-dnsmasq.path is not enabled")
    fresh = Path(f"{request}.new")
    try:
        fresh.write_text("".join(f"{option}\n" for option in wanted), "ascii")
        fresh.replace(request)
    except OSError as error:
        raise AgentError(f"{request}: {error.strerror}") from error
    return ASKED


def requested(path: Path) -> tuple[DhcpOption, ...]:
    """The options of a request, which is removed. Raises AgentError: root writes nothing but what we would ask for."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), encoding="ascii") as file:
            lines = file.read(LONGEST_REQUEST).splitlines()
        path.unlink()
    except (OSError, UnicodeDecodeError) as error:
        raise AgentError(f"{path}: {error}") from error
    options = [line.partition(",")[::2] for line in lines]
    if not all(_allowed(number, value) for number, value in options):
        raise AgentError(f"{path}: not the options of [household]")
    return tuple(DhcpOption(int(number), value) for number, value in options)


def _allowed(number: str, value: str) -> bool:
    if number == str(CAPTIVE_PORTAL):
        return bool(value) and RULES["household.captive_portal_url"][0](value)
    return (number, value) == (str(VENDOR_SPECIFIC), ANDROID_METERED)


# -- Debian: a file of its own ----------------------------------------------------------------------------------------


def settle_debian(wanted: Sequence[DhcpOption], root: Path = conf.ROOT) -> None:
    """As root. Raises AgentError, and nothing is changed."""
    found = conf.look(root)
    if conf.settled(found, wanted):
        return
    options = conf.target(found, wanted)
    path = root / conf.SNIPPET
    before = path.read_text("utf-8") if path.exists() else ""
    test = [word.format(root=str(root).rstrip("/")) for word in TEST_DEBIAN]
    _run(*test, doing="dnsmasq refuses its configuration as it is, which is left alone")
    _write(path, conf.snippet(options))
    try:
        _run(*test, doing="dnsmasq refuses the options")
        _run(*RESTART_DEBIAN, doing="dnsmasq does not start with the options")
    except AgentError:
        _write(path, before)
        _run(*RESTART_DEBIAN, doing="dnsmasq does not start any more")
        raise


def _write(path: Path, text: str) -> None:
    """In one step; an empty text removes the file."""
    try:
        if not text:
            path.unlink(missing_ok=True)
            return
        fresh = path.with_name(f".{path.name}.new")  # dnsmasq passes over what begins with a dot
        fresh.write_text(text, "utf-8")
        fresh.chmod(0o644)
        fresh.replace(path)
    except OSError as error:
        raise AgentError(f"{path}: {error.strerror}") from error


# -- OpenWrt: UCI ------------------------------------------------------------------------------------------------------


def _on_openwrt(options: Sequence[DhcpOption], root: Path) -> None:
    with tempfile.TemporaryDirectory() as side:
        lone = Path(side, "options.conf")
        lone.write_text(conf.snippet(options), "utf-8")
        _run(DNSMASQ, "--test", f"--conf-file={lone}", doing="dnsmasq refuses the options")
        before = (root / conf.UCI).read_bytes()
        _uci(side, options)
    try:
        _run(*RELOAD_OPENWRT, doing="dnsmasq cannot be reloaded")
        for made in root.glob(conf.OPENWRT[0]):
            _run(DNSMASQ, "--test", f"--conf-file={made}", doing="dnsmasq refuses what UCI makes of the options")
    except AgentError:
        (root / conf.UCI).write_bytes(before)
        _run(*RELOAD_OPENWRT, doing="dnsmasq cannot be reloaded any more")
        raise


def _uci(side: str, options: Sequence[DhcpOption]) -> None:
    """Change and commit with a folder of our own for what is not committed yet (-t): others' changes stay staged."""
    uci = (UCI, "-t", side)
    for section in _served(_run(*uci, "show", "dhcp", doing="uci cannot show dhcp")):
        noted = _run(*uci, "-q", "get", f"{section}.{conf.NOTED}", doing="uci get", may_fail=True).split()
        for value in noted:
            _run(*uci, "del_list", f"{section}.dhcp_option_force={value}", doing="uci del_list")
        if noted:
            _run(*uci, "delete", f"{section}.{conf.NOTED}", doing="uci delete")
        for option in options:
            for name in ("dhcp_option_force", conf.NOTED):
                _run(*uci, "add_list", f"{section}.{name}={option}", doing="uci add_list")
    _run(*uci, "commit", "dhcp", doing="uci commit dhcp")


def _served(shown: str) -> list[str]:
    """The sections of `uci show dhcp` that give addresses: dhcp.lan, not those with ignore."""
    settings = dict(line.partition("=")[::2] for line in shown.splitlines())
    sections = [name for name, value in settings.items() if value == "dhcp"]
    return [name for name in sections if settings.get(f"{name}.ignore") not in ("'1'", "'on'", "'true'", "'yes'")]


def _run(*command: str, doing: str, may_fail: bool = False) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AgentError(f"{doing}: {error}") from error
    if done.returncode and not may_fail:
        raise AgentError(f"{doing}: {(done.stderr or done.stdout).strip() or f'exit status {done.returncode}'}")
    return done.stdout


def main() -> int:
    """Do what the request asks for, as root."""
    try:
        settle_debian(requested(Path(sys.argv[1])))
    except AgentError as error:
        print(f"modem-agent: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
