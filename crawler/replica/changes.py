"""What happens to a thread from one generation of the site to the next: floors and comments come and go.

As on the real site, its reply count never falls when something is deleted, and deleted floors leave a gap.
"""

from __future__ import annotations

from enum import Flag, auto
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from replica.content import INLINE_COMMENTS, THREAD_PAGE_SIZE, Floor, Slot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica.content import Comment, Content, Draw, User

_T = TypeVar("_T")

ID_BLOCK = 512  # ids that one change needs at most

_MANY_FLOORS = 12
_MOST_NEW_FLOORS = 45
_SECONDS_APART = 30  # floors and comments of one change


class Kind(Flag):
    """Kinds of change; one thread has several at once."""

    NEW_FLOORS = auto()
    NEW_COMMENTS = auto()  # in floors of any page
    MANY_NEW_COMMENTS = auto()  # in one floor, more than come inline
    DELETED_FLOORS = auto()  # in the middle
    DELETED_COMMENTS = auto()
    SWAPPED_COMMENT = auto()  # one deleted, one added in the same floor: their number stays


EVERY_KIND = ~Kind(0)
_ADDING = (Kind.NEW_FLOORS, Kind.NEW_COMMENTS, Kind.MANY_NEW_COMMENTS, Kind.SWAPPED_COMMENT)


class Change(NamedTuple):
    """What one generation does to a thread."""

    generation: int
    kinds: Kind
    first_id: int  # of the new floors and comments
    last_reply: int  # unix seconds; the newest of them


def draw_kinds(draw: Draw) -> Kind:
    """Draw what happens to a thread; something is always added, since nothing else shows in the list."""
    kinds = _ADDING[int(draw() * len(_ADDING))]
    for kind in Kind:
        if draw() < 0.25:
            kinds |= kind
    return kinds


def possible_kinds(slots: Sequence[Slot]) -> Kind:
    """Give the kinds of change that a thread with these floors surely can have at once."""
    floors = {floor.post_id: floor for floor in living(slots)}
    discussed = len(_discussed(floors))
    if len(floors) >= _MANY_FLOORS and discussed >= _MANY_FLOORS / 2:
        return EVERY_KIND
    return Kind.NEW_FLOORS | Kind.SWAPPED_COMMENT if discussed else Kind.NEW_FLOORS


def living(slots: Sequence[Slot]) -> Iterator[Floor]:
    """Give every living floor once, in order."""
    seen = 0
    for floor, _ in slots:
        if floor is not None and floor.number > seen:
            seen = floor.number
            yield floor


def apply(
    change: Change, slots: Sequence[Slot], draw: Draw, content: Content, starter: User
) -> tuple[tuple[Slot, ...], int]:
    """Change a thread's floors; gives the new ones, and how many floors and comments were added."""
    floors = {floor.post_id: floor for floor in living(slots)}
    original = dict(floors)
    added = _change_comments(change.kinds, floors, draw)
    if Kind.DELETED_FLOORS in change.kinds:
        _delete_floors(
            floors, [key for key in floors if floors[key] is original[key] and key not in added], draw
        )
    sizes: list[int] = []  # how many comments each new floor has
    if Kind.NEW_FLOORS in change.kinds or not added:
        sizes = [max(0, int(draw() * 12) - 9) for _ in range(1 + int(draw() ** 4 * _MOST_NEW_FLOORS))]
    total = len(added) + len(sizes) + sum(sizes)
    stamps = (
        (change.first_id + 2 * number, change.last_reply - _SECONDS_APART * (total - 1 - number))
        for number in range(total)
    )

    def new_floor(number: int, size: int) -> Floor:
        post_id, created = next(stamps)
        author = starter if draw() < 0.1 else content.user(draw)
        comments: list[Comment] = []
        for _ in range(size):
            comments.append(content.comment(draw, *next(stamps), comments))
        pieces = content.pieces(draw, images=0.15)
        return Floor(post_id, number, author, pieces, created, tuple(comments), size, is_repeated=False)

    last = slots[-1].shown_number  # never a repetition
    new_floors = [new_floor(number, size) for number, size in enumerate(sizes, last + 1)]
    for post_id in added:
        floor = floors[post_id]
        comment = content.comment(draw, *next(stamps), floor.comments)
        floors[post_id] = _with_comments(floor, (*floor.comments, comment))
    kept = [Slot(floors.get(floor.post_id) if floor else None, shown) for floor, shown in slots]
    return (*kept, *_slots_of(new_floors, len(kept), draw)), total


def _delete_floors(floors: dict[int, Floor], untouched: Sequence[int], draw: Draw) -> None:
    for _ in range(1 + int(draw() * 3)):
        if middle := [key for key in list(floors)[1:-1] if key in untouched]:
            del floors[_one_of(middle, draw)]


def _change_comments(kinds: Kind, floors: dict[int, Floor], draw: Draw) -> list[int]:
    """Delete comments; gives the floors that get one more, as often as they do. The first never has any."""
    places = list(floors)[1:]
    added: list[int] = []
    if Kind.SWAPPED_COMMENT in kinds and (discussed := _discussed(floors)):
        floor = _one_of(discussed, draw)
        gone = _one_of(floor.comments, draw)
        kept = [comment for comment in floor.comments if comment is not gone]
        floors[floor.post_id] = _with_comments(floor, kept)
        places.remove(floor.post_id)  # nothing else happens there
        added.append(floor.post_id)
    if Kind.DELETED_COMMENTS in kinds and (
        discussed := [floors[key] for key in places if floors[key].comments]
    ):
        floor = _one_of(discussed, draw)
        share = draw() * 0.6
        kept = [comment for comment in floor.comments if draw() >= share]
        floors[floor.post_id] = _with_comments(floor, kept[: len(floor.comments) - 1])
        places.remove(floor.post_id)
    if Kind.NEW_COMMENTS in kinds and places:
        for _ in range(1 + int(draw() * 3)):
            added += [_one_of(places, draw)] * (1 + int(draw() * 3))
    if Kind.MANY_NEW_COMMENTS in kinds and places:
        added += [_one_of(places, draw)] * (INLINE_COMMENTS + 1 + int(draw() * 4))
    return added


def _one_of(items: Sequence[_T], draw: Draw) -> _T:
    return items[int(draw() * len(items))]


def _discussed(floors: dict[int, Floor]) -> list[Floor]:
    return [floor for floor in floors.values() if floor.comments]


def _with_comments(floor: Floor, comments: Sequence[Comment]) -> Floor:
    """Give a floor other comments; where all came inline they go on to, up to the limit."""
    most = INLINE_COMMENTS if floor.inline == len(floor.comments) else max(1, floor.inline)
    return floor._replace(comments=tuple(comments), inline=min(most, len(comments)))


def _slots_of(floors: Sequence[Floor], before: int, draw: Draw) -> Iterator[Slot]:
    """Give the slots of new floors after `before` others; the last of a page may come again on the next."""
    place = before
    for floor in floors:
        place += 1
        is_repeated = place % THREAD_PAGE_SIZE == 0 and floor is not floors[-1] and draw() < 0.6
        shown = floor._replace(is_repeated=is_repeated)
        yield Slot(shown, floor.number)
        if is_repeated:
            place += 1
            yield Slot(shown, floor.number + 1)
