"""The doctor's checks from the IP address to the broker: what this device can reach over the WAN. Pure."""

from __future__ import annotations

from agent.doctor.evidence import Evidence
from agent.doctor.finding import Finding, fault, ok, unknown, warning
from agent.net.facts import Reach


def check_address(evidence: Evidence) -> Finding:
    if evidence.links is None:
        return unknown("the network interfaces could not be read")
    wanted = ", ".join(evidence.wan_patterns)
    if not evidence.links and evidence.uplink:
        return fault(evidence.uplink["text"], evidence.uplink["advice"], "no-wan-interface")
    if not evidence.links:
        return fault(
            f"there is no interface {wanted}",
            "The modem's network interface has not appeared: if the modem itself is fine, check wan.interfaces "
            "against 'ip link' and the module's USB mode.",
            "no-wan-interface",
        )
    up = [link for link in evidence.links if link.up]
    if not up:
        return fault(
            f"{evidence.links[0].ifname} is down",
            "Bring the mobile connection up (NetworkManager, netifd or 'ip link set ... up'); see its own log.",
            "wan-down",
        )
    addressed = [link for link in up if link.addresses]
    if not addressed:
        return fault(
            f"{up[0].ifname} is up but has no address",
            "The connection was not made or its DHCP got no answer: check APN and data on the SIM, then "
            "'modem-agent reset attach'.",
            "apn",
        )
    carried = [link for link in addressed if link.carrier or evidence.online]  # what passes packets has a carrier
    if not carried:
        return unknown(f"{addressed[0].ifname} still has its address {addressed[0].addresses[0]}, but no carrier")
    return ok("; ".join(f"{link.ifname} {', '.join(link.addresses)}" for link in carried))


def check_route(evidence: Evidence) -> Finding:
    if evidence.routes is None:
        return unknown("the routes could not be read")
    if evidence.uplink:
        cause = "lan-bridge" if evidence.uplink["reason"] == "lan-bridge" else "other-route"
        return warning(evidence.uplink["text"], evidence.uplink["advice"], cause)
    if evidence.links is not None and not any(link.addresses for link in evidence.links):
        return unknown("not asked: the WAN has no address")
    wan = {link.ifname for link in evidence.links or ()}
    over_wan = [route for route in evidence.routes if route.ifname in wan]
    dead = {link.ifname for link in evidence.links or () if not (link.up and link.addresses and link.carrier)}
    if over_wan and not evidence.online and all(route.ifname in dead for route in over_wan):
        return unknown(f"a default route by {over_wan[0].ifname} still stands, which leads nowhere without its link")
    if over_wan:
        return ok(f"default by {over_wan[0].gateway or 'the link itself'} on {over_wan[0].ifname}")
    if evidence.routes and evidence.uplink is not None:
        return ok(f"default by {evidence.routes[0].ifname}, carried by a link that counts")
    if evidence.routes:
        return warning(
            f"the default route leaves by {evidence.routes[0].ifname}, not by the mobile line",
            "This device goes online another way (a cable?); the household's traffic may not be counted.",
            "other-route",
        )
    return fault(
        "there is no default route",
        "The connection gave an address and no gateway: restart the mobile connection; see the log of NetworkManager "
        "or netifd.",
        "no-route",
    )


def check_name_server(evidence: Evidence) -> Finding:
    if evidence.resolvers is None or _no_way_out(evidence):
        return unknown("not asked: there is no way out")
    if not evidence.resolvers:
        return fault(
            "no name server is configured",
            "Put one into /etc/resolv.conf, or restart the mobile connection so that it hands its own on.",
            "name-server",
        )
    answering = [server for server in evidence.resolvers if server.ok]
    if answering and not evidence.online and all(_own(server) for server in answering):
        return unknown(f"{answering[0].name} is this device's own and answers from memory; nothing else answers")
    if answering:
        silent = len(evidence.resolvers) - len(answering)
        note = f"; {silent} other silent" if silent else ""
        return ok(f"{answering[0].name} answers in {answering[0].ms:.0f} ms{note}")
    names = ", ".join(server.name for server in evidence.resolvers)
    if not evidence.online:  # the line is dead altogether: the name server is not what broke it
        return unknown(f"{names}: no answer, like everything else")
    return fault(
        f"no name server answers ({names})",
        "Hosts can be reached by number and not by name: put a working name server into /etc/resolv.conf or the "
        "router's DNS settings.",
        "name-server",
    )


def check_internet(evidence: Evidence) -> Finding:
    if evidence.hosts is None or _no_way_out(evidence):
        return unknown("not asked: there is no way out")
    if not evidence.hosts:
        return unknown("no hosts to ask are configured")
    answered = [host for host in evidence.hosts if host.answered]
    if len(answered) == len(evidence.hosts):
        return ok(", ".join(f"{host.name} {host.ms:.0f} ms" for host in answered))
    if answered:
        lost = ", ".join(host.name for host in evidence.hosts if not host.answered)
        return warning(
            f"{answered[0].name} answers, {lost} does not",
            "One of two hosts is away, most likely its own fault. Ask again later.",
            "one-host",
        )
    silent = ", ".join(host.name for host in evidence.hosts)
    if _slow(evidence) and any(server.ok for server in evidence.resolvers or ()):
        return warning(
            f"{silent}: no answer in time, but the line is alive and slowed on purpose",
            "Somebody uses all that the slow line carries. Nothing is broken; ask again when it is quieter.",
            "throttled",
            rank=-1,
        )
    return fault(
        f"nothing on the internet answers ({silent})",
        "The modem is registered and has an address, and nothing comes back: an outage of the operator, or data is "
        "barred for this SIM. Ask support. The agent attaches anew by itself once this has lasted for five minutes.",
        "operator-outage",
    )


RENEW_DAYS = 30  # a device that is switched off for a holiday still has a week left when it comes back


def check_broker(evidence: Evidence) -> Finding:
    """A session that stands is no proof: TCP notices a dead line after a quarter of an hour."""
    session, broker = evidence.of_status("session"), evidence.broker
    connected = bool(session.get("connected"))
    if broker is None and not connected:
        return warning(
            "no broker is configured: the operator sees nothing of this device",
            "Set operator.url and its credentials.",
            "no-broker",
        )
    stale = " (the last session has not been closed yet)" if connected else ""
    if broker is not None and broker.answered:
        return _connected(evidence) if connected else _not_connected(evidence, broker)
    if evidence.hosts is not None and not evidence.online:
        return unknown(f"not asked: nothing can be reached{stale}")
    if broker is None:
        return _connected(evidence)
    return _unreachable(broker, stale)


def _connected(evidence: Evidence) -> Finding:
    words, days = f"connected to {evidence.of_status('session').get('broker')}", evidence.certificate_days
    if days is None:
        return ok(words)
    if days >= RENEW_DAYS:
        return ok(f"{words}; this device's certificate ends in {days} days")
    return warning(
        f"{words}; this device's certificate ends in {max(0, days)} days",
        "Tell support: the operator renews it from afar (device.certificate). Later it can only be done here.",
        "certificate",
    )


def _not_connected(evidence: Evidence, broker: Reach) -> Finding:
    return _session_refused(evidence, broker) if broker.ok else _unreachable(broker, "")


def _unreachable(broker: Reach, stale: str) -> Finding:
    return fault(
        f"the broker {broker.name} cannot be reached: {broker.problem}{stale}",
        "The line works, the operator's broker does not: check operator.url; otherwise tell support. "
        "Counting and slowing go on meanwhile.",
        "broker",
    )


def _session_refused(evidence: Evidence, broker: Reach) -> Finding:
    if evidence.status is None:
        return ok(f"{broker.name} takes connections")
    why = evidence.of_status("session").get("last_error") or "no session yet"
    return fault(
        f"{broker.name} takes connections, but the agent has no session: {why}",
        "Check credentials and certificates of section [operator], and the device's clock, by which certificates are "
        "judged.",
        "broker",
    )


def check_speed(evidence: Evidence) -> Finding:
    """Slowed on purpose ranks before every other warning: it is what the household feels, and nothing is broken."""
    plan = evidence.of_status("plan")
    state = plan.get("state")
    if state is None:
        return unknown("the agent does not say")
    if _slow(evidence):
        why = plan.get("reason") or state
        return warning(
            f"the line is slowed on purpose: {why}",
            "Nothing is broken. It becomes fast again with the new period or a top-up ('modem-agent usage').",
            "throttled",
            rank=-1,
        )
    if state == "suspended":
        return warning(f"the plan is suspended: {plan.get('reason')}", "Ask support.", "suspended", rank=-1)
    return ok(f"{state}, {plan.get('reason') or 'full speed'}")


def _no_way_out(evidence: Evidence) -> bool:
    """No interface, no address, or no default route: what lies behind is not worth a timeout."""
    if evidence.links is not None and not any(link.addresses for link in evidence.links):
        return not evidence.routes
    return evidence.routes is not None and not evidence.routes


def _own(server: Reach) -> bool:
    """dnsmasq and resolved on this device answer what they remember, however dead the line is."""
    return server.name.startswith("127.") or server.name == "::1"


def _slow(evidence: Evidence) -> bool:
    """Whether the plan or the operator slows the line just now."""
    return evidence.of_status("plan").get("state") in ("throttled", "forced")
