"""The faults: each by its name, with how often it comes. Drawn by the seed; those that last overlap."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

from agent.mqtt.transport import Inbound
from simulator.modem.fault import FAULTS as OF_THE_MODEM
from tests.campaign.life import DEVICE
from tests.simulator.test_readings import wrong

if TYPE_CHECKING:
    from tests.campaign.story import Story

RATES_BPS = (0.0, 2_000.0, 60_000.0, 400_000.0, 2_000_000.0, 8_000_000.0, 17_000_000.0)
NONSENSE = (b"", b"\xff\xfe", b"[" * 4000, b'{"v":1}', b'{"v":1,"id":"x","type":"no.such","args":{}}', b"9" * 5000)


# -- link and counters


def link_recreated(story: Story) -> None:
    final = story.world.sample(final=True)
    if final is not None:
        story.life.accounting.take([final])
    story.world.make_link()


def link_without_last_word(story: Story) -> None:
    world = story.world
    world.flow()
    story.oracle.lose(world.truth_bytes - world.truth_sampled)
    world.truth_sampled = world.truth_bytes
    world.make_link()


def link_down(story: Story) -> None:
    final = story.world.sample(final=True)
    if final is not None:
        story.life.accounting.take([final])
    story.world.link = None

    def back() -> None:
        if story.world.link is None:
            story.world.make_link()

    story.later(story.dice.uniform(5, 900), back)


def link_renamed(story: Story) -> None:
    if story.world.link is not None:
        story.world.link.ifname = story.dice.choice(("wwan0", "wwan1", "usb0"))


def counter_glitch(story: Story) -> None:
    sample = story.world.sample()
    if sample is not None:
        story.life.accounting.take([replace(sample, received_bytes=sample.received_bytes + 2**42)])


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
    story.send(story.dice.choice(("plan.topup", "plan.topup", "test.once", "test.once", "status")))


def command_doubled(story: Story) -> None:
    if story.sent:
        story.broker.waiting.append(story.dice.choice(story.sent[-12:]))


def commands_swapped(story: Story) -> None:
    for _ in range(3):
        command(story)
    story.dice.shuffle(story.broker.waiting)


def command_nonsense(story: Story) -> None:
    id = f"n{len(story.oracle.issued)}"
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
    "link renamed": Fault("link", 4, link_renamed),
    "counter glitch": Fault("link", 4, counter_glitch),
    "burst of traffic": Fault("link", 12, burst),
    "broker away": Fault("broker", 6, broker_away),
    "line cut before the acknowledgement": Fault("broker", 8, line_cut),
    "disk full": Fault("disk", 5, disk_full),
    "power cut": Fault("power", 5, power_cut),
    "power off for hours": Fault("power", 2, power_off_for_hours),
    "power cut inside a transaction": Fault("power", 4, power_cut_in_a_transaction),
    "reboot": Fault("power", 2, orderly_reboot),
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
