"""Where every message goes: the topics of one device under `{root}/v1/{device}/`. Pure.

The broker's ACL (firmware-config/broker/) grants a device this prefix and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LEVEL = re.compile(r"[A-Za-z0-9._:-]{1,64}")
TYPE = re.compile(r"[a-z][a-z0-9.-]{0,39}")
LONGEST_BYTES = 256  # AWS IoT Core's limit, the tightest of the brokers in README.md


@dataclass(frozen=True, slots=True)
class Request:
    """What the topic of a command says; the envelope must agree."""

    type: str
    id: str

    @property
    def command(self) -> str:
        """The command's name. RabbitMQ and old NATS bear no dot in a topic: there it is written with a dash."""
        return self.type.replace("-", ".")


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one device."""

    root: str
    device: str

    def __post_init__(self) -> None:
        if not (LEVEL.fullmatch(self.root) and LEVEL.fullmatch(self.device)):
            raise ValueError(f"not a topic level: {self.root!r} or {self.device!r}")

    @property
    def base(self) -> str:
        return f"{self.root}/v1/{self.device}"

    @property
    def status(self) -> str:
        return f"{self.base}/status"

    @property
    def requests(self) -> str:
        """The one filter a device subscribes to."""
        return f"{self.base}/cmd/+/+/req"

    def twin(self, part: str) -> str:
        return f"{self.base}/twin/{part}"

    def measurement(self, name: str) -> str:
        return f"{self.base}/m/{name}"

    def event(self, name: str) -> str:
        return f"{self.base}/e/{name}"

    def alarm(self, name: str) -> str:
        return f"{self.base}/a/{name}"

    def response(self, type: str, id: str) -> str:
        return f"{self.base}/cmd/{type}/{id}/res"

    def request(self, type: str, id: str) -> str:
        return f"{self.base}/cmd/{type}/{id}/req"

    def parse_request(self, topic: str) -> Request | None:
        """Type and id of a command topic of this device; None for any other topic."""
        prefix = f"{self.base}/cmd/"
        if not topic.startswith(prefix):
            return None
        levels = topic[len(prefix) :].split("/")
        if len(levels) != 3 or levels[2] != "req":
            return None
        if not (TYPE.fullmatch(levels[0]) and LEVEL.fullmatch(levels[1])):
            return None
        return Request(levels[0], levels[1])

    def may_answer_on(self, topic: str) -> bool:
        """Whether an MQTT 5 response topic is honoured: only where the device answers commands anyway.

        Anything else would let a command make the device write its own presence, or another device's topics.
        """
        prefix = f"{self.base}/cmd/"
        if not topic.startswith(prefix) or len(topic.encode()) > LONGEST_BYTES:
            return False
        levels = topic[len(prefix) :].split("/")
        return len(levels) == 3 and levels[2] == "res" and all(LEVEL.fullmatch(level) for level in levels[:2])
