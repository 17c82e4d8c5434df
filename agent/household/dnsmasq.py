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
RELOADED_OPENWRT = ("/etc/init.d/dnsmasq", "/etc/init.d/odhcpd")
# odhcpd's name for RFC 8910's option of router advertisements and DHCPv6 (src/config.c, since November 2025); an older
# one passes over it.
ROUTER_ADVERTISEMENT = "captive_portal_uri"
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
    settle_as_root(wanted, root)
    return ""


def settle_as_root(wanted: Sequence[DhcpOption], root: Path = conf.ROOT) -> None:
    """Raises AgentError, and nothing is changed."""
    found = conf.look(root)
    if conf.settled(found, wanted):
        return
    change = _on_openwrt if conf.is_openwrt(root) else _on_debian
    try:
        change(conf.target(found, wanted), root)
    except OSError as error:
        raise AgentError(f"{error.filename}: {error.strerror}") from error


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
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), encoding="ascii") as file:
            lines = file.read(LONGEST_REQUEST).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AgentError(f"{path}: {error}") from error
    finally:
        path.unlink(missing_ok=True)  # one that stays would start us again
    options = [line.partition(",")[::2] for line in lines]
    if not all(_allowed(number, value) for number, value in options):
        raise AgentError(f"{path}: not the options of [household]")
    return tuple(DhcpOption(int(number), value) for number, value in options)


def _allowed(number: str, value: str) -> bool:
    if number == str(CAPTIVE_PORTAL):
        return bool(value) and RULES["household.captive_portal_url"][0](value)
    return (number, value) == (str(VENDOR_SPECIFIC), ANDROID_METERED)


# -- Debian: a file of its own ----------------------------------------------------------------------------------------


def _on_debian(options: Sequence[DhcpOption], root: Path) -> None:
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
    """In one step, whenever power fails; an empty text removes the file."""
    if not text:
        path.unlink(missing_ok=True)
        return
    fresh = path.with_name(f".{path.name}.new")  # dnsmasq and uci pass over what begins with a dot
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
    fresh.replace(path)


# -- OpenWrt: UCI ------------------------------------------------------------------------------------------------------


def _on_openwrt(options: Sequence[DhcpOption], root: Path) -> None:
    import tempfile  # 0.5 MB that no agent needs all day

    uci_file = root / conf.UCI
    with tempfile.TemporaryDirectory() as side:
        lone = Path(side, "options.conf")
        lone.write_text(conf.snippet(options), "utf-8")
        _run(DNSMASQ, "--test", f"--conf-file={lone}", doing="dnsmasq refuses the options")
        if _run(UCI, "changes", "dhcp", doing="uci changes dhcp"):
            raise AgentError("somebody's changes wait in UCI ('uci changes dhcp'): commit or revert them first")
        before = uci_file.read_text("utf-8")
        _set_in_uci((UCI, "-t", side), options)  # what is not committed yet, in a folder that goes
    try:
        _reload()
        for made in root.glob(conf.OPENWRT[0]):
            _run(DNSMASQ, "--test", f"--conf-file={made}", doing="dnsmasq refuses what UCI makes of the options")
    except AgentError:
        _write(uci_file, before)
        _reload()
        raise


def _reload() -> None:
    for service in RELOADED_OPENWRT:
        if os.access(service, os.X_OK):
            _run(service, "reload", doing="it cannot be reloaded")


def _set_in_uci(uci: tuple[str, ...], options: Sequence[DhcpOption]) -> None:
    urls = [option.value for option in options if option.number == CAPTIVE_PORTAL]
    for section in _served(_run(*uci, "show", "dhcp", doing="uci cannot show dhcp")):
        noted = _values(uci, f"{section}.{conf.NOTED}")
        for value in noted:
            _run(*uci, "del_list", f"{section}.dhcp_option_force={value}", doing="uci del_list")
        if noted:
            _run(*uci, "delete", f"{section}.{conf.NOTED}", doing="uci delete")
        for option in options:
            for name in ("dhcp_option_force", conf.NOTED):
                _run(*uci, "add_list", f"{section}.{name}={option}", doing="uci add_list")
        present = _values(uci, f"{section}.{ROUTER_ADVERTISEMENT}")
        if all(f"{CAPTIVE_PORTAL},{url}" in noted for url in present) and present != urls:  # none, or our own
            value = f"={urls[0]}" if urls else ""
            action = "set" if urls else "delete"
            _run(*uci, action, f"{section}.{ROUTER_ADVERTISEMENT}{value}", doing=f"uci {action}")
    _run(*uci, "commit", "dhcp", doing="uci commit dhcp")


def _values(uci: tuple[str, ...], name: str) -> list[str]:
    """An option's or a list's values, none of which has a space; nothing where it is not set."""
    return _run(*uci, "-q", "get", name, doing="uci get", may_fail=True).split()


def _served(shown: str) -> list[str]:
    """The sections of `uci show dhcp` that give IPv4 addresses: dhcp.lan, not one with ignore as that of wan has."""
    settings = dict(line.partition("=")[::2] for line in shown.splitlines())
    sections = [name for name, kind in settings.items() if kind == "dhcp"]
    off = {
        name for name in sections if settings.get(f"{name}.ignore") in ("'1'", "'on'", "'true'", "'yes'", "'enabled'")
    }
    return [name for name in sections if name not in off and settings.get(f"{name}.dhcpv4") != "'disabled'"]


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
        settle_as_root(requested(Path(sys.argv[1])))
    except AgentError as error:
        print(f"modem-agent: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
