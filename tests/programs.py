"""Other people's programs that a test runs."""

from __future__ import annotations

import shutil

import pytest

# An ordinary user's PATH has no /usr/sbin on Debian.
_PLACES = "/usr/sbin:/sbin"


def program(name: str, package: str) -> str:
    """Its path. Skips the test where it is missing; in CI that is a failure (tests/conftest.py)."""
    found = shutil.which(name) or shutil.which(name, path=_PLACES)
    if found is None:
        pytest.skip(f"{package}: not installed (apt-get install {package})")
    return found
