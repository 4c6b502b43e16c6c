"""Who wrote what: users stand in a list of their own that rows refer to by id, or inside the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tieba.pages.users import Users
from tieba.pages.values import identifier, mapping, name, rows


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a row."""

    user_id: int | None = None
    name: str | None = None
    ip_place: str | None = None


class Authors(Users):
    """The users of one answer."""

    def __init__(self, payload: dict[str, Any]) -> None:
        super().__init__()
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

    def _add(self, row: dict[str, Any]) -> None:
        self.add(row.get("id"), row.get("name"), row.get("name_show"), row.get("portrait"))
