"""`modem-agent config check|show|pushed`: what the configuration says, without starting anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.cli.language import _, spoken
from agent.cli.screen import clean, print_json
from agent.cli.verb import Call, verb

if TYPE_CHECKING:
    from agent.config import Config


@click.group(no_args_is_help=False)
def command() -> None:
    """Show or check the configuration, or what was pushed over it."""


@verb("modem-agent config check --config /etc/modem-agent/config.toml", socket=False)
def check(call: Call) -> None:
    """Check the configuration file; one line says what is wrong and what is allowed."""
    from agent.config import refused

    config = call.config()
    absent = not call.config_path.exists()
    newer = refused(config.device.run_dir)
    if call.json:
        print_json({"v": 1, "file": config.file, "ok": True, "defaults_only": absent, "refused": newer or None})
        return
    told = (
        _("{path}: does not exist; the defaults apply", path=config.file)
        if absent
        else _("{path}: ok", path=config.file)
    )
    print(clean(told))
    if newer:
        print(clean(_("warning: a newer one was refused, and this one is in force: {problem}", problem=spoken(newer))))


@verb("modem-agent config show", "modem-agent config show --json", socket=False)
def show(call: Call) -> None:
    """Show every key with its value, defaults marked, secrets masked."""
    from agent.config import to_dict

    config = call.config()
    shown = to_dict(config)
    defaults = _default_keys(config)
    if call.json:
        print_json({"v": 1, "file": config.file, "config": shown, "defaults": defaults})
        return
    for section, values in shown.items():
        print(f"[{section}]")
        for key, value in values.items():
            mark = "  # default" if f"{section}.{key}" in defaults else ""
            print(f"{key} = {_toml(value)}{mark}")
        print()


@verb(
    "modem-agent config pushed", "modem-agent config pushed --drop operator.url", "modem-agent config pushed --drop all"
)
@click.option("--drop", metavar="KEY", help="Forget this pushed key, or all; the file's value counts again.")
def pushed(call: Call, drop: str | None) -> int:
    """Show what the operator has pushed over the file, or drop it.

    Works without an agent too.
    """
    from agent.cli import exits, pushed_keys

    if drop is not None:
        answer = pushed_keys.drop(call, "" if drop == "all" else drop)
        gone = answer["dropped"]
        if call.json:
            print_json(answer)
        else:
            print(clean(_("dropped: {keys}", keys=", ".join(gone) or _("nothing; nothing was pushed"))))
        return exits.OK
    answer = pushed_keys.shown(call)
    if call.json:
        print_json(answer)
        return exits.OK
    for key, value in answer["pushed"].items():
        print(clean(f"{key} = {_toml(value)}"))
    if not answer["pushed"]:
        print(_("nothing is pushed: the file counts"))
    if answer["trial"]:
        print(_("on trial: taken back unless the broker is reached with it"))
    return exits.OK


def _default_keys(config: Config) -> list[str]:
    from dataclasses import fields, is_dataclass

    from agent.config import is_default

    keys = []
    for section in fields(config):
        value = getattr(config, section.name)
        if is_dataclass(value) and not isinstance(value, type):
            keys += [f"{section.name}.{f.name}" for f in fields(value) if is_default(value, f.name)]
    return keys


def _toml(value: object) -> str:
    """A value as it would stand in the file; a key that may be absent and is shows as `(none)`."""
    import json

    if value is None:
        return "(none)"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=True) if isinstance(value, str) else str(value)


command.add_command(check, "check")
command.add_command(show, "show")
command.add_command(pushed, "pushed")
