"""Texts for people that can be told in other languages."""

from __future__ import annotations


class Phrase(str):
    """A text in English that knows what it is made of: a template in the form of `%`, and its values.

    Terminals, logs and mails take it as the text it is; who has translations of the templates, as the web
    page does, makes the text anew out of them.
    """

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, **values: object) -> Phrase:
        """Make the text; without values the template is not changed."""
        phrase = super().__new__(cls, template % values if values else template)
        phrase.template, phrase.values = template, values
        return phrase


def phrase_of(error: BaseException) -> str:
    """Give an error's message, a `Phrase` where it was made with one: `str` would give a plain text."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, Phrase) else str(error)
