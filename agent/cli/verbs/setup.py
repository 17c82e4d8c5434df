"""`modem-agent setup`: asks for what has no default, finds modem and link, writes the configuration, checks it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from agent import system
from agent.cli import access_point, config_file, screen, uci
from agent.cli.verb import DEFAULT_CONFIG, Call, verb
from agent.errors import AgentError, NotPermitted
from agent.system import OPENWRT_OPKG

NET, LEDS = Path("/sys/class/net"), Path("/sys/class/leds")
RESTART_S = 30.0
FILES = ("ca", "cert", "key")
COMMAND_KEYS = "keys.toml"  # beside the configuration, where certificates.sh's files are put
KEYS = {
    "port": "modem.port",
    "apn": "modem.apn",
    "wan": "wan.interfaces",
    "billing_day": "plan.billing_day",
    "broker": "operator.url",
    "sms": "household.sms_to",
    "led": "household.led",
    **{name: f"operator.{name}_file" for name in FILES},
    "keys": "commands.keys_file",
}


@verb(
    "sudo modem-agent setup",
    "sudo modem-agent setup --yes --broker mqtts://broker.example:8883 --ca /etc/modem-agent/ca.pem --apn internet",
)
@click.option("--broker", metavar="URL", help="mqtts://HOST:8883, or mqtt://HOST:1883 on a closed network.")
@click.option("--ca", metavar="FILE", help="Certificate of the authority that signed the broker's.")
@click.option("--cert", metavar="FILE", help="This device's certificate.")
@click.option("--key", metavar="FILE", help="Its key.")
@click.option("--keys", metavar="FILE", help="Who may command by signature: what modem-support keys derive prints.")
@click.option("--apn", metavar="NAME", help="The operator's access point name.")
@click.option("--wan", metavar="NAME", multiple=True, help="Mobile link, a name or pattern; may be repeated.")
@click.option("--port", metavar="DEVICE", help="AT port of the module; auto finds it.")
@click.option("--billing-day", metavar="DAY", type=int, help="Day of the month on which the allowance is new.")
@click.option("--sms", metavar="NUMBER", help="The household's phone: told by SMS, and answered when it asks.")
@click.option("--led", metavar="NAME", help="A LED of the device for ok, slow and no service.")
@click.option("--yes", is_flag=True, help="Ask nothing: flags, what is found, and the defaults.")
@click.option("--no-doctor", is_flag=True, help="Write the file and leave it at that.")
def command(call: Call, yes: bool, no_doctor: bool, wan: tuple[str, ...], **given: Any) -> int:
    """Ask for what has no default and write the configuration.

    Finds the module's port and the mobile link by itself. The file that was there is kept beside the new one; on
    OpenWrt the answers go to UCI. Ends as `doctor` does.
    """
    from agent.toml import dumps

    _check_permission(call.config_path)
    table = config_file.read_table(call.config_path)
    silent = yes or call.json or not sys.stdin.isatty()
    beside = str(call.config_path.parent / COMMAND_KEYS)
    answers = _answers(table, yes=silent, wan=wan, given=given, keys_beside=beside)
    missing = [problem for name in (*FILES, "keys") if (problem := _file_problem(answers[name]))]
    if missing:
        raise click.UsageError(missing[0])
    changes = _changes(answers)
    text = dumps(config_file.merged(table, changes))
    if uci.is_source_of(call.config_path):
        config_file.check(call.config_path, text)
        uci.write(config_file.differing(table, changes))
        uci.take_up()
        said = f"{OPENWRT_OPKG.configuration}: set and committed; the agent runs with it"
    else:
        config_file.write(call.config_path, text)
        said = f"{screen.clean(call.config_path)}: written and checked; "
        said += "restart the agent" if no_doctor else _taken_up(call, yes=yes, silent=silent)
    if not call.json:
        print(said)
    changed = access_point.change(answers["apn"], yes=yes or call.json)
    if no_doctor:
        return 0 if changed else 1
    return _examine(call) or int(not changed)


def _answers(
    table: dict[str, Any], *, yes: bool, wan: tuple[str, ...], given: dict[str, Any], keys_beside: str
) -> dict[str, Any]:
    """Flags first, then what the file says or the machine shows; a person may change it."""
    operator, modem, household = (table.get(name, {}) for name in ("operator", "modem", "household"))
    beside = keys_beside if os.path.exists(keys_beside) else ""
    found = {
        "broker": given["broker"] or operator.get("url", ""),
        "ca": given["ca"] or operator.get("ca_file", ""),
        "cert": given["cert"] or operator.get("cert_file", ""),
        "key": given["key"] or operator.get("key_file", ""),
        "keys": given["keys"] or table.get("commands", {}).get("keys_file", beside),
        "apn": given["apn"] or modem.get("apn", "") or access_point.suggested(),
        "port": given["port"] or modem.get("port", "auto"),
        "wan": list(wan) or table.get("wan", {}).get("interfaces") or links() or ["wwan0"],
        "sms": given["sms"] or household.get("sms_to", ""),
        "led": given["led"] or household.get("led", ""),
        "billing_day": given["billing_day"] or table.get("plan", {}).get("billing_day", 1),
    }
    if yes:
        return found
    seen = at_port()
    print(f"Module: {screen.clean(seen) if seen else 'none found; plug it in and doctor will see it'}", file=sys.stderr)
    found["wan"] = _asked("wan", "Mobile link(s)", " ".join(found["wan"]))
    found["apn"] = _asked("apn", "Access point name (empty: the module knows it)", found["apn"])
    question = "Day of the month on which the allowance is new"
    found["billing_day"] = _asked("billing_day", question, str(found["billing_day"]))
    found["broker"] = _asked("broker", "Operator's broker, mqtts://HOST:8883 (empty: none)", found["broker"])
    if found["broker"].startswith("mqtts://"):
        found["ca"] = _asked("ca", "Authority's certificate, a file (empty: the system's)", found["ca"])
        found["cert"] = _asked("cert", "This device's certificate, a file (empty: none)", found["cert"])
        found["key"] = _asked("key", "Its key, a file", found["key"]) if found["cert"] else ""
    else:
        found |= dict.fromkeys(FILES, "")
    found["sms"] = _asked("sms", "The household's phone number for SMS (empty: none)", found["sms"])
    found["led"] = _asked("led", f"LED for ok, slow and no service{_leds()} (empty: none)", found["led"])
    return found


def _leds(folder: Path = LEDS) -> str:
    """The first few of this device, to choose from."""
    names = sorted(led.name for led in folder.iterdir()) if folder.is_dir() else []
    return f", one of {screen.clean(' '.join(names[:6]))}" if names else ""


def _asked(name: str, question: str, default: str) -> Any:
    """An answer that the configuration allows; asked again until it is one. A dash empties what was set before."""
    empties = " (- for none)" if default else ""
    while True:
        answer = str(click.prompt(question + empties, default=default, err=True)).strip()
        answer = "" if answer == "-" else answer
        value = _value(name, answer)
        problem = _file_problem(value) if name in FILES else config_file.problem(KEYS[name], value)
        if not problem:
            return value
        print(screen.clean(problem), file=sys.stderr)


def _value(name: str, answer: str) -> Any:
    """As the configuration has it; a number that is none stays text, and is refused as such."""
    if name == "wan":
        return answer.split()
    return int(answer) if name == "billing_day" and answer.isdecimal() else answer


def _file_problem(path: str) -> str:
    return f"{path} cannot be read: put the file there first" if path and not os.access(path, os.R_OK) else ""


def _check_permission(path: Path) -> None:
    """Before the first question: all answers would be lost at the end."""
    place = path if path.exists() else next(parent for parent in path.parents if parent.exists())
    if not os.access(place, os.W_OK):
        raise NotPermitted(f"{path}: this user may not write it; use sudo")


def _changes(answers: dict[str, Any]) -> dict[str, Any]:
    """By key; empty is the default, which need not stand in the file: it stays short enough to read."""
    found = {key: answers[name] for name, key in KEYS.items()}
    return {**found, "modem.port": "" if answers["port"] == "auto" else answers["port"]}


def links(net: Path = NET) -> list[str]:
    """Mobile links of this machine: what the kernel marks as WWAN, and Ethernet that is a USB modem's."""
    names = []
    for link in sorted(net.iterdir()) if net.is_dir() else []:
        uevent = link / "uevent"
        marked = uevent.exists() and "DEVTYPE=wwan" in uevent.read_text()
        if marked or (link.name.startswith(("wwan", "usb")) and (link / "device").exists()):
            names.append(link.name)
    return names


def at_port() -> str:
    """The module's most likely AT port; empty when there is none."""
    from agent.modem.discovery import candidates

    return next((candidate.device for candidate in candidates()), "")


def _taken_up(call: Call, *, yes: bool, silent: bool) -> str:
    """Offer to restart an agent that runs with what was before, or the doctor would judge by that. What became of it.
    The service has the default file; whoever names another one knows how he starts his agent."""
    here = system.find()
    running = _agent_up_s(call)
    if running is None or call.config_file != DEFAULT_CONFIG or (silent and not yes):
        return "restart the agent"
    if not yes and not click.confirm("Restart the agent now, so that it runs with this?", default=True, err=True):
        return f"restart the agent: '{here.restart}'"
    began = time.monotonic()
    subprocess.run(shlex.split(here.restart), check=False, timeout=RESTART_S, stdout=subprocess.DEVNULL)
    while time.monotonic() - began < RESTART_S:
        up_s = _agent_up_s(call)
        if up_s is not None and up_s <= time.monotonic() - began + 1:
            return "the agent runs with it"
        time.sleep(0.2)
    return f"the agent was restarted and does not answer; '{here.log}' says why"


def _agent_up_s(call: Call) -> float | None:
    """How long the agent has been on; None if none answers."""
    try:
        with call.client() as client:
            return float(client.call("status")["agent_up_s"])
    except (AgentError, OSError, KeyError, TypeError, ValueError):
        return None


def _examine(call: Call) -> int:
    """What doctor says, with the configuration as it now is."""
    from agent.cli.verbs.doctor import command as doctor

    words = ["--config", str(call.config_path), *(["--json"] if call.json else [])]
    with doctor.make_context("doctor", words) as context:
        return int(doctor.invoke(context) or 0)
