"""The users of an answer: in a list of its own that rows refer to by id, or inside the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tieba.pages.values import identifier, mapping, name, rows, text
from tieba.records import User


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a row."""

    user_id: int | None = None
    name: str | None = None
    ip_place: str | None = None


class Users:
    """The users of one answer."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self._seen: dict[int | str, User] = {}
        self._listed: dict[int, dict[str, Any]] = {}
        for row in rows(payload.get("user_list")):
            user_id = identifier(row.get("id"))
            if user_id is not None:
                self._listed[user_id] = row
            self._add(row)

    def author(self, row: dict[str, Any]) -> Author:
        """Tell who wrote a row."""
        inline = mapping(row.get("author"))
        user_id = identifier(inline.get("id")) or identifier(row.get("author_id"))
        listed = self._listed.get(user_id, {}) if user_id is not None else {}
        if inline:
            self._add(inline)
        about = {**listed, **{key: value for key, value in inline.items() if value not in (None, "", 0)}}
        return Author(
            user_id, name(about.get("name")) or name(about.get("name_show")), name(about.get("ip_address"))
        )

    def seen(self) -> tuple[User, ...]:
        """Every user of the answer, once."""
        return tuple(self._seen.values())

    def _add(self, row: dict[str, Any]) -> None:
        user_id = identifier(row.get("id"))
        # The part after "?" is the time at which the picture was changed.
        portrait = name((text(row.get("portrait")) or "").partition("?")[0])
        if user_id is None and portrait is None:
            return
        user = User(
            user_id=user_id,
            name=name(row.get("name")),
            nickname=name(row.get("name_show")),
            portrait=portrait,
        )
        known = self._seen.get(user.key)
        if known is None or (known.portrait is None and portrait):
            self._seen[user.key] = user
