"""Sentences for a person that can be said in another language: English text that keeps its message and its values.

Made by the doctor and the CLI, translated by the CLI when they are shown (agent/cli/language.py). To everything else,
to JSON, the log and the bundle, they are plain English text. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Sentence(str):
    """`message` with `values` in its braces. Sentences among the values are translated with it."""

    __slots__ = ("message", "number", "plural", "values")
    message: str
    plural: str  # the message for other numbers than one; empty: nothing is counted
    number: int
    values: Mapping[str, object]

    def __new__(cls, message: str, values: Mapping[str, object], plural: str = "", count: int = 1) -> Sentence:
        text = plural if plural and count != 1 else message
        made = super().__new__(cls, text.format(**values) if values else text)
        made.message, made.plural, made.number, made.values = message, plural, count, values
        return made

    def __deepcopy__(self, memo: object) -> Sentence:
        """As any text; dataclasses.asdict asks for it."""
        return self


class Told(str):
    """English text that another part of the agent made, such as the reason of a decision; known by its form."""

    __slots__ = ()


def said(message: str, /, **values: object) -> Sentence:
    """One sentence, the message as a translator sees it."""
    return Sentence(message, values)


def counted(one: str, many: str, count: int, /, **values: object) -> Sentence:
    """A sentence with a number that decides its form; the number is `{count}`."""
    return Sentence(one, {**values, "count": count}, many, count)


def listed(parts: Iterable[str], sign: str = "; ") -> Sentence:
    """Several sentences or names in a row."""
    values = {f"part{number}": part for number, part in enumerate(parts)}
    return Sentence(sign.join(f"{{{name}}}" for name in values), values)
