"""The stand-in site's data model: which forums, threads, floors, comments and users exist.

Everything follows from one seed, the forums' settings and the number of the generation, which `World.advance`
raises. A thread is made when it is first asked for, from random generators seeded with (seed, number of the
thread), so the order of requests changes nothing. The content has what crawlers of the real site stumble
over: short list pages in the middle, threads listed twice on neighbouring pages, promoted entries, deleted
threads and floors, a floor that two pages show, users without a name.
"""

from __future__ import annotations

import itertools
import math
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from replica import changes, content, text
from replica.changes import Change, Kind
from replica.content import INLINE_COMMENTS, THREAD_PAGE_SIZE, Comment, Content, Draw, Floor, Slot, generator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

LIST_PAGE_SIZE = 50  # threads; short pages and repeated threads are arranged for this page size
MOST_THREADS = 100  # on one list page of the client API
COMMENT_PAGE_SIZE = 30

MAX_FORUMS = 64
MAX_LIST_PAGES = 2_000
MAX_FLOORS = 600  # of one thread
_MAX_COMMENTS = 3_000  # of one thread
_MAX_FLOOR_COMMENTS = 120

# Ids of the real magnitude. Threads are numbered across forums, those of later generations after all others;
# each owns a block of ids for its posts.
_FORUM_THREADS = MAX_LIST_PAGES * LIST_PAGE_SIZE
_OLD_THREADS = MAX_FORUMS * _FORUM_THREADS
_FIRST_THREAD_ID = 10_000_000_000
_THREAD_ID_STEP = 97
_FIRST_POST_ID = 150_000_000_000
_POST_ID_BLOCK = 8_192  # > 2 * (MAX_FLOORS + _MAX_COMMENTS)
_FIRST_LATER_POST_ID = 400_000_000_000  # of what later generations add to threads

NEWEST_REPLY = 1_772_000_000  # unix seconds; 2026-02-25
_REPLY_INTERVAL = 420  # seconds between the last replies of neighbours in the list
_DAY = 86_400  # seconds between generations
_BUSY_SHARE = 0.8  # of that day, in which a generation's replies are written

_THREAD_CACHE = 4_096
_FLOORS_SIGMA = 1.3  # of the log-normal distribution of floors per thread: many short threads, few long ones
_COMMENTS_MU, _COMMENTS_SIGMA = 0.05, 1.15

# Places of threads by which every forum, however small, has each kind of trap.
_TALKATIVE = 4  # its second floor has three pages of comments
_LONG = 5  # two pages or more; a floor of the first one comes again on the second
_DELETED = 9

_GOOD_SHARE = 0.03

HIDDEN, PROMOTED = -1, -2  # entries of Forum.entries that are no thread


class FloorShape(NamedTuple):
    """What a thread's head decides about one of its floors."""

    is_deleted: bool
    comments: int
    inline: int
    is_repeated: bool


class Thread:
    """A thread: its head is made at once, its floors when they are first asked for."""

    def __init__(self, world: World, forum: Forum, index: int) -> None:
        self.forum = forum
        self.index = index
        self._world = world
        self._number = forum.thread_number(index)
        self._changes = forum.changes_of(index)
        self.thread_id = forum.thread_id(index)
        random = generator(world.seed, content.HEAD, self._number)
        draw = random.random
        self.is_pinned = index < forum.pinned
        self.is_good = self.is_pinned or draw() < _GOOD_SHARE  # see Forum.is_good
        is_unlucky = draw() < 0.015
        self.is_deleted = forum.is_gone(index) or (is_unlucky and _LONG < index < _FORUM_THREADS)
        self.author = world.content.user(draw)
        title = text.TITLES[int(draw() * len(text.TITLES))]
        self.title = title.format(topic=text.TOPICS[int(draw() * len(text.TOPICS))])
        if world.is_hostile:
            self.title += world.content.hostile(index)
        self.shapes = self._draw_shapes(random)
        replies = len(self.shapes) - 1 + sum(shape.comments for shape in self.shapes)
        self._first_replies = replies
        moment = NEWEST_REPLY - index * _REPLY_INTERVAL - int(draw() * _REPLY_INTERVAL)
        lifetime = int((0.2 + draw()) * 3_600 * len(self.shapes)) if replies else 0
        if (born := forum.born(index)) is not None:
            moment, lifetime = born, min(lifetime, int((1 - _BUSY_SHARE) * _DAY))
        self._first_last_reply = moment
        self.created = moment - lifetime
        self.last_reply = self._changes[-1].last_reply if self._changes else moment
        self.first_pieces = world.content.pieces(draw, images=0.4)
        self.views = 7 + replies * 11 + int(draw() * 900)
        self.first_post_id = _FIRST_POST_ID + self._number * _POST_ID_BLOCK

    def _draw_shapes(self, random: Random) -> tuple[FloorShape, ...]:
        draw = random.random
        mean = self.forum.floors_per_thread
        factor = math.exp(_FLOORS_SIGMA * content.normal(random) - _FLOORS_SIGMA**2 / 2)
        if self.index == _LONG:
            factor = 18.0
        count = min(MAX_FLOORS, 1 + int(factor * max(mean - 0.5, 0)))
        if self.index == _LONG:
            count = max(count, 2 * THREAD_PAGE_SIZE)
        if self.index == _TALKATIVE:
            count = max(count, 2)
        shapes = [FloorShape(is_deleted=False, comments=0, inline=0, is_repeated=False)]
        left = _MAX_COMMENTS
        for number in range(2, count + 1):
            is_deleted = draw() < 0.04 and number % THREAD_PAGE_SIZE > 0
            comments = 0
            if draw() < 0.33 and not is_deleted:
                comments = 1 + int(math.exp(_COMMENTS_MU + _COMMENTS_SIGMA * content.normal(random)))
                comments = min(comments, _MAX_FLOOR_COMMENTS, left)
                left -= comments
            inline = min(comments, INLINE_COMMENTS)
            if comments > 1 and draw() < 0.65:
                # As on the real site: fewer may come inline than both the limit and the number of comments.
                inline = max(1, inline - 1 - int(draw() * 2))
            shapes.append(FloorShape(is_deleted, comments, inline, is_repeated=False))
        if self.index == _TALKATIVE:
            shapes[1] = FloorShape(is_deleted=False, comments=75, inline=INLINE_COMMENTS, is_repeated=False)
        self._mark_repeated(shapes, draw)
        return tuple(shapes)

    def _mark_repeated(self, shapes: list[FloorShape], draw: Draw) -> None:
        # A repetition takes a slot itself, so later page boundaries move by one.
        slot = 0
        for index, shape in enumerate(shapes):
            slot += 1
            is_last_of_page = slot % THREAD_PAGE_SIZE == 0
            if not is_last_of_page or shape.is_deleted or index + 1 == len(shapes):
                continue
            if draw() < 0.6 or self.index == _LONG:
                shapes[index] = shape._replace(is_repeated=True)
                slot += 1

    @property
    def reply_count(self) -> int:
        """Replies as lists show them: without floor 1, with what was deleted."""
        return self._first_replies + (self._body[1] if self._changes else 0)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """All places in the order of floors, deleted ones empty, repeated floors twice."""
        return self._body[0]

    @cached_property
    def starter_slots(self) -> tuple[Slot, ...]:
        """What a reader sees who wants only the starter's floors: no gaps, no repetitions."""
        return tuple(Slot(floor, floor.number) for floor in self.floors if floor.author == self.author)

    @cached_property
    def _body(self) -> tuple[tuple[Slot, ...], int]:
        """Slots, and how many floors and comments were added since the first generation."""
        slots, total = self._draw_slots(), 0
        for change in self._changes:
            number = change.generation << 48 | self._number
            draw = generator(self._world.seed, content.CHANGE, number).random
            slots, added = changes.apply(change, slots, draw, self._world.content, self.author)
            total += added
        return slots, total

    def _draw_slots(self) -> tuple[Slot, ...]:
        draw = generator(self._world.seed, content.BODY, self._number).random
        source = self._world.content
        slots: list[Slot] = []
        post_id = self.first_post_id
        last_reply = self._first_last_reply
        step = (last_reply - self.created) / max(1, len(self.shapes) - 1)
        for index, shape in enumerate(self.shapes):
            number = index + 1
            created = self.created + int(index * step)
            if shape.is_deleted:
                post_id += 1
                slots.append(Slot(None, number))
                continue
            author = self.author if index == 0 or draw() < 0.1 else source.user(draw)
            floor_id = post_id
            post_id += 1 + (draw() < 0.5)
            comments: list[Comment] = []
            for order in range(shape.comments):
                written = min(created + 60 * (order + 1), last_reply)
                comments.append(source.comment(draw, post_id, written, comments))
                post_id += 1 + (draw() < 0.5)
            pieces = self.first_pieces if index == 0 else source.pieces(draw, images=0.15)
            floor = Floor(
                floor_id, number, author, pieces, created, tuple(comments), shape.inline, shape.is_repeated
            )
            slots.append(Slot(floor, number))
            if shape.is_repeated:
                slots.append(Slot(floor, number + 1))
        return tuple(slots)

    @property
    def floors(self) -> Iterator[Floor]:
        """Every living floor once, in order."""
        return changes.living(self.slots)

    @cached_property
    def floors_by_id(self) -> dict[int, Floor]:
        """Living floors by post id."""
        return {floor.post_id: floor for floor in self.floors}


class Forum:
    """A forum: the order of its list and the numbers of its threads.

    A thread's `index` is its first place in the list; those of later generations count from _FORUM_THREADS.
    """

    def __init__(self, world: World, number: int, name: str, pages: int, floors_per_thread: float) -> None:
        self.number = number
        self.name = name
        self.floors_per_thread = floors_per_thread
        self._world = world
        random = generator(world.seed, content.FORUM, number)
        draw = random.random
        self.forum_id = 59_000 + number * 7_919 + int(draw() * 7_919)
        self.member_count = 2_000 + int(draw() * 800_000)
        self.pinned = 2 + int(draw() * 2)
        self.entries = _lay_out(draw, itertools.count(), pages)
        self._old_threads = 1 + max(self.entries)
        self._order: Sequence[int] = range(self._old_threads)
        self._good: list[int] | None = None
        self._born: list[int] = []  # when threads of later generations were replied to first, unix seconds
        self._gone: set[int] = {_DELETED}
        self._changes: dict[int, tuple[Change, ...]] = {}

    @property
    def pages(self) -> int:
        """List pages of 50 threads."""
        return -(-len(self.entries) // LIST_PAGE_SIZE)

    @property
    def now(self) -> int:
        """When it is, in unix seconds."""
        return self._world.now

    @property
    def thread_count(self) -> int:
        """How many threads the list has, with those that are deleted but still listed."""
        return len(self._order)

    @property
    def post_count(self) -> int:
        """How many posts the forum says it has."""
        return int(self.thread_count * self.floors_per_thread * 1.7)

    @property
    def good_entries(self) -> Sequence[int]:
        """Indexes of the good threads (精品), in the list's order."""
        if self._good is None:
            self._good = [index for index in self._order if self._is_good(index)]
        return self._good

    def advance(self, share: float) -> dict[str, int]:
        """Change a share of the threads; gives how many were changed, deleted and added.

        Whatever the share, there is at least one of each kind of change. Changed and new threads move to the
        top of the list, below pinned ones.
        """
        world = self._world
        draw = generator(world.seed, content.ADVANCE, world.generation << 16 | self.number).random
        shuffled = sorted(self._order, key=lambda _: draw())
        living = (index for index in shuffled if not self.thread(index).is_deleted)
        total = round(share * len(shuffled))
        few = max(1, total // 8)
        gone = list(itertools.islice((index for index in living if index > _LONG), few))
        kinds = self._draw_changes(list(itertools.islice(living, max(1, total - few))), draw)
        new = range(_FORUM_THREADS + len(self._born), _FORUM_THREADS + len(self._born) + few)
        moved = sorted([*kinds, *new], key=lambda _: draw())
        interval = _BUSY_SHARE * _DAY / len(moved)
        last_replies = {index: world.now - int(place * interval) for place, index in enumerate(moved)}
        for index, kind in kinds.items():
            change = Change(world.generation, kind, world.take_post_ids(), last_replies[index])
            self._changes[index] = (*self.changes_of(index), change)
        self._born += [last_replies[index] for index in new]
        self._gone.update(gone)
        left = {*gone, *moved}
        self._order = [
            *range(self.pinned),
            *(index for index in moved if index >= self.pinned),
            *(index for index in self._order[self.pinned :] if index not in left),
        ]
        self.entries = _lay_out(draw, iter(self._order))
        self._good = None
        return {"changed": len(kinds), "deleted": len(gone), "new": len(new)}

    def _draw_changes(self, chosen: Sequence[int], draw: Draw) -> dict[int, Kind]:
        """Draw what happens to the chosen threads; a kind that none of them can have, another thread gets."""
        kinds = {index: changes.draw_kinds(draw) for index in chosen}
        missing = changes.EVERY_KIND
        for index in (*chosen, _TALKATIVE, _LONG):
            if not missing:
                break
            possible = missing & changes.possible_kinds(self.thread(index).slots)
            if possible:
                kinds[index] = kinds.get(index, Kind(0)) | possible
                missing &= ~possible
        return kinds

    def thread_number(self, index: int) -> int:
        """Give a thread's number among those of all forums; higher ones are newer."""
        if index < _FORUM_THREADS:
            return self.number * _FORUM_THREADS + _FORUM_THREADS - 1 - index
        return _OLD_THREADS + (index - _FORUM_THREADS) * MAX_FORUMS + self.number

    def thread_id(self, index: int) -> int:
        """Id of the thread at `index`."""
        number = self.thread_number(index)
        jitter = (number * 0x9E3779B1 ^ self._world.seed * 0x85EBCA6B) >> 7
        return _FIRST_THREAD_ID + number * _THREAD_ID_STEP + jitter % _THREAD_ID_STEP

    def has(self, index: int) -> bool:
        """Tell whether there is or was a thread at `index`."""
        return 0 <= index < self._old_threads or 0 <= index - _FORUM_THREADS < len(self._born)

    def thread(self, index: int) -> Thread:
        """Thread at `index`."""
        return self._world.thread_at(self.number, index)

    def listed(self, entries: Sequence[int]) -> Iterator[Thread]:
        """Every thread of a stretch of the list once, in order."""
        previous = None
        for entry in entries:
            if entry >= 0 and entry != previous:
                previous = entry
                yield self.thread(entry)

    def born(self, index: int) -> int | None:
        """Tell when a thread of a later generation came, in unix seconds; None for the others."""
        return self._born[index - _FORUM_THREADS] if index >= _FORUM_THREADS else None

    def is_gone(self, index: int) -> bool:
        """Tell whether a thread was deleted."""
        return index in self._gone

    def changes_of(self, index: int) -> tuple[Change, ...]:
        """Give what the generations did to a thread."""
        return self._changes.get(index, ())

    def _is_good(self, index: int) -> bool:
        # The first thing that is drawn of a thread: much cheaper than making it.
        number = self.thread_number(index)
        return index < self.pinned or generator(self._world.seed, content.HEAD, number).random() < _GOOD_SHARE


def _lay_out(draw: Draw, threads: Iterator[int], pages: int | None = None) -> list[int]:
    """Lay out a list: indexes of threads, HIDDEN or PROMOTED. Pages are slices of it.

    There are as many `pages` as said, or as the threads fill.
    """
    entries: list[int] = []
    thread = -1
    for page in itertools.count() if pages is None else range(pages):
        # Pages 2, 9, 16, … are short though more follow; the last one is short because the list ends.
        is_last = pages is not None and page + 1 == pages
        is_short = page % 7 == 1 and not is_last
        size = 21 + int(draw() * 25) if is_last else LIST_PAGE_SIZE
        for place in range(size):
            if place == 0 and page > 0 and draw() < 0.6:
                entries.append(thread)  # the list moved on while it was read: shown on the page before too
            elif place == 12 and page % 3 == 0:
                entries.append(PROMOTED)
            elif is_short and 2 < place < size - 2 and draw() < 0.5:
                entries.append(HIDDEN)
            else:
                following = next(threads, None)
                if following is None:
                    return entries
                thread = following
                entries.append(thread)
    return entries


class ForumSettings(NamedTuple):
    """Size of one forum: list pages of 50 threads, mean number of floors of its threads."""

    name: str
    pages: int
    floors_per_thread: float


class World:
    """All forums of one stand-in site."""

    def __init__(self, seed: int, forums: Sequence[ForumSettings], *, hostile: bool = False) -> None:
        self.seed = seed
        self.is_hostile = hostile
        self.generation = 0
        self.content = Content(seed, hostile=hostile)
        self._next_post_id = _FIRST_LATER_POST_ID
        self.forums = [Forum(self, number, *settings) for number, settings in enumerate(forums)]
        self._by_name = {forum.name: forum for forum in self.forums}
        self.thread_at = lru_cache(maxsize=_THREAD_CACHE)(self._make_thread)

    @property
    def now(self) -> int:
        """When the site is, in unix seconds: the time of its newest reply."""
        return NEWEST_REPLY + self.generation * _DAY

    def advance(self, share: float) -> dict[str, dict[str, int]]:
        """Go on to the next generation, a day later: a share (0 to 1) of each forum's threads changes.

        Gives how many threads were changed, deleted and added, by forum.
        """
        self.generation += 1
        counts = {forum.name: forum.advance(share) for forum in self.forums}
        self.thread_at.cache_clear()
        return counts

    def take_post_ids(self) -> int:
        """Reserve the ids of one change; gives the first."""
        first = self._next_post_id
        self._next_post_id += changes.ID_BLOCK
        return first

    def _make_thread(self, forum: int, index: int) -> Thread:
        return Thread(self, self.forums[forum], index)

    def forum(self, name: str) -> Forum | None:
        """Forum called `name`; None where there is none."""
        return self._by_name.get(name)

    def thread(self, thread_id: int) -> Thread | None:
        """Thread with this id, deleted or not; None where there never was one."""
        number = (thread_id - _FIRST_THREAD_ID) // _THREAD_ID_STEP
        if number < _OLD_THREADS:
            forum_number, reversed_index = divmod(number, _FORUM_THREADS)
            index = _FORUM_THREADS - 1 - reversed_index
        else:
            order, forum_number = divmod(number - _OLD_THREADS, MAX_FORUMS)
            index = _FORUM_THREADS + order
        if not 0 <= forum_number < len(self.forums):
            return None
        forum = self.forums[forum_number]
        if not forum.has(index) or forum.thread_id(index) != thread_id:
            return None
        return forum.thread(index)
