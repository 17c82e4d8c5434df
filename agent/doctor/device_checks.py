"""The doctor's checks of the device itself: configuration, agent, clock, counters, shaper, disk. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from agent import __version__
from agent.doctor.evidence import Evidence
from agent.doctor.finding import Finding, fault, ok, unknown, warning
from agent.sentence import Sentence, Told, listed, said

LEAST_FREE_BYTES = 1_000_000  # a commit of the ledger and its journal fit into a tenth of this
LOW_FREE_BYTES = 5_000_000
FIRST_YEAR = 2026  # no device with this agent ran before it


def check_config(evidence: Evidence) -> Finding:
    if evidence.config_problem:
        advice = said(
            "Correct {file}; 'modem-agent config check' says when it is right. {result}",
            file=evidence.system.configuration,
            result=said("The agent does not start with it.")
            if evidence.agent_dead
            else said("Until then the last good one is used."),
        )
        return fault(Told(evidence.config_problem), advice, "configuration")
    if evidence.config_denied:
        return unknown(Told(evidence.config_denied))
    if evidence.config_refused:
        return warning(
            said("the last good configuration is in force; refused: {problem}", problem=Told(evidence.config_refused)),
            said(
                "Correct {file}, then '{restart}'.",
                file=evidence.system.configuration,
                restart=evidence.system.restart,
            ),
            "configuration",
        )
    if evidence.config_warnings:
        return warning(
            listed(map(Told, evidence.config_warnings)),
            said("Correct it, then restart the agent."),
            "configuration",
        )
    return ok(evidence.config_file)


def check_agent(evidence: Evidence) -> Finding:
    if evidence.agent_refused:
        return warning(
            Told(evidence.agent_problem),
            said(
                "Ask again with sudo: without the agent's answer the module, the plan and the shaper cannot be judged."
            ),
            "not-permitted",
        )
    if evidence.agent_problem and not evidence.agent_dead:
        return fault(
            said("it runs and does not answer: {problem}", problem=Told(evidence.agent_problem)),
            said("Restart it: '{restart}'; then send a bundle to support.", restart=evidence.system.restart),
            "agent-hung",
        )
    if evidence.agent_problem:
        return fault(
            Told(evidence.agent_problem),
            said(
                "Start it: '{start}'; if it ends at once, '{log}' says why.",
                start=evidence.system.start,
                log=evidence.system.log,
            ),
            "agent-dead",
        )
    faults = evidence.of_status("faults")
    failing = [name.removeprefix("task.") for name in faults if str(name).startswith("task.")]
    if failing:
        return warning(
            said("runs, but these parts of it failed and were started again: {parts}", parts=", ".join(failing)),
            said("Send a bundle to support: 'modem-agent bundle'."),
            "agent-fault",
        )
    version = evidence.status.get("version") if evidence.status else None
    update = evidence.of_status("update")
    if update.get("result") in ("refused", "restored") and update.get("previous") == version:
        return warning(
            _update_failed(str(update["result"]), update.get("version"), str(update.get("reason"))),
            said("Nothing to do here: {version} works. The operator knows.", version=update.get("previous")),
            "update-failed",
        )
    if version not in (None, __version__):
        return warning(
            said("version {running} runs, version {installed} is installed", running=version, installed=__version__),
            said("Restart it to finish the upgrade: '{restart}'.", restart=evidence.system.restart),
            "agent-version",
        )
    return ok(said("runs, version {version}", version=version))


def _update_failed(result: str, version: object, reason: str) -> Sentence:
    if result == "refused":
        return said("runs; the update to {version} was refused: {reason}", version=version, reason=Told(reason))
    return said("runs; the update to {version} was taken back: {reason}", version=version, reason=Told(reason))


def check_clock(evidence: Evidence) -> Finding:
    if evidence.wall_year is not None and evidence.wall_year < FIRST_YEAR:
        return warning(
            said("the clock says {year}", year=evidence.wall_year),
            said(
                "It sets itself once the line works (NTP or the mobile network). Until then no month begins or ends, "
                "and certificates may be refused."
            ),
            "clock",
        )
    if evidence.clock in ("stored", "unsync"):
        return warning(
            said("the time was not confirmed by NTP or the mobile network"),
            said(
                "It is confirmed once the line works; check that UDP port 123 is open. Until then no month begins or "
                "ends."
            ),
            "clock",
        )
    if evidence.clock is None:
        return unknown(said("the agent does not say how far the clock can be trusted"))
    return ok(said("confirmed by NTP") if evidence.clock == "sync" else said("confirmed by the mobile network"))


def _not_asked(evidence: Evidence) -> Sentence:
    if evidence.agent_refused:
        return said("not asked: this user may not ask")
    return said("not asked: the agent does not run")


def check_counters(evidence: Evidence) -> Finding:
    if evidence.status is None:
        return unknown(_not_asked(evidence))
    counted = {str(link.get("ifname")) for link in evidence.status.get("links") or ()}
    there = {link.ifname for link in evidence.links or ()}
    missed = sorted(there - counted)
    if missed:
        return fault(
            said("{links} is there and not counted", links=", ".join(missed)),
            said(
                "Restart the agent ('{restart}'); if it stays so, send a bundle to support.",
                restart=evidence.system.restart,
            ),
            "counters",
        )
    if not counted:
        return unknown(said("there is no WAN interface to count"))
    if evidence.of_status("usage").get("charged_bytes") is None:
        return fault(
            said("nothing is counted yet"),
            said("Restart the agent; if it stays so, send a bundle."),
            "counters",
        )
    return ok(said("counting {links}", links=", ".join(sorted(counted))))


def check_shaper(evidence: Evidence) -> Finding:
    shaper = evidence.of_status("shaper")
    state = shaper.get("state")
    if state is None:
        return unknown(_not_asked(evidence) if evidence.status is None else said("nothing to slow yet"))
    if state in ("unenforced", "foreign"):
        return fault(
            said("the plan's speed cannot be set: {reason}", reason=Told(shaper.get("reason") or state)),
            _shaper_advice(shaper, said("Install the kernel modules ifb and sch_cake or sch_tbf; see the log.")),
            "shaper",
        )
    if state != "off":
        return ok(said("limits the speed, with {qdisc}", qdisc=shaper.get("qdisc")))
    if shaper.get("reason"):
        return warning(
            said("no limit is wanted now, and none could be set: {reason}", reason=Told(shaper["reason"])),
            _shaper_advice(shaper, said("See the log.")),
            "shaper",
        )
    if shaper.get("qdisc"):
        return ok(said("no limit wanted; {qdisc} is there for it", qdisc=shaper["qdisc"]))
    return ok(said("no limit wanted"))


def _shaper_advice(shaper: Mapping[str, object], otherwise: Sentence) -> str:
    return Told(shaper["advice"]) if shaper.get("advice") else otherwise


def check_announced(evidence: Evidence) -> Finding:
    """Whether the household's devices hear that the line is metered. Where nothing could carry it, nothing is wrong."""
    signals = evidence.announced
    if not signals:
        return unknown(_not_asked(evidence) if evidence.status is None else said("the agent does not say"))
    wifi, cable = signals["wifi"], signals["cable"]
    states = {name: Told(signal["state"]) for name, signal in (("wifi", wifi), ("cable", cable))}
    reasons = listed(Told(signal["reason"]) for signal in (wifi, cable) if signal["reason"])
    text = (
        said("announced to the devices: Wi-Fi {wifi}, cable {cable} ({reasons})", **states, reasons=reasons)
        if reasons
        else said("announced to the devices: Wi-Fi {wifi}, cable {cable}", **states)
    )
    if "no" in (wifi["state"], cable["state"]):
        advice = said(
            "Put that right, or set household.metered to off: until then devices fetch updates as on any line."
        )
        return warning(text, advice, "announced")
    return ok(text)


def check_disk(evidence: Evidence) -> Finding:
    disk = evidence.disk
    if evidence.store_problem:
        return fault(
            said("the database cannot be used: {problem}", problem=Told(evidence.store_problem)),
            said("Look at the disk ('df', 'dmesg'); a damaged database is set aside by the agent when it starts."),
            "disk",
        )
    if disk is None or disk.problem:
        return unknown(disk.problem if disk else said("not looked at"))
    if disk.read_only:
        return fault(
            said("{path} is read-only: usage is not kept over a power cut", path=disk.path),
            said(
                "The file system was mounted read-only, most often after an error: see 'dmesg', check it, mount it "
                "again."
            ),
            "disk",
        )
    free = disk.free_bytes or 0
    if free < LEAST_FREE_BYTES:
        advice = said("Free some space: old logs and bundles first.")
        return fault(said("{path} is full", path=disk.path), advice, "disk")
    if free < LOW_FREE_BYTES:
        left = said("{path} has {free:.1f} MB left", path=disk.path, free=free / 1e6)
        return warning(left, said("Free some space."), "disk")
    return ok(said("{free:.0f} MB free", free=free / 1e6))


def check_page(evidence: Evidence) -> Finding:
    """Whether the household finds its page. Nothing of the line hangs on it."""
    if evidence.page is None:
        return ok(said("the household's page is switched off, or was not looked at"))
    if evidence.page:
        return warning(
            said("the household does not find its page, or not all of it: {problem}", problem=Told(evidence.page)),
            said(
                "Debian: 'systemctl status modem-agent-page' says why; OpenWrt: the start page in 'uci show "
                "uhttpd.main' must be internet.household. A device that is no router needs none: set household.page "
                "to false."
            ),
            "page",
            rank=1,
        )
    return ok(said("the household's page is shown at http://internet.box/"))
