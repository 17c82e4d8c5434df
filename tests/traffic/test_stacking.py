"""Which of several links that are meant counts, where one stands on another."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agent.traffic import Link, LinkEvent
from agent.traffic.lower_links import completed, pppoe_devices
from agent.traffic.stacking import carried
from tests.netns import Wire
from tests.traffic.conftest import kernel_in, until


def link(ifindex: int, kind: str, *, master: int = 0, lower: int = 0) -> Link:
    return Link(ifindex, f"wwan{ifindex}", kind, True, 14, 1500, master=master, lower=lower)


CASES = {
    "a bridge and its port": ([link(2, "", master=3), link(3, "bridge")], {3}),
    "a VLAN": ([link(2, ""), link(3, "vlan", lower=2)], {3}),
    "two macvlans": ([link(2, ""), link(3, "macvlan", lower=2), link(4, "macvlan", lower=2)], {3, 4}),
    "a VLAN on a bridge": ([link(2, "", master=3), link(3, "bridge"), link(4, "vlan", lower=3)], {3, 4}),
    "a bond of two": ([link(2, "", master=4), link(3, "", master=4), link(4, "bond")], {2, 3}),
    "a bond of VLANs": (
        [link(2, ""), link(3, "vlan", lower=2, master=5), link(4, "vlan", lower=2, master=5), link(5, "bond")],
        {2, 3, 4},
    ),
    "two channels": ([link(2, ""), link(3, "rmnet", lower=2), link(4, "rmnet", lower=2)], {2}),
    "a bridge on a channel": (
        [link(2, ""), link(3, "rmnet", lower=2, master=4), link(4, "bridge")],
        {2, 4},
    ),
    "a port of a switch": ([link(2, ""), link(3, "dsa", lower=2)], {2}),
    "strangers": ([link(2, ""), link(3, "wwan"), link(4, "ppp")], set()),
    "a link below that is of another namespace": ([link(2, ""), link(3, "vlan", lower=99)], set()),
}


@pytest.mark.parametrize("case", CASES)
def test_of_links_on_each_other_one_counts(case: str) -> None:
    links, left_out = CASES[case]
    table = {each.ifindex: each for each in links}
    assert carried(table, table.keys()) == left_out


def test_a_link_that_is_not_meant_leaves_none_out_but_joins_others() -> None:
    """A VLAN on a bridge over the WAN, the bridge itself not meant; and each of them alone."""
    table = {each.ifindex: each for each in CASES["a VLAN on a bridge"][0]}
    assert carried(table, {2, 4}) == {4}
    assert carried(table, {3, 4}) == {4}
    for alone in table:
        assert carried(table, {alone}) == set()


def test_ppp_counts_for_all_below_its_pppoe_session() -> None:
    """The session runs on a VLAN, which may be meant or not; a modem's ppp runs on no link."""
    links = [link(2, ""), link(3, "vlan", lower=2), link(4, "ppp"), link(5, "")]
    table = {each.ifindex: each for each in links}
    assert carried(table, {2, 3, 4, 5}, ["wwan3"]) == {2, 3}
    assert carried(table, {2, 4, 5}, ["wwan3"]) == {2}
    assert carried(table, {2, 4, 5}) == set()
    assert carried(table, {2, 5}, ["wwan3"]) == set(), "ppp itself is not meant"


def test_pppoe_sessions_are_read_from_proc(tmp_path: Path) -> None:
    table = tmp_path / "pppoe"
    rows = ["Id       Address              Device", "00000100 00:00:5E:00:53:01     eth1"]
    table.write_text("\n".join([*rows, "01000200 00:00:5E:00:53:02  eth0.35\n"]))
    assert pppoe_devices(table) == {"eth1", "eth0.35"}
    assert pppoe_devices(tmp_path / "none") == frozenset()


def _in_sysfs(folder: Path, ifname: str, ifindex: int, lower: str = "") -> None:
    (folder / ifname).mkdir()
    (folder / ifname / "ifindex").write_text(f"{ifindex}\n")
    if lower:
        (folder / ifname / f"lower_{lower}").symlink_to(folder / lower)


def test_a_qmimux_channel_is_known_by_its_lower_link_in_sysfs(tmp_path: Path) -> None:
    _in_sysfs(tmp_path, "wwan0", 4)
    _in_sysfs(tmp_path, "qmimux0", 5, lower="wwan0")
    raw = replace(link(5, ""), ifname="qmimux0", header_bytes=0)
    channel = completed(raw, tmp_path)
    assert (channel.kind, channel.lower) == ("qmimux", 4)
    table = {4: link(4, ""), 5: channel}
    assert carried(table, {4, 5}) == {4}
    below = replace(link(4, ""), ifname="wwan0", header_bytes=0)
    assert completed(below, tmp_path) == below
    stranger = replace(raw, ifindex=9)
    assert completed(stranger, tmp_path) == stranger, "sysfs of another network namespace"
    assert completed(replace(raw, ifname="ppp0"), tmp_path).kind == ""


STACKED = {
    "bridge": [["link", "add", "wanup", "type", "bridge"], ["link", "set", "wan0", "master", "wanup"]],
    "vlan": [["link", "add", "link", "wan0", "name", "wanup", "type", "vlan", "id", "10"]],
    "macvlan": [["link", "add", "link", "wan0", "name", "wanup", "type", "macvlan"]],
    "bond": [
        ["link", "set", "wan0", "down"],
        ["link", "add", "wanup", "type", "bond"],
        ["link", "set", "wan0", "master", "wanup"],
    ],
}


@pytest.mark.root
@pytest.mark.parametrize("kind", STACKED)
def test_the_kernel_says_which_link_stands_on_which(cable: Wire, kind: str) -> None:
    """Also of one that is put there while the agent runs, and taken away again."""
    events: list[LinkEvent] = []

    async def scenario() -> None:
        async with kernel_in(cable, events) as kernel:
            assert [s.carried for s in (await kernel.survey(["wan*"])).samples] == [False]
            for words in STACKED[kind]:
                try:
                    cable.near.ip(*words)
                except AssertionError as refusal:
                    pytest.skip(f"{kind}: {refusal}")
            await until(lambda: any(e.link.ifname.startswith("wan") for e in events))
            left_out = "wan0" if kind == "bond" else "wanup"
            samples = {s.epoch.ifname: s for s in (await kernel.survey(["wan*"])).samples}
            assert {name for name, s in samples.items() if s.carried} == {left_out}
            assert not any(s.carried for s in await kernel.samples(["nothing*"]))
            assert not any(s.carried for s in (await kernel.survey([left_out])).samples)
            cable.near.ip("link", "del", "wanup")
            assert [s.carried for s in (await kernel.survey(["wan*"])).samples] == [False]

    asyncio.run(scenario())


@pytest.mark.root
def test_the_ends_of_a_veth_do_not_stand_on_each_other(cable: Wire) -> None:
    cable.near.ip("link", "add", "wanx", "type", "veth", "peer", "name", "wany")

    async def scenario() -> None:
        async with kernel_in(cable) as kernel:
            survey = await kernel.survey(["wanx", "wany"])
            assert [s.carried for s in survey.samples] == [False, False]
            assert survey.newest_ifindex >= max(s.epoch.ifindex for s in survey.samples)

    asyncio.run(scenario())


@pytest.mark.root
def test_a_link_that_comes_tells_what_it_held_before(cable: Wire) -> None:
    """Moved here from another network namespace it holds what it carried there."""
    events: list[LinkEvent] = []

    async def scenario() -> None:
        async with kernel_in(cable, events) as kernel:
            await asyncio.to_thread(cable.near.run, "ping", "-c3", "-i0.01", "-s1000", cable.far.address)
            (before,) = await kernel.samples(["wan0"])
            cable.near.ip("link", "set", "wan0", "netns", cable.far.name)
            cable.far.ip("link", "set", "wan0", "netns", cable.near.name)
            await until(lambda: any(e.kind == "new" for e in events))
            back = next(e.sample for e in events if e.kind == "new")
            assert back is not None
            assert back.appeared
            assert back.sent_bytes >= before.sent_bytes > 3000
            cable.near.ip("link", "set", "wan0", "up")
            assert not (await kernel.samples(["wan0"]))[0].appeared

    asyncio.run(scenario())
