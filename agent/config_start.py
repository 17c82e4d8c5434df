"""The configuration that the daemon starts on. Called by `modem-agent run`.

The file, if it is right. A device that has run before must not stop counting because its file was changed for the
worse, or because a newer agent refuses what an older one took: it starts on the last good file, else on what of the
present one can be used, and says so (alarm `configuration`, doctor, log). A device that has never run starts on nothing
wrong.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path

from agent import config as configuration
from agent.config import Config, Wan
from agent.config_meaning import usable_gpio, usable_led, wan_interfaces
from agent.errors import ConfigError

LAST_GOOD = "config.good.toml"  # in state_dir
DATABASE = "agent.db"


def load(path: Path | str) -> Config:
    """The file's configuration, or what stands in for it with `problem` set. Raises ConfigError."""
    try:
        config = configuration.load(path)
    except ConfigError as error:
        return replace(_instead(Path(path), error), problem=str(error))
    _keep(Path(path), Path(config.device.state_dir) / LAST_GOOD)
    return config


def _instead(path: Path, error: ConfigError) -> Config:
    state = Path(configuration.salvage(path).device.state_dir)
    with contextlib.suppress(ConfigError):
        return configuration.load(state / LAST_GOOD)
    if not (state / DATABASE).exists():
        raise error
    config = configuration.load(path, meaning=False)
    return replace(
        config,
        wan=Wan(wan_interfaces(config.wan.interfaces) or Wan().interfaces),
        modem=replace(config.modem, power_gpio=usable_gpio(config.modem.power_gpio)),
        household=replace(config.household, led=usable_led(config.household.led)),
    )


def _keep(path: Path, copy: Path) -> None:
    """Once it has changed. A disk that refuses keeps nobody from starting."""
    with contextlib.suppress(OSError):
        text = path.read_bytes()
        if copy.exists() and copy.read_bytes() == text:
            return
        copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = copy.with_suffix(".new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(copy)
