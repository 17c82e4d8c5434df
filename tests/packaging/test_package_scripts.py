"""The package's scripts, called as opkg and apk call them; rc.common, rpcd and Python are recorded."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from agent.household.metered import element

from .conftest import OPENWRT

# As OpenWrt's default_prerm (lib/functions.sh) goes about it: the package's script is sourced in a subshell with the
# arguments of the function, then the service is disabled and stopped. Not imitated: alternatives, users, file lists.
OPKG = """
default_prerm() {{
	( . "{root}/prerm" )
	if [ "$PKG_UPGRADE" != 1 ]; then "{root}/etc/init.d/modem-agent" disable; fi
	"{root}/etc/init.d/modem-agent" stop
}}
default_prerm "$0" "$@"
"""
# apk's pre-deinstall: the function first, then the package's script in the same shell. No file prerm-pkg is there.
APK = """
"{root}/etc/init.d/modem-agent" disable
"{root}/etc/init.d/modem-agent" stop
"""


def script(name: str, root: Path) -> str:
    """As make writes it, with the device's own paths in a folder of the test's."""
    makefile = (OPENWRT.parent / "Makefile").read_text()
    found = re.search(rf"define Package/modem-agent/{name}\n(.*?)endef", makefile, re.DOTALL)
    assert found is not None
    text = found[1].replace("$$", "$")
    for folder in ("/etc/", "/usr/"):
        text = text.replace(folder, f"{root}{folder}")
    return text


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("etc/init.d/modem-agent", "etc/init.d/rpcd", "bin/python3"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name.rpartition("/")[2]} $*" >>{tmp_path}/calls\n')
        (tmp_path / name).chmod(0o755)
    (tmp_path / "usr/lib/modem-agent").mkdir(parents=True)
    return tmp_path


def run(busybox: str, root: Path, text: str, *words: str, **environment: str) -> list[str]:
    """What was called."""
    subprocess.run(
        [busybox, "ash", "-c", text, *words],
        env={"PATH": f"{root}/bin:{os.environ['PATH']}", **environment}, check=True,
    )  # fmt: skip
    calls = root / "calls"
    return calls.read_text().splitlines() if calls.exists() else []


UNSHAPE = "python3 -m agent.daemon.unshape"


def test_an_upgrade_by_opkg_keeps_the_shaping(busybox: str, root: Path) -> None:
    (root / "prerm").write_text(script("prerm", root))
    path = "/usr/lib/opkg/info/modem-agent.prerm"
    for word in ("upgrade", "0.2.0-1"):
        assert UNSHAPE not in run(busybox, root, OPKG.format(root=root), path, word, PKG_UPGRADE="1")
    assert UNSHAPE not in run(busybox, root, OPKG.format(root=root), path, "upgrade")


@pytest.mark.parametrize("word", ["remove", ""])
def test_a_removal_by_opkg_takes_it_off_once_the_agent_is_gone(busybox: str, root: Path, word: str) -> None:
    (root / "prerm").write_text(script("prerm", root))
    calls = run(busybox, root, OPKG.format(root=root), "/usr/lib/opkg/info/modem-agent.prerm", word)
    assert calls[:2] == ["modem-agent stop", UNSHAPE]


def test_a_removal_by_apk_takes_it_off(busybox: str, root: Path) -> None:
    calls = run(busybox, root, APK.format(root=root) + script("prerm", root), "pre-deinstall", "0.1.0-r1")
    assert calls[-2:] == ["modem-agent stop", UNSHAPE]


@pytest.mark.parametrize("name", ["postinst", "postrm"])
def test_rpcd_reads_its_scripts_again(busybox: str, root: Path, name: str) -> None:
    assert run(busybox, root, script(name, root), name) == ["rpcd reload"]
    (root / "etc/init.d/rpcd").unlink()
    assert run(busybox, root, script(name, root), name) == ["rpcd reload"], "a router without rpcd"


# uci as far as the scripts use it: answers from a table, and notes what it is told to change.
UCI = r"""#!/bin/sh
root=${0%/bin/uci}
[ "$1" != -q ] || shift
case $1 in
show) cat "$root/$2" ;;
get) grep -hF "$2='" "$root/wireless" "$root/network" "$root/modem-agent" | sed "s/^[^=]*='\(.*\)'$/\1/" | grep . ;;
batch) sed 's/^/uci /' >>"$root/calls" ;;
*) echo "uci $*" >>"$root/calls" ;;
esac
"""
WIRELESS = f"""wireless.radio0=wifi-device
wireless.default_radio0=wifi-iface
wireless.default_radio0.mode='ap'
wireless.@wifi-iface[1]=wifi-iface
wireless.@wifi-iface[1].mode='ap'
wireless.@wifi-iface[1].vendor_elements='dd0400112233'
wireless.uplink=wifi-iface
wireless.uplink.mode='sta'
wireless.ours=wifi-iface
wireless.ours.mode='ap'
wireless.ours.vendor_elements='{element("normal").hex()}'
"""


@pytest.fixture
def uci(root: Path) -> Path:
    (root / "bin/uci").write_text(UCI)
    (root / "bin/uci").chmod(0o755)
    (root / "wireless").write_text(WIRELESS)
    (root / "network").write_text("network.lan.ipaddr='192.168.8.1/24'\n")
    (root / "modem-agent").touch()
    return root


def first_boot(busybox: str, uci: Path) -> list[str]:
    return run(busybox, uci, (OPENWRT / "modem-agent.defaults").read_text(), "defaults", ROOT=str(uci))


def test_the_first_boot_has_each_access_point_say_that_the_line_is_metered(busybox: str, uci: Path) -> None:
    assert first_boot(busybox, uci) == [
        f"uci set wireless.default_radio0.vendor_elements={element('normal').hex()}",
        "uci commit wireless",
    ]


@pytest.mark.parametrize("word", ["0", "off", "false", "no", "disabled"])
def test_what_is_switched_off_does_not_come_back_with_an_upgrade(busybox: str, uci: Path, word: str) -> None:
    """default_postinst runs the files of /etc/uci-defaults after each upgrade."""
    (uci / "network").write_text("network.lan.ipaddr='192.168.8.1/24'\nuhttpd.main='uhttpd'\ndhcp.@dnsmasq[0]='x'\n")
    (uci / "modem-agent").write_text("modem-agent.@household[0].metered='off'\n")
    added = [call.split()[1:3] for call in first_boot(busybox, uci)]
    assert ["set", "dhcp.internet_box=domain"] in added
    assert ["add_list", "uhttpd.main.index_page=internet.household"] in added
    assert ["commit", "wireless"] not in added
    (uci / "calls").unlink()
    (uci / "modem-agent").write_text(
        f"modem-agent.@household[0].metered='off'\nmodem-agent.@household[0].page='{word}'\n"
    )
    assert first_boot(busybox, uci) == []


def test_a_removal_takes_that_away_and_nothing_of_others(busybox: str, uci: Path) -> None:
    calls = run(busybox, uci, APK.format(root=uci) + script("prerm", uci), "pre-deinstall", "0.1.0-r1")
    assert [call for call in calls if call.startswith("uci")] == [
        "uci delete wireless.ours.vendor_elements",
        "uci commit wireless",
        "uci del_list uhttpd.main.index_page=internet.household",
        "uci del_list uhttpd.main.interpreter=.household=/bin/sh",
        "uci commit uhttpd",
        "uci delete dhcp.internet_box",
        "uci commit dhcp",
    ]


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm"])
def test_nothing_is_called_while_an_image_is_made(busybox: str, root: Path, name: str) -> None:
    assert run(busybox, root, script(name, root), name, IPKG_INSTROOT="/image") == []
