"""The DHCP options on OpenWrt, through UCI. dnsmasq --test is the program itself.

The stand-ins keep to the sources named here: uci to cli.c of uci (show, get, add_list, del_list, set, delete, commit,
-t and -q), the init script to dhcp_add and dhcp_option_add of OpenWrt's dnsmasq.init. Not imitated: staged changes of
others, anonymous sections, quoting, procd, and odhcpd, which only notes that it was reloaded.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.household import dnsmasq
from agent.household import dnsmasq_conf as conf
from agent.household.metered import DhcpOption, dhcp_options

URL, OTHER_URL = "https://operator.example/captive.json", "https://operator.example/two.json"
BOTH = dhcp_options("auto", URL)
HINT, PORTAL = BOTH

DHCP = """config dhcp 'lan'
\toption interface 'lan'
\toption start '100'
\tlist dhcp_option_force '6,192.168.1.1'

config dhcp 'wan'
\toption interface 'wan'
\toption ignore '1'
"""
UCI = """#!{python}
import shlex, sys
from pathlib import Path
words = [word for word in sys.argv[1:] if word != "-q"]
if words == ["changes", "dhcp"]:
    print(Path("{root}/staged").read_text() if Path("{root}/staged").exists() else "", end="")
    sys.exit(0)
assert words.pop(0) == "-t"
side, action, target = words
file, staged = Path("{root}/etc/config/dhcp"), Path(side, "dhcp")
kinds, values = {{}}, {{}}
for line in (staged if staged.exists() else file).read_text().splitlines():
    word, *rest = shlex.split(line) or ["#"]
    if word == "config":
        kinds[rest[1]] = rest[0]
        section = rest[1]
    elif word in ("option", "list"):
        values.setdefault((section, rest[0]), (word, []))[1].append(rest[1])


def written():
    lines = []
    for section, kind in kinds.items():
        lines.append(f"config {{kind}} '{{section}}'")
        lines += [f"\\t{{w}} {{name}} '{{v}}'" for (s, name), (w, many) in values.items() if s == section for v in many]
    return "\\n".join(lines) + "\\n"


name, equals, value = target.partition("=")
package, *place = name.split(".")
place = tuple(place)
if action == "show":
    for section, kind in kinds.items():
        print(f"dhcp.{{section}}={{kind}}")
        for (s, option), (_, many) in values.items():
            if s == section:
                print(f"dhcp.{{section}}.{{option}}=" + " ".join(f"'{{v}}'" for v in many))
    sys.exit(0)
if action == "get":
    print(*values[place][1]) if place in values else sys.exit(1)
elif action == "add_list":
    values.setdefault(place, ("list", []))[1].append(value)
elif action == "del_list":
    values[place] = ("list", [v for v in values[place][1] if v != value])
elif action == "set":
    values[place] = ("option", [value])
elif action == "delete":
    del values[place]
elif action == "commit":
    file.write_text(written())
    staged.unlink(missing_ok=True)
    sys.exit(0)
staged.write_text(written())
"""
INIT = """#!/bin/sh
echo "{name} $*" >>{root}/calls
[ {name} = dnsmasq ] || exit 0
made={root}/var/etc/dnsmasq.conf.cfg01411c
mkdir -p {root}/var/etc
echo "dhcp-range=set:lan,192.168.1.100,192.168.1.249,255.255.255.0,12h" >$made
sed -n "s/^.list dhcp_option_force '\\(.*\\)'/dhcp-option-force=lan,\\1/p" {root}/etc/config/dhcp >>$made
{more}
"""


class OpenWrt:
    """A root with UCI's file for dnsmasq, and what its init script made of it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if shutil.which("dnsmasq") is None:
            pytest.skip("dnsmasq: not installed")
        self.root = root
        self.write("etc/openwrt_release", "DISTRIB_ID='OpenWrt'\n")
        self.uci = self.write("etc/config/dhcp", DHCP)
        monkeypatch.setattr(dnsmasq, "UCI", str(self.program("uci", UCI)))
        services = tuple(str(self.init(name)) for name in ("dnsmasq", "odhcpd"))
        monkeypatch.setattr(dnsmasq, "RELOADED_OPENWRT", services)
        dnsmasq._run(services[0], "start", doing="")
        self._started = len(self.calls)

    def write(self, path: str, text: str) -> Path:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)
        return self.root / path

    def program(self, path: str, text: str, **more: str) -> Path:
        program = self.write(path, text.format(python=sys.executable, root=self.root, **more))
        program.chmod(0o755)
        return program

    def init(self, name: str, more: str = "") -> Path:
        return self.program(f"etc/init.d/{name}", INIT, name=name, more=more)

    @property
    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().splitlines()

    @property
    def reloads(self) -> list[str]:
        return self.calls[self._started :]

    @property
    def lan(self) -> dict[str, list[str]]:
        """The options and lists of the section `lan`."""
        found: dict[str, list[str]] = {}
        for line in self.uci.read_text().partition("config dhcp 'wan'")[0].splitlines()[1:]:
            words = shlex.split(line)
            if words:
                found.setdefault(words[1], []).append(words[2])
        return found

    def settle(self, wanted: tuple[DhcpOption, ...] = BOTH) -> None:
        dnsmasq.settle(wanted, self.root)

    def signal(self) -> tuple[str, str]:
        found = conf.signal(conf.look(self.root), BOTH, "")
        return found.state, found.reason


@pytest.fixture
def openwrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenWrt:
    return OpenWrt(tmp_path, monkeypatch)


def test_the_options_stand_in_uci_once_and_go_again(openwrt: OpenWrt) -> None:
    before = openwrt.uci.read_text()
    assert openwrt.signal() == ("no", "not yet in dnsmasq's configuration")
    openwrt.settle()
    openwrt.settle()
    assert openwrt.signal() == ("yes", "")
    assert openwrt.lan["dhcp_option_force"] == ["6,192.168.1.1", str(HINT), str(PORTAL)]
    assert openwrt.lan["captive_portal_uri"] == [URL]
    assert "ANDROID_METERED" not in openwrt.uci.read_text().partition("config dhcp 'wan'")[2]
    assert openwrt.reloads == ["dnsmasq reload", "odhcpd reload"]
    openwrt.settle(dhcp_options("auto", OTHER_URL))
    assert openwrt.lan["dhcp_option_force"] == ["6,192.168.1.1", str(HINT), f"114,{OTHER_URL}"]
    assert openwrt.lan["captive_portal_uri"] == [OTHER_URL]
    openwrt.settle(())
    assert openwrt.lan["dhcp_option_force"] == ["6,192.168.1.1"]
    assert openwrt.uci.read_text().split() == before.split()


def test_options_of_somebody_else_stay_as_they_are(openwrt: OpenWrt) -> None:
    openwrt.write(
        "etc/config/dhcp",
        DHCP.replace("6,192.168.1.1'", "43,01:02'\n\toption captive_portal_uri 'https://hotspot.example/'"),
    )
    dnsmasq._run(dnsmasq.RELOADED_OPENWRT[0], "restart", doing="")
    openwrt.settle()
    assert openwrt.lan["dhcp_option_force"] == ["43,01:02", str(PORTAL)]
    assert openwrt.lan["captive_portal_uri"] == ["https://hotspot.example/"]
    state, reason = openwrt.signal()
    assert state == "no"
    assert "DHCP option 43 is taken and left alone" in reason


def test_what_somebody_is_about_to_change_is_not_committed_for_him(openwrt: OpenWrt) -> None:
    before = openwrt.uci.read_text()
    openwrt.write("staged", "dhcp.lan.start='20'\n")
    with pytest.raises(AgentError, match="somebody's changes wait in UCI"):
        openwrt.settle()
    assert (openwrt.uci.read_text(), openwrt.reloads) == (before, [])


def test_a_network_that_is_not_up_yet_changes_nothing(openwrt: OpenWrt) -> None:
    """At boot the init script writes no range before the LAN has its address."""
    openwrt.settle()
    before = openwrt.uci.read_text()
    openwrt.write("var/etc/dnsmasq.conf.cfg01411c", "domain-needed\n")
    openwrt.settle()
    assert openwrt.uci.read_text() == before
    assert openwrt.signal()[0] == "none"


def test_a_change_that_was_cut_off_before_the_reload_is_finished(openwrt: OpenWrt) -> None:
    openwrt.settle()
    openwrt.write("var/etc/dnsmasq.conf.cfg01411c", "dhcp-range=192.168.1.100,192.168.1.249\n")
    openwrt.settle()
    assert openwrt.signal() == ("yes", "")


def test_what_dnsmasq_refuses_is_undone(openwrt: OpenWrt) -> None:
    before = openwrt.uci.read_text()
    openwrt.uci.chmod(0o600)
    with pytest.raises(AgentError, match="dnsmasq refuses the options"):
        openwrt.settle((DhcpOption(114, "x" * 300),))
    assert (openwrt.uci.read_text(), openwrt.reloads) == (before, [])
    openwrt.init("dnsmasq", f"! grep -q ANDROID {openwrt.uci} || echo no-such-option >>$made")
    with pytest.raises(AgentError, match="dnsmasq refuses what UCI makes of the options"):
        openwrt.settle()
    assert openwrt.uci.read_text() == before
    assert openwrt.uci.stat().st_mode & 0o777 == 0o600
    assert openwrt.reloads.count("dnsmasq reload") == 2
    assert "ANDROID" not in (openwrt.root / "var/etc/dnsmasq.conf.cfg01411c").read_text()
