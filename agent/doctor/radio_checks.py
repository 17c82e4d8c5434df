"""The doctor's checks from the serial port to mobile data: what the module and the network say. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from agent import quality
from agent.at.standard.registration import PERMANENT_CAUSES, REGISTERED
from agent.doctor.evidence import Evidence
from agent.doctor.finding import Finding, fault, ok, unknown, warning
from agent.errors import PortDenied
from agent.sentence import Sentence, Told, counted, listed, said

_NO_MODEM = said("not asked: there is no modem to ask")

# +CPIN states (27.007, 8.3). PIN2 and PUK2 guard phone-book features: data works.
_SIM_USABLE = frozenset({"READY", "SIM PIN2", "SIM PUK2"})
_HOME = frozenset({1, 6, 9})


def check_port(evidence: Evidence) -> Finding:
    modem = evidence.modem
    if modem is None:
        return unknown(said("the modem's serial port was not looked for"))
    reason = str(modem.get("reason") or "")
    if modem.get("state") == "busy":
        return _taken(evidence, reason)
    if modem.get("state") == "absent":
        return _absent(evidence, modem, reason)
    port = str(evidence.reading.get("port") or said("the port is there and ours"))
    if port.startswith("mmcli:"):
        return ok(
            said(
                "ModemManager has it: the module is read through mmcli ({path}), and resets are asked of it",
                path=port[6:],
            )
        )
    *before, chosen = [str(line) for line in modem.get("tried") or ("",)]
    if "not listed" in chosen:  # by nothing but its answer: what support needs to list the product
        port = chosen
    if not before:
        return ok(Told(port))
    return ok(said("{port}; tried before it: {others}", port=Told(port), others=listed(map(Told, before))))


def _taken(evidence: Evidence, reason: str) -> Finding:
    if PortDenied.WORDS in reason:
        return warning(
            Told(reason),
            said(
                "Ask again with sudo. If the agent itself says so, its user must be in the group of the port (dialout)."
            ),
            "not-permitted",
        )
    return fault(
        said("the modem's port is held by another process: {reason}", reason=Told(reason))
        if reason
        else said("another process uses the modem's port"),
        said(
            "Stop the other program (ModemManager: '{stop}'); the agent takes the port by itself once it is free.",
            stop=evidence.system.stop_modemmanager,
        ),
        "port-stolen",
    )


def _absent(evidence: Evidence, modem: Mapping[str, object], reason: str) -> Finding:
    found = Told(reason) if reason else said("none was found")
    if evidence.online_by_wan:
        return warning(
            said("the line works, but no port speaks AT: {reason}", reason=found),
            said(
                "The agent counts and slows; it cannot read the signal. Check modem.port, and that the kernel has the "
                "module's serial driver (option, qcserial, cdc_acm)."
            ),
            "usb-gone",
        )
    if modem.get("tried"):
        return fault(
            found,
            said(
                "See 'modem-agent modem --ports' for what each port is; name the right one as modem.port, and send a "
                "bundle to support, so that the module is listed."
            ),
            "usb-gone",
        )
    return fault(
        said("no modem on any port: {reason}", reason=found),
        said(
            "Check that the module is seated and its USB cable plugged in, and that it gets power (5 V, 2 A); then "
            "'modem-agent reset power', or take the power away for ten seconds."
        ),
        "usb-gone",
    )


def check_modem(evidence: Evidence) -> Finding:
    modem = evidence.modem
    if modem is None or modem.get("state") in ("absent", "busy"):
        return unknown(_NO_MODEM)
    if modem.get("state") == "hung":
        return fault(
            said("the modem does not answer: {reason}", reason=Told(modem.get("reason") or "no reply to AT")),
            said(
                "The agent resets it step by step; to hurry it: 'modem-agent reset module', then 'modem-agent reset "
                "power'. If it stays dead after power was cut, the module is broken: replace it."
            ),
            "modem-hung",
        )
    if reason := str(modem.get("reason") or ""):
        return warning(
            said("{reason}; what follows was read before", reason=Told(reason)),
            said("Wait: the modem answers again by itself, after three minutes at the most."),
            "modem-occupied",
        )
    identity = evidence.part("identity")
    name = " ".join(str(identity[k]) for k in ("manufacturer", "model", "revision") if identity.get(k))
    warm = evidence.reading.get("temperature_c")
    if isinstance(warm, (int, float)) and warm >= 80:
        return warning(
            said("{modem} answers, but it is {warm:g} C warm", modem=name or said("the modem"), warm=warm),
            said("Give it air and shade; at about 90 C it slows down or leaves the network."),
            "modem-hot",
        )
    return ok(name or said("answers"))


def check_sim(evidence: Evidence) -> Finding:
    sim = evidence.part("sim")
    state = sim.get("state")
    if state is None:
        return unknown(_NO_MODEM if not evidence.reading else said("the modem did not say how its SIM is"))
    if state in _SIM_USABLE:
        return _card(evidence)
    if state in ("SIM PIN", "SIM PUK"):
        attempts = sim.get("pin_attempts" if state == "SIM PIN" else "puk_attempts")
        return _locked(str(state), attempts, str((evidence.modem or {}).get("pin") or ""))
    if str(state).startswith("PH-"):
        return fault(
            said("the module is locked to another SIM or network ({state})", state=state),
            said("The module itself is locked: it needs its unlock code or must be replaced. The SIM is not at fault."),
            "sim-locked",
        )
    if state == "not-inserted":
        return fault(
            said("there is no SIM in the modem, or it has no contact"),
            said(
                "Take the SIM out, wipe it, push it in until it clicks (contacts down); if it stays missing, try "
                "another."
            ),
            "sim-missing",
        )
    if state == "busy":
        return warning(said("the SIM is still starting"), said("Wait half a minute and ask again."), "sim-missing")
    return fault(
        said("the SIM cannot be used ({state})", state=state),
        said("Try the SIM in a telephone; if it fails there too, have it replaced."),
        "sim-missing",
    )


def _card(evidence: Evidence) -> Finding:
    """A card that works: is it the contract's, and the one that was there before?"""
    history = (evidence.modem or {}).get("sim") or {}
    now, before = history.get("now"), history.get("before")
    swapped = said("{now} in place of {before}", now=now, before=before) if before else None
    if history.get("foreign"):
        return warning(
            said(
                "ready, but not the contract's SIM ({card}): its bytes are counted apart, and nothing is cut",
                card=swapped or now,
            ),
            said("Put the contract's SIM back; where this one is meant, name it in plan.sim."),
            "foreign-sim",
        )
    if swapped:
        return ok(said("ready; {swapped}, since {since}", swapped=swapped, since=history.get("since")))
    return ok(said("ready"))


def _locked(state: str, attempts: object, refusal: str) -> Finding:
    left = counted("{count} attempt left", "{count} attempts left", attempts) if isinstance(attempts, int) else None
    if state == "SIM PUK":
        return fault(
            said("the SIM is blocked and wants its PUK, {left}", left=left)
            if left
            else said("the SIM is blocked and wants its PUK"),
            said("Ask support for the PUK and enter it with a telephone; ten wrong PUKs destroy the SIM."),
            "sim-locked",
        )
    wants = said("the SIM wants its PIN, {left}", left=left) if left else said("the SIM wants its PIN")
    if refusal:
        return fault(
            said("{wants}; the agent does not enter it: {refusal}", wants=wants, refusal=Told(refusal)),
            said(
                "Give the right one with 'modem-agent pin', or switch the PIN off with a telephone. Where one attempt "
                "is left, enter it with a telephone: a wrong one blocks the SIM, and only the operator has its PUK."
            ),
            "sim-locked",
        )
    return fault(
        wants,
        said(
            "Give it with 'modem-agent pin', or switch the PIN off with a telephone. The agent enters a PIN once and "
            "never uses up the last attempt."
        ),
        "sim-locked",
    )


def check_registration(evidence: Evidence) -> Finding:
    registration = evidence.part("registration")
    stat = registration.get("stat")
    if stat is None:
        return unknown(_NO_MODEM if not evidence.reading else said("the modem did not say whether it is registered"))
    if not _sim_usable(evidence):
        return unknown(said("a module without a usable SIM cannot register"))
    operator = evidence.part("operator")
    name = operator.get("name") or operator.get("plmn") or said("the network")
    if stat in REGISTERED:
        if stat in _HOME:
            technology = evidence.reading.get("access_technology") or said("technology unknown")
            return ok(said("home network {operator}, {technology}", operator=name, technology=technology))
        return warning(
            said("roaming on {operator}: this is not the operator of the SIM", operator=name),
            said("Near the border, turn the antenna towards home; otherwise ask support whether roaming is meant."),
            "roaming",
        )
    if stat == 3 or registration.get("reject_cause") in PERMANENT_CAUSES:
        return _denied(registration.get("reject_cause"), name)
    if stat == 8:
        return fault(
            said("the network allows emergency calls only"),
            said("Ask support whether the SIM is active and allowed here; a reset does not help."),
            "registration-denied",
        )
    if evidence.online_by_wan:
        return ok(said("the module says '{state}', yet data flows", state=Told(registration.get("name") or stat)))
    return _searching(evidence)


def _denied(cause: object, name: object) -> Finding:
    permanent = cause is None or cause in PERMANENT_CAUSES
    return fault(
        said("{operator} refuses this SIM", operator=name)
        if cause is None
        else said("{operator} refuses this SIM (reject cause {cause})", operator=name, cause=cause),
        said("Ask support whether the SIM is active, paid for and allowed on this network; a reset does not help.")
        if permanent
        else said("The network is busy or at fault: wait ten minutes and ask again; a reset does not help."),
        "registration-denied",
    )


def _searching(evidence: Evidence) -> Finding:
    heard = quality.overall(evidence.signal)
    if heard is None or heard == "bad":
        return fault(
            said("no network is received") if heard is None else said("the network is too weak to register"),
            said(
                "Check that the antennas are screwed on, then move or turn them with 'modem-agent signal --watch'. A "
                "reset does not bring coverage."
            ),
            "no-coverage",
        )
    return fault(
        said("not registered, though a network is received ({quality})", quality=Told(heard)),
        said(
            "Give it two minutes. Then check with support that the SIM is active and that no band or operator is "
            "locked out; 'modem-agent reset radio' makes it search anew."
        ),
        "not-registered",
    )


def check_signal(evidence: Evidence) -> Finding:
    values = evidence.signal
    heard = quality.overall(values)
    if heard is None:
        return unknown(_NO_MODEM if not evidence.reading else said("the modem reports no signal"))
    shown = listed(
        (
            said("{name} {value:g} {unit}", name=name.split("_")[0].upper(), value=value, unit=quality.SCALES[name][0])
            for name, value in quality.levels(values).items()
            if value is not None
        ),
        ", ",
    )
    text = said("{quality}: {values}", quality=Told(heard), values=shown)
    if heard not in ("bad", "weak"):
        return ok(text)
    return warning(
        text,
        said(
            "Aim the antenna with 'modem-agent signal --watch': a window towards the mast, high up, away from metal. "
            "{effect}",
            effect=said("The line is slow and breaks off.")
            if heard == "bad"
            else said("The line is slower than it could be."),
        ),
        "weak-signal",
    )


def check_attach(evidence: Evidence) -> Finding:
    if not _sim_usable(evidence) or evidence.part("registration").get("stat") not in REGISTERED:
        return unknown(said("not asked: the module is not registered"))
    if evidence.reading.get("attached") is False:
        return fault(
            said("registered, but the network gives no mobile data"),
            said("Check with support that the SIM has data; then 'modem-agent reset attach'."),
            "apn",
        )
    contexts = evidence.reading.get("contexts")
    if not contexts:
        return unknown(said("the modem reports no data connections"))
    active = [c for c in contexts if c.get("active") or c.get("address")]
    if active:
        apn = active[0].get("apn")
        connected = said("connected, APN {apn}", apn=apn) if apn else said("connected, APN chosen by the network")
        return _conflict(evidence) or ok(connected)
    defined = listed((c.get("apn") or said("(empty)") for c in contexts), ", ")
    return fault(
        said("no data connection is active; APN in the module: {apns}", apns=defined),
        _apn_advice(evidence),
        "apn",
    )


def _conflict(evidence: Evidence) -> Finding | None:
    """Two places that name different access points: the one that dials counts."""
    for dialler in evidence.diallers:
        if evidence.apn and dialler.apn != evidence.apn:
            change = " && ".join(" ".join(command) for command in dialler.commands(evidence.apn))
            return warning(
                said(
                    "modem.apn is {apn}, but {owner} dials ({connection}) with APN {other}, which counts",
                    apn=evidence.apn,
                    owner=dialler.owner,
                    connection=dialler.name,
                    other=dialler.apn or said("(none)"),
                ),
                said(
                    "If {apn} is right: '{change}', then '{again}'; else change modem.apn.",
                    apn=evidence.apn,
                    change=change,
                    again=dialler.again,
                ),
                "apn",
            )
    return None


def _apn_advice(evidence: Evidence) -> Sentence:
    places = [
        said("{owner}'s APN ({connection}: {apn})", owner=d.owner, connection=d.name, apn=d.apn or said("(none)"))
        for d in evidence.diallers
    ]
    return said(
        "Check {places} against the operator's APN ('modem-agent setup' changes it), and with support that the SIM has "
        "data; then 'modem-agent reset attach'.",
        places=listed(places, ", ") if places else "modem.apn",
    )


def _sim_usable(evidence: Evidence) -> bool:
    state = evidence.part("sim").get("state")
    return state is None or state in _SIM_USABLE
