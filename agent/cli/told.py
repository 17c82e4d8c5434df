"""What the daemon says in English and a screen shows, known by the form of its sentences.

The daemon knows no language: its reasons and advice go to the operator and into JSON as they are. Here a sentence is
recognised, and what stands in its braces in turn; one that is not known is shown as it came. A test holds each form to
the source.
"""

from __future__ import annotations

import re
from functools import cache

from agent.cli.language import N_, comma
from agent.sentence import Sentence, Told

MESSAGES: tuple[str, ...] = (
    # agent/plan/policy.py, the more special form first
    N_("{share} % used, past {mark} %; contract ended on {day}"),
    N_("{share} % used, past {mark} %"),
    N_("{share} % used; contract ended on {day}"),
    N_("{share} % used"),
    N_("no reason given"),
    # agent/quality.py
    N_("excellent"),
    N_("good"),
    N_("fair"),
    N_("weak"),
    N_("bad"),
    # agent/status.py and agent/at/standard/registration.py
    N_("ready"),
    N_("absent"),
    N_("busy"),
    N_("hung"),
    N_("home"),
    N_("searching"),
    N_("denied"),
    N_("roaming"),
    N_("not registered"),
    N_("READY"),
    N_("not-inserted"),
    # agent/modem
    N_("no cellular module found on USB"),
    N_("no port speaks AT: {ports}"),
    N_("{port}: no such port"),
    N_("{port}: not open"),
    N_("{port}: held by another process"),
    N_("{port}: held by {holder}"),
    N_("{port}: locked by {holder}"),
    N_("{port}: this user may not open the port"),
    N_("{port}: {holder} has opened it beside us"),
    N_("the port is not open"),
    N_("{command}: no answer within {seconds} s"),
    N_("{command}: modem answered {answer}"),
    N_("the modem is busy: {command}, for {seconds} s so far"),
    N_("the SIM asks for {lock}, not for its PIN"),
    N_("the PIN file holds no PIN of 4 to 8 digits"),
    N_("this PIN was tried before and is not tried again"),
    N_("the module does not say how many attempts are left"),
    N_("only {number} attempt left, which is kept for a person"),
    # agent/traffic
    N_("there is no interface {wanted}, and traffic leaves by {links}, which is not counted"),
    N_("traffic leaves by {links}, which is not counted: wan.interfaces is {wanted}"),
    N_("{links} is a bridge that no default route leaves by, and wan.interfaces ({wanted}) counts it"),
    N_("Take {links} out of wan.interfaces: what the household's devices send each other must not count."),
    N_(
        "If {links} is the mobile line, put it into wan.interfaces. If it is another way online on purpose, what it "
        "carries is neither counted nor slowed."
    ),
    N_(
        "the kernel lacks {features}: install Debian's standard kernel image (linux-image-*, not -cloud-); on OpenWrt "
        "{packages}"
    ),
    N_("the kernel lacks {features}: {command}"),
    N_("run the agent as root, or with AmbientCapabilities=CAP_NET_ADMIN in its systemd unit"),
    N_("the interface went away; it is shaped again as soon as it is back"),
    N_("remove the other shaper (sqm-scripts, qosify, a hand-made tc), or set shaper.replace_foreign = true"),
    N_("no WAN interface is there"),
    # agent/commands/rows and agent/modem/recovery_steps.py: what a command does meanwhile, and has done
    N_("download"),
    N_("upload"),
    N_("hop {number}"),
    N_("collecting"),
    N_("asking {host}"),
    N_("resetting: {level}"),
    N_("searching; the line is away for up to three minutes"),
    # agent/net
    N_("no answer in time"),
    N_("no answer"),
    N_("refused: nobody listens there"),
    # agent/household/metered.py
    N_("yes"),
    N_("no"),
    N_("none"),
    # agent/control/client.py
    N_("the agent is not running (no control socket {path})"),
    N_("the agent is not running (it left a stale control socket {path})"),
    N_("this user may not use the control socket {path}; use sudo, or join the agent's group"),
    N_("the agent did not answer '{method}' in time"),
    N_("the agent does not take connections on {path}; it hangs or is overloaded"),
    # agent/mqtt/tls.py and the files of the configuration
    N_("{certificate} is valid only from {day}"),
    N_("{certificate} was valid until {day}"),
    N_("the certificate"),
    N_("the broker's certificate"),
    N_("{key}: {path} does not exist"),
    # agent/config.py
    N_("{place}: cannot be read: {reason}"),
    N_("{place}: not TOML: {reason}"),
    N_("{place}: unknown key; allowed: {allowed}"),
    N_("{place}: wrong type (found {value}); allowed: {allowed}"),
    N_("{place}: not allowed (found {value}); allowed: {allowed}"),
    # agent/doctor/page_server.py
    N_("no web server answers on port {port} ({reason})"),
    N_("port {port} is another web server's ({server})"),
    N_("its script answers, but there are no numbers: the agent has written none"),
    # the general forms last: agent/plan/policy.py, agent/cli/evidence.py
    N_("{reason} (by {who})"),
    N_("{key}: {path}: {problem}"),
)


def recognised(text: str) -> Sentence | None:
    """The message and the values that this English text was made of; None: it is nothing known."""
    for message, literals, names in _forms():
        if text.startswith(literals[0]) and text.endswith(literals[-1]) and all(part in text for part in literals):
            found = re.fullmatch("(.+?)".join(map(re.escape, literals)), text)
            if found is not None:
                return Sentence(message, {n: _value(text) for n, text in zip(names, found.groups(), strict=True)})
    return None


def _value(text: str) -> Told:
    return Told(comma(text) if re.fullmatch(r"\d+\.\d", text) else text)


@cache
def _forms() -> tuple[tuple[str, list[str], list[str]], ...]:
    """Each message with the text between its braces, and their names."""
    parts = ((message, re.split(r"\{(\w+)\}", message)) for message in MESSAGES)
    return tuple((message, split[::2], split[1::2]) for message, split in parts)
