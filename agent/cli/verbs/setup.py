"""`modem-agent setup`: asks for what has no default, finds modem and link, writes the configuration, checks it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from agent.cli import screen
from agent.cli.verb import Call, verb
from agent.system import OPENWRT_OPKG

NET = Path("/sys/class/net")


@verb(
    "sudo modem-agent setup",
    "sudo modem-agent setup --yes --broker mqtts://broker.example:8883 --ca /etc/modem-agent/ca.pem --apn internet",
)
@click.option("--broker", metavar="URL", help="mqtts://HOST:8883, or mqtt://HOST:1883 on a closed network.")
@click.option("--ca", metavar="FILE", help="Certificate of the authority that signed the broker's.")
@click.option("--cert", metavar="FILE", help="This device's certificate.")
@click.option("--key", metavar="FILE", help="Its key.")
@click.option("--apn", metavar="NAME", help="The operator's access point name.")
@click.option("--wan", metavar="NAME", multiple=True, help="Mobile link, a name or pattern; may be repeated.")
@click.option("--port", metavar="DEVICE", help="AT port of the module; auto finds it.")
@click.option("--billing-day", metavar="DAY", type=int, help="Day of the month on which the allowance is new.")
@click.option("--yes", is_flag=True, help="Ask nothing: flags, what is found, and the defaults.")
@click.option("--no-doctor", is_flag=True, help="Write the file and leave it at that.")
def command(call: Call, yes: bool, no_doctor: bool, wan: tuple[str, ...], **given: Any) -> int:
    """Ask for what has no default and write the configuration.

    Finds the module's port and the mobile link by itself. The file that was there is kept beside the new one; on
    OpenWrt the answers go to UCI. Ends as `doctor` does.
    """
    from agent.cli import config_file, uci
    from agent.toml import dumps

    table = config_file.read_table(call.config_path)
    answers = _answers(table, yes=yes or call.json or not sys.stdin.isatty(), wan=wan, given=given)
    missing = [path for key in ("ca", "cert", "key") if (path := answers[key]) and not os.access(path, os.R_OK)]
    if missing:
        raise click.UsageError(f"{missing[0]} cannot be read: put the file there first")
    changes = _changes(answers)
    text = dumps(config_file.merged(table, changes))
    if uci.is_source_of(call.config_path):
        config_file.check(call.config_path, text)
        uci.write(config_file.differing(table, changes))
        uci.take_up()
        said = f"{OPENWRT_OPKG.configuration}: set and committed; the agent runs with it"
    else:
        config_file.write(call.config_path, text)
        said = f"{screen.clean(call.config_path)}: written and checked; restart the agent"
    if not call.json:
        print(said)
    if no_doctor:
        return 0
    return _examine(call)


def _answers(table: dict[str, Any], *, yes: bool, wan: tuple[str, ...], given: dict[str, Any]) -> dict[str, Any]:
    """Flags first, then what the file says or the machine shows; a person may change it."""
    operator, modem = table.get("operator", {}), table.get("modem", {})
    found = {
        "broker": given["broker"] or operator.get("url", ""),
        "ca": given["ca"] or operator.get("ca_file", ""),
        "cert": given["cert"] or operator.get("cert_file", ""),
        "key": given["key"] or operator.get("key_file", ""),
        "apn": given["apn"] or modem.get("apn", ""),
        "port": given["port"] or modem.get("port", "auto"),
        "wan": list(wan) or table.get("wan", {}).get("interfaces") or links() or ["wwan0"],
        "billing_day": given["billing_day"] or table.get("plan", {}).get("billing_day", 1),
    }
    if yes:
        return found
    seen = at_port()
    print(f"Module: {screen.clean(seen) if seen else 'none found; plug it in and doctor will see it'}", file=sys.stderr)
    found["wan"] = _asked("Mobile link(s)", " ".join(found["wan"])).split()
    found["apn"] = _asked("Access point name (empty: the module knows it)", found["apn"])
    found["billing_day"] = click.prompt(
        "Day of the month on which the allowance is new", found["billing_day"], err=True
    )
    found["broker"] = _asked("Operator's broker, mqtts://HOST:8883 (empty: none)", found["broker"])
    if str(found["broker"]).startswith("mqtts://"):
        found["ca"] = _asked("Authority's certificate, a file (empty: the system's)", found["ca"])
        found["cert"] = _asked("This device's certificate, a file (empty: none)", found["cert"])
        found["key"] = _asked("Its key, a file", found["key"]) if found["cert"] else ""
    return found


def _asked(question: str, default: str) -> str:
    return str(click.prompt(question, default=default, err=True)).strip()


def _changes(answers: dict[str, Any]) -> dict[str, Any]:
    """Only what is not the default: the file stays short enough to read."""
    return {
        "modem.port": answers["port"] if answers["port"] != "auto" else None,
        "modem.apn": answers["apn"] or None,
        "wan.interfaces": answers["wan"],
        "plan.billing_day": answers["billing_day"],
        "operator.url": answers["broker"] or None,
        "operator.ca_file": answers["ca"] or None,
        "operator.cert_file": answers["cert"] or None,
        "operator.key_file": answers["key"] or None,
    }


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


def _examine(call: Call) -> int:
    """What doctor says, with the configuration as it now is."""
    from agent.cli.verbs.doctor import command as doctor

    words = ["--config", str(call.config_path), *(["--json"] if call.json else [])]
    with doctor.make_context("doctor", words) as context:
        return int(doctor.invoke(context) or 0)
