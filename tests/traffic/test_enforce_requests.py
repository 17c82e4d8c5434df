"""Which requests shaping makes, in the parts that the campaign's tables do not imitate: classes and filters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from agent.plan import Rates
from agent.traffic import enforce
from agent.traffic.enforce import rehearse
from agent.traffic.inventory import Found
from agent.traffic.layout import places
from agent.traffic.model import Endpoint
from agent.traffic.netlink.messages import Filter, Node
from agent.traffic.netlink.route import ROOT
from agent.traffic.netlink.route import Route as RealRoute
from agent.traffic.tree import INNER, TOP, filters
from tests.traffic.test_enforce import FAST, IFB, SLOW, Home


class Recorder:
    """A route that notes every verb and knows nothing."""

    def __init__(self) -> None:
        self.asked, self.sends = list[tuple[Any, ...]](), list[bool]()

    @contextmanager
    def together(self, *, send: bool = True) -> Iterator[None]:
        self.sends.append(send)
        yield

    def __getattr__(self, verb: str) -> Callable[..., None]:
        return lambda *words: self.asked.append((verb, *words))


def test_filters_that_stand_are_kept_and_what_is_stale_goes() -> None:
    link = Home().links[0]
    wish = replace(SLOW, kind="tbf", endpoints=(Endpoint("192.0.2.7", 8883),), name_servers=("192.0.2.53",))
    wants = filters("tbf", wish.endpoints, upload=True, name_servers=wish.name_servers)
    stands = [Filter("u32", INNER, want.prio, want.protocol, 1, target=want.target) for want in wants]
    stale = Filter("u32", INNER, 7, wants[0].protocol, 1, target=wants[0].target)
    table = Filter("u32", INNER, 9, wants[0].protocol, 0)  # the kernel's own line for a priority

    def ensured(found: list[Filter], *, upload: bool = True) -> tuple[bool, list[tuple[Any, ...]]]:
        recorder = Recorder()
        changed = enforce._ensure_filters(cast(RealRoute, recorder), link, wish, found, upload=upload)
        return changed, recorder.asked

    assert ensured([*stands, table]) == (False, [])
    assert ensured([*stands, stale]) == (True, [("delete_filters", link.ifindex, INNER, 7, stale.protocol)])
    first = wants[0]
    added = ("add_u32", link.ifindex, first.parent, first.prio, first.protocol, first.keys, first.target)
    assert ensured(stands[1:]) == (True, [added])
    changed, asked = ensured([], upload=True)
    assert (changed, len(asked)) == (True, len(wants))
    assert asked != ensured([], upload=False)[1]


def test_a_rehearsal_encodes_both_directions_and_sends_nothing() -> None:
    link, recorder = Home().links[0], Recorder()
    wishes = [replace(SLOW, kind="tbf", endpoints=(Endpoint("192.0.2.7", 8883),)), FAST]
    rehearse(cast(RealRoute, recorder), link, wishes)
    assert recorder.sends == [False]
    verbs = [words[0] for words in recorder.asked]
    assert verbs[0] == "add_ingress"
    assert [words for words in recorder.asked if words[0] == "add_ifb"] == [("add_ifb", IFB)] * 2
    assert {"put_qdisc", "put_class", "add_u32"} < set(verbs)
    assert {words[1] for words in recorder.asked if words[0] != "add_ifb"} == {link.ifindex}
    assert [words[5]["bandwidth"] for words in recorder.asked if words[2:3] == ("cake",)] == [1_000_000, 2_000_000]
    far = ["0xc0000207/0xffffffff+16", "0xc0000207/0xffffffff+12"]  # the broker: destination up, source down
    keys = [words[5] for words in recorder.asked if words[0] == "add_u32"]
    assert [text for text in far if any(text in each for each in keys)] == far


def test_what_stood_below_a_root_that_went_is_made_anew() -> None:
    link, recorder = Home().links[0], Recorder()
    wish = replace(SLOW, kind="tbf+fq_codel")
    (place,) = places([link], Rates(None, 256_000))
    top, inner = place.tree(wish.kind)
    stood = Node(inner.kind, inner.handle, inner.parent, inner.values, ifindex=link.ifindex)
    found = Found({link.ifname: link}, {link.ifindex: [Node("htb", TOP, ROOT, ifindex=link.ifindex), stood]})
    assert enforce._shape_root(cast(RealRoute, recorder), found, link, wish, place)
    assert [(words[0], words[-2 if words[0] == "put_qdisc" else 1]) for words in recorder.asked] == [
        ("delete_root", link.ifindex), ("put_qdisc", top.parent), ("put_qdisc", inner.parent)
    ]  # fmt: skip
