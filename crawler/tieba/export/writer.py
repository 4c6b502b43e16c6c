"""What the formats have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tieba.storage import Document


class Writer(ABC):
    """Writes the records of one collection into a file."""

    @abstractmethod
    def write(self, documents: Sequence[Document]) -> None:
        """Write records."""

    def close(self) -> list[str]:
        """Finish; gives what the user should know."""
        return []

    def abandon(self) -> None:  # noqa: B027 - for most there is nothing to do
        """Let go of a file that is not to be finished."""
