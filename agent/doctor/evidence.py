"""What the doctor is shown: facts about one device at one moment. Frozen values; None is "could not be found out".

Collected by probes.py and the CLI, judged by diagnosis.py. `to_dict()` goes into the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from agent.doctor.access_point import Dialler
from agent.net.facts import Disk, Reach, Route, WanLink
from agent.system import DEBIAN, System

if TYPE_CHECKING:
    from agent import status_schema as schema


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it. `status` is the running agent's own, `modem` the module's part of it or what was read directly."""

    config_file: str = ""
    config_problem: str = ""
    config_warnings: tuple[str, ...] = ()
    config_denied: str = ""  # this user may not read it: what is below is the defaults
    config_refused: str = ""  # why a newer configuration is not in force
    certificate_days: int | None = None  # until this device's certificate ends; None: it has none
    system: System = DEBIAN
    wan_patterns: tuple[str, ...] = ("wwan0",)
    agent_problem: str = ""  # empty: it runs and answers
    agent_dead: bool = False  # nobody listens; otherwise it hangs, or
    agent_refused: bool = False  # this user may not ask it
    status: schema.Status | None = None
    modem: schema.Modem | None = None  # {"state", "reason", "reading", "tried"}
    apn: str = ""  # configured: modem.apn
    diallers: tuple[Dialler, ...] = ()  # who dials with an APN of his own
    links: tuple[WanLink, ...] | None = None
    routes: tuple[Route, ...] | None = None
    uplink: schema.Mismatch | None = None  # a mismatch of agent.traffic.uplink; empty: there is none
    resolvers: tuple[Reach, ...] | None = None
    hosts: tuple[Reach, ...] | None = None
    broker: Reach | None = None  # None: no broker is configured
    clock: str | None = None  # a value of agent.plan.model.Trust
    wall_year: int | None = None
    disk: Disk | None = None
    page: str | None = None  # what answers instead of the household's page; empty: the page; None: it is not wanted
    store_problem: str = ""

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    @property
    def reading(self) -> schema.Reading:
        """The module's last reading; empty when there is none."""
        found = self.modem.get("reading") if self.modem else None
        return found if isinstance(found, Mapping) else {}

    def part(self, name: str) -> Mapping[str, object]:
        """A section of the reading, such as `signal`; empty when unknown."""
        found = self.reading.get(name)
        return found if isinstance(found, Mapping) else {}

    @property
    def signal(self) -> schema.Signal:
        found = self.reading.get("signal")
        return found if isinstance(found, Mapping) else {}

    @property
    def announced(self) -> Mapping[str, schema.Announcement]:
        found = self.status.get("announced") if self.status else None
        return found if isinstance(found, Mapping) else {}

    def of_status(self, name: str) -> Mapping[str, object]:
        """A section of the agent's status, such as `shaper`; empty when unknown."""
        found = self.status.get(name) if self.status else None
        return found if isinstance(found, Mapping) else {}

    @property
    def online(self) -> bool:
        """Whether anything on the internet answered."""
        return any(host.answered for host in self.hosts or ())

    @property
    def online_by_wan(self) -> bool:
        """Whether it did so over the mobile line, as far as the routes tell; a cable may be what works."""
        addressed = {link.ifname for link in self.links or () if link.addresses}
        return self.online and any(route.ifname in addressed for route in self.routes or ())
