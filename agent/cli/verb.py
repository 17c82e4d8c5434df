"""What all verbs share: their common options, their examples, and where configuration and socket are found.

Every verb module uses it. Nothing heavy is imported here: a verb that needs the daemon asks for a client, one that
needs the configuration asks for that.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from agent.cli import DEFAULT_CONFIG, LANG_HELP, screen
from agent.cli.language import LANGUAGES, _
from agent.cli.times import ZONE
from agent.errors import ConfigError, NotPermitted

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Config
    from agent.control.client import ControlClient

# The same as Device's defaults (a test holds them equal): importing agent.config costs 25 of the 150 ms that `status`
# may take.
DEFAULT_RUN_DIR = "/run/modem-agent"
DEFAULT_STATE_DIR = "/var/lib/modem-agent"
DEFAULT_ZONE = "Europe/Brussels"
SOCKET_NAME = "control.sock"


class Call:
    """The common options of one invocation."""

    def __init__(self, *, config: str | None, socket: str | None, json: bool, timeout: float | None) -> None:
        self.config_file = config or DEFAULT_CONFIG
        self.config_given = config is not None
        self.socket_given = socket
        self.json = json
        self.timeout_s = timeout
        self._read: dict[str, object] | None = None
        self._agent_version = ""

    @property
    def config_path(self) -> Path:
        from pathlib import Path

        return Path(self.config_file)

    def config(self, *, start: bool = False) -> Config:
        """The checked configuration, or the one to start on; the defaults where the default file does not exist. Raises
        NotPermitted where it may: nobody is to take the defaults for what this device has."""
        from agent import config, config_start

        try:
            with open(self.config_file, "rb"):
                pass
        except FileNotFoundError:
            if not self.config_given:
                return config.Config(file=self.config_file)
        except PermissionError:
            raise NotPermitted(_("{path}: this user may not read it; use sudo", path=self.config_file)) from None
        except OSError:
            pass  # load() has the sentence
        return config_start.load(self.config_path) if start else config.load(self.config_path)

    def socket_path(self) -> str:
        """Where the agent listens: --socket, else the configured run_dir."""
        return self.socket_given or os.path.join(self.device_key("run_dir", DEFAULT_RUN_DIR), SOCKET_NAME)

    def plan_zone(self) -> str:
        """The time zone that the billing period is reckoned in."""
        plan = self._sections().get("plan")
        zone = plan.get("timezone", DEFAULT_ZONE) if isinstance(plan, dict) else DEFAULT_ZONE
        return zone if isinstance(zone, str) else DEFAULT_ZONE

    def device_key(self, key: str, default: str) -> str:
        """One path of [device]."""
        device = self._sections().get("device", {})
        value = device.get(key, default) if isinstance(device, dict) else default
        if not isinstance(value, str) or not value.startswith("/"):
            raise ConfigError(self.config_file, f"device.{key}", "not allowed", value=value, allowed="an absolute path")
        return value

    def _sections(self) -> dict[str, object]:
        """The file as it is, unchecked: a key that only a newer agent knows must not keep a technician from asking the
        agent that runs. An unreadable default file counts as absent, since the group that may read the socket need not
        be able to read the configuration."""
        if self._read is None:
            text = self._text()
            self._read = self._table(text) if text else {}
        return self._read

    def _text(self) -> str:
        try:
            with open(self.config_file, encoding="utf-8") as file:
                return file.read()
        except OSError as error:
            if self.config_given:
                raise ConfigError(self.config_file, "", f"cannot be read: {error.strerror or error}") from error
            return ""
        except UnicodeDecodeError:
            self.config()  # raises the sentence with the line
            raise

    def _table(self, text: str) -> dict[str, object]:
        from agent.toml import tomllib

        try:
            return dict(tomllib.loads(text))
        except tomllib.TOMLDecodeError:
            self.config()  # raises the sentence with line and column
            raise

    def client(self, *, timeout_s: float = 10.0) -> ControlClient:
        """A connection to the agent; raises AgentNotRunning or NotPermitted."""
        from agent.control.client import ControlClient

        client = ControlClient(self.socket_path(), timeout_s=self.timeout_s or timeout_s)
        self._agent_version = client.agent_version
        return client

    def note_version(self) -> None:
        """One line on stderr if the agent that answered is not of this tool's version."""
        if self._agent_version:
            screen.version_note(self._agent_version)


class Verb(click.Command):
    """A command with at least one example, shown in --help and in the man page."""

    examples: tuple[str, ...] = ()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(_("Examples") if len(self.examples) > 1 else _("Example")):
            for line in self.examples:
                formatter.write_text(line)


def verb(
    *examples: str, socket: bool = True, json: bool = True, lang: bool = True
) -> Callable[[Callable[..., Any]], Verb]:
    """Make a function `f(call: Call, ...) -> int | None` (the exit status) a verb. Its docstring is its help. A verb
    with documents in more languages than the screens have brings its own --lang."""

    def decorate(function: Callable[..., Any]) -> Verb:
        @functools.wraps(function)
        def run(
            config: str | None,
            json: bool = False,
            socket: str | None = None,
            timeout: float | None = None,
            **rest: Any,
        ) -> Any:
            call = Call(config=config, socket=socket, json=json, timeout=timeout)
            ZONE.reckon_by(call.plan_zone)
            try:
                return function(call, **rest)
            finally:
                call.note_version()

        params = getattr(function, "__click_params__", [])
        run.__click_params__ = list(params)  # type: ignore[attr-defined]  # click's own way to collect options
        wrapped: Any = run
        for option in reversed(_common_options(socket, json, lang)):
            wrapped = option(wrapped)
        # click collects in reverse; a verb's own options stand before the common ones in its help.
        wrapped.__click_params__ = wrapped.__click_params__[len(params) :] + wrapped.__click_params__[: len(params)]
        made = click.command(cls=Verb)(wrapped)
        made.examples = examples
        return made

    return decorate


def _common_options(socket: bool, json: bool, lang: bool) -> list[Callable[[Any], Any]]:
    options = [click.option("--json", is_flag=True, help="One JSON object instead of text.")] if json else []
    if socket:
        options.append(
            click.option("--timeout", metavar="S", type=click.FloatRange(min=0.1), help="Give up after S seconds.")
        )
        options.append(click.option("--socket", metavar="PATH", help="The agent's control socket."))
    options.append(
        click.option("--config", metavar="FILE", help=_("Configuration (default {file}).", file=DEFAULT_CONFIG))
    )
    if lang:  # read before click is imported (language.py); here it is known, checked and explained
        options.append(click.option("--lang", type=click.Choice(LANGUAGES), expose_value=False, help=LANG_HELP))
    return options
