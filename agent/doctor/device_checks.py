"""The doctor's checks of the device itself: configuration, agent, clock, counters, shaper, disk. Pure."""

from __future__ import annotations

from agent import __version__
from agent.doctor.evidence import Evidence
from agent.doctor.finding import Finding, fault, ok, unknown, warning

LEAST_FREE_BYTES = 1_000_000  # a commit of the ledger and its journal fit into a tenth of this
LOW_FREE_BYTES = 5_000_000
FIRST_YEAR = 2026  # no device with this agent ran before it


def check_config(evidence: Evidence) -> Finding:
    if evidence.config_problem:
        result = "The agent does not start with it." if evidence.agent_dead else "Until then the last good one is used."
        return fault(
            evidence.config_problem,
            f"Mend {evidence.system.configuration}; 'modem-agent config check' tells when it is right. {result}",
            "configuration",
        )
    if evidence.config_denied:
        return unknown(evidence.config_denied)
    if evidence.config_refused:
        return warning(
            f"the last good configuration is in force; refused: {evidence.config_refused}",
            f"Mend {evidence.system.configuration}, then '{evidence.system.restart}'.",
            "configuration",
        )
    if evidence.config_warnings:
        return warning("; ".join(evidence.config_warnings), "Mend it, then restart the agent.", "configuration")
    return ok(evidence.config_file)


def check_agent(evidence: Evidence) -> Finding:
    if evidence.agent_refused:
        return warning(
            evidence.agent_problem,
            "Ask again with sudo: without the agent's word the module, the plan and the shaper cannot be judged.",
            "not-permitted",
        )
    if evidence.agent_problem and not evidence.agent_dead:
        return fault(
            f"it runs and does not answer: {evidence.agent_problem}",
            f"Restart it: '{evidence.system.restart}'; then send a bundle to support.",
            "agent-hung",
        )
    if evidence.agent_problem:
        return fault(
            evidence.agent_problem,
            f"Start it: '{evidence.system.start}'; if it ends at once, '{evidence.system.log}' says why.",
            "agent-dead",
        )
    faults = evidence.of_status("faults")
    failing = [name.removeprefix("task.") for name in faults if str(name).startswith("task.")]
    if failing:
        return warning(
            f"runs, but these parts of it have failed and were started again: {', '.join(failing)}",
            "Send a bundle to support: 'modem-agent bundle'.",
            "agent-fault",
        )
    version = evidence.status.get("version") if evidence.status else None
    update = evidence.of_status("update")
    if update.get("result") in ("refused", "restored") and update.get("previous") == version:
        return warning(
            f"runs; the update to {update.get('version')} was {update['result']}: {update.get('reason')}",
            f"Nothing to do here: {update.get('previous')} serves the line. The operator has been told.",
            "update-failed",
        )
    if version not in (None, __version__):
        return warning(
            f"the agent that runs is {version}, what is installed is {__version__}",
            f"Restart it to finish the upgrade: '{evidence.system.restart}'.",
            "agent-version",
        )
    return ok(f"runs, version {version}")


def check_clock(evidence: Evidence) -> Finding:
    if evidence.wall_year is not None and evidence.wall_year < FIRST_YEAR:
        return warning(
            f"the clock says {evidence.wall_year}",
            "It sets itself once the line works (NTP or the mobile network). Until then no month begins or ends, and "
            "certificates may be refused.",
            "clock",
        )
    if evidence.clock in ("stored", "unsync"):
        return warning(
            "the time was not confirmed by NTP or the mobile network",
            "It is confirmed once the line works; check that UDP port 123 is open. Until then no month begins or ends.",
            "clock",
        )
    if evidence.clock is None:
        return unknown("the agent does not say how far the clock can be trusted")
    return ok("confirmed by NTP" if evidence.clock == "sync" else "confirmed by the mobile network")


def _not_asked(evidence: Evidence) -> str:
    return f"not asked: {'this user may not ask' if evidence.agent_refused else 'the agent does not run'}"


def check_counters(evidence: Evidence) -> Finding:
    if evidence.status is None:
        return unknown(_not_asked(evidence))
    counted = {str(link.get("ifname")) for link in evidence.status.get("links") or ()}
    there = {link.ifname for link in evidence.links or ()}
    missed = sorted(there - counted)
    if missed:
        return fault(
            f"{', '.join(missed)} is there and not counted",
            f"Restart the agent ('{evidence.system.restart}'); if it stays so, send a bundle to support.",
            "counters",
        )
    if not counted:
        return unknown("there is no WAN interface to count")
    if evidence.of_status("usage").get("charged_bytes") is None:
        return fault("nothing is counted yet", "Restart the agent; if it stays so, send a bundle.", "counters")
    return ok(f"counting {', '.join(sorted(counted))}")


def check_shaper(evidence: Evidence) -> Finding:
    shaper = evidence.of_status("shaper")
    state = shaper.get("state")
    if state is None:
        return unknown(_not_asked(evidence) if evidence.status is None else "nothing to shape yet")
    if state in ("unenforced", "foreign"):
        return fault(
            f"the speed that the plan wants is not enforced: {shaper.get('reason') or state}",
            str(shaper.get("advice") or "Install the kernel modules ifb and sch_cake or sch_tbf; see the log."),
            "shaper",
        )
    if state != "off":
        return ok(f"enforced by {shaper.get('qdisc')}")
    if shaper.get("reason"):
        said = f"no limit is wanted now, and none could be enforced: {shaper['reason']}"
        return warning(said, str(shaper.get("advice") or "See the log."), "shaper")
    return ok("no limit wanted" + (f"; {shaper['qdisc']} is there for it" if shaper.get("qdisc") else ""))


def check_announced(evidence: Evidence) -> Finding:
    """Whether the household's devices hear that the line is metered. Where nothing could carry it, nothing is wrong."""
    signals = evidence.announced
    if not signals:
        return unknown(_not_asked(evidence) if evidence.status is None else "the agent does not say")
    wifi, cable = signals["wifi"], signals["cable"]
    text = f"announced to the devices: Wi-Fi {wifi['state']}, cable {cable['state']}"
    reasons = "; ".join(signal["reason"] for signal in (wifi, cable) if signal["reason"])
    text = f"{text} ({reasons})" if reasons else text
    if "no" in (wifi["state"], cable["state"]):
        advice = "Put that right, or set household.metered to off: until then devices fetch updates as on any line."
        return warning(text, advice, "announced")
    return ok(text)


def check_disk(evidence: Evidence) -> Finding:
    disk = evidence.disk
    if evidence.store_problem:
        return fault(
            f"the database cannot be used: {evidence.store_problem}",
            "Look at the disk ('df', 'dmesg'); a damaged database is set aside by the agent when it starts.",
            "disk",
        )
    if disk is None or disk.problem:
        return unknown(disk.problem if disk else "nobody looked")
    if disk.read_only:
        return fault(
            f"{disk.path} is read-only: usage is not kept over a power cut",
            "The file system was mounted read-only, most often after an error: see 'dmesg', check it, mount it again.",
            "disk",
        )
    free = disk.free_bytes or 0
    if free < LEAST_FREE_BYTES:
        return fault(f"{disk.path} is full", "Free some space: old logs and bundles first.", "disk")
    if free < LOW_FREE_BYTES:
        return warning(f"{disk.path} has {free / 1e6:.1f} MB left", "Free some space.", "disk")
    return ok(f"{free / 1e6:.0f} MB free")


def check_page(evidence: Evidence) -> Finding:
    """Whether the household finds its page. Nothing of the line hangs on it."""
    if evidence.page is None:
        return ok("the household's page is switched off, or nobody looked")
    if evidence.page:
        return warning(
            f"the household does not find its page, or not all of it: {evidence.page}",
            "Debian: 'systemctl status modem-agent-page' says why; OpenWrt: the start page in 'uci show uhttpd.main' "
            "must be internet.household. A device that is no router needs none: set household.page to false.",
            "page",
            rank=1,
        )
    return ok("the household's page is shown at http://internet.box/")
