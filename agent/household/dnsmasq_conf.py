"""The DHCP options of the household's dnsmasq: which it sends, and which of ours are missing. Reads; changes nothing.

Read is what dnsmasq itself reads: on Debian /etc/dnsmasq.conf and its folder, on OpenWrt the file that its init script
makes of UCI. An option that somebody else has set is left alone and named. Changed by dnsmasq.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import AgentError
from agent.household.metered import ANDROID_METERED, NO, NONE, OFF, VENDOR_SPECIFIC, YES, DhcpOption, Signal

ROOT = Path("/")
SNIPPET = "etc/dnsmasq.d/modem-agent-metered.conf"
UCI, NOTED = "etc/config/dhcp", "modem_agent_option"  # a list of ours in each section, which dnsmasq.init passes over
HEADING = "# Written by modem-agent from [household] in its configuration: change that, not this."
# dnsmasq(8), --conf-dir: names that end in ~, begin with a dot, or begin and end with # are passed over. The suffixes
# are those of CONFIG_DIR in Debian's /etc/default/dnsmasq.
PASSED_OVER = re.compile(r"\..*|.*~|#.*#|.*\.dpkg-(dist|old|new)")
DEBIAN = ("etc/dnsmasq.conf", "etc/dnsmasq.d/*")
OPENWRT = ("var/etc/dnsmasq.conf.*",)  # CONFIGFILE of dnsmasq.init
MOST_FILES = 200  # a configuration that includes itself ends here

# dnsmasq(8), --dhcp-option: these go into option 43, as do the lines for PXE.
_INSIDE_43 = ("vendor:", "encap:43")
_PXE = ("pxe-service", "pxe-prompt")
_COMMENT = re.compile(r"(^|\s)#.*")
_IPV4_RANGE = re.compile(r"(^|,)\d{1,3}(\.\d{1,3}){3}(,|$)")


@dataclass(frozen=True, slots=True)
class Line:
    """One option of dnsmasq, and where it stands."""

    file: Path
    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}={self.value}"


@dataclass(frozen=True, slots=True)
class Setting:
    """A DHCP option that a line sets; `forced` is sent to everybody, asked for or not."""

    option: DhcpOption
    line: Line

    @property
    def forced(self) -> bool:
        return self.line.key == "dhcp-option-force"

    @property
    def marks_metered(self) -> bool:
        return self.forced and self.option.number == VENDOR_SPECIFIC and ANDROID_METERED in self.option.value


@dataclass(frozen=True, slots=True)
class Found:
    """What a configuration says of DHCP."""

    serves: bool = False  # it gives IPv4 addresses
    ours: tuple[DhcpOption, ...] = ()  # what we have put into it
    settings: tuple[Setting, ...] = ()  # what dnsmasq reads, ours among it

    def foreign(self, number: int) -> Setting | None:
        """Where somebody else sets this option."""
        others = (setting for setting in self.settings if setting.option not in self.ours)
        return next((setting for setting in others if setting.option.number == number), None)


def is_openwrt(root: Path = ROOT) -> bool:
    return (root / "etc/openwrt_release").exists()


def look(root: Path = ROOT) -> Found:
    """What dnsmasq's configuration has. Raises AgentError for a file that this user may not read."""
    try:
        lines = tuple(_configuration(root))
        ours = _ours(root)
    except OSError as error:
        raise AgentError(f"{error.filename} cannot be read: {error.strerror}") from error
    serves = any(line.key == "dhcp-range" and _IPV4_RANGE.search(line.value) for line in lines)
    options = ((_option(line), line) for line in lines)
    return Found(serves, ours, tuple(Setting(option, line) for option, line in options if option is not None))


def target(found: Found, wanted: Sequence[DhcpOption]) -> tuple[DhcpOption, ...]:
    """Which options are to be ours: those wanted that nobody else sets. Where nothing is served, nothing is added."""
    if not found.serves:  # perhaps not yet: OpenWrt's file has the range once the network is up
        return tuple(option for option in found.ours if option in wanted)
    return tuple(option for option in wanted if found.foreign(option.number) is None)


def settled(found: Found, wanted: Sequence[DhcpOption]) -> bool:
    """Whether there is nothing to change."""
    ours = target(found, wanted)
    read = {setting.option for setting in found.settings if setting.forced}
    return set(ours) == set(found.ours) and (not found.serves or read.issuperset(ours))


def signal(found: Found, wanted: Sequence[DhcpOption], problem: str) -> Signal:
    """What the devices at the cable are told; `problem` is what kept us from changing it."""
    if not any(option.number == VENDOR_SPECIFIC for option in wanted):
        return Signal(OFF)
    if not found.serves:
        return Signal(NONE, "no dnsmasq here gives addresses to devices")
    foreign = [setting for option in wanted if (setting := found.foreign(option.number)) is not None]
    unlike = [setting for setting in foreign if setting.option not in wanted and not setting.marks_metered]
    taken = [f"DHCP option {setting.option.number} is taken and left alone ({setting.line})" for setting in unlike]
    reason = "; ".join([*taken, problem] if problem else taken)
    if any(setting.marks_metered for setting in found.settings):
        return Signal(YES, reason)
    return Signal(NO, reason or "not yet in dnsmasq's configuration")


def snippet(options: Iterable[DhcpOption]) -> str:
    """Debian's file for these options; empty: no file.

    Forced, because no client asks for option 43: NetworkManager 1.42 saw nothing of `dhcp-option=43`.
    """
    lines = [f"dhcp-option-force={option}" for option in options]
    return "\n".join([HEADING, *lines, ""]) if lines else ""


def _configuration(root: Path = ROOT) -> Iterator[Line]:
    """Every line that dnsmasq reads, of the files that its files name as well."""
    patterns = OPENWRT if is_openwrt(root) else DEBIAN
    waiting = [path for pattern in patterns for path in _folder_files(root, pattern)]
    for done in range(MOST_FILES):
        if done == len(waiting):
            return
        for line in _lines(waiting[done]):
            yield line
            waiting += _included(line, root, waiting)


def _folder_files(root: Path, pattern: str) -> list[Path]:
    return [path for path in sorted(root.glob(pattern)) if path.is_file() and not PASSED_OVER.fullmatch(path.name)]


def _lines(path: Path) -> Iterator[Line]:
    try:
        text = path.read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return
    for text_line in text.splitlines():
        key, _, value = _COMMENT.sub("", text_line).partition("=")
        yield Line(path, key.strip(), value.strip().strip('"'))


def _included(line: Line, root: Path, known: Sequence[Path]) -> list[Path]:
    if line.key == "conf-file":
        found = [root / line.value.lstrip("/")]
    elif line.key == "conf-dir":
        found = _folder_files(root, line.value.partition(",")[0].strip("/") + "/*")
    else:
        return []
    return [path for path in found if path not in known]


def _option(line: Line) -> DhcpOption | None:
    """The option that a line sets for IPv4, and its value; tags before its number are passed over."""
    if line.key in _PXE:
        return DhcpOption(VENDOR_SPECIFIC, line.value)
    if line.key not in ("dhcp-option", "dhcp-option-force"):
        return None
    fields = [field.strip() for field in line.value.split(",")]
    for place, field in enumerate(fields):
        if field.startswith(_INSIDE_43):
            return DhcpOption(VENDOR_SPECIFIC, line.value)
        if field.isdigit():
            return DhcpOption(int(field), ",".join(fields[place + 1 :]))
        if field.startswith(("option:", "option6:", "vi-encap:")):
            return None  # by name: dnsmasq has a name for neither 43 nor 114 (`dnsmasq --help dhcp`)
    return None


def _ours(root: Path) -> tuple[DhcpOption, ...]:
    """What we have put there: Debian's file, or the list beside UCI's own."""
    if not is_openwrt(root):
        settings = ((_option(line), line) for line in _lines(root / SNIPPET))
        return tuple(option for option, _ in settings if option is not None)
    try:
        text = (root / UCI).read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return ()
    noted = re.findall(rf"^\s*list\s+{NOTED}\s+'(\d+),([^']*)'", text, re.MULTILINE)
    return tuple(dict.fromkeys(DhcpOption(int(number), value) for number, value in noted))
