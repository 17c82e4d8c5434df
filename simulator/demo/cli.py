"""`modem-sim demo`: sets the stage, tells the story, prints the table, draws the plot."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import click

MONTH_END_S = 130.0  # from the start of the story; the acts before it take some 95 s


@click.command("demo")
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/demo"), help="Where plot, table and logs go.")
def command(out: Path) -> None:
    """The main job on real traffic: 40 GB crossed, the line slowed, support answered. Three minutes."""
    from simulator.demo.network import SetupError, isolate

    try:
        isolate()
        for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal ends the demo's processes, too
            signal.signal(number, lambda number, frame: sys.exit(128 + number))
        kept = _play(out.resolve())
    except SetupError as error:
        click.echo(f"demo: {error}", err=True)
        sys.exit(1)
    sys.exit(0 if kept else 1)


def _play(out: Path) -> bool:
    import shutil

    import simulator
    from simulator.demo import network, plot
    from simulator.demo.desk import Desk
    from simulator.demo.device import Device
    from simulator.demo.display import Display, markdown
    from simulator.demo.processes import BROKER_PORT, Processes, start_broker, start_server
    from simulator.demo.recorder import Recorder
    from simulator.demo.story import FULL_DOWN_BPS, FULL_UP_BPS, Story

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    network.build(down_bps=FULL_DOWN_BPS, up_bps=FULL_UP_BPS)
    processes = Processes(out)
    recorder = Recorder()
    display = Display(recorder.now_s, recorder.live_bps)
    desk = None
    try:
        broker = start_broker(processes, out)
        start_server(processes)
        with simulator.serve("quectel-ec25", link=str(out / "modem0")) as modem:
            desk = Desk(network.BROKER_ADDRESS, BROKER_PORT, recorder.now_s, say=display.say)
            # The embedded broker answers an MQTT 5 CONNECT with silence, and the fall-back would wait for it.
            protocol = "auto" if broker == "mosquitto" else "3.1.1"
            device = Device(out, str(out / "modem0"), MONTH_END_S, protocol)
            recorder.start()
            display.start()
            display.say(f"three hosts: household, modem, operator; broker: {broker}")
            story = Story(processes, device, modem, desk, recorder, display)
            try:
                tell(story)
            finally:
                recorder.stop()
                display.stop()
                _keep(out, desk, recorder, story)
    finally:
        if desk is not None:
            desk.close()
        processes.close()
    display.promises(story.promises)
    (out / "promises.md").write_text(markdown(story.promises))
    pictures = plot.draw(recorder.series(), story.events, out)
    display.console.print(
        f"\nplot: {', '.join(str(path) for path in pictures)}\nall messages: {out / 'messages.jsonl'}"
    )
    return all(promise.kept for promise in story.promises)


def tell(story: Any) -> None:
    """The acts in their order."""
    story.arrive()
    story.full_speed()
    story.crossing()
    story.throttled()
    story.topup()
    story.unplugged()
    story.killed()
    story.idle()
    story.month_end()
    story.leave()


def _keep(out: Path, desk: Any, recorder: Any, story: Any) -> None:
    """What support saw and what the link did, for whoever wants to look again."""
    with (out / "messages.jsonl").open("w") as file:
        for message in desk.messages:
            file.write(json.dumps({"at_s": round(message.at_s, 2), "topic": message.topic, "payload": message.payload}))
            file.write("\n")
    rows = [{"s": round(s, 2), "down_bps": round(d), "up_bps": round(u)} for s, d, u in recorder.series()]
    (out / "rate.json").write_text(json.dumps({"rate": rows, "events": story.events}))
