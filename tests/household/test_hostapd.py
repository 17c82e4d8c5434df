"""The Network Cost element over hostapd's control socket, with Debian's hostapd itself.

It runs with driver=none: control socket, configuration and the building of the beacon are its own, there is no radio.
So what is asserted is what hostapd's log says that it took, not a beacon in the air.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.household import hostapd, metered
from tests.waiting import wait_for

FOREIGN = "dd0400112233"
CONFIGURATION = """interface=wlan9
driver=none
ctrl_interface={root}/var/run/hostapd
ssid=Internet-voor-iedereen
"""


def element(state: str) -> str:
    return metered.element(state).hex()


class Hostapd:
    """The program, its configuration below `root`, and what its log says that it was given."""

    def __init__(self, root: Path, more: str = "") -> None:
        self._root, self._log = root, root / "log"
        for folder in ("etc/hostapd", "var/run"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        self.conf = root / "etc/hostapd/hostapd.conf"
        self.conf.write_text(CONFIGURATION.format(root=root) + more)
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(["hostapd", "-d", str(self.conf)], stdout=log, stderr=subprocess.STDOUT)
        ended = self._process.poll
        wait_for("its socket, or its end", lambda: hostapd.access_points(self._root) or ended() is not None)
        assert self._process.poll() is None, self._log.read_text()[-2000:]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    @property
    def updates(self) -> int:
        """How often it was told to put what it has into its beacons."""
        return len(re.findall(r"^ .*UPDATE_BEACON", self._log.read_text(), re.MULTILINE))

    @property
    def given(self) -> list[str]:
        """What it was told to have as vendor elements, in order."""
        return re.findall(r"CTRL_IFACE SET 'vendor_elements'='(\w*)'", self._log.read_text())


@contextlib.contextmanager
def running(root: Path, more: str = "") -> Iterator[Hostapd]:
    if shutil.which("hostapd") is None:
        pytest.skip("hostapd: not installed")
    program = Hostapd(root, more)
    try:
        yield program
    finally:
        program.stop()


def test_hostapd_takes_the_element_at_run_time_and_gives_it_up(tmp_path: Path) -> None:
    with running(tmp_path) as program:
        (point,) = hostapd.access_points(tmp_path)
        assert point.ifname == "wlan9"
        for state in ("normal", "warned", "throttled"):
            hostapd.announce(point, metered.element(state), tmp_path)
        hostapd.announce(point, b"", tmp_path)
        wait_for("four updates", lambda: program.updates == 4)
        assert program.given == [element("normal"), element("warned"), element("throttled"), ""]


def test_elements_of_others_stay_and_ours_of_the_file_is_not_doubled(tmp_path: Path) -> None:
    with running(tmp_path, f"vendor_elements={FOREIGN}{element('normal')}\n") as program:
        (point,) = hostapd.access_points(tmp_path)
        hostapd.announce(point, metered.element("throttled"), tmp_path)
        hostapd.announce(point, b"", tmp_path)
        wait_for("two elements", lambda: len(program.given) == 2)
        assert program.given == [FOREIGN + element("throttled"), FOREIGN]


def test_a_restart_is_seen_by_the_socket(tmp_path: Path) -> None:
    with running(tmp_path) as program:
        before = hostapd.access_points(tmp_path)
        assert hostapd.access_points(tmp_path) == before
        program.stop()
        program.start()
        assert hostapd.access_points(tmp_path) != before


def test_no_access_point_at_all(tmp_path: Path) -> None:
    assert hostapd.access_points(tmp_path) == ()
    (tmp_path / "var/run/hostapd").mkdir(parents=True)
    assert hostapd.access_points(tmp_path) == ()


@contextlib.contextmanager
def standing_in(root: Path, name: str = "wlan9") -> Iterator[socket.socket]:
    """A socket in hostapd's place, for what the program cannot be made to do: to refuse, or to say nothing."""
    folder = root / "var/run/hostapd"
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(folder / name))
        yield server


def test_openwrt_s_global_socket_is_no_network(tmp_path: Path) -> None:
    with standing_in(tmp_path, "global"):
        assert hostapd.access_points(tmp_path) == ()


def test_one_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostapd, "REPLY_S", 0.05)
    with standing_in(tmp_path):
        (point,) = hostapd.access_points(tmp_path)
        with pytest.raises(AgentError, match="hostapd of wlan9: no answer"):
            hostapd.announce(point, metered.element("normal"), tmp_path)


def test_a_socket_that_nobody_listens_to_any_more_is_named(tmp_path: Path) -> None:
    with standing_in(tmp_path):
        pass
    (point,) = hostapd.access_points(tmp_path)
    with pytest.raises(AgentError, match="hostapd of wlan9: Connection refused"):
        hostapd.announce(point, metered.element("normal"), tmp_path)


def test_elements_that_hostapd_would_not_take_are_left_to_their_owner(tmp_path: Path) -> None:
    with standing_in(tmp_path) as server:
        server.settimeout(0)
        (tmp_path / "etc/hostapd").mkdir(parents=True)
        (tmp_path / "etc/hostapd/hostapd.conf").write_text("interface=wlan9\nvendor_elements=dd0400\n")
        (point,) = hostapd.access_points(tmp_path)
        with pytest.raises(AgentError, match=r"hostapd\.conf: vendor_elements: dd0400 is not a row"):
            hostapd.announce(point, metered.element("normal"), tmp_path)
        with pytest.raises(BlockingIOError):
            server.recv(100)


@pytest.mark.parametrize(
    ("ifname", "expected"),
    [("phy0-ap0", "dd01aa"), ("phy0-ap1", ""), ("phy0-ap2", "dd01bb"), ("phy1-ap0", None)],
)
def test_each_network_of_a_radio_has_its_own_elements(ifname: str, expected: str | None) -> None:
    """What stands before the first bss= belongs to interface=, wherever that itself stands."""
    text = (
        "driver=nl80211\nvendor_elements=dd01aa\ninterface=phy0-ap0\n#vendor_elements=dd01cc\n"
        "bss=phy0-ap1\nssid=x\nbss=phy0-ap2\nvendor_elements=dd01bb\n"
    )
    assert hostapd.configured_elements(text, ifname) == expected
