"""The corpora, each input of them, and a second of mutations beyond them; `make fuzz` goes on for longer."""

from __future__ import annotations

import random
import shutil

import pytest

from tests.fuzz import __main__ as fuzz
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", list(TARGETS))
def test_each_target_lives_through_its_corpus(target: str) -> None:
    if target == "uci" and not shutil.which("busybox"):
        pytest.skip("busybox: not installed")
    corpus = fuzz.seeds(target)
    assert len(corpus) >= 3
    for data in corpus:
        TARGETS[target](data)
    tried, found = fuzz.fuzz(target, 1.0, random.Random(1))
    assert found == []
    assert tried > 0


def test_a_finding_is_told_and_kept(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "CORPUS", tmp_path)
    (fuzz.CORPUS / "at").mkdir()
    (fuzz.CORPUS / "at" / "one").write_bytes(b"+CSQ: 1,2\r\nOK\r\n")

    def broken(data: bytes) -> None:
        raise KeyError("broken")

    monkeypatch.setitem(TARGETS, "at", broken)
    _, found = fuzz.fuzz("at", 1.0, random.Random(1))
    assert found
    assert "KeyError" in found[0]
    assert list((fuzz.CORPUS / "at").glob("finding-*"))
