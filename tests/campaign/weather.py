"""The faults: each by its name, with how often it comes. Drawn by the seed; those that last overlap."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

from agent.daemon.instance_lock import NamespaceLock
from agent.errors import AgentError
from agent.mqtt.transport import Inbound
from agent.traffic.netlink.messages import Filter, Node
from agent.traffic.netlink.route import ETH_P_ALL, INGRESS_HANDLE, INGRESS_PARENT, ROOT
from simulator.modem.fault import FAULTS as OF_THE_MODEM
from tests.campaign.life import DEVICE, WAN
from tests.campaign.netlink import CLSACT_INGRESS
from tests.simulator.test_readings import wrong

if TYPE_CHECKING:
    from tests.campaign.story import Story

DISK_WELL_S = 120.0  # after a full disk has room again, what was to be saved may still wait
RATES_BPS = (0.0, 2_000.0, 60_000.0, 400_000.0, 2_000_000.0, 8_000_000.0, 17_000_000.0)
NONSENSE = (b"", b"\xff\xfe", b"[" * 4000, b'{"v":1}', b'{"v":1,"id":"x","type":"no.such","args":{}}', b"9" * 5000)


# -- link and counters


def link_recreated(story: Story) -> None:
    story.world.drop_link()
    story.world.truth_sampled = story.world.truth_bytes
    story.world.make_link()


def link_without_last_word(story: Story) -> None:
    story.world.unseen()
    story.world.make_link()


def link_down(story: Story) -> None:
    story.world.drop_link()
    story.world.truth_sampled = story.world.truth_bytes

    def back() -> None:
        if story.world.link is None:
            story.world.make_link()

    story.later(story.dice.uniform(5, 900), back)


def link_moved_away(story: Story) -> None:
    """Into another network namespace, and back with its number and its counters."""
    world, link, boot = story.world, story.world.link, story.world.boot
    story.world.drop_link()
    story.world.truth_sampled = story.world.truth_bytes

    def back() -> None:
        if link is not None and world.link is None and world.powered and world.boot == boot:
            world.flow()
            world.link = world.tables.enter(link)

    story.later(story.dice.uniform(1, 600), back)


def link_renamed(story: Story) -> str | None:
    """Another name that is counted, or for a while one that is not."""
    world, link = story.world, story.world.link
    if link is None:
        return None
    slow = max(world.tables.rates(link)) < float("inf")
    world.flow()
    world.tables.rename(link, story.dice.choice(("wwan0", "wwan1", "usb0")))
    world.truth_sampled = world.truth_bytes
    if not world.counted:

        def right() -> None:
            if world.link is link:
                world.flow()
                world.tables.rename(link, "wwan0")

        story.later(story.dice.uniform(30, 600), right)
    return "link renamed: while slowed" if slow else None


def wrong_name(story: Story) -> None:
    """The configuration names another link for a while; then it is put right."""
    story.config = replace(story.config, wan=replace(story.config.wan, interfaces=("lan0",)))
    story.restart("orderly", away_s=2.0)

    def right() -> None:
        # What the agent has seen of the links meanwhile would not outlive the restart, on a full disk or where its last
        # transaction is cut: the link's bytes would then count from its beginning.
        if story.disk_troubled() or story.disk.doom is not None:
            story.later(DISK_WELL_S, right)
            return
        story.config = replace(story.config, wan=replace(story.config.wan, interfaces=WAN))
        story.restart("orderly", away_s=2.0)

    story.later(story.dice.uniform(60, 600), right)


def second_agent(story: Story) -> None:
    """Started by hand, with folders of its own."""
    try:
        lock = NamespaceLock(story.life.lock_name, wait_s=0)
    except AgentError:
        story.life.lock._dismiss()  # as the first one's loop does
        return
    lock.close()
    story.oracle.blame("a second agent was let in beside the first")


def counter_glitch(story: Story) -> None:
    """One reading that is far off."""
    link = story.world.link
    if link is not None and story.world.counted:
        story.world.flow()
        link.received_bytes += 2**42
        story.world.tables.listener(link.row())
        link.received_bytes -= 2**42


def clsact(story: Story) -> None:
    """A program looks at what comes in; the kernel refuses it where an ingress qdisc stands."""
    link, tables = story.world.link, story.world.tables
    if link is None or link.at(INGRESS_PARENT):
        return
    node = Node("clsact", INGRESS_HANDLE, INGRESS_PARENT, ifindex=link.ifindex)
    looks = Filter("bpf", CLSACT_INGRESS, 10, ETH_P_ALL, 1)
    link.qdiscs.append(node)
    tables.hang(link, looks)
    entry = (link, [node], [looks])
    story.world.foreign.append(entry)

    def taken_away() -> None:
        """With its qdisc whatever hangs there, ours too."""
        if entry in story.world.foreign:
            story.world.foreign.remove(entry)
            link.qdiscs.remove(node)
            link.filters.clear()
            tables.changed()

    story.later(story.dice.uniform(600, 40_000), taken_away)


def foreign_ifb(story: Story) -> None:
    """sqm-scripts shapes another port, by an ifb that is named as ours are."""
    tables = story.world.tables
    port = tables.named("eth1")
    if port is None or port.qdiscs:
        return
    ifb = tables.add("ifb4eth1", kind="ifb")
    root = Node("cake", 0x80010000, ROOT, {"base_rate64": 2_500_000}, ifb.ifindex)
    ingress = Node("ingress", INGRESS_HANDLE, INGRESS_PARENT, ifindex=port.ifindex)
    redirect = Filter("matchall", INGRESS_HANDLE, 10, ETH_P_ALL, 1, redirect=ifb.ifindex)
    ifb.qdiscs.append(root)
    port.qdiscs.append(ingress)
    tables.hang(port, redirect)
    story.world.foreign += [(ifb, [root], []), (port, [ingress], [redirect])]


def silence(story: Story) -> None:
    """The connection stands, and nothing comes in any more, whatever the household asks for."""
    world = story.world
    world.flow()
    world.silent_since_s = world.silent_since_s or world.loop.time()

    def over() -> None:
        world.flow()
        world.silent_since_s = None

    story.later(story.dice.uniform(60, 1500), over)


def gigabit(story: Story) -> None:
    """A line far faster than plan.max_bps."""
    story.world.flow()
    story.world.down_bps = 850_000_000.0  # with an eighth of it up, near 1 Gbit/s
    story.world.fast_s = story.world.loop.time()
    story.later(story.dice.uniform(5, 30), story.calm)


def burst(story: Story) -> None:
    story.world.flow()
    story.world.down_bps = story.dice.choice(RATES_BPS)
    story.later(story.dice.uniform(5, 60), story.calm)


# -- broker


def broker_away(story: Story) -> None:
    story.broker.up = False
    story.later(story.dice.uniform(10, 6 * 3600), lambda: setattr(story.broker, "up", True))


def line_cut(story: Story) -> None:
    """What was sent arrived; its acknowledgements never come."""
    story.life.flying.clear()
    story.life.box.returned()


# -- disk, power, process


def disk_full(story: Story) -> None:
    story.disk.full = True
    story.later(story.dice.uniform(5, 1800), story.disk_well)


def power_cut(story: Story) -> None:
    story.restart("power", away_s=story.dice.uniform(1, 60))


def power_off_for_hours(story: Story) -> None:
    story.restart("power", away_s=story.dice.uniform(3600, 30 * 3600))


def power_cut_in_a_transaction(story: Story) -> None:
    story.doomed = "power"
    story.disk.doom = (story.dice.randrange(3), story.dice.choice(("before", "inside", "after")))


def database_emptied(story: Story) -> None:
    """By a power cut: a file of no length, or a ledger without its row."""
    story.restart("empty", away_s=story.dice.uniform(1, 60))


def kill(story: Story) -> None:
    story.restart("kill", away_s=story.dice.uniform(0.1, 30))


def kill_in_a_transaction(story: Story) -> None:
    story.doomed = "kill"
    story.disk.doom = (story.dice.randrange(3), story.dice.choice(("before", "inside", "after")))


def orderly_restart(story: Story) -> None:
    story.restart("orderly", away_s=2.0)


def orderly_reboot(story: Story) -> None:
    story.restart("reboot", away_s=story.dice.uniform(20, 90))


# -- clock


def clock_jump(story: Story) -> None:
    world = story.world
    far = timedelta(days=story.dice.choice((-20_000, -400, -40, -1, 1, 40, 400)))
    world.wall_error, world.disciplined = far, False
    story.later(story.dice.uniform(60, 3600), story.synchronised)


def network_time_wrong(story: Story) -> None:
    """A network that says nonsense, as some do until the first cell is known."""
    year = story.dice.choice((1970, 1980, 2004, 2080, 2106))
    nonsense = datetime(year, 1, 6, tzinfo=timezone.utc)
    if story.life.clock.offer_network_time(nonsense, story.world.boot_s()):
        story.oracle.blame(f"network time {nonsense} was believed")


# -- commands and configuration


def command(story: Story) -> None:
    """Not a fault: what the faults are about."""
    story.send(story.dice.choice(("plan.topup", "plan.topup", "plan.reconcile", "test.once", "test.once", "status")))


def command_doubled(story: Story) -> None:
    if story.sent:
        story.broker.waiting.append(story.dice.choice(story.sent[-12:]))


def commands_swapped(story: Story) -> None:
    for _ in range(3):
        command(story)
    story.dice.shuffle(story.broker.waiting)


def command_nonsense(story: Story) -> None:
    id = f"n{next(story.numbers)}"
    story.oracle.issued[id] = "nonsense"
    topic = f"modem-agent/v1/{DEVICE}/cmd/plan.topup/{id}/req"
    story.broker.waiting.append(Inbound(topic, story.dice.choice(NONSENSE), 1, False))


def config_push(story: Story) -> None:
    story.send("config.set", {"changes": {"operator.beat_s": story.dice.randrange(300, 900)}, "confirm_s": 60})


def config_push_without_broker(story: Story) -> None:
    url = {"operator.url": "mqtt://away.test"}
    story.send("config.set", {"changes": url, "confirm_s": story.dice.randrange(10, 600)})


# -- modem


def modem(story: Story) -> str:
    """One of the simulator's behaviours, on top of those that last; the readings must be true or nothing."""
    module, observer = story.module, story.observer
    name = story.dice.choice(MODEM_FAULTS)
    module.fault(name)
    for _ in range(2):
        observer.poll()
        if observer.reading is not None:
            story.oracle.checks["reading"] += 1
            for problem in wrong(module, observer.reading):
                story.oracle.blame(f"modem {name}: {problem}")
    if story.dice.random() < 0.6:
        module.clear()
        module.power_cycle()
        module.advance(module.now + 120)
        observer.poll()
        observer.poll()
        if observer.reading is None:
            story.oracle.blame(f"modem {name}: no reading after power and two minutes")
    return f"modem: {name}"


MODEM_FAULTS = tuple(
    name for name in OF_THE_MODEM if name not in ("dtr", "thief", "renumber")
)  # those need a port or sysfs

Strike = Callable[["Story"], "str | None"]


class Fault(NamedTuple):
    """`strike` may return a name of its own; `weight` says how often it comes among the others."""

    kind: str
    weight: int
    strike: Strike


WEATHER: dict[str, Fault] = {
    "link re-created": Fault("link", 10, link_recreated),
    "link re-created without last counters": Fault("link", 6, link_without_last_word),
    "link down": Fault("link", 5, link_down),
    "link renamed": Fault("link", 6, link_renamed),
    "link moved to another namespace": Fault("link", 4, link_moved_away),
    "wan.interfaces wrong, then right": Fault("config", 3, wrong_name),
    "clsact on the link": Fault("link", 3, clsact),
    "ifb of another program": Fault("link", 3, foreign_ifb),
    "silent line": Fault("line", 6, silence),
    "gigabit line": Fault("line", 3, gigabit),
    "counter glitch": Fault("link", 4, counter_glitch),
    "burst of traffic": Fault("link", 12, burst),
    "broker away": Fault("broker", 6, broker_away),
    "line cut before the acknowledgement": Fault("broker", 8, line_cut),
    "disk full": Fault("disk", 5, disk_full),
    "power cut": Fault("power", 5, power_cut),
    "power off for hours": Fault("power", 2, power_off_for_hours),
    "power cut inside a transaction": Fault("power", 4, power_cut_in_a_transaction),
    "reboot": Fault("power", 2, orderly_reboot),
    "database emptied": Fault("disk", 2, database_emptied),
    "second agent": Fault("process", 3, second_agent),
    "kill -9": Fault("process", 5, kill),
    "kill -9 inside a transaction": Fault("process", 4, kill_in_a_transaction),
    "restart": Fault("process", 2, orderly_restart),
    "clock jump": Fault("clock", 5, clock_jump),
    "network time nonsense": Fault("clock", 4, network_time_wrong),
    "command sent twice": Fault("commands", 10, command_doubled),
    "commands out of order": Fault("commands", 4, commands_swapped),
    "command nonsense": Fault("commands", 5, command_nonsense),
    "configuration pushed": Fault("config", 4, config_push),
    "configuration that loses the broker": Fault("config", 4, config_push_without_broker),
    "modem": Fault("modem", 12, modem),
}
KINDS = tuple(dict.fromkeys(fault.kind for fault in WEATHER.values()))


def kind_of(name: str) -> str:
    """The kind of a fault by the name under which it was counted ("modem: hang" is one of the modem's)."""
    return WEATHER[name.partition(":")[0]].kind


def request(id: str, type: str, args: dict[str, object]) -> Inbound:
    topic = f"modem-agent/v1/{DEVICE}/cmd/{type}/{id}/req"
    return Inbound(topic, json.dumps({"v": 1, "id": id, "type": type, "args": args}).encode(), 1, False)
