"""Which links are counted, from where on: what was there before, what came, what went and came back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from agent.plan import Epoch, Ledger, Plan, Sample, Survey, observe, passed_over, survey
from agent.plan.observing import REMEMBERED_CLOSED
from tests.manual_clock import ManualClock
from tests.plan.conftest import NOON

MB = 10**6


@dataclass
class Port:
    """One link of the device, with what it has received."""

    ifindex: int
    ifname: str
    received: int = 0
    carried: bool = False


class Device:
    """Links of a device and an agent that counts those of some names."""

    def __init__(self, *ports: Port, counts: tuple[str, ...] = ("wwan0",), boot_s: float = 1000.0) -> None:
        self.clock, self.plan = ManualClock(NOON, boot_s=boot_s), Plan()
        self.ports, self.counts = list(ports), counts
        self.ledger = Ledger.new(self.plan, self.clock.now())

    def sample(self, port: Port, **how: bool) -> Sample:
        now = self.clock.now()
        epoch = Epoch(now.boot_id, port.ifindex, port.ifname)
        return Sample(epoch, now.boot_s, port.received, 0, carried=port.carried, **how)

    def look(self) -> None:
        now = self.clock.now()
        samples = tuple(self.sample(port) for port in self.ports if port.ifname in self.counts)
        newest = max((port.ifindex for port in self.ports), default=0)
        found = Survey(now.boot_id, now.boot_s, newest, samples, frozenset(port.ifindex for port in self.ports))
        self.ledger, _ = survey(self.ledger, found, now, self.plan)

    def tell(self, port: Port, **how: bool) -> None:
        """The kernel tells of one link."""
        self.ledger, _ = observe(self.ledger, self.sample(port, **how), self.clock.now(), self.plan)

    def appear(self, port: Port) -> None:
        self.ports.append(port)
        if port.ifname in self.counts:
            self.tell(port, appeared=True)
        else:
            now = self.clock.now()
            self.ledger = passed_over(self.ledger, now.boot_id, now.boot_s, port.ifindex)

    def vanish(self, port: Port) -> None:
        self.ports.remove(port)
        if port.ifname in self.counts:
            self.tell(port, final=True)

    def restart(self, counts: tuple[str, ...] | None = None) -> None:
        self.ledger = Ledger.from_dict(self.ledger.to_dict())
        self.counts = counts or self.counts

    def wait(self, seconds: float = 30.0) -> None:
        self.clock.advance(seconds)

    @property
    def counted(self) -> int:
        return self.ledger.total_received_bytes


def test_a_name_corrected_later_is_no_bill() -> None:
    device = Device(Port(2, "usb0", 314 * MB))
    device.look()
    device.restart(counts=("usb0",))
    device.wait()
    device.look()
    device.ports[0].received += 5 * MB
    device.wait()
    device.look()
    assert device.counted == 5 * MB


def test_a_name_that_was_right_before_is_no_bill_for_the_time_in_which_it_was_not() -> None:
    device = Device(Port(2, "usb0"), Port(3, "wwan0"), counts=("usb0",))
    for name in ("usb0", "wwan0", "usb0"):
        device.restart(counts=(name,))
        device.wait()
        device.look()
        device.ports[0].received += 10 * MB
        device.wait()
        device.look()
    assert device.counted == 20 * MB, "the second time it was not meant"


def test_a_first_start_takes_all_that_runs_as_it_is_and_counts_all_that_comes() -> None:
    device = Device(Port(2, "usb0", 7 * MB), Port(3, "wwan0", 9 * MB), counts=("usb0", "wwan0", "wwan1"))
    device.look()
    device.wait(1)
    device.ports.append(Port(4, "wwan1", 3 * MB))  # unheard
    device.look()
    assert device.counted == 3 * MB


def test_after_a_boot_every_link_counts_from_zero() -> None:
    device = Device(Port(3, "wwan0", 9 * MB), counts=("usb0", "wwan0"))
    device.look()
    device.clock.reboot("boot-2")
    device.wait(20)
    device.ports = [Port(2, "usb0", MB), Port(3, "wwan0", 2 * MB)]
    device.tell(device.ports[1])  # an event before the first look
    device.look()
    assert device.counted == 3 * MB


def test_what_passed_while_the_agent_was_dead_is_counted() -> None:
    device = Device(Port(3, "wwan0", 9 * MB))
    device.look()
    device.restart()
    device.wait(3600)
    device.ports[0].received += 500 * MB
    device.look()
    assert device.counted == 500 * MB


@pytest.mark.parametrize("down_s", [3600, 60])
def test_a_module_that_came_while_the_agent_was_down_counts_as_far_as_the_time_allows(down_s: float) -> None:
    device = Device(Port(3, "wwan0", 9 * MB), Port(4, "lan0"))
    device.look()
    device.restart()
    device.wait(down_s)
    device.ports[0] = Port(5, "wwan0", 10_000 * MB)
    device.look()
    assert device.counted == (10_000 * MB if down_s == 3600 else 0)
    assert device.ledger.refused_bytes == 10_000 * MB - device.counted


def test_a_link_in_another_namespace_and_back() -> None:
    wan = Port(3, "wwan0")
    device = Device(wan)
    device.look()
    wan.received = 105 * MB
    device.vanish(wan)
    device.wait()
    device.look()
    wan.received += 1000
    device.appear(wan)
    device.wait()
    device.look()
    assert device.counted == 105 * MB + 1000


def test_a_link_that_comes_back_while_it_does_not_count_is_no_bill_for_that_time() -> None:
    """The name was wrong when it came from the other namespace, and was put right later."""
    port = Port(3, "wwan0", 5 * MB)
    device = Device(port, Port(2, "lan0"))
    device.look()
    port.received += 10 * MB
    device.vanish(port)
    device.restart(("lan0",))
    device.wait()
    device.appear(port)
    port.received += 70 * MB
    device.look()
    device.restart(("wwan0",))
    device.look()
    assert device.counted == 10 * MB
    port.received += MB
    device.wait()
    device.look()
    assert device.counted == 11 * MB


def test_a_link_that_came_back_unseen_while_it_did_not_count_is_no_bill_for_that_time() -> None:
    """As the one before, but it came while the agent was restarted: nobody announced it."""
    port = Port(3, "wwan0", 5 * MB)
    device = Device(port, Port(2, "lan0"))
    device.look()
    port.received += 10 * MB
    device.vanish(port)
    device.wait()
    device.ports.append(port)
    device.restart(("lan0",))
    device.look()
    port.received += 70 * MB
    device.look()
    device.restart(("wwan0",))
    device.look()
    assert device.counted == 10 * MB
    port.received += MB
    device.wait()
    device.look()
    assert device.counted == 11 * MB


@pytest.mark.parametrize("ifindex", [2, 9])
def test_a_link_that_comes_back_under_another_number(ifindex: int) -> None:
    """Its own is taken meanwhile."""
    wan = Port(3, "wwan0")
    device = Device(wan, Port(4, "lan0"))
    device.look()
    wan.received = 105 * MB
    device.vanish(wan)
    device.look()
    device.appear(Port(ifindex, "wwan0", 105 * MB))
    device.ports[-1].received += 7 * MB
    device.wait()
    device.look()
    assert device.counted == 112 * MB


def test_another_link_under_the_number_of_one_that_went() -> None:
    wan = Port(3, "wwan0", 5 * MB)
    device = Device(wan, counts=("wwan0", "wwan1"))
    device.look()
    device.vanish(wan)
    device.appear(Port(3, "wwan1", 500 * MB))
    device.wait()
    device.look()
    assert device.counted == 0


def test_a_link_renamed_to_one_that_counts_is_charged_from_then_on() -> None:
    device = Device(Port(3, "wwan0"))
    device.look()
    other = Port(4, "usb0", 300 * MB)
    device.appear(other)
    other.ifname = "wwan0"
    device.ports = [other]
    device.tell(other)
    other.received += MB
    device.wait()
    device.look()
    assert device.counted == MB


def test_a_link_that_came_since_the_last_look_counts_whole() -> None:
    device = Device(Port(3, "wwan0"))
    device.look()
    device.wait()
    device.ports = [Port(4, "wwan0", 3 * MB)]
    device.look()
    assert device.counted == 3 * MB


@pytest.mark.parametrize("number", [17, 60])
def test_many_links_are_all_counted_and_none_twice(number: int) -> None:
    ports = [Port(3 + n, f"ppp{n}") for n in range(number)]
    device = Device(*ports, counts=tuple(port.ifname for port in ports))
    for _ in range(4):
        device.look()
        device.wait()
        for port in ports:
            port.received += MB
    device.look()
    assert device.counted == 4 * number * MB


def test_links_that_come_and_go_all_day_are_forgotten_without_a_bill() -> None:
    device = Device(Port(3, "wwan0"), counts=("wwan0", "ppp0"))
    device.look()
    first = Port(4, "ppp0")
    for n in range(40):
        port = first if n == 0 else Port(4 + n, "ppp0")
        device.appear(port)
        port.received += MB
        device.wait()
        device.vanish(port)
        device.look()
    assert device.counted == 40 * MB
    assert len(device.ledger.links) == REMEMBERED_CLOSED + 1
    device.appear(first)
    device.look()
    assert device.counted == 40 * MB, "it came back from another namespace"


def test_links_that_went_unheard_are_forgotten() -> None:
    device = Device(Port(3, "wwan0"))
    for n in range(40):
        device.ports = [Port(3 + n, "wwan0", MB)]
        device.look()
        device.wait()
    assert len(device.ledger.links) == 1


def test_a_link_told_after_the_look_is_not_forgotten_by_it() -> None:
    device = Device(Port(3, "wwan0"))
    device.look()
    now = device.clock.now()
    late = Survey(now.boot_id, now.boot_s, 3, ())
    device.wait(0.1)
    device.appear(Port(4, "wwan0", 50 * MB))
    device.ledger, _ = survey(device.ledger, late, device.clock.now(), device.plan)
    device.ports = [Port(4, "wwan0", 51 * MB)]
    device.wait()
    device.look()
    assert device.counted == MB


def test_a_link_carried_by_another_counts_only_while_it_is_not() -> None:
    """A bridge that gets the WAN as its port and loses it again."""
    bridge, wan = Port(2, "wwanbr"), Port(3, "wwan0")
    device = Device(bridge, wan, counts=("wwanbr", "wwan0"))
    for carried in (False, True, True, False):
        device.look()
        bridge.carried = carried
        device.look()  # the kernel tells of the change
        device.wait()
        bridge.received += MB
        wan.received += MB
    device.look()
    assert device.counted == (2 + 1 + 1 + 2) * MB


@pytest.mark.parametrize("carried", [False, True])
def test_what_holds_at_the_earlier_reading_holds_until_the_next(carried: bool) -> None:
    bridge = Port(2, "wwanbr", carried=carried)
    device = Device(bridge, counts=("wwanbr",))
    device.look()
    device.wait()
    bridge.received, bridge.carried = MB, not carried
    device.look()
    assert device.counted == (0 if carried else MB)


def test_what_a_link_carries_of_others_is_never_billed_later() -> None:
    bridge, wan = Port(2, "wwanbr", 90 * MB, carried=True), Port(3, "wwan0", 90 * MB)
    device = Device(bridge, wan, counts=("wwanbr", "wwan0"))
    device.ledger = replace(device.ledger, fresh=False)
    device.look()
    bridge.carried = False
    device.look()
    assert device.counted == 90 * MB
