"""Collects the evidence that the doctor judges: from the running agent, or without it from the device itself.

Used by `doctor` and `bundle`. Every question has a time limit, and one that fails leaves a gap instead of an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.language import _
from agent.cli.verb import SOCKET_NAME, Call
from agent.doctor import access_point, page_server
from agent.doctor.evidence import Evidence
from agent.errors import AgentError, AgentNotRunning, ConfigError, NotPermitted
from agent.net import probes, resolv
from agent.net.facts import Reach

if TYPE_CHECKING:
    from agent import status_schema as schema
    from agent.config import Config

MODEM_S = 25.0  # a port that answers nothing is given up after four tries of a second; a healthy one takes two seconds

Tell = Callable[[str], None]  # what is being looked at now, for a technician who waits


def examine(call: Call, tell: Tell) -> Evidence:
    """Look at everything, in the order of the chain; about ten seconds on a dead line, one on a healthy one."""
    config, evidence = _configuration(call)
    tell(_("asking the agent"))
    evidence = _ask_agent(call, evidence)
    if evidence.config_denied:  # the rest would be looked for where the defaults have it, not where this device has it
        return replace(evidence, wall_year=datetime.now(timezone.utc).year)
    if evidence.agent_dead:  # one that hangs, or that we may not ask, still holds the port
        tell(_("asking the modem itself"))
        evidence = replace(evidence, modem=ask_modem(config, MODEM_S))
    evidence = replace(evidence, apn=config.modem.apn, diallers=access_point.diallers())
    tell(_("looking at the network interfaces"))
    evidence = _look_around(config, evidence)
    tell(_("asking name servers, hosts and the broker"))
    evidence = _reach_out(config, evidence)
    tell(_("looking at the household's page"))
    if config.household.page:
        look = partial(page_server.look, count=config.household.devices != "off")
        evidence = replace(evidence, page=probes.bounded(look, 10.0, None))
    tell(_("looking at the disk"))
    disk = probes.bounded(lambda: probes.disk(config.device.state_dir), 5.0, None)
    return replace(evidence, disk=disk, wall_year=datetime.now(timezone.utc).year)


def _look_around(config: Config, evidence: Evidence) -> Evidence:
    from agent.traffic import uplink

    interfaces = config.wan.interfaces
    mismatch = uplink.look(interfaces)
    return replace(
        evidence,
        links=probes.wan_links(interfaces),
        routes=probes.default_routes(),
        uplink=mismatch.to_dict() if mismatch else {},
    )


def ask_modem(config: Config, limit_s: float) -> schema.Modem:
    """The module's part of a status, read by ourselves because no agent does: {"state", "reason", "reading"}."""
    import asyncio

    from agent.errors import ModemError, PortAbsent, PortBusy
    from agent.modem import Modem

    async def read() -> schema.Reading:
        modems.append(modem := Modem(config.modem))
        try:
            await modem.open()
            return (await modem.poll()).to_dict()
        finally:
            modem.close()

    modems: list[Modem] = []
    reading: schema.Reading | None = None
    try:
        reading = asyncio.run(asyncio.wait_for(read(), limit_s))
        state, reason = "ready", ""
    except PortAbsent as error:
        state, reason = "absent", str(error)
    except PortBusy as error:
        state, reason = "busy", str(error)
    except (ModemError, asyncio.TimeoutError, OSError) as error:
        state, reason = "hung", str(error) or f"no whole answer within {limit_s:g} s"
    tried = [line for modem in modems for line in modem.tried]
    return {"state": state, "reason": reason, "reading": reading, "tried": tried}


def salvaged(call: Call) -> tuple[Config, str]:
    """The configuration, or what of it is right and the sentence that says what is not."""
    from agent.config import salvage

    try:
        return call.config(), ""
    except ConfigError as error:
        return salvage(call.config_path), str(error)


def _configuration(call: Call) -> tuple[Config, Evidence]:
    from agent import system
    from agent.config import Config, refused

    denied = ""
    try:
        config, problem = salvaged(call)
    except NotPermitted as error:
        config, problem, denied = Config(file=call.config_file), "", str(error)
    return config, Evidence(
        config_denied=denied,
        config_file=config.file or str(call.config_path),
        config_problem=problem,
        config_warnings=tuple(_config_warnings(config)),
        config_refused=refused(config.device.run_dir),
        certificate_days=_certificate_days(config),
        system=system.find(),
        wan_patterns=config.wan.interfaces,
    )


def _certificate(config: Config) -> str:
    """The one that the device shows the broker: that of the configuration, or a renewed one."""
    from agent.mqtt.credentials import FOLDER, Credentials

    path = config.operator.cert_file
    try:
        return str(Credentials(config.operator, Path(config.device.state_dir) / FOLDER).current() or path)
    except OSError:  # not for this user
        return path


def _certificate_days(config: Config) -> int | None:
    from agent.mqtt.tls import ends

    end = ends(path) if (path := _certificate(config)) else None
    return None if end is None else (end - datetime.now(timezone.utc)).days


def _config_warnings(config: Config) -> list[str]:
    """Files that the configuration names and that are not there, and certificates that no broker will take."""
    from agent.mqtt.tls import file_problem

    own = _certificate(config)
    named = {
        "modem.pin_file": config.modem.pin_file,
        "commands.keys_file": config.commands.keys_file,
        **{
            f"operator.{n}_file": getattr(config.operator, f"{n}_file")
            for n in ("password", "ca", "cert", "key", "psk")
        },
    }
    missing = {key: path for key, path in named.items() if path and not Path(path).exists()}
    certificates = {"operator.ca_file": named["operator.ca_file"], "operator.cert_file": own}
    now = datetime.now(timezone.utc)
    return [f"{key}: {path} does not exist" for key, path in missing.items()] + [
        f"{key}: {path}: {problem}"
        for key, path in certificates.items()
        if path and key not in missing and (problem := file_problem(path, now))
    ]


def _ask_agent(call: Call, evidence: Evidence) -> Evidence:
    try:
        with call.client(timeout_s=5.0) as client:
            status = client.status()
    except ConfigError:  # told already; the agent may run with what it read before
        return _ask_at(call, evidence)
    except (AgentError, OSError) as error:
        return _silent(evidence, error)
    return _told(evidence, status)


def _ask_at(call: Call, evidence: Evidence) -> Evidence:
    from agent.cli.verb import DEFAULT_RUN_DIR
    from agent.control.client import ControlClient

    try:
        with ControlClient(Path(DEFAULT_RUN_DIR) / SOCKET_NAME, timeout_s=5.0) as client:
            return _told(evidence, client.status())
    except (AgentError, OSError) as error:
        return _silent(evidence, error)


def _silent(evidence: Evidence, error: Exception) -> Evidence:
    return replace(
        evidence,
        agent_problem=str(error),
        agent_dead=isinstance(error, AgentNotRunning),
        agent_refused=isinstance(error, NotPermitted),
    )


def _told(evidence: Evidence, status: schema.Status) -> Evidence:
    return replace(evidence, status=status, modem=status.get("modem"), clock=status.get("clk"))


def _reach_out(config: Config, evidence: Evidence) -> Evidence:
    """Everything outside, side by side: a dead line costs one timeout, not five."""
    broker = _address(config.operator.url.partition("://")[2], 8883 if "mqtts" in config.operator.url else 1883)
    hosts = [_address(text, 443) for text in config.probe.hosts]
    servers = config.probe.name_servers or resolv.name_servers()
    asked: list[Callable[[], Reach]] = [
        *[partial(probes.ask_name_server, server, config.probe.name) for server in servers or ()],
        *[partial(probes.reach, *host) for host in hosts],
    ]
    names = [*(servers or ()), *config.probe.hosts]
    if config.operator.url:
        asked.append(partial(probes.reach, *broker))
        names.append(config.operator.url)
    got = probes.bounded_all(asked, 2 * probes.REACH_S, names)
    count = len(servers or ())
    return replace(
        evidence,
        resolvers=None if servers is None else got[:count],
        hosts=got[count : count + len(hosts)],
        broker=got[-1] if config.operator.url else None,
    )


def _address(text: str, port: int) -> tuple[str, int]:
    host, colon, number = text.rpartition(":")
    return (host.strip("[]"), int(number)) if colon else (text, port)
