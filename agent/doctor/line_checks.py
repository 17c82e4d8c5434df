"""The doctor's checks from the IP address to the broker: what this device can reach over the WAN. Pure."""

from __future__ import annotations

from agent.doctor.evidence import Evidence
from agent.doctor.finding import Finding, fault, ok, unknown, warning
from agent.net.facts import Reach
from agent.sentence import Told, counted, said


def check_address(evidence: Evidence) -> Finding:
    if evidence.links is None:
        return unknown(said("the network interfaces could not be read"))
    wanted = ", ".join(evidence.wan_patterns)
    if not evidence.links and evidence.uplink:
        return fault(Told(evidence.uplink["text"]), Told(evidence.uplink["advice"]), "no-wan-interface")
    if not evidence.links:
        return fault(
            said("there is no interface {links}", links=wanted),
            said(
                "The modem's network interface has not appeared: if the modem itself is fine, check wan.interfaces "
                "against 'ip link' and the module's USB mode."
            ),
            "no-wan-interface",
        )
    up = [link for link in evidence.links if link.up]
    if not up:
        return fault(
            said("{link} is down", link=evidence.links[0].ifname),
            said("Bring the mobile connection up (NetworkManager, netifd or 'ip link set ... up'); see its own log."),
            "wan-down",
        )
    addressed = [link for link in up if link.addresses]
    if not addressed:
        return fault(
            said("{link} is up but has no address", link=up[0].ifname),
            said(
                "The connection was not made or its DHCP got no answer: check APN and data on the SIM, then "
                "'modem-agent reset attach'."
            ),
            "apn",
        )
    carried = [link for link in addressed if link.carrier or evidence.online]  # what passes packets has a carrier
    if not carried:
        return unknown(
            said(
                "{link} still has its address {address}, but no carrier",
                link=addressed[0].ifname,
                address=addressed[0].addresses[0],
            )
        )
    return ok("; ".join(f"{link.ifname} {', '.join(link.addresses)}" for link in carried))


def check_route(evidence: Evidence) -> Finding:
    if evidence.routes is None:
        return unknown(said("the routes could not be read"))
    if evidence.uplink:
        cause = "lan-bridge" if evidence.uplink["reason"] == "lan-bridge" else "other-route"
        return warning(Told(evidence.uplink["text"]), Told(evidence.uplink["advice"]), cause)
    if evidence.links is not None and not any(link.addresses for link in evidence.links):
        return unknown(said("not asked: the WAN has no address"))
    wan = {link.ifname for link in evidence.links or ()}
    over_wan = [route for route in evidence.routes if route.ifname in wan]
    dead = {link.ifname for link in evidence.links or () if not (link.up and link.addresses and link.carrier)}
    if over_wan and not evidence.online and all(route.ifname in dead for route in over_wan):
        return unknown(
            said(
                "a default route by {link} still stands, which leads nowhere without its link",
                link=over_wan[0].ifname,
            )
        )
    if over_wan:
        link, gateway = over_wan[0].ifname, over_wan[0].gateway
        return ok(
            said("default by {gateway} on {link}", gateway=gateway, link=link)
            if gateway
            else said("default by {link}", link=link)
        )
    if evidence.routes and evidence.uplink is not None:
        return ok(said("default by {link}, carried by a link that counts", link=evidence.routes[0].ifname))
    if evidence.routes:
        return warning(
            said("the default route leaves by {link}, not by the mobile line", link=evidence.routes[0].ifname),
            said("This device goes online another way (a cable?); the household's traffic may not be counted."),
            "other-route",
        )
    return fault(
        said("there is no default route"),
        said(
            "The connection gave an address and no gateway: restart the mobile connection; see the log of "
            "NetworkManager or netifd."
        ),
        "no-route",
    )


def check_name_server(evidence: Evidence) -> Finding:
    if evidence.resolvers is None or _no_way_out(evidence):
        return unknown(said("not asked: there is no way out"))
    if not evidence.resolvers:
        return fault(
            said("no name server is configured"),
            said("Put one into /etc/resolv.conf, or restart the mobile connection so that it hands its own on."),
            "name-server",
        )
    answering = [server for server in evidence.resolvers if server.ok]
    if answering and not evidence.online and all(_own(server) for server in answering):
        return unknown(
            said(
                "{server} is this device's own and answers from memory; nothing else answers", server=answering[0].name
            )
        )
    if answering:
        answer = said("{server} answers in {ms:.0f} ms", server=answering[0].name, ms=answering[0].ms)
        silent = len(evidence.resolvers) - len(answering)
        if not silent:
            return ok(answer)
        return ok(counted("{answer}; {count} other does not", "{answer}; {count} others do not", silent, answer=answer))
    names = ", ".join(server.name for server in evidence.resolvers)
    if not evidence.online:  # the line is dead altogether: the name server is not what broke it
        return unknown(said("{names}: no answer, like everything else", names=names))
    return fault(
        said("no name server answers ({names})", names=names),
        said(
            "Hosts can be reached by number and not by name: put a working name server into /etc/resolv.conf or the "
            "router's DNS settings."
        ),
        "name-server",
    )


def check_internet(evidence: Evidence) -> Finding:
    if evidence.hosts is None or _no_way_out(evidence):
        return unknown(said("not asked: there is no way out"))
    if not evidence.hosts:
        return unknown(said("no hosts to ask are configured"))
    answered = [host for host in evidence.hosts if host.answered]
    if len(answered) == len(evidence.hosts):
        return ok(", ".join(f"{host.name} {host.ms:.0f} ms" for host in answered))
    if answered:
        lost = ", ".join(host.name for host in evidence.hosts if not host.answered)
        return warning(
            said("{host} answers, {lost} does not", host=answered[0].name, lost=lost),
            said("One of the hosts is away, most likely by its own fault. Ask again later."),
            "one-host",
        )
    silent = ", ".join(host.name for host in evidence.hosts)
    if _slow(evidence) and any(server.ok for server in evidence.resolvers or ()):
        return warning(
            said("{hosts}: no answer in time, but the line works and is slowed on purpose", hosts=silent),
            said("Somebody uses all that the slow line carries. Nothing is broken; ask again when it is quieter."),
            "throttled",
            rank=-1,
        )
    return fault(
        said("nothing on the internet answers ({hosts})", hosts=silent),
        said(
            "The modem is registered and has an address, and nothing comes back: an outage of the operator, or data is "
            "barred for this SIM. Ask support. The agent connects anew by itself once this has lasted for five minutes."
        ),
        "operator-outage",
    )


RENEW_DAYS = 30  # a device that is switched off for a holiday still has a week left when it comes back


def check_broker(evidence: Evidence) -> Finding:
    """A session that stands is no proof: TCP notices a dead line after a quarter of an hour."""
    session, broker = evidence.of_status("session"), evidence.broker
    connected = bool(session.get("connected"))
    if broker is None and not connected:
        return warning(
            said("no broker is configured: the operator sees nothing of this device"),
            said("Set operator.url and its credentials."),
            "no-broker",
        )
    if broker is not None and broker.answered:
        return _connected(evidence) if connected else _not_connected(evidence, broker)
    if evidence.hosts is not None and not evidence.online:
        return unknown(
            said("not asked: nothing can be reached (the last session has not been closed yet)")
            if connected
            else said("not asked: nothing can be reached")
        )
    if broker is None:
        return _connected(evidence)
    return _unreachable(broker, stale=connected)


def _connected(evidence: Evidence) -> Finding:
    broker, days = evidence.of_status("session").get("broker"), evidence.certificate_days
    if days is None:
        return ok(said("connected to {broker}", broker=broker))
    words = counted(
        "connected to {broker}; this device's certificate ends in {count} day",
        "connected to {broker}; this device's certificate ends in {count} days",
        max(0, days),
        broker=broker,
    )
    if days >= RENEW_DAYS:
        return ok(words)
    return warning(
        words,
        said("Tell support: the operator renews it from afar (device.certificate). Later it can only be done here."),
        "certificate",
    )


def _not_connected(evidence: Evidence, broker: Reach) -> Finding:
    return _session_refused(evidence, broker) if broker.ok else _unreachable(broker, stale=False)


def _unreachable(broker: Reach, *, stale: bool) -> Finding:
    values = {"broker": broker.name, "problem": Told(broker.problem)}
    return fault(
        said("the broker {broker} cannot be reached: {problem} (the last session has not been closed yet)", **values)
        if stale
        else said("the broker {broker} cannot be reached: {problem}", **values),
        said(
            "The line works, the operator's broker does not: check operator.url; otherwise tell support. Counting and "
            "slowing go on meanwhile."
        ),
        "broker",
    )


def _session_refused(evidence: Evidence, broker: Reach) -> Finding:
    if evidence.status is None:
        return ok(said("{broker} takes connections", broker=broker.name))
    error = evidence.of_status("session").get("last_error")
    why = Told(error) if error else said("no session yet")
    return fault(
        said("{broker} takes connections, but the agent has no session: {why}", broker=broker.name, why=why),
        said(
            "Check credentials and certificates of section [operator], and the device's clock, by which certificates "
            "are judged."
        ),
        "broker",
    )


def check_speed(evidence: Evidence) -> Finding:
    """Slowed on purpose ranks before every other warning: it is what the household feels, and nothing is broken."""
    plan = evidence.of_status("plan")
    state = plan.get("state")
    if state is None:
        return unknown(said("the agent does not say"))
    reason = Told(plan.get("reason") or state)
    if _slow(evidence):
        return warning(
            said("the line is slowed on purpose: {reason}", reason=reason),
            said("Nothing is broken. It becomes fast again with the new period or a top-up ('modem-agent usage')."),
            "throttled",
            rank=-1,
        )
    if state == "suspended":
        return warning(
            said("the plan is suspended: {reason}", reason=reason), said("Ask support."), "suspended", rank=-1
        )
    if state == "lifted":
        return ok(said("full speed, lifted by hand: {reason}", reason=reason))
    return ok(said("full speed: {reason}", reason=reason))


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
