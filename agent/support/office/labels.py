"""The operator's groups of homes: a file of DEVICE,LABEL lines."""

from __future__ import annotations

import re

from agent.errors import ConfigError

_LABEL = re.compile(r"([A-Za-z0-9._:-]{1,64})[,;\t]\s*(\S.*)")


def labels_of(path: str, text: str) -> dict[str, str]:
    """Lines of DEVICE,LABEL; empty lines and those that begin with # say nothing. Raises ConfigError with the line."""
    labels: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LABEL.fullmatch(line.strip())
        if match is None:
            raise ConfigError(path, "", f"line {number}: not DEVICE,LABEL")
        device, label = match[1], match[2].strip()
        if len(label) > 100 or not label.isprintable():
            raise ConfigError(path, "", f"line {number}: a label is at most 100 printable characters")
        if labels.setdefault(device, label) != label:
            raise ConfigError(path, "", f"line {number}: {device} has another label before, {labels[device]!r}")
    return labels
