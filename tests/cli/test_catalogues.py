"""The catalogues: whole, in step with the source, and fit for what is put into them and for the terminals they meet."""

from __future__ import annotations

import ast
import gettext
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli import language, told
from agent.sentence import Sentence
from tests.cli.catalogues import TOOL, TRANSLATED, source, texts, translations
from tests.cli.spoken import spoken_in

AGENT = Path(__file__).parents[2] / "agent"
ADVICE = "python firmware-config/catalogues.py adds what is new; then translate it"
# Words of developers that a technician need not know; `modem-agent reset attach` is a command's name.
JARGON = re.compile(r"\battach(ed|es|ing)?\b(?!')|data contexts?|enforced|\bwarned\b", re.IGNORECASE)


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{[^}]*\}", text))


@pytest.mark.parametrize("name", TRANSLATED)
def test_the_catalogue_is_in_step_with_the_source(name: str) -> None:
    assert list(translations(name)) == list(source()), ADVICE


@pytest.mark.parametrize("name", TRANSLATED)
def test_every_message_is_translated_with_the_same_placeholders(name: str) -> None:
    for ids, message in translations(name).items():
        forms = texts(message.string)
        assert not message.fuzzy, ids
        assert len(forms) == len(ids), ids
        assert all(form.strip() for form in forms), ids
        for form in forms:
            assert placeholders(form) == placeholders(ids[-1]), (ids, form)
            assert form[:1].isspace() == ids[0][:1].isspace(), (ids, form)
            assert form.endswith("\n") == ids[0].endswith("\n"), (ids, form)


@pytest.mark.parametrize("name", TRANSLATED)
def test_every_sign_has_a_form_of_seven_bits(name: str) -> None:
    for message in translations(name).values():
        for form in texts(message.string):
            shown = language.plain(form, name)
            assert shown.isascii(), (form, shown)
            assert "?" not in shown or "?" in form


@pytest.mark.parametrize("name", TRANSLATED)
def test_what_babel_compiles_is_what_gettext_reads(name: str) -> None:
    place = TOOL["PLACE"].format(language=name, kind="mo")
    found = gettext.GNUTranslations(io.BytesIO(TOOL["compiled"]()[place]))
    for ids, message in translations(name).items():
        forms = texts(message.string)
        if len(ids) == 1:
            assert found.gettext(ids[0]) == forms[0]
        else:
            assert [found.ngettext(ids[0], ids[1], number) for number in (1, 2)] == list(forms)


def test_words_a_technician_knows() -> None:
    for ids in source():
        for text in ids:
            assert not JARGON.search(re.sub(r"'modem-agent [^']*'|Levels.*", "", text)), text
    for name in TRANSLATED:
        for message in translations(name).values():
            for text in texts(message.string):
                assert not JARGON.search(re.sub(r"'modem-agent [^']*'|(Niv|Stufen).*", "", text)), text


# -- what the daemon says ------------------------------------------------------------------------------------------


def said_by_the_agent() -> Iterator[str]:
    """Every text of the source, an f-string's values as {}; those of the table itself left out."""
    for path in AGENT.rglob("*.py"):
        if path.name in ("told.py", "events.py") and path.parent.name == "cli":  # they only quote it
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)


SAID = list(said_by_the_agent())


@pytest.mark.parametrize("message", told.MESSAGES)
def test_a_sentence_of_the_daemon_is_in_the_source(message: str) -> None:
    """Its fixed parts, each in one text of the source: a sentence may be put together of several."""
    parts = [part.strip(" :") for part in re.split(r"\{\w+\}|(?=[;,:(])", message) if re.search(r"\w", part)]
    missing = [part for part in parts if not any(part in text for text in SAID)]
    assert not missing, f"nothing in agent/ says {missing}"


@pytest.mark.parametrize("message", told.MESSAGES)
def test_a_sentence_of_the_daemon_is_recognised(message: str) -> None:
    names = re.findall(r"\{(\w+)\}", message)
    values = {name: f"value{number}" for number, name in enumerate(names)}
    found = told.recognised(message.format(**values))
    assert found is not None
    assert isinstance(found, Sentence)
    assert found == message.format(**values)
    assert found.message == message


def test_what_nobody_knows_stays_as_it_came() -> None:
    assert told.recognised("braces {like} these are nothing known") is None
    with spoken_in("fr"):
        assert language.spoken("braces {like} these are nothing known") == "braces {like} these are nothing known"
        assert language.spoken("85.5 % used, past 80 %") == "85,5 % utilisés, plus de 80 %"
        assert language.spoken("") == ""
