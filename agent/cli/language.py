"""The language of the screens: which one, and every sentence in it.

Chosen once by main(), before anything is shown. English is in the source and loads nothing; for another language the
catalogue in locale/ is read by gettext. What goes to a program (`--json`) is English always.

A module marks its sentences for the catalogue by calling `_` or `ngettext`, or `N_` where the text is wanted later; the
doctor's rooms call `said` and `counted` (agent/sentence.py).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from agent.sentence import Sentence, Told, counted, said

if TYPE_CHECKING:
    from gettext import NullTranslations

LANGUAGES = ("fr", "nl", "de", "en")
ENGLISH = "en"
DOMAIN = "modem-agent"
LOCALE = os.path.join(os.path.dirname(__file__), "locale")

# How a terminal of seven bits shows what the catalogues have beyond them.
_PLAIN = str.maketrans({
    **dict(zip("àâäçéèêëîïôùûüÀÂÇÉÈÊËÎÏÔÙÛó", "aaaceeeeiiouuuAACEEEEIIOUUo", strict=True)),
    "œ": "oe", "ß": "ss", "…": "...",
})  # fmt: skip
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


class _Chosen:
    """The one language of this process."""

    def __init__(self) -> None:
        self.name = ENGLISH
        self.catalogue: NullTranslations | None = None  # none: English


_chosen = _Chosen()


# -- which one -----------------------------------------------------------------------------------------------------


def choose(words: Sequence[str], config_file: str) -> None:
    """By the command line, else the environment, else `device.language` of the configuration; else English."""
    use(wanted(words, os.environ, config_file))


def wanted(words: Sequence[str], environment: Mapping[str, str], config_file: str) -> str:
    if "--json" in words or words[:1] == ["run"]:
        return ENGLISH
    asked = _value(words, "--lang")
    if asked in LANGUAGES:
        return asked
    locale = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    named = _of_locale(locale) or _configured(_value(words, "--config") or config_file)
    return named if named in LANGUAGES else ENGLISH


def use(name: str) -> None:
    """Say everything in this language from now on."""
    _chosen.name, _chosen.catalogue = name, None if name == ENGLISH else _catalogue(name)


def _value(words: Sequence[str], option: str) -> str:
    """What stands behind an option, before click reads it: the help is in that language too."""
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return ""


def _of_locale(locale: str) -> str:
    """fr of fr_BE.UTF-8. C and POSIX ask for the text as it is in the source (setlocale(3)); C.UTF-8, the default of
    many systems, says which signs can be shown and nothing of a language."""
    if locale in ("C", "POSIX"):
        return ENGLISH
    language = locale.replace(".", "_").partition("_")[0].lower()
    return language if language in LANGUAGES else ""


def _configured(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, UnicodeDecodeError):  # the verb that needs it says so
        return ""
    if "language" not in text:
        return ""
    from agent.toml import tomllib

    try:
        device = tomllib.loads(text).get("device")
    except tomllib.TOMLDecodeError:
        return ""
    return str(device.get("language", "")) if isinstance(device, dict) else ""


def _catalogue(language: str) -> NullTranslations | None:
    """English where it is missing (a checkout that was not set up) or was damaged: a technician needs the tool."""
    import gettext
    import struct

    try:
        found = gettext.translation(DOMAIN, LOCALE, [language])
    except (OSError, ValueError, struct.error):
        return None
    # click asks gettext for its own words, by the same names.
    os.environ["LANGUAGE"] = language
    gettext.bindtextdomain(DOMAIN, LOCALE)
    gettext.textdomain(DOMAIN)
    return found


# -- every sentence ------------------------------------------------------------------------------------------------


def N_(message: str) -> str:
    """Marks a message for the catalogue; `_` translates it where it is shown."""
    return message


def _(message: str, /, **values: object) -> str:
    """The message in the chosen language, its values filled in."""
    return spoken(said(message, **values))


def ngettext(one: str, many: str, count: int, /, **values: object) -> str:
    """The same where a number decides the form; it is `{count}`."""
    return spoken(counted(one, many, count, **values))


def spoken(text: str) -> str:
    """A sentence in the chosen language; plain text is looked up among those that the daemon makes."""
    catalogue = _chosen.catalogue
    if catalogue is None or not text:
        return str(text)
    if not isinstance(text, Sentence):
        from agent.cli.told import recognised

        known = recognised(text)
        return str(text) if known is None else spoken(known)
    message = (
        catalogue.ngettext(text.message, text.plural, text.number) if text.plural else catalogue.gettext(text.message)
    )
    shown = _shown(message)
    return shown.format(**{key: _filled(value) for key, value in text.values.items()}) if text.values else shown


def _filled(value: object) -> object:
    if isinstance(value, (Sentence, Told)):
        return spoken(value)
    return _Number(value) if isinstance(value, float) else value


class _Number(float):
    """With a decimal comma, as all three languages write it."""

    def __format__(self, form: str) -> str:
        return comma(super().__format__(form))


def comma(number: str) -> str:
    """A number that was made into text, as the chosen language writes it."""
    return number if _chosen.catalogue is None else number.replace(".", ",")


def _shown(text: str) -> str:
    """The catalogue's text, or the nearest that a terminal of seven bits can show."""
    if text.isascii() or "utf" in encoding().lower():
        return text
    return plain(text, _chosen.name)


def encoding() -> str:
    """What the terminal can show: ASCII where no locale names UTF-8. A serial console has none, and Python would take
    it for UTF-8 all the same (PEP 540), or say so in LC_CTYPE (PEP 538)."""
    told = os.environ.get("LC_CTYPE", "")
    named = os.environ.get("LC_ALL") or (told if told != "C.UTF-8" else "") or os.environ.get("LANG", "")
    stream = getattr(sys.stdout, "encoding", None) or "ascii"
    return stream if "utf" in named.lower() else "ascii"


def plain(text: str, language: str) -> str:
    return (text.translate(_GERMAN) if language == "de" else text).translate(_PLAIN)
