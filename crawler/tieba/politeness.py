"""Decides what happens to requests without a proper answer, whichever engine has made them.

Nothing is lost: a request ends with an answer, in the dead letters with a reason that begins with its
outcome, or back in the queue.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from frontier.connection import ERRORS
from tieba.fetches import source_of
from tieba.pages import ForumPage, Outcome
from tieba.pages.web import keep_freed_memory
from tieba.samples import Sample, Samples, excerpt
from tieba.storage import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tieba.cluster import Cluster
    from tieba.pages import Answer, Received, Target
    from tieba.records import Storable
    from tieba.samples import Saved

logger = logging.getLogger(__name__)


class Hand(Protocol):
    """A request that a worker has in hand; as a text, what it is for."""

    @property
    def target(self) -> Target | None:
        """What it asks for; None for a request that is not ours."""

    @property
    def endpoint(self) -> str:
        """The name of its rate limit."""

    @property
    def attempts(self) -> int:
        """How often it has failed before."""

    @property
    def strikes(self) -> int:
        """How often its slot was paused since its last success."""

    def retry(self, reason: str, retry_after: float = 0.0) -> None:
        """Have it tried again after some seconds, or given up after too many attempts."""

    def give_up(self, reason: str) -> None:
        """Put it to the dead letters."""

    def put_back(self) -> None:
        """Give it back unharmed."""


class Politeness:
    """What one worker does with the site's answers; requests fail `max_attempts` times at most."""

    def __init__(self, cluster: Cluster, max_attempts: int) -> None:
        self._cluster = cluster
        self._max_attempts = max_attempts
        self._source = source_of(cluster.config)
        if cluster.config.source == "web":
            keep_freed_memory()
        self._samples = Samples(cluster.config.samples_dir)

    async def judge(self, received: Received, hand: Hand) -> Answer | None:
        """Read an answer; None where it is none to go on with, and the request is settled."""
        target = hand.target
        self._cluster.counts.count_body(len(received.body))
        answer = self._source.read(received, target)
        outcome = answer.outcome
        if outcome in {Outcome.OK, Outcome.DELETED}:
            if hand.strikes:
                await self._cluster.patience(lambda: self._cluster.frontier.succeeded(self._slot(hand)))
            is_empty = outcome is Outcome.OK and not answer.has_content
            self._cluster.counts.count("empty" if is_empty else outcome.value, final=True)
            return answer
        if outcome in {Outcome.RATE_LIMITED, Outcome.VERIFICATION}:
            self._cluster.counts.count(outcome.value, final=False)
            await self._back_off(hand, answer)
        elif outcome is Outcome.UNKNOWN:
            reason = answer.error or "not recognised"
            if received.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._retry(hand, "server_error", reason, answer.retry_after)
            else:
                saved = await self._save(Sample(received, self._cluster.config.source, target), reason)
                told = f"{reason}; {saved}" if saved else reason
                self._retry(hand, outcome.value, told, answer.retry_after)
        else:
            self._cluster.counts.count(outcome.value, final=True)
            self._give_up(hand, outcome.value, _refusal(target, answer))
        return None

    def note_failure(self, hand: Hand, error: BaseException) -> None:
        """Have a request tried again that got no answer, or one that cannot be read to its end."""
        self._retry(hand, "network_error", f"{type(error).__name__}: {error}")

    def forbid(self, hand: Hand, reason: str) -> None:
        """Give up a request that may not be made."""
        self._cluster.counts.count("forbidden", final=True)
        self._give_up(hand, "forbidden", f"{reason} (obey_robots is on; it can be set to false)")

    async def _save(self, sample: Sample, reason: str) -> Saved | None:
        """Save a sample, and what is to be seen of it from elsewhere."""
        saved = self._samples.save(sample, reason)
        if saved is not None and saved.is_new:
            with suppress(*ERRORS):  # a full Redis has no room for it
                await self._cluster.job.keep_sample(saved.path.name, excerpt(sample))
        return saved

    def _slot(self, hand: Hand) -> str:
        return f"{hand.endpoint}:{self._cluster.config.egress}"

    async def _back_off(self, hand: Hand, answer: Answer) -> None:
        config = self._cluster.config
        slot = self._slot(hand)
        reason = f"{answer.outcome}: {answer.error}"
        seconds, began = await self._cluster.patience(
            lambda: self._cluster.frontier.pause(
                slot,
                config.first_pause,
                reason,
                longest=config.longest_pause,
                least=answer.retry_after or 0.0,
            )
        )
        if began:
            logger.warning("Paused %s for all workers for %.0f s: %s", slot, seconds, reason)
        hand.put_back()

    def _retry(self, hand: Hand, outcome: str, reason: str, retry_after: float | None = None) -> None:
        attempt = hand.attempts + 1
        is_last = attempt >= self._max_attempts
        self._cluster.counts.count(outcome, final=is_last)
        told = f"{outcome}: {reason} (attempt {attempt} of {self._max_attempts})"
        logger.log(
            logging.ERROR if is_last else logging.INFO,
            "%s %s: %s", "Gave up" if is_last else "Retry", hand, told,
        )  # fmt: skip
        hand.retry(told, retry_after or 0.0)

    def _give_up(self, hand: Hand, outcome: str, reason: str) -> None:
        told = f"{outcome}: {reason}"
        logger.error("Gave up %s: %s", hand, told)
        hand.give_up(told)


async def store(
    cluster: Cluster, records: Sequence[Storable], hand: Hand, *, is_over: Callable[[], bool]
) -> bool:
    """Store an answer's records, and wait for the store while it is away, unless the worker `is_over`.

    Returns False where the request is settled without: given back, or failed for what the store says.
    """
    try:
        await cluster.ask_store(lambda: cluster.store.save(records), is_over=is_over)
    except StoreUnavailable:
        # The worker stops: another one, or this one after its restart, does the request again.
        hand.put_back()
        return False
    except Exception as error:  # noqa: BLE001 - whatever it is, the request is recorded as failed
        reason = f"not stored: {type(error).__name__}: {error}"
        logger.error("%s: %s", hand, reason)
        hand.retry(reason)
        return False
    cluster.counts.count_stored(records)
    return True


def _refusal(target: Target | None, answer: Answer) -> str:
    if isinstance(target, ForumPage) and answer.outcome is Outcome.REFUSED:
        return f"forum {target.forum!r} may not exist on this site: {answer.error}"
    return str(answer.error)
