"""The daemon's task that keeps both signals: after each decision, after a restart of hostapd, past what is broken."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.config import Household
from agent.daemon.tasks import announcing
from agent.daemon.tasks.announcing import FIRST_RETRY_S, LOOK_S, TICK_S, Announcing
from agent.errors import AgentError
from agent.events import unheard
from agent.household import dnsmasq, hostapd, metered
from agent.household.metered import DhcpOption, Signal
from tests.household.test_hostapd import element, running, standing_in

NO_WIFI = Signal("none", "no access point of hostapd here")
NO_DHCP = Signal("none", "no dnsmasq here gives addresses to devices")


class House:
    """The task below a root of its own, at a time and a state of the plan that the test sets."""

    def __init__(self, root: Path, settings: Household | None = None) -> None:
        self.state, self.now_s, self.root = "normal", 1_000.0, root
        self.task = Announcing(settings or Household(), unheard, lambda: self.now_s, root)

    def look(self, after_s: float = LOOK_S) -> metered.Announced:
        self.now_s += after_s
        self.task.want(self.state)
        asyncio.run(self.task.look())
        return self.task.announced

    def serve(self) -> None:
        path = self.root / "etc/dnsmasq.d/lan.conf"
        path.parent.mkdir(parents=True)
        path.write_text("dhcp-range=192.168.8.10,192.168.8.99\n")


def test_the_element_follows_the_plan_and_hostapd(tmp_path: Path) -> None:
    """Within two looks, of a second each: warned, throttled, restored, and a hostapd that was restarted."""
    with running(tmp_path) as program:
        house = House(tmp_path)
        for state in ("normal", "warned", "throttled", "normal"):
            house.state = state
            assert house.look().wifi == Signal("yes")
            assert house.look().wifi == Signal("yes")
        assert program.given == [element(state) for state in ("normal", "warned", "throttled", "normal")]
        program.stop()
        assert house.look().wifi == NO_WIFI
        program.start()
        assert house.look().wifi == Signal("yes")
        assert program.given[4:] == [element("normal")]


def test_a_hostapd_that_reads_its_configuration_anew_has_the_element_again_at_the_next_tick(tmp_path: Path) -> None:
    with running(tmp_path) as program:
        house = House(tmp_path)
        house.look()
        house.look(TICK_S)
        assert program.given == [element("normal")] * 2


def test_off_takes_the_element_away_and_then_leaves_hostapd_alone(tmp_path: Path) -> None:
    with running(tmp_path) as program:
        house = House(tmp_path, Household(metered="off"))
        for _ in range(3):
            assert house.look(TICK_S) == metered.Announced(Signal("off"), Signal("off"))
        assert program.given == [""]


def test_a_router_with_neither_is_no_fault(tmp_path: Path) -> None:
    assert House(tmp_path).look() == metered.Announced(NO_WIFI, NO_DHCP)


def test_one_hostapd_that_is_stuck_holds_up_neither_the_other_signal_nor_every_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostapd, "REPLY_S", 0.05)
    with standing_in(tmp_path) as server:
        server.settimeout(0)
        house = House(tmp_path)
        for _ in range(3):
            assert house.look().wifi == Signal("no", "hostapd of wlan9: no answer")
        assert server.recv(100).startswith(b"SET vendor_elements dd08")
        with pytest.raises(BlockingIOError):
            server.recv(100)
        assert house.task.announced.cable == NO_DHCP


class Systemd:
    """In the place of a request to systemd: counts, and answers or refuses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: str, refused: str = "") -> None:
        self.asked: list[tuple[DhcpOption, ...]] = []
        self._answer, self._refused = answer, refused
        monkeypatch.setattr(dnsmasq, "ask", self._ask)

    def _ask(self, wanted: tuple[DhcpOption, ...]) -> str:
        self.asked.append(wanted)
        if self._refused:
            raise AgentError(self._refused)
        return self._answer


@pytest.mark.parametrize(("answer", "refused"), [("asked", ""), ("", "read-only")])
def test_dnsmasq_is_asked_for_again_after_growing_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, refused: str
) -> None:
    systemd, house = Systemd(monkeypatch, answer, refused), House(tmp_path)
    house.serve()
    assert house.look().cable == Signal("no", answer or refused)
    assert house.look(TICK_S).cable == Signal("no", answer or refused)
    assert len(systemd.asked) == 1
    house.look(FIRST_RETRY_S)
    house.look(FIRST_RETRY_S)
    assert len(systemd.asked) == 2
    house.look(FIRST_RETRY_S)
    assert systemd.asked == [metered.dhcp_options("auto", "")] * 3


def test_what_is_done_needs_no_further_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd, house = Systemd(monkeypatch, "asked"), House(tmp_path)
    house.serve()
    house.look()
    (tmp_path / "etc/dnsmasq.d/modem-agent-metered.conf").write_text("dhcp-option-force=43,ANDROID_METERED\n")
    for _ in range(5):
        assert house.look(TICK_S).cable == Signal("yes")
    assert len(systemd.asked) == 1


def test_the_task_looks_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "LOOK_S", 0.01)

    async def story() -> None:
        house = House(tmp_path)
        work = asyncio.create_task(house.task.run())
        for state in ("normal", "throttled"):
            house.task.want(state)
            while program.given[-1:] != [element(state)]:  # noqa: ASYNC110  # another program's log
                await asyncio.sleep(0.02)
        work.cancel()

    with running(tmp_path) as program:
        asyncio.run(story())


def test_a_configuration_of_dnsmasq_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.serve()
    (tmp_path / "etc/loop").symlink_to("loop")  # what root cannot read either
    (tmp_path / "etc/dnsmasq.conf").write_text("conf-file=/etc/loop\n")
    assert house.look().cable == Signal("no", f"{tmp_path}/etc/loop cannot be read: Too many levels of symbolic links")
