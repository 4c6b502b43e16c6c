"""What threads are made of, and how it is drawn: users, comments, floors and the pieces of their content."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from replica import text

THREAD_PAGE_SIZE = 30  # floors; repeated floors are arranged for this page size
INLINE_COMMENTS = 10  # at most so many comments come with their floor

_USERS = 20_000

# Salts that keep the random generators of different things apart.
FORUM, HEAD, BODY, USER, ADVANCE, CHANGE = range(6)

Draw = Callable[[], float]  # random() of a generator: 0 <= x < 1


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


class Slot(NamedTuple):
    """One place in the order of a thread's floors: pages are cut from slots, deleted floors stay empty."""

    floor: Floor | None
    shown_number: int


def generator(seed: int, salt: int, number: int) -> Random:
    """Make the random generator of one thing."""
    return Random((seed << 72) | (salt << 64) | number)  # noqa: S311 - repeatable on purpose


def normal(random: Random) -> float:
    """Draw from the standard normal distribution."""
    # From random() alone, whose sequence Python promises to keep; gauss() may change with the version.
    return math.sqrt(-2 * math.log(1 - random.random())) * math.cos(2 * math.pi * random.random())


class Content:
    """Draws users and what they write; everything follows from the seed.

    Where it is `hostile`, some names and all texts have something of text.HOSTILE.
    """

    def __init__(self, seed: int, *, hostile: bool = False) -> None:
        self._seed = seed
        self._is_hostile = hostile
        self._users: list[User | None] = [None] * _USERS

    def user(self, draw: Draw) -> User:
        """Draw an author; few users write much."""
        number = int(draw() ** 2 * _USERS)
        return self._users[number] or self._make_user(number)

    def _make_user(self, number: int) -> User:
        random = generator(self._seed, USER, number)
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
            if self._is_hostile and number % 3 == 0:
                name = shown = f"{self.hostile(number // 3)}{number}" if number else text.LONG_NAME
            user = User(600_000_000 + number * 1_009, name, shown, portrait, place)
        self._users[number] = user
        return user

    def hostile(self, number: int) -> str:
        """Give something hostile."""
        return text.HOSTILE[number % len(text.HOSTILE)]

    def pieces(self, draw: Draw, images: float) -> tuple[Piece, ...]:
        """Draw a floor's content; a share of `images` has pictures. Text has no white space at its ends."""
        kind = draw()
        found: list[Piece] = []
        if kind >= images * 0.1:  # else: nothing but pictures
            words = _sentences(draw)
            if self._is_hostile:
                words += self.hostile(len(words))
            form = draw()
            if form < 0.72:
                found.append(Piece("text", words))
            elif form < 0.86:
                code, name = text.EMOJI[int(draw() * len(text.EMOJI))]
                found.append(Piece("text", words))
                found.append(Piece("emoji", name, code, 11 if form < 0.73 else 2))
            elif form < 0.92:
                number = int(draw() * 9_999_999)
                found.append(Piece("text", words + "\n", code=27))
                found.append(Piece("link", f"第{number % 97}期详情", f"https://example.com/item/{number}"))
                found.append(Piece("text", "\n这里有说明"))
            elif form < 0.97:
                user = self.user(draw)
                found.append(Piece("at", f"@{user.name_show}", user.portrait, user.user_id))
                found.append(Piece("text", f" {words}"))
            elif form < 0.985:
                found.append(Piece("text", words))
                number = int(draw() * 1e9)
                page, film = f"http://tieba.baidu.com/mo/q/movideo/page?video_id={number}", f"{number}.mp4"
                found.append(Piece("video", page, f"http://video.example.com/{film}"))
            else:
                found.append(Piece("text", "#每日话题#", code=18))
                found.append(Piece("text", words, code=40))
                found.append(Piece("voice", "", f"{int(draw() * 1e12):032x}"))
        if kind < images:
            found += [
                Piece("image", f"{int(draw() * 2**52):013x}{int(draw() * 2**52):013x}".zfill(40), code=3)
                for _ in range(1 + int(draw() * 3))
            ]
        return tuple(found)

    def comment(self, draw: Draw, comment_id: int, created: int, earlier: Sequence[Comment]) -> Comment:
        """Draw a comment; some answer one of the `earlier` ones."""
        author = self.user(draw)
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


def _sentences(draw: Draw) -> str:
    openings, middles, endings = text.OPENINGS, text.MIDDLES, text.ENDINGS
    count = 1 + int(draw() * 3)
    lines = [
        f"{openings[int(draw() * len(openings))]}，{middles[int(draw() * len(middles))]}"
        f"{endings[int(draw() * len(endings))]}"
        for _ in range(count)
    ]
    return ("\n" if draw() < 0.7 else "").join(lines)
