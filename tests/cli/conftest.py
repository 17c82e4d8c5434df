"""Runs the CLI the way a shell does: its own process, pipes or a pseudo-terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cli(tmp_path: Path) -> Run:
    """Run `modem-agent` with arguments; `env` adds to a plain environment without a locale."""

    def run(*arguments: str, env: dict[str, str] | None = None, **kwargs: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [sys.executable, "-m", "agent.cli", *arguments],
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(tmp_path), **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            **kwargs,
        )

    return run
