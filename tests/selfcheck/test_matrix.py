"""What `make test-matrix` reads of a pairing that it ran in another Debian."""

from __future__ import annotations

import os

import pytest

from tests import matrix
from tests.matrix import PAIRINGS, outcome_of, run

MASTER = next(pairing for pairing in PAIRINGS if pairing.release == "OpenWrt master")
HEAD = f"setup: installing modem-agent[sim,test] into .venv\n{MASTER.name} (OpenWrt master)\n   "
TABLE = "\n        kept  fast tests, OpenWrt master: 5700 passed\n\n| what | target |\n"


@pytest.mark.parametrize(("output", "outcome"), [
    (f"{HEAD}passed: 5700 passed in 300 s (301 s){TABLE}", "passed: 5700 passed in 300 s (301 s)"),
    (f"{HEAD}FAILED: 2 failed\n      FAILED a.py::x\n      FAILED b.py::y{TABLE}",
     "FAILED: 2 failed\n      FAILED a.py::x\n      FAILED b.py::y"),
    ("E: Unable to locate package x\nmake: *** [Makefile:43: test-matrix] Error 1\n",
     "FAILED: Debian forky: E: Unable to locate package x\n      make: *** [Makefile:43: test-matrix] Error 1"),
    ("", "FAILED: Debian forky: "),
], ids=["passed", "failed", "not set up", "nothing"])  # fmt: skip
def test_the_outcome_is_the_other_debians_own(output: str, outcome: str) -> None:
    assert outcome_of(MASTER, output) == outcome


def test_a_python_that_is_not_here_is_named_where_no_debian_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "find_python", lambda version: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run(MASTER) == "skipped: no Python 3.14 here, and only root can make a root of Debian forky"
    assert run(PAIRINGS[0]) == "skipped: no Python 3.10 here"
