"""What is changed in the kernel to shape a link, and what is left alone: on the campaign's tables, without a kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from agent.errors import KernelError
from agent.plan import Rates
from agent.traffic import enforce
from agent.traffic.enforce import Foreign, Wish, shape, step, tidy, unshape
from agent.traffic.model import SHARED_IFB, UNSHAPED, Link, ifb_name
from agent.traffic.netlink.messages import Filter, Node
from agent.traffic.netlink.route import ETH_P_ALL, INGRESS_HANDLE, INGRESS_PARENT, ROOT
from agent.traffic.netlink.route import Route as RealRoute
from agent.traffic.removal import GSO_MAX_SEGS
from agent.traffic.tree import REDIRECT_PRIO, TOP
from tests.campaign.netlink import CLSACT_INGRESS, Device, Route, Tables

SLOW = Wish("cake", "matchall", Rates(512_000, 256_000))
FAST = replace(SLOW, rates=Rates(2_000_000, 1_000_000))
IFB = ifb_name("wan0")


class Kernel(Route):
    """The campaign's verbs, with the changes that were asked for, and refusals of some of them."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.asked: list[tuple[Any, ...]] = []
        self.refused: set[str] = set()

    def _do(self, verb: str, *words: Any) -> None:
        self.asked.append((verb, *words))
        if verb in self.refused:
            raise KernelError(verb, 16, "Device or resource busy")

    def put_qdisc(self, ifindex: int, kind: str, handle: int, parent: int, options: Any) -> None:
        self._do("put_qdisc", ifindex, handle, options["bandwidth"])
        super().put_qdisc(ifindex, kind, handle, parent, options)

    def delete_root(self, ifindex: int, handle: int) -> None:
        self._do("delete_root", ifindex, handle)
        super().delete_root(ifindex, handle)

    def add_redirect(self, ifindex: int, classifier: str, prio: int, target: int) -> None:
        self._do("add_redirect", ifindex, classifier, prio, target)
        super().add_redirect(ifindex, classifier, prio, target)

    def add_ifb(self, ifname: str) -> None:
        self._do("add_ifb", ifname)
        super().add_ifb(ifname)

    def set_link(self, ifindex: int, *, state: str = "", gso_max_segs: int = 0) -> None:
        self._do("set_link", ifindex, state, gso_max_segs)
        super().set_link(ifindex, state=state, gso_max_segs=gso_max_segs)

    def classes(self, ifindex: int) -> list[Node]:
        self._do("classes", ifindex)
        return super().classes(ifindex)

    def verbs(self) -> list[str]:
        made, self.asked = [words[0] for words in self.asked], []
        return made


class Home:
    """A router with one WAN link, or two."""

    def __init__(self, *ifnames: str) -> None:
        self.tables = Tables()
        self.devices = [self.tables.add(name) for name in ifnames or ("wan0",)]
        self.kernel = Kernel(self.tables)
        self.route = cast(RealRoute, self.kernel)

    @property
    def wan(self) -> Device:
        return self.devices[0]

    @property
    def links(self) -> list[Link]:
        return [device.row().link for device in self.devices]

    def shape(self, wish: Wish = SLOW) -> bool:
        return shape(self.route, self.links, wish)

    def ifb(self, name: str = IFB) -> Device:
        found = self.tables.named(name)
        assert found is not None
        return found

    def rates(self, device: Device | None = None) -> tuple[float, float]:
        return self.tables.rates(device or self.wan)

    def stranger(self, device: Device, *, redirect: int) -> Filter:
        """A clsact of somebody else with a filter at priority 5, which leads packets to a device if there is one."""
        device.qdiscs.append(Node("clsact", INGRESS_HANDLE, INGRESS_PARENT, ifindex=device.ifindex))
        kind = "matchall" if redirect else "bpf"  # the latter looks only
        filter = Filter(kind, CLSACT_INGRESS, 5, ETH_P_ALL, 1, mirred=bool(redirect), redirect=redirect)
        self.tables.hang(device, filter)
        return filter


def test_both_directions_are_shaped_and_a_second_look_changes_nothing() -> None:
    home = Home()
    assert home.shape()
    assert home.rates() == (512_000, 256_000)
    home.kernel.verbs()
    assert not home.shape()
    assert home.kernel.verbs() == []


def test_the_rate_stands_before_the_first_packet_is_led_to_it() -> None:
    home = Home()
    home.shape()
    assert home.kernel.verbs() == ["put_qdisc", "add_ifb", "set_link", "put_qdisc", "add_redirect"]


def test_another_rate_is_put_in_place_without_a_gap() -> None:
    home = Home()
    home.shape()
    home.kernel.verbs()
    assert home.shape(FAST)
    assert home.kernel.verbs() == ["put_qdisc", "put_qdisc"]
    assert home.rates() == (2_000_000, 1_000_000)


def test_a_redirect_that_somebody_took_away_is_made_again_and_told_as_a_change() -> None:
    home = Home()
    home.shape()
    home.wan.filters.clear()
    assert home.shape()
    assert home.rates() == (512_000, 256_000)


def test_a_filter_that_had_to_be_made_is_told_as_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home()
    home.shape()
    monkeypatch.setattr(enforce, "_ensure_filters", lambda *words, **more: True)
    assert home.shape()


def test_an_ifb_that_is_down_is_set_up_again() -> None:
    home = Home()
    home.shape()
    home.ifb().up = False
    assert home.shape()
    assert home.ifb().up
    assert home.rates()[0] == 512_000


def test_a_redirect_to_a_device_that_is_gone_is_made_anew() -> None:
    home = Home()
    home.shape()
    home.tables.leave(home.ifb())
    assert home.rates()[0] == 0
    assert home.shape()
    assert home.rates() == (512_000, 256_000)


def test_a_redirect_beside_ours_is_replaced_with_ours() -> None:
    home = Home()
    home.shape()
    other = home.tables.add("other", kind="ifb")
    home.wan.filters = [replace(f, redirect=other.ifindex) for f in home.wan.filters]
    assert home.shape()
    assert [f.redirect for f in home.wan.filters] == [home.ifb().ifindex]


def test_a_strangers_qdisc_is_left_alone_and_the_download_is_shaped_all_the_same() -> None:
    home = Home()
    theirs = Node("tbf", 0x8001 << 16, ROOT, {"base_rate64": 125_000}, ifindex=home.wan.ifindex)
    home.wan.qdiscs.append(theirs)
    with pytest.raises(Foreign, match="qdisc tbf 8001: is not ours"):
        home.shape()
    assert home.wan.at(ROOT) == theirs
    assert home.rates() == (512_000, 1_000_000)


def test_a_strangers_qdisc_goes_where_we_are_told_to_replace_it() -> None:
    home = Home()
    home.wan.qdiscs.append(Node("tbf", 0x8001 << 16, ROOT, {"base_rate64": 125_000}, ifindex=home.wan.ifindex))
    assert home.shape(replace(SLOW, replace_foreign=True))
    assert ("delete_root", home.wan.ifindex, 0x8001 << 16) in home.kernel.asked
    assert home.rates() == (512_000, 256_000)


def test_a_tree_of_ours_of_another_kind_makes_room() -> None:
    home = Home()
    home.wan.qdiscs.append(Node("tbf", TOP, ROOT, {"base_rate64": 125_000}, ifindex=home.wan.ifindex))
    assert home.shape()
    assert home.rates() == (512_000, 256_000)
    assert ("delete_root", home.wan.ifindex, TOP) in home.kernel.asked


def test_a_strangers_redirect_is_left_alone_and_the_upload_is_shaped_all_the_same() -> None:
    home = Home()
    elsewhere = home.tables.add("mirror0")
    theirs = home.stranger(home.wan, redirect=elsewhere.ifindex)
    with pytest.raises(Foreign, match="redirect of clsact at priority 5 is not ours"):
        home.shape()
    assert home.wan.filters == [theirs]
    assert home.rates()[1] == 256_000


def test_a_strangers_redirect_goes_where_we_are_told_to_replace_it() -> None:
    home = Home()
    home.stranger(home.wan, redirect=home.tables.add("mirror0").ifindex)
    assert home.shape(replace(SLOW, replace_foreign=True))
    assert [(f.prio, f.redirect) for f in home.wan.filters] == [(REDIRECT_PRIO, home.ifb().ifindex)]


def test_a_filter_of_others_that_only_looks_is_in_nobodys_way() -> None:
    home = Home()
    looks = home.stranger(home.wan, redirect=0)
    assert home.shape()
    assert looks in home.wan.filters
    assert home.rates() == (512_000, 256_000)


def test_links_that_share_a_rate_are_led_to_one_device_but_for_the_one_that_is_taken() -> None:
    home = Home("wan0", "wan1", "wan2")
    home.stranger(home.wan, redirect=home.tables.add("mirror0").ifindex)
    with pytest.raises(Foreign, match="priority 5"):
        home.shape()
    shared = home.ifb(SHARED_IFB)
    leads = [[f.redirect for f in device.filters if f.prio == REDIRECT_PRIO] for device in home.devices]
    assert leads == [[], [shared.ifindex], [shared.ifindex]]
    assert home.tables.rates(shared)[1] == 512_000
    assert [home.rates(device)[1] for device in home.devices] == [85_328] * 3  # cake counts in bytes


def test_filters_that_cannot_be_read_keep_no_other_direction_from_being_shaped(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home()
    home.stranger(home.wan, redirect=0)

    def unreadable(ifindex: int, parent: int) -> list[Filter]:
        raise KernelError("filters", 1, "Operation not permitted")

    monkeypatch.setattr(home.kernel, "filters", unreadable)
    with pytest.raises(KernelError, match="not permitted"):
        home.shape()
    assert home.rates() == (float("inf"), 256_000)
    assert home.tables.named(IFB) is None


def test_a_device_of_our_name_that_is_no_ifb_is_somebody_elses() -> None:
    home = Home()
    theirs = home.tables.add(IFB, kind="dummy")
    with pytest.raises(Foreign, match="a device of that name is not ours"):
        home.shape()
    assert theirs.qdiscs == []
    assert home.wan.filters == []
    assert home.rates() == (float("inf"), 256_000)


def test_an_ifb_that_vanishes_while_it_is_set_up_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home()
    monkeypatch.setattr(home.kernel, "link", lambda ifname: None)
    with pytest.raises(KernelError, match=f"{IFB}: vanished while it was set up"):
        home.shape()


def test_a_link_that_is_gone_is_named_and_the_others_are_shaped() -> None:
    home = Home("wan0", "wan1")
    links = home.links
    home.tables.leave(home.wan)
    with pytest.raises(KernelError, match="wan0: No such device"):
        shape(home.route, links, replace(SLOW, rates=Rates(None, 256_000)))
    assert home.rates(home.devices[1])[1] == 128_000


def test_a_redirect_that_is_refused_leaves_a_line_that_works() -> None:
    """And a rate that nothing is led to is no harm; the upload is shaped."""
    home = Home()
    home.kernel.refused = {"add_redirect"}
    with pytest.raises(KernelError, match="add_redirect"):
        home.shape()
    assert home.rates() == (float("inf"), 256_000)


def test_a_step_back_that_is_refused_is_told_and_the_rates_are_set_all_the_same() -> None:
    """What is not wanted any more and cannot be removed keeps no direction from being shaped."""
    home = Home("wan0", "old0")
    home.shape(replace(SLOW, rates=Rates(None, 256_000)))
    gone, home.devices = home.devices[1], home.devices[:1]
    home.kernel.refused = {"delete_root"}
    with pytest.raises(KernelError, match="delete_root"):
        home.shape()
    assert gone.at(ROOT) is not None
    assert home.rates() == (512_000, 256_000)


def test_tidy_removes_what_is_not_wanted_and_makes_nothing() -> None:
    home = Home()
    assert not tidy(home.route, home.links, SLOW.rates)
    home.shape()
    assert not tidy(home.route, home.links, SLOW.rates)
    assert tidy(home.route, home.links, Rates(None, 256_000))
    assert home.rates() == (float("inf"), 256_000)
    assert home.tables.named(IFB) is None


def test_unshape_takes_all_away_and_says_so_once() -> None:
    home = Home()
    home.shape()
    home.wan.gso_max_segs = 1
    assert unshape(home.route, home.links)
    assert home.rates() == (float("inf"), float("inf"))
    assert home.wan.gso_max_segs == GSO_MAX_SEGS
    assert home.tables.named(IFB) is None
    assert not unshape(home.route, home.links)


@pytest.mark.parametrize(("before", "after"), [(1, GSO_MAX_SEGS), (GSO_MAX_SEGS, GSO_MAX_SEGS)])
def test_super_packets_are_allowed_where_the_qdisc_takes_them_apart(before: int, after: int) -> None:
    home = Home()
    home.shape()
    home.wan.gso_max_segs = before
    assert home.shape() is (before == 1)
    assert home.wan.gso_max_segs == after


def test_super_packets_are_forbidden_under_htb() -> None:
    home = Home()
    wish = replace(SLOW, kind="htb+fq_codel", rates=UNSHAPED)  # the tables imitate no htb: nothing is to be put
    assert shape(home.route, home.links, wish)
    assert home.wan.gso_max_segs == 1
    assert not shape(home.route, home.links, wish)


def test_a_step_changes_the_rates_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home()
    home.shape()
    numbers = {device.ifname: device.ifindex for device in home.tables.devices.values()}
    monkeypatch.setattr("socket.if_nametoindex", numbers.__getitem__)
    home.kernel.verbs()
    step(home.route, home.links, SLOW, FAST)
    put = [(home.wan.ifindex, 1_000_000), (home.ifb().ifindex, 2_000_000)]
    assert home.kernel.asked == [("put_qdisc", ifindex, TOP, rate_bps) for ifindex, rate_bps in put]
    assert home.rates() == (2_000_000, 1_000_000)
    home.kernel.verbs()
    step(home.route, home.links, FAST, replace(FAST, rates=Rates(2_000_000, 256_000)))
    assert home.kernel.verbs() == ["put_qdisc"]


def test_a_step_between_other_directions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home()
    home.shape()
    home.kernel.verbs()
    with pytest.raises(KernelError, match="step: not every direction is shaped before and after"):
        step(home.route, home.links, SLOW, replace(SLOW, rates=Rates(512_000, None)))
    assert home.kernel.verbs() == []


def test_a_step_on_a_link_that_is_gone_names_it() -> None:
    home = Home("nowhere0")
    with pytest.raises(KernelError, match="nowhere0: No such device"):
        step(home.route, home.links, SLOW, FAST)
