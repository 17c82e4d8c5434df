"""Both ends of a command over MQTT, each run as a process in its namespace.

python -m tests.bench.shaping_mqtt device BROKER SECONDS     answers every command
python -m tests.bench.shaping_mqtt desk BROKER SECONDS       sends five a second, prints each round trip in ms
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import paho.mqtt.client as mqtt

COMMAND, ANSWER = "device/cmd", "device/res"


def _client(name: str) -> Any:
    version = getattr(mqtt, "CallbackAPIVersion", None)
    return mqtt.Client(version.VERSION2, client_id=name) if version else mqtt.Client(client_id=name)


def device(broker: str, seconds: float) -> None:
    client = _client("device")
    client.on_message = lambda c, u, message: c.publish(ANSWER, message.payload + os.urandom(200), qos=1)
    client.connect(broker, 1883, 60)
    client.subscribe(COMMAND, qos=1)
    client.loop_start()
    time.sleep(seconds)
    client.loop_stop()


def desk(broker: str, seconds: float) -> None:
    sent: dict[bytes, float] = {}

    def answered(c: Any, u: Any, message: Any) -> None:
        print(f"{(time.perf_counter() - sent[message.payload[:8]]) * 1000:.1f}", flush=True)

    client = _client("desk")
    client.on_message = answered
    client.connect(broker, 1883, 60)
    client.subscribe(ANSWER, qos=1)
    client.loop_start()
    time.sleep(1)
    until = time.perf_counter() + seconds - 2
    while time.perf_counter() < until:
        key = os.urandom(8)
        sent[key] = time.perf_counter()
        client.publish(COMMAND, key + os.urandom(200), qos=1)
        time.sleep(0.2)
    time.sleep(1)
    client.loop_stop()


if __name__ == "__main__":
    {"device": device, "desk": desk}[sys.argv[1]](sys.argv[2], float(sys.argv[3]))
