"""Holds a store against the truth of the stand-in site: what is missing, unexpected, doubled or wrong."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from tieba.errors import Unusable
from tieba.records import RECORD_TYPES, User
from tieba.storage import Query

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

    from tieba.storage import Document, Store

    Found = dict[str, Any]

DIFFERENCES = ("missing", "unexpected", "doubled", "wrong")
_EXAMPLES = 5  # of every kind of difference
_TIMEOUT_SECONDS = 120
_COMPARED = {kind.__name__.lower(): kind for kind in RECORD_TYPES if kind is not User}
# By what two records are the same one, whatever their keys are. Floors have no number here: that of a floor
# which comes on two pages depends on the page.
_IDENTITIES = {
    "forum": ("name",),
    "thread": ("forum_id", "author_id", "author_name", "title", "created_at"),
    "post": ("thread_id", "author_id", "author_name", "text", "created_at"),
    "comment": ("post_id", "author_id", "author_name", "text", "created_at"),
}


@dataclass(slots=True)
class Truth:
    """The true records by kind and key, and the fewest requests that a full crawl of them takes."""

    records: dict[str, dict[int, Found]] = field(default_factory=lambda: {kind: {} for kind in _COMPARED})
    fewest: Counter[str] = field(default_factory=Counter)


def why_not(seeds: Iterable[Mapping[str, Any]]) -> str | None:
    """Say why a crawl from seeds cannot be compared; None where it can."""
    for seed in seeds:
        shown = json.dumps(seed, ensure_ascii=False)
        if "forum" not in seed:
            return f"the truth knows forums only, not the seed {shown}"
        if limits := seed.keys() & {"since", "until"}:
            return f"the truth knows no limits of time, as the seed {shown} has: {', '.join(sorted(limits))}"
    return None


def fetch_truth(url: str, seeds: Iterable[Mapping[str, Any]], source: str) -> Truth:
    """Fetch the truth about the forums of seeds; raises Unusable."""
    truth = Truth()
    for seed in seeds:
        first, last = pages_of(seed)
        part = {"forum": seed["forum"], "source": source, "first": first}
        part |= {name: int(bool(seed[name])) for name in ("good", "starter", "comments") if name in seed}
        part |= {} if last is None else {"last": last}
        try:
            lines = _get(f"{_base(url)}/replica/truth?{urlencode(part)}")
        except _NotFoundError:
            continue  # a forum that the site does not have: its request is among the failures
        for line in lines.splitlines():
            try:
                record = json.loads(line)
                kind = record["record"]
                if kind == "requests":
                    truth.fewest.update(record["fewest"])
                else:
                    truth.records[kind][record[_COMPARED[kind].key_field]] = record
            except (ValueError, KeyError, TypeError):  # noqa: PERF203 - ends the loop
                raise Unusable(f"--truth {url}: not a line of truth: {line[:80]!r}") from None
    return truth


def pages_of(seed: Mapping[str, Any]) -> tuple[int, int | None]:
    """Give the first and last list page of a seed's `pages`: 20, "3-7" or "3-"; None: to the end."""
    first, dash, last = str(seed.get("pages", "1-")).rpartition("-")
    return (int(first) if dash else 1), (int(last) if last else None)


def fetch_stats(url: str) -> Found:
    """Fetch what the site counted; raises Unusable."""
    try:
        stats = json.loads(_get(f"{_base(url)}/replica/stats"))
    except ValueError:
        raise Unusable(f"--truth {url}: /replica/stats is not JSON; is it the stand-in site?") from None
    return {name: stats.get(name) for name in ("answers", "repeats", "by_outcome")}


async def compare(
    store: Store, truth: Truth, seeds: Iterable[Mapping[str, Any]], since: datetime
) -> dict[str, Found]:
    """Hold what is stored against the truth, by collection; no more is held in memory than the truth.

    Of a crawl that updates, everything that the store has of its forums, of others what they saw since then.
    What is marked as deleted, or is in something that is, is gone: it may be there and need not.
    """
    is_update = any(seed.get("update") for seed in seeds)
    # An update of some list pages says nothing about threads that are further back.
    is_whole = is_update and all(pages_of(seed) == (1, None) and not seed.get("good") for seed in seeds)
    gone: dict[str, set[int]] = {"thread_id": set(), "post_id": set()}
    found = {}
    for name, kind in _COMPARED.items():
        comparison = _Comparison(name, truth.records[name])
        forum_ids = list(truth.records["forum"]) if is_update else [None]
        async for document in _documents(store, kind.collection, forum_ids, None if is_update else since):
            is_gone = document["deleted_at"] is not None or any(
                document.get(parent) in keys for parent, keys in gone.items()
            )
            if is_gone and kind.key_field in gone:
                gone[kind.key_field].add(document[kind.key_field])
            comparison.take(document, is_gone, is_expected=is_whole or document["last_seen"] >= since)
        found[kind.collection] = comparison.result()
    return found


async def _documents(
    store: Store, collection: str, forum_ids: Iterable[int | None], since: datetime | None
) -> AsyncIterator[Document]:
    for forum_id in forum_ids:
        async for document in store.scan(Query(collection=collection, forum_id=forum_id, seen_since=since)):
            yield document


class _Comparison:
    """Takes the stored records of one kind, one after the other."""

    def __init__(self, name: str, truth: Mapping[int, Found]) -> None:
        self._truth = truth
        self._key_field = _COMPARED[name].key_field
        self._identity = _IDENTITIES[name]
        self._missing = set(truth)
        # How often the records of an identity (as its hash) truly occur; count, least and largest key stored.
        self._true_counts = Counter(self._hash(record) for record in truth.values())
        self._stored: dict[int, tuple[int, int, int]] = {}
        self._count = 0
        self._found: Found = {kind: {"count": 0, "examples": []} for kind in DIFFERENCES}

    def take(self, document: Document, is_gone: bool, *, is_expected: bool) -> None:
        """Compare one record; one that is not true is an error only where it `is_expected` to be."""
        key = document[self._key_field]
        true = self._truth.get(key)
        if true is None and (is_gone or not is_expected):
            return
        self._count += 1
        if true is None:
            self._add("unexpected", {self._key_field: key})
        else:
            self._missing.discard(key)
            for difference in _differences(document, true, is_gone):
                self._add("wrong", {self._key_field: key, **difference})
        identity = self._hash(document)
        if identity in self._true_counts:
            count, first, last = self._stored.get(identity, (0, key, key))
            self._stored[identity] = (count + 1, min(first, key), max(last, key))

    def result(self) -> Found:
        """Give what was found."""
        for key in sorted(self._missing):
            self._add("missing", {self._key_field: key})
        for identity, (count, first, last) in self._stored.items():
            true = self._true_counts[identity]
            if count > true:
                example = {self._key_field: [first, last], "count": count, "true": true}
                self._add("doubled", example, count - true)
        return {"stored": self._count, "true": len(self._truth), **self._found}

    def _hash(self, record: Mapping[str, Any]) -> int:
        return hash(tuple(_spelt(record.get(name)) for name in self._identity))

    def _add(self, kind: str, example: Found, count: int = 1) -> None:
        found = self._found[kind]
        found["count"] += count
        if len(found["examples"]) < _EXAMPLES:
            found["examples"].append(example)


def _differences(stored: Document, true: Mapping[str, Any], is_gone: bool) -> Iterator[Found]:
    if is_gone != bool(true.get("deleted")):
        yield {"field": "deleted_at", "stored": is_gone, "true": bool(true.get("deleted"))}
    for name, want in true.items():
        if name in {"record", "deleted"}:
            continue
        have = _spelt(stored.get(name))
        if have != want:
            yield {"field": name, "stored": have, "true": want}


def _spelt(value: Any) -> Any:
    """Give a stored value as the truth spells it."""
    return value.isoformat() if isinstance(value, datetime) else value


class _NotFoundError(Unusable):
    """The site has nothing under an address."""


def _base(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise Unusable(
            f"--truth must be the address of the stand-in site, e.g. http://site:8080, not {url!r}"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _get(url: str) -> str:
    # The site is a machine of the cluster: a proxy for the internet does not reach it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_TIMEOUT_SECONDS) as answer:
            body: bytes = answer.read()
            return body.decode()
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            raise _NotFoundError(f"--truth {url}: not found; is it the stand-in site?") from None
        reason = error.read(200).decode(errors="replace").strip()
        raise Unusable(f"--truth {url}: HTTP {error.code} {reason}") from None
    except (OSError, ValueError) as error:
        raise Unusable(f"--truth {url}: {error}") from None
