"""The screens of this process in another language for a while, and nothing of it left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agent.cli import language


@contextmanager
def spoken_in(name: str) -> Iterator[None]:
    """On a terminal that shows all signs. The choice sets LANGUAGE too, which every program started later obeys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LC_ALL", "C.UTF-8")
        patch.setenv("LANGUAGE", "")
        language.use(name)
        try:
            yield
        finally:
            language.use(language.ENGLISH)
