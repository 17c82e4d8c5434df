"""`modem-agent setup`: asks for what has no default, finds modem and link, writes the configuration, checks it."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from agent import system
from agent.cli import DEFAULT_CONFIG, access_point, config_file, questions, screen, uci
from agent.cli.language import N_, _
from agent.cli.request import agreed
from agent.cli.verb import Call, verb
from agent.cli.verbs import pin
from agent.errors import AgentError

NET = Path("/sys/class/net")
RESTART_S = 30.0
LOOK_S = 0.2  # between two looks whether the new agent answers
COMMAND_KEYS = "keys.toml"  # beside the configuration, where certificates.sh's files are put
RUNS, NOT_RUNNING = N_("the agent runs with it"), N_("restart the agent")


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
@click.option("--language", metavar="CODE", help="Of the texts to the household: fr, nl, de or en.")
@click.option("--led", metavar="NAME", help="A LED of the device for ok, slow and no service.")
@click.option("--yes", is_flag=True, help="Ask nothing: flags, what is found, and the defaults.")
@click.option("--no-doctor", is_flag=True, help="Write the file and leave it at that.")
def command(call: Call, yes: bool, no_doctor: bool, wan: tuple[str, ...], **given: Any) -> int:
    """Ask for what has no default and write the configuration.

    Finds the module's port and the mobile link by itself. The file that was there is kept beside the new one; on
    OpenWrt the answers go to UCI. Ends as `doctor` does. The SIM's PIN is asked for unseen; a script has the verb pin.
    """
    if not yes and (call.json or not sys.stdin.isatty()):
        raise click.UsageError(_("nobody is there to confirm; say --yes"))
    config_file.check_permission(call.config_path)
    table = config_file.read_table(call.config_path)
    answers = _found(table, wan=wan, given=given, beside=str(call.config_path.parent / COMMAND_KEYS))
    if yes:
        _check_files(answers)
    else:
        _show_module()
        answers = questions.ask_all(answers, table)
    changes = _changes(answers)
    if answers["pin"] is not None:
        changes["modem.pin_file"] = _keep_pin(call, table, answers["pin"])
    changed = config_file.differing(table, changes)
    up_s = None if no_doctor else _agent_up_s(call)
    place = config_file.change(call.config_path, table, changes)
    agent, judged = _taken_up(call, up_s, yes=yes, changed=bool(changed))
    if not call.json:
        screen.note(_("{path}: written and checked; {agent}", path=place, agent=_(agent)), sys.stdout)
    dials = access_point.change(answers["apn"], yes=yes)
    done = {"v": 1, "setup": {"file": place, "changed": sorted(changed), "agent": agent, "access_point": dials}}
    if no_doctor or not judged:
        if call.json:
            screen.print_json(done)
        return 0 if dials else 1
    return _examine(call, done) or int(not dials)


def _found(table: Mapping[str, Any], *, wan: tuple[str, ...], given: Mapping[str, Any], beside: str) -> dict[str, Any]:
    """Flags first, then what the file says or the machine shows."""
    operator, modem, household = (table.get(name, {}) for name in ("operator", "modem", "household"))
    keys = beside if os.path.exists(beside) else ""
    return {
        "broker": given["broker"] or operator.get("url", ""),
        "ca": given["ca"] or operator.get("ca_file", ""),
        "cert": given["cert"] or operator.get("cert_file", ""),
        "key": given["key"] or operator.get("key_file", ""),
        "keys": given["keys"] or table.get("commands", {}).get("keys_file", keys),
        "apn": given["apn"] or modem.get("apn", "") or access_point.suggested(),
        "pin": None,
        "port": given["port"] or modem.get("port", "auto"),
        "wan": list(wan) or table.get("wan", {}).get("interfaces") or links() or ["wwan0"],
        "sms": given["sms"] or household.get("sms_to", ""),
        "language": given["language"] or household.get("sms_language", ""),
        "led": given["led"] or household.get("led", ""),
        "billing_day": given["billing_day"] or table.get("plan", {}).get("billing_day", 1),
    }


def _check_files(answers: Mapping[str, Any]) -> None:
    for path in (answers[name] for name in (*questions.FILES, "keys")):
        if wrong := questions.file_problem(path):
            raise click.UsageError(wrong)
    if answers["cert"] and not answers["key"]:
        raise click.UsageError(_(questions.NO_KEY))


def _show_module() -> None:
    screen.note(_("Module: {port}", port=at_port() or _("none found; plug it in and doctor will see it")))


def _keep_pin(call: Call, table: Mapping[str, Any], value: str) -> str:
    """Written where the agent reads it, or taken away; what the configuration says of it."""
    file = pin.place(call.config_path, table.get("modem", {}).get("pin_file", ""))
    if not value:
        file.unlink(missing_ok=True)
        return ""
    pin.keep(file, value)
    return str(file)


def _changes(answers: Mapping[str, Any]) -> dict[str, Any]:
    """By key; empty is the default, which need not stand in the file: it stays short enough to read."""
    found = {key: answers[name] for name, key in questions.KEYS.items()}
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


def _taken_up(call: Call, up_s: float | None, *, yes: bool, changed: bool) -> tuple[str, bool]:
    """Have an agent that runs with what was before run with this. What became of it, and whether the doctor may judge:
    not by the word of an agent that has the old configuration. The service has the default file; whoever names another
    one knows how he starts his agent."""
    here = system.find()
    if uci.is_source_of(call.config_path):
        uci.take_up()
        return RUNS if not changed or up_s is None else _awaited(call, time.monotonic()), True
    if up_s is None or call.config_file != DEFAULT_CONFIG:
        return NOT_RUNNING, up_s is None
    if not yes and not agreed(_("Restart the agent now, so that it runs with this?"), default=True):
        return _("restart the agent: '{restart}', then ask 'modem-agent doctor'", restart=here.restart), False
    began = time.monotonic()
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(shlex.split(here.restart), check=False, timeout=RESTART_S, stdout=subprocess.DEVNULL)
    return _awaited(call, began), True


def _awaited(call: Call, began: float) -> str:
    """Until an agent answers that was started after that; what it says of itself."""
    while time.monotonic() - began < RESTART_S:
        up_s = _agent_up_s(call)
        if up_s is not None and up_s <= time.monotonic() - began + 1:
            return RUNS
        time.sleep(LOOK_S)
    return _("the agent was restarted and does not answer; '{log}' says why", log=system.find().log)


def _agent_up_s(call: Call) -> float | None:
    """How long the agent has been on; None if none answers."""
    try:
        with call.client() as client:
            return float(client.call("status")["agent_up_s"])
    except (AgentError, OSError, KeyError, TypeError, ValueError):
        return None


def _examine(call: Call, done: Mapping[str, Any]) -> int:
    """What doctor says, with the configuration as it now is."""
    from agent.cli.verbs.doctor import examined

    return examined(call, more=done)
