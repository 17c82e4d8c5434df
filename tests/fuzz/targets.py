# ruff: noqa: PT017  (no test: here a refusal without its code is the finding)
"""What is fuzzed: each target takes bytes and either answers in its own terms or refuses in its own terms.

Any other exception is a finding. Called by tests/fuzz/__main__.py and, with the corpus alone, by the tests.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from agent import config
from agent.at import COMMANDS, decode
from agent.commands.envelope import parse as parse_envelope
from agent.control.connection import parse as parse_line
from agent.errors import ConfigError, Rejected

RENDER = Path(__file__).parents[2] / "firmware-config/openwrt/modem-agent/files/render.awk"
QUESTIONS = (*(f"AT{row.name}" for row in COMMANDS), "AT+CREG?", 'AT+QENG="servingcell"', "AT+COPS=?")
RENDER_S = 10.0


def at(data: bytes) -> None:
    """A reply to some command of the table: the first byte says which."""
    question = QUESTIONS[data[0] % len(QUESTIONS)] if data else QUESTIONS[0]
    json.dumps(decode(question, data[1:]))


def envelope(data: bytes) -> None:
    try:
        parse_envelope(data, type="plan.topup", id="f", device="imei::990000862471854")
    except Rejected as refusal:
        assert 7000 <= refusal.code <= 7999, refusal.code
        assert 0 < len(refusal.reason) <= 400, refusal.reason


def configuration(data: bytes) -> None:
    """TOML text, as `load` decodes it; an error is one line."""
    try:
        config.parse(data.decode("utf-8", "replace"))
    except ConfigError as error:
        assert str(error), "an error that says nothing"
        assert "\n" not in str(error), error


def uci(data: bytes) -> None:
    """What `uci export` might print, through the renderer: TOML that parses, or a refusal with a sentence."""
    busybox = shutil.which("busybox")
    assert busybox, "busybox is not installed"
    command = [busybox, "awk", "-v", "networks=", "-f", str(RENDER)]
    done = subprocess.run(command, input=data, capture_output=True, timeout=RENDER_S)
    if done.returncode:
        assert done.stderr.strip(), f"status {done.returncode} without a word"
        return
    try:
        config.parse(done.stdout.decode("utf-8", "replace"))
    except ConfigError as error:
        # A value that makes no sense is the agent's to refuse; text that is no TOML would be the renderer's mistake.
        assert "line" not in str(error) or "TOML" not in str(error), f"rendered text is no TOML: {error}"


def control(data: bytes) -> None:
    """One line of the control socket."""
    parse_line(data.split(b"\n")[0])


TARGETS: dict[str, Callable[[bytes], None]] = {
    "at": at, "envelope": envelope, "config": configuration, "uci": uci, "control": control,
}  # fmt: skip
