"""The users that an answer names, each once."""

from __future__ import annotations

from typing import Any

from tieba.pages.values import identifier, name, text
from tieba.records import User


class Users:
    """Gathers users; one who is named with an id and elsewhere only with the same portrait is one user."""

    def __init__(self) -> None:
        self._seen: dict[int | str, User] = {}

    def add(self, user_id: Any, user_name: Any, nickname: Any, portrait: Any) -> None:
        """Take what an answer says of a user; one without id and portrait is left out."""
        # The part after "?" is the time at which the picture was changed.
        picture = name((text(portrait) or "").partition("?")[0])
        number = identifier(user_id)
        if number is None and picture is None:
            return
        user = User(user_id=number, name=name(user_name), nickname=name(nickname), portrait=picture)
        known = self._seen.get(user.key)
        if known is None or (known.portrait is None and picture is not None):
            self._seen[user.key] = user

    def seen(self) -> tuple[User, ...]:
        """Give every user of the answer."""
        with_id = {user.portrait for user in self._seen.values() if user.user_id is not None}
        return tuple(
            user for key, user in self._seen.items() if user.user_id is not None or key not in with_id
        )
