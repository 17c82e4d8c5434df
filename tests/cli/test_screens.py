"""The README shows what the verbs print now."""

from __future__ import annotations

from tests.cli.screens import BLOCK, README, SCREENS, rendered, stage


def test_the_screens_of_the_readme_are_those_of_the_verbs() -> None:
    shown = BLOCK.findall(README.read_text())
    assert [words for words, _ in shown] == [each.words for each in SCREENS]
    with stage() as folder:
        for each, (_, text) in zip(SCREENS, shown, strict=True):
            fresh = rendered(each, folder)
            assert fresh == text, f"{each.words}: python -m tests.cli.screens writes it anew"
            assert fresh.isascii()
            wide = [line for line in fresh.splitlines() if len(line) > 80 and not line.startswith("modem-agent: ")]
            assert wide == [], each.words
