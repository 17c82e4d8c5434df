"""The README shows what the verbs print now."""

from __future__ import annotations

from tests.cli.catalogues import TOOL
from tests.cli.screens import BLOCK, README, SCREENS, TOP_README, TOP_SCREENS, rendered, stage


def test_the_screens_of_the_readme_are_those_of_the_verbs() -> None:
    TOOL["put"]()
    shown = BLOCK.findall(README.read_text())
    assert [words for words, _ in shown] == [each.words for each in SCREENS]
    top = BLOCK.findall(TOP_README.read_text())
    assert [words for words, _ in top] == [each.words for each in TOP_SCREENS]
    assert [text for _, text in top] == [dict(zip(SCREENS, shown, strict=True))[each][1] for each in TOP_SCREENS]
    with stage() as folder:
        for each, (_, text) in zip(SCREENS, shown, strict=True):
            fresh = rendered(each, folder)
            assert fresh == text, f"{each.words}: python -m tests.cli.screens writes it anew"
            assert fresh.isascii() or "--lang" in each.words
            wide = [line for line in fresh.splitlines() if len(line) > 80 and not line.startswith("modem-agent: ")]
            assert wide == [], each.words
