"""The stand-in site's data model: which forums, threads, floors, comments and users exist.

Everything follows from one seed and the forums' settings. A thread is made when it is first asked for,
from a random generator seeded with (seed, number of the thread), so the order of requests changes
nothing. The content has what crawlers of the real site stumble over: short list pages in the middle,
threads listed twice on neighbouring pages, promoted entries, deleted threads and floors, a floor that two
pages show, users without a name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from random import Random
from typing import NamedTuple

from replica import text

LIST_PAGE_SIZE = 50  # threads; short pages and repeated threads are arranged for this page size
THREAD_PAGE_SIZE = 30  # floors; repeated floors are arranged for this page size
COMMENT_PAGE_SIZE = 30
INLINE_COMMENTS = 10  # at most so many comments come with their floor

MAX_FORUMS = 64
MAX_LIST_PAGES = 2_000
MAX_FLOORS = 600  # of one thread
_MAX_COMMENTS = 3_000  # of one thread
_MAX_FLOOR_COMMENTS = 120

# Ids of the real magnitude. Threads are numbered across forums; each owns a block of ids for its posts.
_FORUM_THREADS = MAX_LIST_PAGES * LIST_PAGE_SIZE
_FIRST_THREAD_ID = 10_000_000_000
_THREAD_ID_STEP = 97
_FIRST_POST_ID = 150_000_000_000
_POST_ID_BLOCK = 8_192  # > 2 * (MAX_FLOORS + _MAX_COMMENTS)

NEWEST_REPLY = 1_772_000_000  # unix seconds; 2026-02-25
_REPLY_INTERVAL = 420  # seconds between the last replies of neighbours in the list

_USERS = 20_000
_THREAD_CACHE = 4_096
_FLOORS_SIGMA = 1.3  # of the log-normal distribution of floors per thread: many short threads, few long ones
_COMMENTS_MU, _COMMENTS_SIGMA = 0.05, 1.15

# Salts that keep the random generators of different things apart.
_FORUM, _HEAD, _BODY, _USER = range(4)

Draw = Callable[[], float]  # random() of a generator: 0 <= x < 1

# Places of threads by which every forum, however small, has each kind of trap.
_TALKATIVE = 4  # its second floor has three pages of comments
_LONG = 5  # many pages, a floor of the first one comes again on the second
_DELETED = 9

HIDDEN, PROMOTED = -1, -2  # entries of Forum.entries that are no thread


class User(NamedTuple):
    """An author. `user_id` is 0 for users of the IP era, `name` '' where only a nickname exists."""

    user_id: int
    name: str
    name_show: str
    portrait: str
    ip_place: str


class Piece(NamedTuple):
    """One piece of a floor's content; `kind` is text, emoji, image, link, at, video or voice."""

    kind: str
    text: str = ""  # words; an emoji's name; an image's hash; text of a link or video; '@' and a name
    ref: str = ""  # code of an emoji; address of a link, video or voice
    code: int = 0  # type number in the client API; id of the user who is named


class Comment(NamedTuple):
    """Reply inside a floor (楼中楼)."""

    comment_id: int
    author: User
    reply_to: User | None
    plain_prefix: (
        str  # '回复 X :' as plain text in front of the content; '' when it comes in pieces or not at all
    )
    pieces: tuple[Piece, ...]
    created: int  # unix seconds


class Floor(NamedTuple):
    """A floor; deleted floors are only gaps between the numbers."""

    post_id: int
    number: int
    author: User
    pieces: tuple[Piece, ...]
    created: int  # unix seconds
    comments: tuple[Comment, ...]
    inline: int  # how many comments the site sends along with the floor
    is_repeated: bool  # shown again as first of the next page, under another number


class FloorShape(NamedTuple):
    """What a thread's head decides about one of its floors."""

    is_deleted: bool
    comments: int
    inline: int
    is_repeated: bool


class Slot(NamedTuple):
    """One place in the order of a thread's floors: pages are cut from slots, deleted floors stay empty."""

    floor: Floor | None
    shown_number: int


def _generator(seed: int, salt: int, number: int) -> Random:
    return Random((seed << 72) | (salt << 64) | number)  # noqa: S311 - repeatable on purpose


def _normal(random: Random) -> float:
    # From random() alone, whose sequence Python promises to keep; gauss() may change with the version.
    return math.sqrt(-2 * math.log(1 - random.random())) * math.cos(2 * math.pi * random.random())


class Thread:
    """A thread: its head is made at once, its floors when they are first asked for."""

    def __init__(self, world: World, forum: Forum, index: int) -> None:
        self.forum = forum
        self.index = index
        self._world = world
        self._number = forum.thread_number(index)
        self.thread_id = forum.thread_id(index)
        random = _generator(world.seed, _HEAD, self._number)
        draw = random.random
        self.is_pinned = index < forum.pinned
        self.is_good = self.is_pinned or draw() < 0.03
        is_unlucky = draw() < 0.015
        self.is_deleted = index == _DELETED or (is_unlucky and index > _LONG)
        self.author = world.random_user(draw)
        title = text.TITLES[int(draw() * len(text.TITLES))]
        self.title = title.format(topic=text.TOPICS[int(draw() * len(text.TOPICS))])
        self.shapes = self._draw_shapes(random)
        replies = len(self.shapes) - 1 + sum(shape.comments for shape in self.shapes)
        self.reply_count = replies
        self.last_reply = NEWEST_REPLY - index * _REPLY_INTERVAL - int(draw() * _REPLY_INTERVAL)
        lifetime = int((0.2 + draw()) * 3_600 * len(self.shapes)) if replies else 0
        self.created = self.last_reply - lifetime
        self.first_pieces = world.random_pieces(draw, images=0.4)
        self.views = 7 + replies * 11 + int(draw() * 900)
        self.first_post_id = _FIRST_POST_ID + self._number * _POST_ID_BLOCK

    def _draw_shapes(self, random: Random) -> tuple[FloorShape, ...]:
        draw = random.random
        mean = self.forum.floors_per_thread
        factor = math.exp(_FLOORS_SIGMA * _normal(random) - _FLOORS_SIGMA**2 / 2)
        if self.index == _LONG:
            factor = 18.0
        count = min(MAX_FLOORS, 1 + int(factor * max(mean - 0.5, 0)))
        if self.index == _TALKATIVE:
            count = max(count, 2)
        shapes = [FloorShape(is_deleted=False, comments=0, inline=0, is_repeated=False)]
        left = _MAX_COMMENTS
        for number in range(2, count + 1):
            is_deleted = draw() < 0.04 and number % THREAD_PAGE_SIZE > 0
            comments = 0
            if draw() < 0.33 and not is_deleted:
                comments = 1 + int(math.exp(_COMMENTS_MU + _COMMENTS_SIGMA * _normal(random)))
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

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """All places in the order of floors, deleted ones empty, repeated floors twice."""
        random = _generator(self._world.seed, _BODY, self._number)
        draw = random.random
        world = self._world
        slots: list[Slot] = []
        post_id = self.first_post_id
        step = (self.last_reply - self.created) / max(1, len(self.shapes) - 1)
        for index, shape in enumerate(self.shapes):
            number = index + 1
            created = self.created + int(index * step)
            if shape.is_deleted:
                post_id += 1
                slots.append(Slot(None, number))
                continue
            author = self.author if index == 0 or draw() < 0.1 else world.random_user(draw)
            floor_id = post_id
            post_id += 1 + (draw() < 0.5)
            comments: list[Comment] = []
            for order in range(shape.comments):
                comments.append(
                    self._draw_comment(
                        draw, post_id, min(created + 60 * (order + 1), self.last_reply), comments
                    )
                )
                post_id += 1 + (draw() < 0.5)
            pieces = self.first_pieces if index == 0 else world.random_pieces(draw, images=0.15)
            floor = Floor(
                floor_id, number, author, pieces, created, tuple(comments), shape.inline, shape.is_repeated
            )
            slots.append(Slot(floor, number))
            if shape.is_repeated:
                slots.append(Slot(floor, number + 1))
        return tuple(slots)

    def _draw_comment(self, draw: Draw, comment_id: int, created: int, earlier: Sequence[Comment]) -> Comment:
        world = self._world
        author = world.random_user(draw)
        reply_to, plain_prefix = None, ""
        if earlier and draw() < 0.4:
            reply_to = earlier[int(draw() * len(earlier))].author
            if draw() < 0.1:
                plain_prefix = f"回复 {reply_to.name_show} {':' if draw() < 0.5 else '：'}"
        pieces = [Piece("text", text.COMMENTS[int(draw() * len(text.COMMENTS))])]
        if draw() < 0.2:
            code, name = text.EMOJI[int(draw() * len(text.EMOJI))]
            pieces.append(Piece("emoji", name, code))
        return Comment(comment_id, author, reply_to, plain_prefix, tuple(pieces), created)

    @property
    def floors(self) -> Iterator[Floor]:
        """Every living floor once, in order."""
        seen = 0
        for slot in self.slots:
            if slot.floor is not None and slot.floor.number > seen:
                seen = slot.floor.number
                yield slot.floor

    @cached_property
    def floors_by_id(self) -> dict[int, Floor]:
        """Living floors by post id."""
        return {floor.post_id: floor for floor in self.floors}


class Forum:
    """A forum: the order of its list and the numbers of its threads."""

    def __init__(self, world: World, number: int, name: str, pages: int, floors_per_thread: float) -> None:
        self.number = number
        self.name = name
        self.pages = pages
        self.floors_per_thread = floors_per_thread
        self._world = world
        random = _generator(world.seed, _FORUM, number)
        draw = random.random
        self.forum_id = 59_000 + number * 7_919 + int(draw() * 7_919)
        self.member_count = 2_000 + int(draw() * 800_000)
        self.pinned = 2 + int(draw() * 2)
        self.entries = self._draw_entries(random)
        self.thread_count = 1 + max(self.entries)
        self.post_count = int(self.thread_count * floors_per_thread * 1.7)

    def _draw_entries(self, random: Random) -> list[int]:
        """Draw the list's order: indexes of threads, HIDDEN or PROMOTED. Pages are slices of it."""
        draw = random.random
        entries: list[int] = []
        thread = 0
        for page in range(self.pages):
            # Pages 2, 9, 16, … are short though more follow; the last one is short because the list ends.
            is_short = page % 7 == 1 and page + 1 < self.pages
            size = LIST_PAGE_SIZE if page + 1 < self.pages else 21 + int(draw() * 25)
            for place in range(size):
                if place == 0 and page > 0 and draw() < 0.6:
                    entries.append(
                        thread - 1
                    )  # the list moved on while it was read: shown on the page before too
                elif place == 12 and page % 3 == 0:
                    entries.append(PROMOTED)
                elif is_short and 2 < place < size - 2 and draw() < 0.5:
                    entries.append(HIDDEN)
                else:
                    entries.append(thread)
                    thread += 1
        return entries

    def thread_number(self, index: int) -> int:
        """Give a thread's number among those of all forums; lists go from the newest to the oldest."""
        return self.number * _FORUM_THREADS + _FORUM_THREADS - 1 - index

    def thread_id(self, index: int) -> int:
        """Id of the thread at `index`."""
        number = self.thread_number(index)
        jitter = (number * 0x9E3779B1 ^ self._world.seed * 0x85EBCA6B) >> 7
        return _FIRST_THREAD_ID + number * _THREAD_ID_STEP + jitter % _THREAD_ID_STEP

    def thread(self, index: int) -> Thread:
        """Thread at `index`."""
        return self._world.thread_at(self.number, index)

    def listed(self, pages: int) -> Iterator[Thread]:
        """Every thread of the first `pages` list pages once, in order."""
        seen = -1
        for entry in self.entries[: pages * LIST_PAGE_SIZE]:
            if entry > seen:
                seen = entry
                yield self.thread(entry)


class ForumSettings(NamedTuple):
    """Size of one forum: list pages of 50 threads, mean number of floors of its threads."""

    name: str
    pages: int
    floors_per_thread: float


class World:
    """All forums of one stand-in site."""

    def __init__(self, seed: int, forums: Sequence[ForumSettings]) -> None:
        self.seed = seed
        self._users: list[User | None] = [None] * _USERS
        self.forums = [Forum(self, number, *settings) for number, settings in enumerate(forums)]
        self._by_name = {forum.name: forum for forum in self.forums}
        self.thread_at = lru_cache(maxsize=_THREAD_CACHE)(self._make_thread)

    def _make_thread(self, forum: int, index: int) -> Thread:
        return Thread(self, self.forums[forum], index)

    def forum(self, name: str) -> Forum | None:
        """Forum called `name`; None where there is none."""
        return self._by_name.get(name)

    def thread(self, thread_id: int) -> Thread | None:
        """Thread with this id, deleted or not; None where there never was one."""
        number = (thread_id - _FIRST_THREAD_ID) // _THREAD_ID_STEP
        forum_number, reversed_index = divmod(number, _FORUM_THREADS)
        if not 0 <= forum_number < len(self.forums):
            return None
        forum = self.forums[forum_number]
        index = _FORUM_THREADS - 1 - reversed_index
        if index >= forum.thread_count or forum.thread_id(index) != thread_id:
            return None
        return forum.thread(index)

    def random_user(self, draw: Draw) -> User:
        """Draw an author; few users write much."""
        number = int(draw() ** 2 * _USERS)
        return self._users[number] or self._make_user(number)

    def _make_user(self, number: int) -> User:
        random = _generator(self.seed, _USER, number)
        draw = random.random
        heads, tails = text.NAME_HEADS, text.NAME_TAILS
        name = f"{heads[int(draw() * len(heads))]}{tails[int(draw() * len(tails))]}{number}"
        portrait = (
            f"tb.1.{random.getrandbits(32):08x}.{random.getrandbits(96):024x}?t={1_500_000_000 + number}"
        )
        place = text.PLACES[int(draw() * len(text.PLACES))]
        kind = draw()
        if kind < 0.04:  # wrote without an account, in the years when the site showed addresses
            user = User(0, "", f"{1 + number % 223}.{number // 256}.{number % 256}.*", portrait, "")
        elif kind < 0.16:
            user = User(4_000_000_000 + number * 53, "", f"贴吧用户_{number:05d}Qx", portrait, place)
        else:
            shown = name if draw() < 0.6 else f"{heads[int(draw() * len(heads))]}の{number}"
            user = User(600_000_000 + number * 1_009, name, shown, portrait, place)
        self._users[number] = user
        return user

    def random_pieces(self, draw: Draw, images: float) -> tuple[Piece, ...]:
        """Draw a floor's content; a share of `images` has pictures. Text has no white space at its ends."""
        kind = draw()
        pieces: list[Piece] = []
        if kind >= images * 0.1:  # else: nothing but pictures
            words = _sentences(draw)
            form = draw()
            if form < 0.72:
                pieces.append(Piece("text", words))
            elif form < 0.86:
                code, name = text.EMOJI[int(draw() * len(text.EMOJI))]
                pieces.append(Piece("text", words))
                pieces.append(Piece("emoji", name, code, 11 if form < 0.73 else 2))
            elif form < 0.92:
                number = int(draw() * 9_999_999)
                pieces.append(Piece("text", words + "\n", code=27))
                pieces.append(Piece("link", f"第{number % 97}期详情", f"https://example.com/item/{number}"))
                pieces.append(Piece("text", "\n这里有说明"))
            elif form < 0.97:
                user = self.random_user(draw)
                pieces.append(Piece("at", f"@{user.name_show}", user.portrait, user.user_id))
                pieces.append(Piece("text", f" {words}"))
            elif form < 0.985:
                pieces.append(Piece("text", words))
                number = int(draw() * 1e9)
                page, film = f"http://tieba.baidu.com/mo/q/movideo/page?video_id={number}", f"{number}.mp4"
                pieces.append(Piece("video", page, f"http://video.example.com/{film}"))
            else:
                pieces.append(Piece("text", "#每日话题#", code=18))
                pieces.append(Piece("text", words, code=40))
                pieces.append(Piece("voice", "", f"{int(draw() * 1e12):032x}"))
        if kind < images:
            pieces += [
                Piece("image", f"{int(draw() * 2**52):013x}{int(draw() * 2**52):013x}".zfill(40), code=3)
                for _ in range(1 + int(draw() * 3))
            ]
        return tuple(pieces)


def _sentences(draw: Draw) -> str:
    openings, middles, endings = text.OPENINGS, text.MIDDLES, text.ENDINGS
    count = 1 + int(draw() * 3)
    lines = [
        f"{openings[int(draw() * len(openings))]}，{middles[int(draw() * len(middles))]}"
        f"{endings[int(draw() * len(endings))]}"
        for _ in range(count)
    ]
    return ("\n" if draw() < 0.7 else "").join(lines)
