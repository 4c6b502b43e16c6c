"""What a crawl did with the threads of each forum, and why that differs from what the site claims."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tieba.pages import Fetch, ForumPage
from tieba.storage import ForumTotals, Query
from tieba.truth import pages_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from frontier import Letter
    from tieba.storage import Store

    Report = dict[str, Any]
    Seeds = Sequence[Report]

REFUSED, FAILED = "refused", "failed"
_ANSWERED = ("refused", "closed", "login_required")  # what the site told; the reasons of letters begin so
_REFUSALS = (*_ANSWERED, "forbidden")
_PAGES_SHOWN = 5


@dataclass(slots=True)
class GivenUp:
    """What the dead letters are about: threads and, by forum, list pages, each REFUSED or FAILED.

    `answered` counts the requests to which the site gave an answer, a refusal.
    """

    threads: dict[int, str] = field(default_factory=dict)
    lists: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    answered: int = 0

    def take(self, letter: Letter) -> None:
        """Take one letter; those that are about nothing of the site, such as bad seeds, are left out."""
        outcome = letter.reason.partition(":")[0]
        try:
            target = Fetch.from_json(json.loads(letter.payload)).target
        except (ValueError, RecursionError):
            return
        self.answered += outcome in _ANSWERED
        kind = REFUSED if outcome in _REFUSALS else FAILED
        if isinstance(target, ForumPage):
            self.lists[target.forum][target.page] = kind
        elif self.threads.get(target.thread_id) != REFUSED:
            self.threads[target.thread_id] = kind


async def forum_totals(
    store: Store, seeds: Seeds, since: datetime, given_up: GivenUp, unfinished: str | None
) -> list[Report]:
    """Tell of every forum of the seeds what the site claims, what was done, and why the two differ.

    The crawl began at `since`; `unfinished` says why something of it is left.
    """
    own_seeds: dict[str, list[Report]] = defaultdict(list)
    for seed in seeds:
        if "forum" in seed:
            own_seeds[seed["forum"]].append(seed)
    if not own_seeds:
        return []
    told = Query(collection="forums", seen_since=since)
    forums = {forum["name"]: forum async for forum in store.scan(told) if forum["name"] in own_seeds}
    totals = {total.forum_id: asdict(total) for total in await store.totals(since)}
    seeds_by_id = {forum["forum_id"]: own_seeds[name] for name, forum in forums.items()}
    threads = await _threads_given_up(store, seeds_by_id, since, given_up)
    rows = []
    for name, own in own_seeds.items():
        forum = forums.get(name, {"forum_id": None, "thread_count": None})
        forum_id = forum["forum_id"]
        row = {
            "name": name,
            "claimed": forum["thread_count"],
            **(totals.get(forum_id) or asdict(ForumTotals(0, 0, 0, 0, 0, 0))),
            "forum_id": forum_id,
            REFUSED: threads[forum_id, REFUSED],
            FAILED: threads[forum_id, FAILED],
        }
        if not _is_update(own):  # which leaves no thread alone for having been fetched earlier
            row["not_fetched"] += row["unchanged"]
            row["unchanged"] = 0
        rows.append({**row, "why": list(reasons(row, own, given_up.lists.get(name, {}), unfinished))})
    return rows


async def _threads_given_up(
    store: Store, forums: Mapping[int, Seeds], since: datetime, given_up: GivenUp
) -> Counter[tuple[int | None, str]]:
    """Count threads that were given up, by forum and by whether they were REFUSED or FAILED."""
    counts: Counter[tuple[int | None, str]] = Counter()
    if not forums or not given_up.threads:
        return counts
    query = Query(
        collection="threads",
        forum_id=next(iter(forums)) if len(forums) == 1 else None,
        # An update also asks for threads that no list shows any more.
        seen_since=None if any(map(_is_update, forums.values())) else since,
    )
    async for thread in store.scan(query):
        if kind := given_up.threads.get(thread["thread_id"]):
            counts[thread["forum_id"], kind] += 1
    return counts


def reasons(row: Report, seeds: Seeds, lists: Mapping[int, str], unfinished: str | None) -> Iterator[str]:
    """Say why the numbers of a forum's row differ: facts of the crawl, or that nothing is known.

    `lists` are its list pages that were given up, each REFUSED or FAILED.
    """
    limits = [_limits(seed) for seed in seeds]
    if all(limits):
        yield f"only {' and '.join(f'threads {limit}' for limit in limits)} were asked for"
    if unfinished:
        yield unfinished
    for kind, verb in ((REFUSED, "refused by the site"), (FAILED, "given up after failures")):
        if pages := sorted(page for page, of_page in lists.items() if of_page == kind):
            yield f"{_pages_text(pages)} of its list {'was' if len(pages) == 1 else 'were'} {verb}"
        if row[kind]:
            yield f"requests of {row[kind]} threads were {verb}"
    # Not everything that lists show of times is stored: which threads they leave out cannot be told later.
    is_any_time = any(not seed.keys() & {"since", "until"} for seed in seeds)
    if row["not_fetched"] > row[REFUSED] + row[FAILED] and is_any_time and not unfinished:
        yield f"{row['not_fetched']} threads were listed and not fetched, and not all for a known reason"
    if row["claimed"] is None:
        yield "the site told nothing of this forum"
        return
    are_whole = not (unfinished or lists) and any(not _list_limits(seed) for seed in seeds)
    if row["listed"] < row["claimed"] and are_whole:
        yield "the pages of its list show no more, maybe since the site hides threads and ends long lists"
    elif row["listed"] > row["claimed"]:
        gone = f", maybe since {row['gone']} are gone" if row["gone"] else ", and the site does not say why"
        yield f"its list shows more than it claims{gone}"


def _list_limits(seed: Report) -> str:
    """Say how much of a forum's list a seed asks for; '' for all of it."""
    first, last = pages_of(seed)
    told = [
        "that are good" if seed.get("good") else "",
        _range_text(first, last) if (first, last) != (1, None) else "",
        f"with a reply since {seed['since']}" if "since" in seed else "",
    ]
    return " ".join(filter(None, told))


def _limits(seed: Report) -> str:
    """Say which threads of a forum a seed asks for; '' for all of them."""
    begun = f"begun before {seed['until']}" if "until" in seed else ""
    return " ".join(filter(None, [_list_limits(seed), begun]))


def _range_text(first: int, last: int | None) -> str:
    return f"of list page {first}" if first == last else f"of list pages {first} to {last or 'the last'}"


def _pages_text(pages: Sequence[int]) -> str:
    shown = ", ".join(map(str, pages[:_PAGES_SHOWN]))
    more = f" and {len(pages) - _PAGES_SHOWN} more" if len(pages) > _PAGES_SHOWN else ""
    return f"{'page' if len(pages) == 1 else 'pages'} {shown}{more}"


def _is_update(seeds: Seeds) -> bool:
    return any(seed.get("update") for seed in seeds)
