"""The catalogues of modem-agent's screens, by Babel: messages from the source, .po files in step, .mo files.

`python firmware-config/catalogues.py` brings agent/cli/locale/*/LC_MESSAGES/modem-agent.po in step with the source and
compiles them beside. Called by .ci/setup, the build hook (hatch_build.py), the Debian package, the .ipk of a guest and
the tests. A device has the .mo files, which gettext of Python's library reads, and no Babel. The messages are gathered
here, since Babel's own extraction knows neither a verb's docstring nor `help=`.
"""

from __future__ import annotations

import ast
import inspect
import io
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

PROJECT = Path(__file__).resolve().parents[1]
LOCALE = PROJECT / "agent/cli/locale"
PLACE = "{language}/LC_MESSAGES/modem-agent.{kind}"
LANGUAGES = tuple(sorted(path.parents[1].name for path in LOCALE.glob("*/LC_MESSAGES/modem-agent.po")))
ROOMS = ("agent/cli", "agent/doctor")
# The functions whose first argument, or first two, are messages.
ONE, MANY = ("_", "N_", "said"), ("ngettext", "counted")
VERBS = ("verb", "group", "command")  # decorators whose function's docstring is its help


def messages() -> Catalog:
    """All that the source has, each with the file it stands in."""
    found = Catalog(project="modem-agent", fuzzy=False)
    for room in ROOMS:
        for path in sorted((PROJECT / room).rglob("*.py")):
            for message in _of(ast.parse(path.read_text("utf-8"))):
                found.add(message, locations=[(str(path.relative_to(PROJECT)), 0)])
    return found


def _of(tree: ast.Module) -> Iterator[str | tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _name(node.func)
            texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if name in ONE and texts:
                yield texts[0]
            elif name in MANY and len(texts) > 1:
                yield texts[0], texts[1]
            for keyword in node.keywords:
                if keyword.arg == "help" and isinstance(keyword.value, ast.Constant):
                    yield str(keyword.value.value)
        elif isinstance(node, ast.FunctionDef) and _is_verb(node) and (text := ast.get_docstring(node)):
            yield inspect.cleandoc(text)


def _is_verb(function: ast.FunctionDef) -> bool:
    return any(isinstance(each, ast.Call) and _name(each.func) in VERBS for each in function.decorator_list)


def _name(function: ast.expr) -> str:
    return str(getattr(function, "id", getattr(function, "attr", "")))


def read(language: str) -> Catalog:
    with (LOCALE / PLACE.format(language=language, kind="po")).open("rb") as file:
        return read_po(file, locale=language)


def update(language: str) -> None:
    """What is new is added without a translation, what is gone is left out; no guesses."""
    catalogue = read(language)
    template = messages()
    template.creation_date = catalogue.creation_date
    catalogue.update(template, no_fuzzy_matching=True)
    out = io.BytesIO()
    write_po(out, catalogue, width=116, ignore_obsolete=True, include_lineno=False)
    (LOCALE / PLACE.format(language=language, kind="po")).write_bytes(out.getvalue())


def compiled() -> dict[str, bytes]:
    """Path below agent/cli/locale to content, of every language."""
    made = {}
    for language in LANGUAGES:
        out = io.BytesIO()
        write_mo(out, read(language))
        made[PLACE.format(language=language, kind="mo")] = out.getvalue()
    return made


def put() -> None:
    """Beside the .po files, for a checkout and what is built from it; each in one step, since others may read it."""
    for place, content in compiled().items():
        path = LOCALE / place
        if not path.exists() or path.read_bytes() != content:
            fresh = path.with_suffix(".mo.new")
            fresh.write_bytes(content)
            fresh.replace(path)


if __name__ == "__main__":
    for each in LANGUAGES:
        update(each)
    put()
